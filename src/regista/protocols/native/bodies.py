"""Bodies of a fixed form: what is wrong with one is told by the name of its field."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from regista.model import BadInput

T = TypeVar("T")

_NAMED = re.compile(r"field `([^`]*)`")


def decode_body(body: bytes, decode: Callable[[bytes], T]) -> T:
    """What `decode`, msgspec's of a form, makes of the body.

    Raises:
        BadInput: it has not the form; names the field.
    """
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        field, problem = misfit(error)
        raise invalid(field, problem) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"Request decode failed: {error}") from error


def misfit(error: msgspec.ValidationError) -> tuple[str, str]:
    """The path of the field that has not its form, "" for the body as a whole, and why."""
    problem, _, path = str(error).partition(" - at `$")
    field = path.rstrip("`").lstrip(".")
    if not field and (named := _NAMED.search(problem)):
        # A field that is missing or unknown is named by the problem of the whole.
        field = named[1]
    return field, problem


def invalid(field: str, problem: str) -> BadInput:
    """The error that names the field; it never repeats a value, which may be secret."""
    return BadInput(f"Invalid {field or 'body'}: {problem}", field=field)

"""Reading configuration entries: a table of fields for each object, one function for all, one spelling out.

Entries come from files as well as from programs, so Consul reads them generously: keys in any case and with
underscores, `"50"` for 50, one object for a list of one. What is read here is already in the form that it is shown
in: fields by Consul's names, in order, empty ones left out. Unknown keys are refused.

Source: Consul 1.9 (behaviour), `structs.DecodeConfigEntry`.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any

from regista.model import BadInput, format_duration, parse_duration_s
from regista.protocols.consul.encode_mesh import in_key_order

Reader = Callable[[Any, str], Any]
"""Takes a JSON value and the path of its field; returns what is shown for it."""

ITEMS_MAX = 4096
"""In each list of an entry."""
_NUMBER_MAX = 2**53
"""Larger whole numbers are not exact for programs that read JSON numbers as floats."""
_DURATION_S_MAX = 2**63 / 1e9
_DIGITS_MAX = 40
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("", "0", "f", "F", "FALSE", "false", "False")


@dataclasses.dataclass(frozen=True, slots=True)
class Field:
    """One field of an object.

    Attributes:
        is_always_shown: also if it is empty; as `empty` if it is not given.
        is_shown_if_given: also if it is given as what counts as empty.
    """

    read: Reader
    is_always_shown: bool = False
    empty: Any = None
    is_shown_if_given: bool = False


Fields = Mapping[str, Field]
"""Fields by Consul's names, in the order in which they are shown."""


def read_fields(value: Any, fields: Fields, path: str = "") -> dict[str, Any]:
    """An object with these fields, as it is shown.

    Raises:
        BadInput: an unknown key, or a value that can't be what its field holds; in Consul's words.
    """
    if isinstance(value, list) and len(value) == 1:  # a block of a file in HCL
        value = value[0]
    if not isinstance(value, dict):
        raise _wrong_type(value, path, "map")
    known = {_fold(name): name for name in fields}
    given: dict[str, Any] = {}
    for key, each in value.items():
        name = known.get(_fold(key))
        if name is None:
            raise _unknown_key(key, fields, path)
        if each is not None:
            given[name] = fields[name].read(each, f"{path}.{name}" if path else name)
    shown: dict[str, Any] = {}
    for name, field in fields.items():
        if name in given and (field.is_shown_if_given or not _is_empty(given[name])):
            shown[name] = given[name]
        elif field.is_always_shown:
            shown[name] = given.get(name, field.empty)
    return shown


class GivenObject(dict[str, Any]):
    """An object that is shown if it is given, also without anything in it: a pointer in Consul's structures."""


def text(value: Any, path: str) -> str:
    """A text, or a number or boolean as text."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if not isinstance(value, str):
        raise _wrong_type(value, path, "string")
    return value


def lower_text(value: Any, path: str) -> str:
    """A text in small letters."""
    return text(value, path).lower()


def upper_text(value: Any, path: str) -> str:
    """A text in capitals."""
    return text(value, path).upper()


def flag(value: Any, path: str) -> bool:
    """A boolean, or what Go reads as one."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return value != 0
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise _wrong_type(value, path, "bool")


def integer(value: Any, path: str) -> int:
    """A whole number, or a text of one; fractions are cut off."""
    return int(number(value, path, "int"))


def number(value: Any, path: str, wanted: str = "float32") -> float:
    """A number, or a text of one; a whole one has no fraction."""
    if isinstance(value, str):
        try:
            value = float(value[:_DIGITS_MAX]) if value else 0
        except ValueError:
            raise _wrong_type(value, path, wanted) from None
    if isinstance(value, bool):
        value = int(value)
    if not isinstance(value, int | float):
        raise _wrong_type(value, path, wanted)
    if not abs(value) <= _NUMBER_MAX:
        raise _failed(f"'{path}' is too large a number", path)
    return int(value) if float(value).is_integer() else float(value)


def duration(value: Any, path: str) -> str:
    """A duration as Consul shows it; numbers are nanoseconds."""
    if isinstance(value, str):
        try:
            seconds = parse_duration_s(value) if value else 0.0
        except ValueError as error:
            raise _failed(f"error decoding '{path}': {error}", path) from None
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = value / 1e9 if abs(value) < 2**63 else math.inf
    else:
        raise _wrong_type(value, path, "time.Duration")
    if not abs(seconds) <= _DURATION_S_MAX:
        raise _failed(f"error decoding '{path}': the duration is too long", path)
    return format_duration(seconds) if seconds else ""


def list_of(item: Reader) -> Reader:
    """A reader of lists; one item stands for a list of one."""

    def read(value: Any, path: str) -> list[Any]:
        items = value if isinstance(value, list) else [] if value in ({}, "") else [value]
        if len(items) > ITEMS_MAX:
            raise _failed(f"'{path}' has {len(items)} items; at most {ITEMS_MAX}", path)
        return [item(each, f"{path}[{position}]") for position, each in enumerate(items)]

    return read


def map_of(item: Reader) -> Reader:
    """A reader of objects with free keys."""

    def read(value: Any, path: str) -> dict[str, Any]:
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if not isinstance(value, dict):
            raise _wrong_type(value, path, "map")
        return {key: item(each, f"{path}[{key}]") for key, each in sorted(value.items())}

    return read


def free(value: Any, _path: str) -> Any:
    """Any JSON value, with the keys of its objects in order."""
    return in_key_order(value)


def object_of(fields: Fields) -> Reader:
    """A reader of objects that are shown if they are given."""
    return lambda value, path: GivenObject(read_fields(value, fields, path))


def ignored(_value: Any, _path: str) -> None:
    """Reads a field that has no meaning where it comes in."""


def part(fields: Fields) -> Field:
    """A field with an object that is always shown."""
    return Field(
        lambda value, path: read_fields(value, fields, path), is_always_shown=True, empty=read_fields({}, fields)
    )


def optional(fields: Fields) -> Field:
    """A field with an object that is shown if it is given."""
    return Field(object_of(fields))


def plain(value: Any) -> Any:
    """The value made of plain JSON types only, for keeping."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def _is_empty(value: Any) -> bool:
    return not isinstance(value, GivenObject) and value in (None, "", 0, [], {})


def _fold(key: str) -> str:
    return key.replace("_", "").lower()


def _unknown_key(key: str, fields: Fields, path: str) -> BadInput:
    shown = f"{path}.{key}" if path else key
    nearest = difflib.get_close_matches(_fold(key), [_fold(name) for name in fields], n=1, cutoff=0.5)
    hint = next((f'; did you mean "{name}"?' for name in fields if nearest and _fold(name) == nearest[0]), "")
    return BadInput(
        f'Bad request: Request decoding failed: 1 error occurred:\n\t* invalid config key "{shown}"{hint}\n\n',
        field=shown,
    )


def _wrong_type(value: Any, path: str, wanted: str) -> BadInput:
    kinds = {bool: "bool", str: "string", int: "float64", float: "float64", dict: "map", list: "slice"}
    given = kinds.get(type(value), type(value).__name__)
    return _failed(f"'{path}' expected type '{wanted}', got unconvertible type '{given}'", path)


def _failed(problem: str, path: str) -> BadInput:
    return BadInput(f"Bad request: Request decoding failed: 1 error(s) decoding:\n\n* {problem}", field=path)

"""Whether this agent makes the checks that a caller registers, and what a program's arguments may be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from regista.catalog import Registration
from regista.health import KindRule
from regista.model import BadInput, Check, Forbidden
from regista.protocols.consul.fields import field_name, free_text

ARGUMENTS_MAX = 256

_ARGUMENTS_BYTES_MAX = 128 * 1024
"""Linux takes a single argument of up to 128 KiB; whoever has more to say writes a file."""


def argument(value: Any, path: str) -> str:
    """One argument of a program: any text, for scripts may have lines, but for NUL, which would end it."""
    found = free_text(value, path)
    if "\0" in found:
        raise BadInput(f"{field_name(path)} has a NUL byte; take it out", field=field_name(path))
    return found


def arguments_problem(arguments: Sequence[str]) -> str:
    """What is wrong with a program and its arguments, to follow their field's name; "" if nothing is."""
    if not arguments:
        return "must name the program to run in the container"
    if not arguments[0].strip():
        return "must begin with the name of a program, not with an empty text"
    total_bytes = sum(len(each.encode("utf-8", "replace")) for each in arguments)
    if total_bytes > _ARGUMENTS_BYTES_MAX:
        return f"are too long together: {total_bytes} bytes (limit: {_ARGUMENTS_BYTES_MAX})"
    return ""


def refuse_kind(check: Check, rule: KindRule) -> None:
    """Passes over a check that may be made here.

    Raises:
        Forbidden: it may not; the text says what would have to be configured or installed.
    """
    problem = rule.refusal(check.type, check.manager)
    if problem:
        raise Forbidden(problem)


def refuse_kinds(registration: Registration, rule: KindRule) -> None:
    """The same for all checks of an instance and its sidecar.

    Raises:
        Forbidden: see `refuse_kind`.
    """
    sidecar_checks = registration.sidecar.checks if registration.sidecar else None
    for check in (*registration.checks, *(sidecar_checks or ())):
        refuse_kind(check, rule)

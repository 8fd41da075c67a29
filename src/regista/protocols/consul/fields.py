"""Reading JSON objects strictly: a table of readers for each object, one function for all.

Keys match without regard to case and underscores, so the API's `TaggedAddresses` and the files'
`tagged_addresses` are one field. Values must have the right JSON type, `null` means absent, and an unknown key is
refused with its nearest known one. Errors use the words of Go's `encoding/json`, which clients know, with the
path of the field.

Source: Consul 1.9 (behaviour), widened as `docs/reference/consul-compatibility.md` says.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Mapping
from typing import Any

from regista.model import BadInput, parse_duration_s

Reader = Callable[[Any, str], Any]
"""Takes a JSON value and the path of its field; returns what the field holds."""

Fields = Mapping[str, Reader]
"""Readers by the field's name as Consul spells it."""

_UNNAMED = "(unnamed)"
"""The path while nobody asks for it: that of everything below it too."""

NAME_CHARACTERS_MAX = 512
DURATION_S_MAX = 10 * 365 * 86400.0
"""Ten years: longer is a slip of units."""
_DURATION_NS_MAX = 2**63
"""Go keeps durations as signed 64-bit nanoseconds."""
assert _DURATION_NS_MAX > DURATION_S_MAX * 1e9
_NUMBER_MAX = 1e300
"""Sums and distances of a few such numbers are still finite."""


def read_object(value: Any, fields: Fields, path: str = "") -> dict[str, Any]:
    """The fields of a JSON object that are there and not null, by Consul's names.

    Raises:
        BadInput: not an object, an unknown key, or a value of the wrong type.
    """
    if path is _UNNAMED:
        return _read_fields(value, fields, path)
    try:
        return _read_fields(value, fields, _UNNAMED)
    except BadInput:
        # Once more, now that the path of the field is wanted: to make it each time takes longer than to read.
        return _read_fields(value, fields, path)


def _read_fields(value: Any, fields: Fields, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong_type(value, path, "object")
    known: dict[str, str] = {}
    found: dict[str, Any] = {}
    for key, each in value.items():
        name = key
        reader = fields.get(key)  # clients nearly always spell a key as Consul does
        if reader is None:
            known = known or {_fold(name): name for name in fields}
            name = known.get(_fold(key), "")
            if not name:
                raise _unknown_field(key, path, fields)
            reader = fields[name]
        if each is not None:
            found[name] = reader(each, path if path is _UNNAMED else f"{path}.{name}")
    return found


def text(value: Any, path: str) -> str:
    """A string without control characters."""
    if not isinstance(value, str):
        raise _wrong_type(value, path, "string")
    # What is printable has no control characters; the reverse does not hold.
    if not value.isprintable() and any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise BadInput(f"{field_name(path)} has control characters; take them out", field=field_name(path))
    return value


def free_text(value: Any, path: str) -> str:
    """A string of any characters: a note, a body."""
    if not isinstance(value, str):
        raise _wrong_type(value, path, "string")
    return value


def name(value: Any, path: str) -> str:
    """A string that names something that is written: one that a path can hold, with escapes.

    Source: Consul 1.9 takes others too, and can't be asked for them afterwards, nor told to forget them.
    """
    found = known_name(value, path)
    if found in (".", ".."):
        raise BadInput(f'{field_name(path)} can\'t be "{found}", for no path can hold it', field=field_name(path))
    if not found.isprintable():
        odd = next(character for character in found if not character.isprintable())
        raise BadInput(
            f"{field_name(path)} has a character that can't be printed (U+{ord(odd):04X}); take it out, for no "
            "path can hold it",
            field=field_name(path),
        )
    return found


def known_name(value: Any, path: str) -> str:
    """A string that names something that is there already, by whatever rules it came."""
    found = text(value, path)
    if len(found) > NAME_CHARACTERS_MAX:
        raise BadInput(
            f"{field_name(path)} is too long: {len(found)} characters (limit: {NAME_CHARACTERS_MAX})",
            field=field_name(path),
        )
    return found


def flag(value: Any, path: str) -> bool:
    """A boolean."""
    if not isinstance(value, bool):
        raise _wrong_type(value, path, "bool")
    return value


def integer(value: Any, path: str) -> int:
    """A whole number of 64 bits, as an `int` of clients written in Go has."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong_type(value, path, "int")
    if not -(2**63) <= value < 2**63:
        raise BadInput(f"{field_name(path)} is a number that does not fit in 64 bits", field=field_name(path))
    return value


def number(value: Any, path: str) -> float:
    """A number that is finite."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong_type(value, path, "float64")
    # Compared first, because an integer may be too large to be made a float.
    if not abs(value) < _NUMBER_MAX:
        raise BadInput(f"{field_name(path)} is too large a number", field=field_name(path))
    return float(value)


def count(value: Any, path: str) -> int:
    """A whole number that is not negative, and fits in 31 bits."""
    number = integer(value, path)
    if not 0 <= number < 2**31:
        raise BadInput(f"{field_name(path)} must be from 0 to {2**31 - 1}, not {number}", field=field_name(path))
    return number


def port(value: Any, path: str) -> int:
    """A TCP port, or 0 for none."""
    number = integer(value, path)
    if not 0 <= number <= 65535:
        raise BadInput(f"{field_name(path)} must be from 0 to 65535, not {number}", field=field_name(path))
    return number


def duration_s(value: Any, path: str) -> float:
    """Seconds in a duration text, or in a number of nanoseconds. Negative ones are the caller's to judge.

    Source: Consul 1.9: a value of any other type counts as absent; here it is refused.
    """
    if isinstance(value, str):
        if not value:
            return 0.0
        try:
            seconds = parse_duration_s(value)
        except ValueError as error:
            problem = f"{error} in {field_name(path)}; write it as 10s, 1m30s or 500ms"
            raise BadInput(
                f"Request decode failed: {problem}",
                field=field_name(path),
                plain_text=problem.removeprefix("time: "),
            ) from error
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        # Compared first, because an integer may be too large to be made a float.
        seconds = value / 1e9 if abs(value) < _DURATION_NS_MAX else math.inf
    else:
        raise _wrong_type(value, path, "duration")
    if abs(seconds) > DURATION_S_MAX:
        raise BadInput(
            f"{field_name(path)} is {abs(seconds) / 86400:.0f} days; at most 10 years are accepted "
            "(numbers are nanoseconds)",
            field=field_name(path),
        )
    return seconds


def list_of(item: Reader, type_name: str, most: int) -> Reader:
    """A reader of lists."""

    def read(value: Any, path: str) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _wrong_type(value, path, type_name)
        if len(value) > most:
            raise BadInput(f"{field_name(path)} has {len(value)} items; at most {most}", field=field_name(path))
        if path is _UNNAMED:
            return tuple([item(each, path) for each in value])
        return tuple([item(each, f"{path}[{position}]") for position, each in enumerate(value)])

    return read


def map_of(item: Reader) -> Reader:
    """A reader of objects with free keys."""

    def read(value: Any, path: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _wrong_type(value, path, "map")
        if path is _UNNAMED:
            return {key: item(each, path) for key, each in value.items()}
        return {key: item(each, f"{path}.{key}") for key, each in value.items()}

    return read


def object_of(fields: Fields) -> Reader:
    """A reader of objects with these fields."""
    return lambda value, path: read_object(value, fields, path)


def free_object(value: Any, path: str) -> dict[str, Any]:
    """An object of any JSON values, kept as it is."""
    if not isinstance(value, dict):
        raise _wrong_type(value, path, "map")
    return value


def ignored(_value: Any, _path: str) -> None:
    """Reads a field that has no meaning here, such as a token in a body."""


def not_yet(what: str) -> Reader:
    """A reader that lets an empty value pass and refuses any other, rather than ignore what was asked for."""

    def read(value: Any, path: str) -> None:
        if value not in ("", 0, False, [], {}):
            raise BadInput(
                f"{field_name(path)} is not supported by this version of Regista: {what}", field=field_name(path)
            )

    return read


def unwrap(value: Any, wrapper: str) -> Any:
    """The object in `{wrapper: {…}}`, or the value itself; None (JSON's null) is an empty object, as in Go."""
    if value is None:
        return {}
    if isinstance(value, dict) and len(value) == 1:
        ((key, inner),) = value.items()
        if _fold(key) == wrapper and isinstance(inner, dict):
            return inner
    return value


def _fold(key: str) -> str:
    return key.replace("_", "").lower()


def field_name(path: str) -> str:
    """The field as an error names it: `Checks[1].TTL`."""
    return path.lstrip(".")


def _wrong_type(value: Any, path: str, wanted: str) -> BadInput:
    kinds = {bool: "bool", str: "string", int: "number", float: f"number {value}", dict: "object", list: "array"}
    given = kinds.get(type(value), type(value).__name__)
    where = f"struct field {path} of type {wanted}" if path else "value of type struct"
    return BadInput(
        f"Request decode failed: json: cannot unmarshal {given} into Go {where}",
        field=field_name(path) or "body",
        plain_text=f"{field_name(path) or 'it'}: expected {_plain_type(wanted)}, got {_plain_value(value)}",
    )


def _plain_type(wanted: str) -> str:
    """What Go calls a type, in words."""
    if wanted.startswith("[]"):
        return "a list of strings" if wanted == "[]string" else "a list"
    return _PLAIN_TYPES.get(wanted, "a list")


def _plain_value(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return "a string"
        case int() | float():
            return "a number"
        case dict():
            return "an object"
        case list():
            # What HCL makes of a block that may stand only once.
            return f"a list of {len(value)}; a block that is written several times is such a list"
        case _:
            return "null"


_PLAIN_TYPES = {
    "string": "a string",
    "int": "a whole number",
    "float64": "a number",
    "bool": "true or false",
    "object": "an object",
    "map": "an object",
    "duration": 'a duration such as "10s"',
}


def _unknown_field(key: str, path: str, fields: Fields) -> BadInput:
    nearest = difflib.get_close_matches(_fold(key), [_fold(name) for name in fields], n=1, cutoff=0.5)
    hint = next((f'; did you mean "{name}"?' for name in fields if nearest and _fold(name) == nearest[0]), "")
    within = f" in {field_name(path)}" if path else ""
    problem = f'unknown field "{key}"{within}{hint}'
    return BadInput(
        f"Request decode failed: json: {problem}", field=field_name(f"{path}.{key}"), plain_text=problem
    )

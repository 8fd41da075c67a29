"""Reading configuration files: which files a path stands for, and what is in them. Knows no key."""

from __future__ import annotations

import dataclasses
import json
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from regista.agent.hcl import decode_hcl
from regista.model import ConfigError

FILE_BYTES_MAX = 16 * 1024 * 1024
"""A file with 10 000 services has some 5 MB; what is larger is not a configuration."""


@dataclasses.dataclass(frozen=True, slots=True)
class ConfigFile:
    """A file and what is in it, its names as they are spelled there."""

    path: Path
    content: Mapping[str, Any]


def find_files(path: Path, *, format_: str = "") -> tuple[Path, ...]:
    """The files that `path` stands for: itself, or those of a directory that can be read, by name.

    Args:
        format_: of every file, whatever its suffix; see `read_file`.

    Raises:
        ConfigError: there is no such file or directory, or its listing is not allowed.
    """
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            return (path,)
        return tuple(sorted(item for item in path.iterdir() if is_readable(item, format_) and item.is_file()))
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}.") from error


def is_readable(path: Path, format_: str = "") -> bool:
    """Whether it is known what is in a file of this name."""
    return bool(format_) or path.suffix in _DECODERS


def read_text(text: str) -> dict[str, Any]:
    """The object in a text that comes without a name: JSON if it starts as an object does, else HCL.

    Raises:
        ConfigError: it is neither.
    """
    return _decode_json(text) if text.lstrip().startswith("{") else decode_hcl(text)


def read_file(path: Path, *, format_: str = "") -> ConfigFile:
    """The file's content.

    Args:
        format_: `json` or `hcl`; "" for what the suffix says.

    Raises:
        ConfigError: it can't be read, is not JSON or HCL by its suffix, or does not hold an object.
    """
    decode = _DECODERS.get(f".{format_}" if format_ else path.suffix)
    if decode is None:
        raise ConfigError(
            f"{path}: the suffix must be {' or '.join(_DECODERS)}; rename the file to what is in it."
        )
    try:
        with path.open("rb") as file:
            data = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigError(f"{path} can't be read: {error.strerror}.") from error
    if len(data) > FILE_BYTES_MAX:
        raise ConfigError(f"{path} is larger than {FILE_BYTES_MAX} bytes; split it into several files.")
    try:
        # Editors of Windows put a mark at the beginning, which nobody sees.
        return ConfigFile(path, decode(data.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text: byte {error.start}.") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def find_definitions(content: Mapping[str, Any], single: str, several: str) -> Sequence[Mapping[str, Any]]:
    """The objects under the keys `single` and `several`, such as `service` and `services`.

    Raises:
        ConfigError: under `single` is not one object (or a list of one), or under `several` not a list of objects.
    """
    found: list[Mapping[str, Any]] = []
    for name, value in content.items():
        items = value if isinstance(value, list) else [value]
        if value is None or name.lower() not in (single, several):
            continue
        if name.lower() == single and len(items) != 1:
            raise ConfigError(
                f'{single}: expected an object, got a list of {len(items)}; use "{several}" for those.'
            )
        if name.lower() == several and not isinstance(value, list):
            raise ConfigError(f"{several}: expected a list of objects, got {type_text(value)}.")
        for item in items:
            if not isinstance(item, Mapping):
                raise ConfigError(f"{name.lower()}: expected an object, got {type_text(item)}.")
            found.append(item)
    return found


def type_text(value: Any) -> str:
    """What a value from a file is, in words: `the string "8500"`, `a list`."""
    match value:
        case None:
            return "null"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int():
            return f"the integer {value}"
        case float():
            return f"the number {value:g}"
        case str():
            return f'the string "{value if len(value) <= 40 else value[:39] + "…"}"'
        case list():
            return "a list"
        case _:
            return "an object"


def _decode_json(text: str) -> dict[str, Any]:
    try:
        content = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        # Some of the decoder's sentences end before the place, which stands in front here.
        reason = error.msg.removesuffix(" at").removesuffix(" starting")
        raise ConfigError(
            f"line {error.lineno}, column {error.colno}: this is not valid JSON: {reason}."
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"it is not valid JSON: {error}.") from error
    if not isinstance(content, dict):
        raise ConfigError(f"expected an object, got {type_text(content)}.")
    return content


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON value")


_DECODERS: Mapping[str, Callable[[str], dict[str, Any]]] = {".json": _decode_json, ".hcl": decode_hcl}

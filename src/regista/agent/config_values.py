"""From what a file, the environment or a flag says to checked values by key. Pure."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from regista.agent.config_file import find_definitions, type_text
from regista.agent.consul_keys import NO_EFFECT, PROTECTIONS, SAME_AS
from regista.agent.keys import FLAGS, KEYS, PORT_MOST, Key, Kind
from regista.model import ConfigError, format_duration, parse_duration_s


class Definition(dict[str, Any]):
    """A service, check or watch as it stands in a file, unchecked.

    Attributes:
        source: the file's name, for messages.
        number: the how manieth of its kind in the file, from 1.
    """

    def __init__(self, content: Mapping[str, Any], source: str, number: int) -> None:
        super().__init__(content)
        self.source = source
        self.number = number


@dataclasses.dataclass(slots=True)
class Layer:
    """What one source says.

    Attributes:
        values: by the path of a key, as the program keeps them; only what the source names.
        problems: sentences on what can't be used.
    """

    values: dict[str, Any] = dataclasses.field(default_factory=dict)
    services: list[Definition] = dataclasses.field(default_factory=list)
    checks: list[Definition] = dataclasses.field(default_factory=list)
    watches: list[Definition] = dataclasses.field(default_factory=list)
    warnings: list[str] = dataclasses.field(default_factory=list)
    problems: list[str] = dataclasses.field(default_factory=list)


def _groups(paths: Iterable[str]) -> frozenset[str]:
    """Every block that one of the paths stands in."""
    groups: set[str] = set()
    for path in paths:
        parts = path.removesuffix(".*").split(".")
        groups.update(".".join(parts[:count]) for count in range(1, len(parts)))
    return frozenset(groups)


_OTHER_NAMES = {theirs: ours for theirs, ours in SAME_AS.items() if ours in KEYS}
_OUR_GROUPS = _groups((*KEYS, *_OTHER_NAMES))
_IDLE_GROUPS = _groups(NO_EFFECT) - _OUR_GROUPS
_FLAG_WORDS = {flag.parameter: flag.key for flag in FLAGS if flag.key}
_KNOWN = sorted(
    {*KEYS, *_OUR_GROUPS, *_IDLE_GROUPS, *_FLAG_WORDS, *(path.removesuffix(".*") for path in NO_EFFECT)}
)


def has_effect(path: str) -> bool:
    """Whether the key at this path, in our spelling or Consul's, changes anything in this version."""
    return _OTHER_NAMES.get(path, path) in KEYS


def read_layer(content: Mapping[str, Any], source: str, *, is_lenient: bool = False) -> Layer:
    """What a file's `content` says; `source` is its name, for messages.

    Args:
        is_lenient: an unknown name is a warning, as for files written for a later Consul.
    """
    layer = Layer()
    for single, several, found in (
        ("service", "services", layer.services),
        ("check", "checks", layer.checks),
        ("", "watches", layer.watches),
    ):
        try:
            contents = find_definitions(content, single, several)
            found.extend(Definition(each, source, number) for number, each in enumerate(contents, start=1))
        except ConfigError as error:
            layer.problems.append(f"{source}: {error}")
    _Reader(layer, source, is_lenient=is_lenient).walk(content, "")
    return layer


class _Reader:
    """Goes through one file's names and sorts them: ours, without effect, unknown."""

    def __init__(self, layer: Layer, source: str, *, is_lenient: bool) -> None:
        self._layer = layer
        self._source = source
        self._unknown = layer.warnings if is_lenient else layer.problems

    def walk(self, content: Mapping[str, Any], prefix: str, *, is_told: bool = False) -> None:
        """Reads the block `prefix`; `is_told`: a warning already says that nothing in it has an effect."""
        for name, value in content.items():
            path = f"{prefix}{name.lower()}"
            if path in PROTECTIONS and value is True:
                self._layer.problems.append(
                    f'{self._source}: "{path}" asks for protection that this version of Regista does not have. '
                    "Take it out, and let the agent listen on loopback only."
                )
                continue
            key = KEYS.get(_OTHER_NAMES.get(path, path))
            if key is not None:
                self._take(key, path, value)
            elif path in NO_EFFECT or f"{path}.*" in NO_EFFECT:
                if not is_told:
                    self._warn(path, value)
            elif path in _OUR_GROUPS or path in _IDLE_GROUPS:
                self._enter(path, value, is_told=is_told)
            else:
                self._unknown.append(_unknown_text(f"{prefix}{name}", self._source))

    def _enter(self, path: str, value: Any, *, is_told: bool) -> None:
        block = value[0] if isinstance(value, list) and len(value) == 1 else value
        if block is None:
            return
        if not isinstance(block, Mapping):
            self._layer.problems.append(f"{self._source}: {path}: expected an object, got {type_text(value)}.")
            return
        if path in _IDLE_GROUPS and not is_told and block:
            self._warn(path, block)
            is_told = True
        self.walk(block, f"{path}.", is_told=is_told)

    def _take(self, key: Key, path: str, value: Any) -> None:
        if value is None or key.kind == "definitions":
            return
        try:
            self._layer.values[key.path] = convert(key, value, name=path)
        except ConfigError as error:
            self._layer.problems.append(f"{self._source}: {error}")

    def _warn(self, path: str, value: Any) -> None:
        # A listener that is switched off here and in the file needs no word.
        is_off = path.startswith("ports.") and value in (0, -1)
        if value is not None and not is_off:
            self._layer.warnings.append(f'"{path}" has no effect in this version of Regista ({self._source}).')


def _unknown_text(path: str, source: str) -> str:
    text = f'invalid config key "{path}" in {source}'
    nearest = difflib.get_close_matches(path.lower(), _KNOWN, n=1, cutoff=0.6)
    if not nearest:
        return f"{text}; see docs/reference/configuration.md for the keys there are"
    return f'{text}; did you mean "{_FLAG_WORDS.get(nearest[0], nearest[0])}"?'


def convert(key: Key, value: Any, *, name: str) -> Any:
    """`value` as the program keeps it.

    Args:
        name: what the user called the key: its path, a flag or a variable.

    Raises:
        ConfigError: its type is another, or it is out of the key's bounds.
    """
    if key.kind == "duration":
        return _duration_s(key, value, name)
    if not _is_of_kind(key.kind, value):
        raise ConfigError(f"{name}: expected {_EXPECTED[key.kind]}, got {type_text(value)}.")
    if key.kind == "port" and not -1 <= value <= PORT_MOST:
        raise ConfigError(
            f"{name}: invalid port: {value}; it may be from 1 to {PORT_MOST}, 0 (a free one) or -1 (off)."
        )
    if key.kind in ("integer", "number"):
        _check_bounds(key, value, name)
    if key.kind == "number":
        # Not before its bounds are known: the error shows it as it was written, and some are too long for a float.
        value = float(value)
    if key.choices:
        value = value.lower()
        if value not in key.choices:
            raise ConfigError(f'{name}: "{value}" is not known; it may be one of {", ".join(key.choices)}.')
    return tuple(value) if key.kind == "texts" else value


def convert_text(key: Key, text: str, *, name: str) -> Any:
    """A value from the environment, where all is text.

    Raises:
        ConfigError: the text is not a value of the key's type, or out of its bounds.
    """
    value: Any = text
    if key.kind in ("integer", "port"):
        try:
            value = int(text)
        except ValueError:
            raise ConfigError(f"{name}: expected {_EXPECTED[key.kind]}, got {type_text(text)}.") from None
    elif key.kind == "boolean":
        value = parse_boolean(text, name=name)
    return convert(key, value, name=name)


def parse_boolean(text: str, *, name: str) -> bool:
    """The truth of `true`, `1`, `false` or `0`.

    Raises:
        ConfigError: it is another word.
    """
    word = text.strip().lower()
    if word in ("true", "1"):
        return True
    if word in ("false", "0"):
        return False
    raise ConfigError(f"{name}: expected true or false, got {type_text(text)}.")


def merge(layers: Sequence[Layer]) -> dict[str, Any]:
    """Values by path over the defaults: later scalars win, maps are merged by key, lists are joined in order."""
    merged: dict[str, Any] = {}
    for layer in layers:
        for path, value in layer.values.items():
            match KEYS[path].kind:
                case "map":
                    merged[path] = {**merged.get(path, {}), **value}
                case "texts":
                    merged[path] = (*merged.get(path, ()), *value)
                case _:
                    merged[path] = value
    return {path: merged.get(path, key.default) for path, key in KEYS.items()}


_EXPECTED: dict[Kind, str] = {
    "text": "a string",
    "path": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "port": "an integer",
    "map": "an object of strings",
    "texts": "a list of strings",
}


def _is_of_kind(kind: Kind, value: Any) -> bool:
    match kind:
        case "boolean":
            return isinstance(value, bool)
        case "integer" | "port":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "map":
            return isinstance(value, Mapping) and all(isinstance(item, str) for item in value.values())
        case "texts":
            return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
        case _:
            return isinstance(value, str)


def _duration_s(key: Key, value: Any, name: str) -> float:
    if not isinstance(value, str):
        raise ConfigError(f'{name}: expected a duration such as "10s", got {type_text(value)}.')
    try:
        seconds = parse_duration_s(value)
    except ValueError:
        raise ConfigError(
            f'{name}: expected a duration such as "10s" or "1h30m", got {type_text(value)}.'
        ) from None
    _check_bounds(key, seconds, name, shown=value)
    return seconds


def _check_bounds(key: Key, value: float, name: str, *, shown: str = "") -> None:
    is_low = key.at_least is not None and value < key.at_least
    is_high = key.at_most is not None and value > key.at_most
    if is_low or is_high:
        bounds = bounds_text(key)
        raise ConfigError(f"{name}: {shown or value} is too {'low' if is_low else 'high'}; it may be {bounds}.")


def bounds_text(key: Key) -> str:
    """The key's bounds in words, "" without any: `at least 1`, `from 0s to 720h0m0s`."""
    least, most = (
        None if bound is None else duration_text(bound) if key.kind == "duration" else f"{bound:.15g}"
        for bound in (key.at_least, key.at_most)
    )
    if least is None:
        return "" if most is None else f"at most {most}"
    return f"at least {least}" if most is None else f"from {least} to {most}"


def duration_text(seconds: float) -> str:
    """A duration as a person writes it: `72h`, where Go prints `72h0m0s`."""
    text = format_duration(seconds)
    if text.endswith("m0s"):
        text = text.removesuffix("0s")
    return text.removesuffix("0m") if text.endswith("h0m") else text

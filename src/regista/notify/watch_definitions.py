"""Watches as they stand in a configuration file: which question each asks, and what is run with the answers. Pure.

Source: Consul 1.9, the types of its watches and the `watches` of its agent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn, TypeAlias, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from regista.model import ConfigError, parse_duration_s

T = TypeVar("T")

WATCHES_MAX = 1000
"""Each holds a waiting question and may start a program; Consul's users have a handful."""

_HTTP_TIMEOUT_S = 10.0
"""Source: Consul 1.9."""

NOTHING_YET = object()
"""In place of a result that no handler need be told: what is watched was never there."""


@dataclasses.dataclass(frozen=True, slots=True)
class ScriptHandler:
    """A program that is run at each change.

    Attributes:
        args: the program and its arguments; no shell sees them.
    """

    args: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class HttpHandler:
    """A server that is sent each change.

    Attributes:
        headers: names may repeat.
    """

    url: str
    method: str
    headers: tuple[tuple[str, str], ...]
    timeout_s: float
    is_verified: bool


Handler: TypeAlias = ScriptHandler | HttpHandler


@dataclasses.dataclass(frozen=True, slots=True)
class Watch:
    """One watch.

    Attributes:
        title: for people: `key web/limit`.
        target: the path and query string of the question, without those of waiting.
        absent: the body where the answer is that nothing is there (404); None where that is an error.
    """

    type: str
    title: str
    target: str
    absent: bytes | None
    token: str
    handler: Handler

    def pick(self, content: Any, before: Any) -> Any:
        """What a handler is told of an answer, or `NOTHING_YET`.

        Args:
            before: the answer that the handler was told of last; None for none.
        """
        match self.type:
            case "key":
                # Consul's watch says nothing of a key that was never there.
                return content[0] if content else (None if before else NOTHING_YET)
            case "keyprefix":
                return NOTHING_YET if content is None and not before else content
            case "event":
                return _new_events(content, before)
            case _:
                return content


def _new_events(content: list[dict[str, Any]], before: list[dict[str, Any]] | None) -> Any:
    """Those after the last that was known; all where that is forgotten."""
    known = before[-1]["ID"] if before else None
    ids = [item["ID"] for item in content]
    new = content[ids.index(known) + 1 :] if known in ids else content
    return NOTHING_YET if before is not None and not new else new


def read_watches(definitions: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[Watch, ...]:
    """The watches in the files' objects.

    Args:
        definitions: what each is called in messages, and the object.

    Raises:
        ConfigError: naming the watch and its field.
    """
    found = tuple(_read_watch(what, each) for what, each in definitions)
    if len(found) > WATCHES_MAX:
        raise ConfigError(f"the configuration has {len(found)} watches; an agent takes {WATCHES_MAX}.")
    return found


def _read_watch(what: str, definition: Mapping[str, Any]) -> Watch:
    fields = _Fields(what, definition)
    watch_type = fields.text("type") or fields.refuse("type", "it must be specified")
    fields.what = f'{what}, of the type "{watch_type}",'
    if watch_type not in _QUESTIONS:
        fields.refuse("type", f'"{watch_type}" is not supported; there are {", ".join(_QUESTIONS)}')
    path, parameters, title = _QUESTIONS[watch_type](fields)
    parameters += [("dc", fields.text("datacenter"))] if "datacenter" in fields else []
    parameters += [("stale", "")] if fields.truth("stale") else []
    query = f"?{urlencode(parameters)}" if parameters else ""
    watch = Watch(
        watch_type,
        title,
        quote(f"/v1/{path}") + query,
        _ABSENT.get(watch_type),
        fields.text("token"),
        _read_handler(fields),
    )
    fields.end()
    return watch


# ---- the types ----

_Question: TypeAlias = tuple[str, list[tuple[str, str]], str]
"""The path behind `/v1/`, the parameters, and the title."""


def _key(fields: _Fields) -> _Question:
    key = fields.text("key") or fields.refuse("key", "a single key to watch must be specified")
    return f"kv/{key}", [], f"key {key}"


def _key_prefix(fields: _Fields) -> _Question:
    prefix = fields.text("prefix") or fields.refuse("prefix", "a single prefix to watch must be specified")
    return f"kv/{prefix}", [("recurse", "")], f"keyprefix {prefix}"


def _services(_fields: _Fields) -> _Question:
    return "catalog/services", [], "services"


def _nodes(_fields: _Fields) -> _Question:
    return "catalog/nodes", [], "nodes"


def _service(fields: _Fields) -> _Question:
    name = fields.text("service") or fields.refuse("service", "a single service to watch must be specified")
    parameters = [("tag", tag) for tag in fields.texts("tag")]
    parameters += [("passing", "1")] if fields.truth("passingonly") else []
    return f"health/service/{name}", parameters, f"service {name}"


def _checks(fields: _Fields) -> _Question:
    service, state = fields.text("service"), fields.text("state")
    if service and state:
        fields.refuse("state", "service and state cannot both be specified")
    path = f"health/checks/{service}" if service else f"health/state/{state or 'any'}"
    return path, [], f"checks {service or state or 'any'}"


def _event(fields: _Fields) -> _Question:
    name = fields.text("name")
    return "event/list", [("name", name)] if name else [], f"event {name}".rstrip()


_QUESTIONS: dict[str, Callable[[_Fields], _Question]] = {
    "key": _key,
    "keyprefix": _key_prefix,
    "services": _services,
    "nodes": _nodes,
    "service": _service,
    "checks": _checks,
    "event": _event,
}

_ABSENT = {"key": b"[]", "keyprefix": b"null"}


# ---- the handlers ----


def _read_handler(fields: _Fields) -> Handler:
    handler_type = fields.text("handler_type") or "script"
    if "handler" in fields:
        fields.refuse(
            "handler",
            "a command line would need a shell, which nothing is run by here; give the program and its arguments "
            'as a list in args, if need be ["sh", "-c", "…"]',
        )
    if handler_type == "script":
        args = fields.texts("args")
        if not args or not args[0]:
            fields.refuse("args", "a handler must be defined: the program and its arguments, as a list")
        if any("\0" in arg for arg in args):
            fields.refuse("args", "an argument cannot hold a zero byte")
        return ScriptHandler(tuple(args))
    if handler_type == "http":
        return _read_http_handler(fields)
    return fields.refuse("handler_type", f'"{handler_type}" is not known; there are script and http')


def _read_http_handler(fields: _Fields) -> HttpHandler:
    inner = fields.inner("http_handler_config")
    url = inner.text("path") or inner.refuse("path", "the URL to send to must be specified")
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url:
        inner.refuse("path", "it is no URL such as http://127.0.0.1:8080/changed")
    method = inner.text("method") or "POST"
    if not method.isascii() or not method.isalpha():
        inner.refuse("method", f'"{method}" is no method such as POST')
    headers = tuple((name, value) for name, values in inner.header("header").items() for value in values)
    handler = HttpHandler(
        url,
        method.upper(),
        headers,
        inner.duration_s("timeout", default_s=_HTTP_TIMEOUT_S),
        is_verified=not inner.truth("tls_skip_verify"),
    )
    inner.end()
    return handler


class _Fields:
    """The fields of an object in a file; each is to be asked for once, and `end` to be called at last.

    Attributes:
        what: what the object is, for messages.
    """

    def __init__(self, what: str, values: Mapping[str, Any], prefix: str = "") -> None:
        self.what = what
        self._left = {name: value for name, value in values.items() if value is not None}
        self._prefix = prefix

    def __contains__(self, name: str) -> bool:
        return name in self._left

    def refuse(self, name: str, problem: str) -> NoReturn:
        """Says what is wrong with a field.

        Raises:
            ConfigError: always.
        """
        raise ConfigError(f"{self.what} in the configuration: {self._prefix}{name}: {problem}.")

    def text(self, name: str) -> str:
        """A text; "" for none."""
        return self._take(name, str, "a string", "")

    def truth(self, name: str) -> bool:
        """A boolean; false for none."""
        return self._take(name, bool, "true or false", False)

    def texts(self, name: str) -> list[str]:
        """A list of texts, or one of one."""
        value = self._left.get(name, [])
        self._left[name] = [value] if isinstance(value, str) else value
        return self._take(name, list[str], "a list of strings", [])

    def header(self, name: str) -> dict[str, list[str]]:
        """An object of texts, or lists of them, that can be sent as headers."""
        value = self._unpacked(name)
        if isinstance(value, Mapping):
            value = {key: [item] if isinstance(item, str) else item for key, item in value.items()}
        self._left[name] = {} if value is None else value
        found = self._take(name, dict[str, list[str]], "an object of strings, or lists of them", {})
        for key, values in found.items():
            if not key.isascii() or not key.isprintable() or set(key) & set(" :") or not key:
                self.refuse(name, f'"{key}" is no name of a header')
            if not all(each.isprintable() for each in values):
                self.refuse(name, f'the value of "{key}" has characters that cannot be printed')
        return found

    def duration_s(self, name: str, *, default_s: float) -> float:
        """A time above zero."""
        text = self.text(name)
        try:
            seconds = parse_duration_s(text) if text else default_s
        except ValueError:
            self.refuse(name, f'"{text}" is no duration such as 10s')
        if seconds <= 0:
            self.refuse(name, "it must be above zero")
        return seconds

    def inner(self, name: str) -> _Fields:
        """The fields of an object in a field."""
        value = self._unpacked(name)
        if value is not None and not isinstance(value, Mapping):
            self.refuse(name, "expected an object")
        self._left.pop(name, None)
        return _Fields(self.what, value or {}, f"{self._prefix}{name}.")

    def end(self) -> None:
        """Says so if there is a field that nobody asked for.

        Raises:
            ConfigError: there is.
        """
        for name in self._left:
            self.refuse(name, "there is no such field")

    def _unpacked(self, name: str) -> Any:
        """An object, which a block of HCL makes a list of one."""
        value = self._left.get(name)
        return value[0] if isinstance(value, list) and len(value) == 1 else value

    def _take(self, name: str, kind: type[T], expected: str, default: T) -> T:
        value = self._left.pop(name, None)
        if value is None:
            return default
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError:
            self.refuse(name, f"expected {expected}")

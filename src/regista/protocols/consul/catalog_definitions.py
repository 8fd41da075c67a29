"""How a check that is written through the catalog's paths is made: kept for readers, for nobody here makes it.

Source: Consul 1.9 (behaviour): unknown keys are ignored; durations are shown as text, a TTL as nanoseconds.
"""

from __future__ import annotations

from typing import Any

from regista.model import BadInput, format_duration
from regista.protocols.consul.fields import (
    Fields,
    Reader,
    duration_s,
    field_name,
    flag,
    free_text,
    integer,
    list_of,
    map_of,
    read_object,
    text,
)

_ITEMS_MAX = 256

_DURATIONS = ("Interval", "Timeout", "DeregisterCriticalServiceAfter")

_FIELDS: Fields = {
    **dict.fromkeys(_DURATIONS, duration_s),
    "HTTP": text,
    "TLSServerName": text,
    "TLSSkipVerify": flag,
    "Header": map_of(list_of(text, "[]string", _ITEMS_MAX)),
    "Method": text,
    "Body": free_text,
    "TCP": text,
    "UDP": text,
    "H2PING": text,
    "OutputMaxSize": integer,
    "ScriptArgs": list_of(text, "[]string", _ITEMS_MAX),
    "DockerContainerID": text,
    "Shell": text,
    "GRPC": text,
    "GRPCUseTLS": flag,
    "AliasNode": text,
    "AliasService": text,
    "TTL": duration_s,
}

_OTHERS = tuple(name for name in _FIELDS if name not in (*_DURATIONS, "TTL"))

_KINDS = (
    ("GRPC", "grpc"),
    ("HTTP", "http"),
    ("TTL", "ttl"),
    ("TCP", "tcp"),
    ("UDP", "udp"),
    ("AliasNode", "alias"),
    ("AliasService", "alias"),
    ("DockerContainerID", "docker"),
    ("ScriptArgs", "script"),
    ("H2PING", "h2ping"),
)
"""The field that makes a check of a kind, in the order in which Consul lets one win over another."""


def _read(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadInput(f"{field_name(path)} must be an object", field=field_name(path))
    known = {name.lower(): name for name in _FIELDS}
    names = {key: known.get(key.replace("_", "").lower()) for key in value}
    found = read_object({key: each for key, each in value.items() if names[key]}, _FIELDS, path)
    shown: dict[str, Any] = {name: format_duration(found[name]) for name in _DURATIONS if found.get(name)}
    shown |= {name: _plain(found[name]) for name in _OTHERS if found.get(name)}
    if found.get("TTL"):
        shown["TTL"] = round(found["TTL"] * 1e9)
    return shown


def _plain(value: Any) -> Any:
    """The value with lists as JSON has them, so that it is the same once it was written and read."""
    if isinstance(value, tuple):
        return list(value)
    return {key: list(each) for key, each in value.items()} if isinstance(value, dict) else value


read_definition: Reader = _read
"""Reads a definition into what is shown of it."""


def kind_of_definition(shown: dict[str, Any]) -> str:
    """The kind of check that a definition describes; "" for none."""
    return next((kind for field, kind in _KINDS if shown.get(field)), "")

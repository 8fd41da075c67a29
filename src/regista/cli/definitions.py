"""Definitions of services as they stand in files, as the HTTP API wants them. Pure.

Files say `deregister_critical_service_after`, the API says `DeregisterCriticalServiceAfter`. What an unknown name
means is the server's to say, so names are turned by rule, not by a list.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CAPITALS = frozenset({"id", "http", "tcp", "udp", "ttl", "tls", "grpc", "os", "h2ping"})
_FREE = frozenset({"meta", "header", "config", "opaque_config"})
"""What is below these names is the user's: its names stay as they are."""
_NAMED = frozenset({"tagged_addresses"})
"""The names just below these are the user's; below those, they are ours again."""


def service_body(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The body of `PUT /v1/agent/service/register` for a service's definition."""
    body = _named(definition)
    for check in (body.get("Check"), *(body.get("Checks") or ())):
        # In a service's own checks the API calls the check's id CheckID.
        if isinstance(check, dict) and "ID" in check:
            check["CheckID"] = check.pop("ID")
    return body


def _named(content: Mapping[str, Any]) -> dict[str, Any]:
    named: dict[str, Any] = {}
    for name, value in content.items():
        lower = name.lower()
        if lower in _FREE:
            named[api_name(lower)] = value
        elif lower in _NAMED and isinstance(value, Mapping):
            named[api_name(lower)] = {key: _value(item) for key, item in value.items()}
        elif value is not None:
            named[api_name(lower)] = _value(value)
    return named


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return _named(value)
    if isinstance(value, list):
        return [_value(item) for item in value]
    return value


def api_name(name: str) -> str:
    """`tls_skip_verify` as `TLSSkipVerify`."""
    return "".join(word.upper() if word in _CAPITALS else word.capitalize() for word in name.split("_"))

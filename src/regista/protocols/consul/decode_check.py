"""Checks as callers write them: the fields, the kinds, and the rules that they keep to.

Source: Consul 1.9 (behaviour), agent/check/register and the checks in agent/service/register.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from regista.catalog import OWN_PREFIXES, is_own_id
from regista.model import STATUSES, BadInput, Check, CheckDefinition, Manager, Service, Status
from regista.protocols.consul.check_kinds import ARGUMENTS_MAX, argument, arguments_problem
from regista.protocols.consul.fields import (
    Fields,
    count,
    duration_s,
    flag,
    free_text,
    ignored,
    integer,
    list_of,
    map_of,
    name,
    read_object,
    text,
    unwrap,
)

_HEADER_VALUES_MAX = 64
_GRPC_CHARACTERS_MAX = 1024
"""The names of services have some 50; so short a call fits in one frame of any server."""

CHECK_FIELDS: Fields = {
    "CheckID": name,
    "ID": name,
    "Name": name,
    "Notes": free_text,
    "Status": text,
    "ServiceID": name,
    "TTL": duration_s,
    "HTTP": text,
    "Method": text,
    "Header": map_of(list_of(text, "[]string", _HEADER_VALUES_MAX)),
    "Body": free_text,
    "DisableRedirects": flag,
    "TCP": text,
    "Interval": duration_s,
    "Timeout": duration_s,
    "TLSSkipVerify": flag,
    "TLSServerName": text,
    "SuccessBeforePassing": count,
    "FailuresBeforeWarning": count,
    "FailuresBeforeCritical": count,
    "DeregisterCriticalServiceAfter": duration_s,
    "OutputMaxSize": integer,
    "Token": ignored,
    "Args": list_of(argument, "[]string", ARGUMENTS_MAX),
    "ScriptArgs": list_of(argument, "[]string", ARGUMENTS_MAX),
    "Shell": text,
    "GRPC": text,
    "GRPCUseTLS": flag,
    "AliasService": name,
    "AliasNode": name,
    "DockerContainerID": name,
    "UDP": text,
    "H2PING": text,
    "H2PingUseTLS": flag,
    "OSService": name,
    "TCPUseTLS": flag,
}


def read_check(value: Any, *, node: str, manager: Manager) -> Check:
    """The check in the body of agent/check/register; `service_name` and tags are for the plan to fill in.

    Raises:
        BadInput: naming the field.
    """
    found = read_object(unwrap(value, "check"), CHECK_FIELDS)
    if not found.get("Name"):
        raise BadInput("Missing check name", field="Name")
    if found.get("Status") not in (None, "", *STATUSES):
        raise BadInput(f"Bad check status: '{found['Status']}' is none of {', '.join(STATUSES)}", field="Status")
    return build_check(
        found,
        "",
        node=node,
        check_id=found.get("ID") or found.get("CheckID") or found["Name"],
        check_name=found["Name"],
        manager=manager,
        service=None,
    )


def build_check(
    found: Mapping[str, Any],
    path: str,
    *,
    node: str,
    check_id: str,
    check_name: str,
    manager: Manager,
    service: Service | None,
) -> Check:
    """The check that the fields describe, of `service` or (None) of the node or whatever `ServiceID` names.

    Raises:
        BadInput: naming the field.
    """
    kind, definition = definition_of(found, path)
    refuse_own_id(check_id, f"{path}.CheckID" if path else "CheckID")
    return Check(
        node=node,
        id=check_id,
        name=check_name,
        status=found.get("Status") or "critical",
        notes=found.get("Notes", ""),
        service_id=service.id if service else found.get("ServiceID", ""),
        service_name=service.name if service else "",
        service_tags=service.tags if service else (),
        type=kind,
        definition=definition,
        manager=manager,
    )


def refuse_own_id(check_id: str, field: str) -> None:
    """Lets a caller's check not have an id that the registry keeps for its own.

    Raises:
        BadInput: it has one. Ids of maintenance are allowed, as in Consul: who copies a catalog writes them too.
    """
    if is_own_id(check_id):
        raise BadInput(
            f'CheckID "{check_id}" is kept for the registry: {" and ".join(OWN_PREFIXES)} begin the IDs of checks '
            "that it makes itself. Give the check another one; to take an instance out use "
            "/v1/agent/service/drain or /v1/agent/service/maintenance.",
            field=field,
        )


_KINDS = (
    ("GRPC", "grpc"),
    ("HTTP", "http"),
    ("TTL", "ttl"),
    ("TCP", "tcp"),
    ("UDP", "udp"),
    ("DockerContainerID", "docker"),
    ("Args", "script"),
    ("ScriptArgs", "script"),
    ("H2PING", "h2ping"),
    ("OSService", "os_service"),
)
"""The field that makes a check of a kind, in the order in which Consul lets one win over another."""


def definition_of(found: Mapping[str, Any], path: str) -> tuple[str, CheckDefinition]:
    """The kind of a check and how it is made.

    Raises:
        BadInput: `Invalid check: …`, naming the field.
    """

    def invalid(rule: str, field: str) -> BadInput:
        full = f"{path}.{field}" if path else field
        return BadInput(f"Invalid check: {rule} (see {full})", field=full)

    kind = next((kind for field, kind in _KINDS if found.get(field)), "")
    is_alias = bool(found.get("AliasService") or found.get("AliasNode"))
    interval_s = found.get("Interval", 0.0)
    if interval_s > 0 and found.get("TTL", 0.0) > 0:
        raise invalid("Interval and TTL cannot both be specified", "TTL")
    if kind not in ("", "ttl") and interval_s <= 0:
        raise invalid("Interval must be > 0 for Script, HTTP, or TCP checks", "Interval")
    if is_alias and interval_s > 0:
        raise invalid("Interval cannot be set for Alias checks", "Interval")
    if is_alias and found.get("TTL", 0.0) > 0:
        raise invalid("TTL must be not be set for Alias checks", "TTL")
    if not is_alias and (kind == "" or (kind == "ttl" and found["TTL"] <= 0)):
        raise invalid("TTL must be > 0 for TTL checks, and without HTTP or TCP a check is a TTL check", "TTL")
    kind = kind or "alias"
    _check_limits(found, invalid)
    _check_targets(found, invalid)
    _check_program(found, kind, invalid)
    # Built of what is there, for that is little: most checks have four of thirty fields.
    given = {_ATTRIBUTES[field]: value for field, value in found.items() if field in _ATTRIBUTES}
    for field, attribute in _TARGETS[kind]:
        if field in found:
            given[attribute] = found[field]
    if kind in ("script", "docker"):
        given["script_args"] = found.get("ScriptArgs") or found.get("Args") or ()
    return kind, CheckDefinition(**given)


_ATTRIBUTES = {
    "Method": "method",
    "Header": "header",
    "Body": "body",
    "DisableRedirects": "disable_redirects",
    "TLSSkipVerify": "tls_skip_verify",
    "TLSServerName": "tls_server_name",
    "TCPUseTLS": "tcp_use_tls",
    "GRPCUseTLS": "grpc_use_tls",
    "H2PingUseTLS": "h2ping_use_tls",
    "Shell": "shell",
    "Interval": "interval_s",
    "Timeout": "timeout_s",
    "SuccessBeforePassing": "success_before_passing",
    "FailuresBeforeWarning": "failures_before_warning",
    "FailuresBeforeCritical": "failures_before_critical",
    "DeregisterCriticalServiceAfter": "deregister_critical_service_after_s",
    "OutputMaxSize": "output_bytes_max",
}
"""The fields of a definition that a check of any kind has as they are written."""

_TARGETS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "http": (("HTTP", "http"),),
    "tcp": (("TCP", "tcp"),),
    "udp": (("UDP", "udp"),),
    "grpc": (("GRPC", "grpc"),),
    "h2ping": (("H2PING", "h2ping"),),
    "docker": (("DockerContainerID", "docker_container_id"),),
    "os_service": (("OSService", "os_service"),),
    "alias": (("AliasNode", "alias_node"), ("AliasService", "alias_service")),
    "ttl": (("TTL", "ttl_s"),),
    "script": (),
}
"""Those that only a check of the kind keeps."""


def _check_limits(found: Mapping[str, Any], invalid: Callable[[str, str], BadInput]) -> None:
    if found.get("OutputMaxSize", 0) < 0:
        raise invalid("MaxOutputMaxSize must be positive", "OutputMaxSize")
    for field in ("Timeout", "DeregisterCriticalServiceAfter"):
        if found.get(field, 0.0) < 0:
            raise invalid(f"{field} must not be negative", field)
    before_critical = found.get("FailuresBeforeCritical", 0)
    if found.get("FailuresBeforeWarning", 0) > before_critical:
        raise invalid("FailuresBeforeWarning can't be higher than FailuresBeforeCritical", "FailuresBeforeWarning")


def _check_targets(found: Mapping[str, Any], invalid: Callable[[str, str], BadInput]) -> None:
    """Looks at what a probe would connect to, and say there."""
    url = found.get("HTTP", "")
    if url and not re.match(r"https?://[^/?#\s]", url):
        raise invalid("HTTP must be a URL with http:// or https:// and a host", "HTTP")
    for field in ("TCP", "UDP", "H2PING"):
        address = found.get(field, "")
        if address and not _is_host_and_port(address):
            raise invalid(f"{field} must be host:port", field)
    target = found.get("GRPC", "")
    if len(target) > _GRPC_CHARACTERS_MAX:
        raise invalid(f"GRPC must have at most {_GRPC_CHARACTERS_MAX} characters", "GRPC")
    if target and not _is_host_and_port(target.partition("/")[0]):
        raise invalid("GRPC must be host:port or host:port/service", "GRPC")
    method = found.get("Method", "")
    if method and not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", method):
        raise invalid("Method must be an HTTP method", "Method")
    for header, values in (found.get("Header") or {}).items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", header) or not all(map(str.isprintable, values)):
            raise invalid("Header must hold HTTP header names and printable values", "Header")


def _check_program(found: Mapping[str, Any], kind: str, invalid: Callable[[str, str], BadInput]) -> None:
    """Looks at what a script or Docker check would run."""
    field = "ScriptArgs" if found.get("ScriptArgs") or not found.get("Args") else "Args"
    problem = arguments_problem(found.get(field, ())) if kind in ("script", "docker") else ""
    if problem:
        raise invalid(f"{field} {problem}", field)


def _is_host_and_port(address: str) -> bool:
    found = re.fullmatch(r"(?:\[[^\]\s]+\]|[^:\s]+):([0-9]{1,5})", address)
    return found is not None and 0 < int(found[1]) <= 65535


def read_status(value: Any) -> tuple[Status, str]:
    """Status and output in the body of agent/check/update."""
    found = read_object(value, {"Status": text, "Output": free_text})
    status = found.get("Status", "")
    if status not in STATUSES:
        raise BadInput(
            f"Invalid check status: '{status}'; it must be one of {', '.join(STATUSES)}", field="Status"
        )
    return status, found.get("Output", "")

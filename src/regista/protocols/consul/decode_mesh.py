"""The parts of a registration that concern the service mesh: proxies, gateways, sidecars.

What is registered is kept and shown; this version of Regista configures no proxies itself.

Source: Consul 1.9 (behaviour): fields, rules and words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regista.model import CONNECT_PROXY, GATEWAY_KINDS, BadInput, ExposedPath, Proxy, Upstream
from regista.protocols.consul.fields import (
    Fields,
    flag,
    free_object,
    ignored,
    list_of,
    name,
    not_yet,
    object_of,
    port,
    text,
)

_UPSTREAMS_MAX = 1024
_PATHS_MAX = 128

_MESH_GATEWAY_FIELDS: Fields = {"Mode": text}

_UPSTREAM_FIELDS: Fields = {
    "DestinationType": text,
    "DestinationNamespace": not_yet("namespaces"),
    "DestinationPartition": not_yet("partitions"),
    "DestinationPeer": not_yet("peers"),
    "DestinationName": name,
    "Datacenter": text,
    "LocalBindAddress": text,
    "LocalBindPort": port,
    "LocalBindSocketPath": not_yet("Unix sockets"),
    "LocalBindSocketMode": ignored,
    "Config": free_object,
    "MeshGateway": object_of(_MESH_GATEWAY_FIELDS),
    "CentrallyConfigured": ignored,
}

_EXPOSE_FIELDS: Fields = {
    "Checks": flag,
    "Paths": list_of(
        object_of(
            {
                "ListenerPort": port,
                "Path": text,
                "LocalPathPort": port,
                "Protocol": text,
                "ParsedFromCheck": flag,
            }
        ),
        "[]ExposePath",
        _PATHS_MAX,
    ),
}

PROXY_FIELDS: Fields = {
    "DestinationServiceName": name,
    "DestinationServiceID": name,
    "LocalServiceAddress": text,
    "LocalServicePort": port,
    "LocalServiceSocketPath": not_yet("Unix sockets"),
    "Mode": not_yet("transparent proxies"),
    "TransparentProxy": not_yet("transparent proxies"),
    "Config": free_object,
    "Upstreams": list_of(object_of(_UPSTREAM_FIELDS), "[]Upstream", _UPSTREAMS_MAX),
    "MeshGateway": object_of(_MESH_GATEWAY_FIELDS),
    "Expose": object_of(_EXPOSE_FIELDS),
    "EnvoyExtensions": not_yet("Envoy extensions"),
    "AccessLogs": not_yet("access logs of proxies"),
}

_GATEWAYS_WITH_PORT = ("mesh-gateway", "terminating-gateway")
_NOT_OF_GATEWAYS = (
    "DestinationServiceName",
    "DestinationServiceID",
    "LocalServiceAddress",
    "LocalServicePort",
    "Upstreams",
)


def read_proxy(found: Mapping[str, Any]) -> Proxy:
    """The proxy that the fields describe."""
    expose = found.get("Expose", {})
    return Proxy(
        destination_name=found.get("DestinationServiceName", ""),
        destination_id=found.get("DestinationServiceID", ""),
        local_address=found.get("LocalServiceAddress", ""),
        local_port=found.get("LocalServicePort", 0),
        config=found.get("Config") or None,
        upstreams=tuple(
            Upstream(
                destination_type=each.get("DestinationType") or "service",
                destination_name=each.get("DestinationName", ""),
                datacenter=each.get("Datacenter", ""),
                local_bind_address=each.get("LocalBindAddress", ""),
                local_bind_port=each.get("LocalBindPort", 0),
                config=each.get("Config") or None,
                mesh_gateway=each.get("MeshGateway", {}).get("Mode", ""),
            )
            for each in found.get("Upstreams", ())
        ),
        mesh_gateway=found.get("MeshGateway", {}).get("Mode", ""),
        exposes_checks=expose.get("Checks", False),
        exposed_paths=tuple(
            ExposedPath(
                listener_port=each.get("ListenerPort", 0),
                path=each.get("Path", ""),
                local_path_port=each.get("LocalPathPort", 0),
                protocol=each.get("Protocol", ""),
                parsed_from_check=each.get("ParsedFromCheck", False),
            )
            for each in expose.get("Paths", ())
        ),
    )


def check_kind(found: Mapping[str, Any]) -> None:
    """Does nothing if a registration keeps to the rules of its kind.

    Raises:
        BadInput: naming every rule that it breaks, in Consul's form of a list.
    """
    kind = found.get("Kind", "")
    proxy = found.get("Proxy", {})
    connect = found.get("Connect", {})
    problems: list[str] = []
    if kind == CONNECT_PROXY:
        problems += _proxy_problems(found, proxy, connect)
    elif kind in GATEWAY_KINDS:
        problems += _gateway_problems(kind, found, proxy, connect)
    sidecar = connect.get("SidecarService")
    if sidecar is not None and kind not in GATEWAY_KINDS:
        if sidecar.get("ID"):
            problems.append("A SidecarService cannot specify an ID as this is managed by the agent")
        if sidecar.get("Connect", {}).get("SidecarService") is not None:
            problems.append("A SidecarService cannot have a nested SidecarService")
    if problems:
        raise BadInput(_as_list(problems), field="Proxy" if proxy else "Connect" if connect else "Kind")


def check_sidecar(proxy: Proxy) -> None:
    """Does nothing if a sidecar's proxy keeps to the rules.

    Raises:
        BadInput: as `check_kind`.
    """
    problems = _upstream_problems(proxy.upstreams)
    if problems:
        raise BadInput(
            f"Bad request: Invalid SidecarService: {_as_list(problems)}", field="Connect.SidecarService.Proxy"
        )


def _proxy_problems(found: Mapping[str, Any], proxy: Mapping[str, Any], connect: Mapping[str, Any]) -> list[str]:
    problems: list[str] = []
    if not proxy.get("DestinationServiceName"):
        problems.append("Proxy.DestinationServiceName must be non-empty for Connect proxy services")
    if not found.get("Port"):
        problems.append("Port must be set for a Connect proxy")
    if connect.get("Native"):
        problems.append("A Proxy cannot also be Connect Native, only typical services")
    return problems + _upstream_problems(read_proxy(proxy).upstreams)


def _upstream_problems(upstreams: tuple[Upstream, ...]) -> list[str]:
    problems: list[str] = []
    names: set[tuple[str, str, str]] = set()
    binds: set[tuple[str, int]] = set()
    for each in upstreams:
        if each.destination_type not in ("service", "prepared_query"):
            problems.append(f'unknown upstream destination type: "{each.destination_type}"')
        if not each.destination_name:
            problems.append("upstream destination name cannot be empty")
        if not each.local_bind_port:
            problems.append("upstream local bind port cannot be zero")
        named = (each.destination_type, each.destination_name, each.datacenter)
        if named in names:
            problems.append(
                f'upstreams cannot contain duplicates of [type="{named[0]}", name="{named[1]}", namespace="", '
                f'datacenter="{named[2]}"]'
            )
        names.add(named)
        bind = (each.local_bind_address or "127.0.0.1", each.local_bind_port)
        if bind in binds and each.local_bind_port:
            problems.append(
                "upstreams cannot contain duplicates by local bind address and port; "
                f'"{bind[0]}:{bind[1]}" is specified twice'
            )
        binds.add(bind)
    return problems


def _gateway_problems(
    kind: str, found: Mapping[str, Any], proxy: Mapping[str, Any], connect: Mapping[str, Any]
) -> list[str]:
    problems: list[str] = []
    if kind in _GATEWAYS_WITH_PORT and not found.get("Port"):
        problems.append(f"Port must be non-zero for a {kind}")
    if connect.get("SidecarService") is not None:
        problems.append(f"A {kind} cannot have a sidecar service defined")
    problems += [
        f"The Proxy.{field} configuration is invalid for a {kind}"
        for field in _NOT_OF_GATEWAYS
        if proxy.get(field)
    ]
    return problems


def _as_list(problems: list[str]) -> str:
    """Several problems as one text, as Go's multi-errors are written."""
    head = "1 error occurred:" if len(problems) == 1 else f"{len(problems)} errors occurred:"
    return head + "".join(f"\n\t* {each}" for each in problems) + "\n\n"

"""Registrations of instances as callers write them.

Source: Consul 1.9 (behaviour), agent/service/register; the instance TTL and incarnations are Regista's.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from typing import Any

import msgspec

from regista.catalog import Registration, Sidecar, sidecar_id
from regista.model import CONNECT_PROXY, STATUSES, BadInput, Check, Manager, Service, ServiceAddress, Weights
from regista.protocols.consul.decode_check import CHECK_FIELDS, build_check, definition_of
from regista.protocols.consul.decode_mesh import PROXY_FIELDS, check_kind, check_sidecar, read_proxy
from regista.protocols.consul.fields import (
    Fields,
    duration_s,
    flag,
    free_text,
    ignored,
    integer,
    list_of,
    map_of,
    name,
    not_yet,
    object_of,
    port,
    read_object,
    text,
    unwrap,
)

TAGS_MAX = 1024
CHECKS_MAX = 128

TTL_S_MIN = 0.001
"""Of an instance. Nobody renews faster than this: `30` was meant as seconds, and would remove it within 30 ns."""

_META_PAIRS_MAX = 64
_META_KEY = re.compile(r"[A-Za-z0-9_-]+")
_META_KEY_CHARACTERS_MAX = 128
_META_VALUE_CHARACTERS_MAX = 512

_EVEN_WEIGHTS = Weights()

_LOCALHOST = "127.0.0.1"
_UNSPECIFIED = ("0.0.0.0", "::", "[::]")  # noqa: S104 - refused here, not listened on

ADDRESS_FIELDS: Fields = {"Address": text, "Port": port}

CONNECT_FIELDS: Fields = {
    "Native": flag,
    "SidecarService": lambda value, path: read_object(value, SERVICE_FIELDS, path),
}

SERVICE_FIELDS: Fields = {
    "ID": name,
    "Name": name,
    "Kind": name,
    "Tags": list_of(text, "[]string", TAGS_MAX),
    "Address": text,
    "TaggedAddresses": map_of(object_of(ADDRESS_FIELDS)),
    "Port": port,
    "Meta": map_of(free_text),
    "Weights": object_of({"Passing": integer, "Warning": integer}),
    "EnableTagOverride": flag,
    "Token": ignored,
    "Check": object_of(CHECK_FIELDS),
    "Checks": list_of(object_of(CHECK_FIELDS), "[]CheckType", CHECKS_MAX),
    "TTL": duration_s,
    "Incarnation": name,
    "Proxy": object_of(PROXY_FIELDS),
    "Connect": object_of(CONNECT_FIELDS),
    "SocketPath": not_yet("Unix sockets"),
    "Locality": not_yet("localities"),
    "Ports": not_yet("several ports"),
}


_SAME = {
    "Tags": "tags",
    "Address": "address",
    "Port": "port",
    "EnableTagOverride": "enable_tag_override",
    "Kind": "service_kind",
    "TTL": "ttl_s",
    "Incarnation": "incarnation",
}
"""The fields that an instance's record has as they are."""


def read_service(value: Any, *, node: str, manager: Manager) -> Registration:
    """The instance, its checks and its sidecar in the body of agent/service/register, or in a configuration file.

    Args:
        value: the decoded JSON, bare or wrapped as `{"service": {…}}`.

    Raises:
        BadInput: naming the field; in the order of Consul's own validation.
    """
    found = read_object(unwrap(value, "service"), SERVICE_FIELDS)
    if not found.get("Name"):
        raise BadInput("Missing service name", field="Name")
    connect = found.get("Connect", {})
    service = _service(found, node=node, manager=manager)
    check_kind(found)
    checks = _checks_of(found, service)
    sidecar = _sidecar(connect["SidecarService"], service) if "SidecarService" in connect else None
    return Registration(service, checks, sidecar=sidecar)


def _service(found: Mapping[str, Any], *, node: str, manager: Manager) -> Service:
    if found.get("Address") in _UNSPECIFIED:
        raise BadInput(
            f"Invalid service address: {found['Address']} is no address that a caller can reach", field="Address"
        )
    service = Service(
        node=node,
        id=found.get("ID") or found["Name"],
        name=found["Name"],
        meta=checked_meta(found.get("Meta")),
        weights=checked_weights(found.get("Weights")),
        tagged_addresses=_tagged_addresses(found),
        manager=manager,
        proxy=read_proxy(found["Proxy"]) if found.get("Proxy") else None,
        is_native=found["Connect"].get("Native", False) if "Connect" in found else False,
        **{attribute: found[field] for field, attribute in _SAME.items() if field in found},
    )
    if service.ttl_s < 0 or (service.ttl_s == 0 and "TTL" in found and found["TTL"] != 0):
        raise BadInput("TTL must be > 0; leave it out for an instance that stays until deregistered", field="TTL")
    if 0 < service.ttl_s < TTL_S_MIN:
        raise BadInput(
            f"TTL is {service.ttl_s * 1e9:.0f}ns; at least 1ms is accepted (numbers are nanoseconds; write 30s "
            "for seconds)",
            field="TTL",
        )
    return service


def _sidecar(found: Mapping[str, Any], parent: Service) -> Sidecar:
    """The sidecar that is registered with `parent`, whose part it takes where it says nothing itself."""
    wanted = {
        **found,
        "ID": sidecar_id(parent.id),
        "Name": found.get("Name") or f"{parent.name}-sidecar-proxy",
        "Address": found.get("Address") or parent.address,
    }
    given = read_proxy(found.get("Proxy", {}))
    proxy = msgspec.structs.replace(
        given,
        destination_name=given.destination_name or parent.name,
        destination_id=given.destination_id or parent.id,
        local_address=given.local_address or _LOCALHOST,
        local_port=given.local_port or parent.port,
    )
    check_sidecar(proxy)
    service = msgspec.structs.replace(
        _service(wanted, node=parent.node, manager=parent.manager),
        service_kind=CONNECT_PROXY,
        tags=found.get("Tags") or parent.tags,
        meta=checked_meta(found.get("Meta")) or parent.meta,
        proxy=proxy,
        sidecar_of=parent.id,
        incarnation="",
        ttl_s=0.0,
    )
    return Sidecar(service, _checks_of(wanted, service) or None)


def _checks_of(found: Mapping[str, Any], service: Service) -> tuple[Check, ...]:
    given: list[tuple[str, dict[str, Any]]] = []
    if any(found.get("Check", {}).values()):  # Consul drops a lone check in which nothing is set
        given.append(("Check", found["Check"]))
    given += [(f"Checks[{position}]", each) for position, each in enumerate(found.get("Checks", ()))]
    checks: list[Check] = []
    for number, (path, fields) in enumerate(given, start=1):
        default_id = f"service:{service.id}" if len(given) == 1 else f"service:{service.id}:{number}"
        if "Status" in fields and fields["Status"] not in (*STATUSES, ""):
            definition_of(fields, path)
            raise BadInput(
                f"Status for checks must 'passing', 'warning', 'critical', not '{fields['Status']}'",
                field=f"{path}.Status",
            )
        check = build_check(
            fields,
            path,
            node=service.node,
            check_id=fields.get("CheckID") or fields.get("ID") or default_id,
            check_name=fields.get("Name") or f"Service '{service.name}' check",
            manager=service.manager,
            service=service,
        )
        if any(check.key == other.key for other in checks):
            raise BadInput(f'{path}.CheckID "{check.id}" is there twice; give each check its own', field=path)
        checks.append(check)
    return tuple(checks)


def checked_meta(meta: dict[str, str] | None) -> dict[str, str] | None:
    """The metadata, if it is within Consul's limits; None when empty.

    Raises:
        BadInput: in Consul's words, "Node" for a service included.
    """
    if not meta:
        return None
    if len(meta) > _META_PAIRS_MAX:
        raise BadInput(
            f"Invalid Service Meta: Node metadata cannot contain more than {_META_PAIRS_MAX} key/value pairs",
            field="Meta",
        )
    for key, value in meta.items():
        problem = ""
        if not key:
            problem = "Key cannot be blank"
        elif not _META_KEY.fullmatch(key):
            problem = "Key contains invalid characters"
        elif len(key) > _META_KEY_CHARACTERS_MAX:
            problem = f"Key is too long (limit: {_META_KEY_CHARACTERS_MAX} characters)"
        elif key.startswith("consul-"):
            problem = "Key prefix 'consul-' is reserved for internal use"
        elif len(value) > _META_VALUE_CHARACTERS_MAX:
            problem = f"Value is too long (limit: {_META_VALUE_CHARACTERS_MAX} characters)"
        if problem:
            raise BadInput(
                f"Invalid Service Meta: Couldn't load metadata pair ('{key}', '{value}'): {problem}", field="Meta"
            )
    return meta


def checked_weights(weights: Mapping[str, int] | None) -> Weights:
    """The weights; both 1 where none are given, and 0 where only the other is (Consul 1.9)."""
    if weights is None:
        return _EVEN_WEIGHTS
    passing, warning = weights.get("Passing", 0), weights.get("Warning", 0)
    if passing < 1:
        raise BadInput("Invalid Weights: Passing must be greater than 0", field="Weights.Passing")
    if warning < 0:
        raise BadInput("Invalid Weights: Warning must be greater or equal than 0", field="Weights.Warning")
    if passing > 65535 or warning > 65535:
        raise BadInput("Invalid Weights: DNS Weight must be between 0 and 65535", field="Weights")
    return Weights(passing, warning)


def _tagged_addresses(found: Mapping[str, Any]) -> dict[str, ServiceAddress] | None:
    """The addresses given, and those that follow from an address that is a literal."""
    addresses = {
        tag: ServiceAddress(each.get("Address", ""), each.get("Port", 0))
        for tag, each in found.get("TaggedAddresses", {}).items()
    }
    for tag, each in addresses.items():
        version = {"ipv4": 4, "ipv6": 6}.get(tag.rpartition("_")[2])
        if tag in ("lan_ipv4", "wan_ipv4", "lan_ipv6", "wan_ipv6") and _ip_version(each.address) != version:
            raise BadInput(
                f'Service tagged address "{tag}" must be a valid ipv{version} address',
                field=f"TaggedAddresses.{tag}",
            )
    version = _ip_version(found.get("Address", ""))
    if version:
        own = ServiceAddress(found["Address"], found.get("Port", 0))
        for network in ("lan", "wan"):
            addresses.setdefault(f"{network}_ipv{version}", own)
    return addresses or None


def _ip_version(address: str) -> int:
    """4 or 6 for a literal address, 0 for a name or nothing."""
    for version, family in ((4, socket.AF_INET), (6, socket.AF_INET6)):
        try:
            socket.inet_pton(family, address)
        except (OSError, ValueError):
            continue
        return version
    return 0

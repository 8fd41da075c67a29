"""Entries in Consul's shapes: which keys are there, in which order, and what stands where nothing was set.

A shape differs from endpoint to endpoint (`Meta` is `{}` on one and `null` on the next for the same instance);
clients rely on it, so each has its function here.

Regista adds to each record who manages it, and to each instance its incarnation.

Source: Consul 1.9 (recorded answers); `Datacenter` in agent services is later Consul's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from regista.catalog import Catalog, Instance, is_maintenance, is_own_check
from regista.model import (
    CONNECT_PROXY,
    GATEWAY_KINDS,
    Check,
    CheckDefinition,
    Entry,
    Node,
    Record,
    Service,
    ServiceAddress,
    format_duration,
)
from regista.protocols.consul.encode_mesh import agent_proxy, catalog_proxy, in_key_order

_EMPTY_PROXY: dict[str, Any] = {"MeshGateway": {}, "Expose": {}}
_NATIVE: dict[str, Any] = {"Native": True}
_NO_DEFINITION = CheckDefinition()


def node_object(entry: Entry[Node], datacenter: str) -> dict[str, Any]:
    """A node, as catalog/nodes and every health answer show it."""
    node = entry.record
    return {
        "ID": node.id,
        "Node": node.name,
        "Address": node.address,
        "Datacenter": datacenter,
        "TaggedAddresses": in_key_order(node.tagged_addresses),
        "Meta": in_key_order(node.meta),
        "CreateIndex": entry.create_index,
        "ModifyIndex": entry.modify_index,
        "Manager": node.manager,
    }


def agent_service(entry: Entry[Service], datacenter: str, *, with_hash: bool = False) -> dict[str, Any]:
    """An instance, as the agent's own paths show it; agent/service/{id} tells its `ContentHash` too."""
    service = entry.record
    found: dict[str, Any] = {"Kind": service.service_kind} if service.service_kind else {}
    found |= {
        "ID": service.id,
        "Service": service.name,
        "Tags": service.tags,
        "Meta": in_key_order(service.meta) or {},
        "Port": service.port,
        "Address": service.address,
    }
    if service.tagged_addresses:
        found["TaggedAddresses"] = _addresses(service.tagged_addresses)
    found |= {
        "Weights": {"Passing": service.weights.passing, "Warning": service.weights.warning},
        "EnableTagOverride": service.enable_tag_override,
    }
    if with_hash:
        found["ContentHash"] = content_hash(service)
    if service.service_kind == CONNECT_PROXY or service.service_kind in GATEWAY_KINDS:
        found["Proxy"] = agent_proxy(service.proxy)
    if service.is_native:
        found["Connect"] = _NATIVE
    found |= {"Datacenter": datacenter, **_lifetime(service)}
    return found


def node_service(entry: Entry[Service]) -> dict[str, Any]:
    """An instance, as health answers and catalog/node show it."""
    service = entry.record
    found: dict[str, Any] = {"Kind": service.service_kind} if service.service_kind else {}
    found |= {
        "ID": service.id,
        "Service": service.name,
        "Tags": service.tags,
        "Address": service.address,
    }
    if service.tagged_addresses:
        found["TaggedAddresses"] = _addresses(service.tagged_addresses)
    found |= {
        "Meta": in_key_order(service.meta),
        "Port": service.port,
        "Weights": {"Passing": service.weights.passing, "Warning": service.weights.warning},
        "EnableTagOverride": service.enable_tag_override,
        "Proxy": catalog_proxy(service.proxy) if service.proxy else _EMPTY_PROXY,
        "Connect": _NATIVE if service.is_native else {},
        "CreateIndex": entry.create_index,
        "ModifyIndex": entry.modify_index,
        **_lifetime(service),
    }
    return found


def catalog_service(instance: Instance, datacenter: str) -> dict[str, Any]:
    """An instance with its node, as catalog/service shows it."""
    entry = instance.service
    service = entry.record
    node = instance.node.record if instance.node else Node(name=service.node)
    found: dict[str, Any] = {
        "ID": node.id,
        "Node": node.name,
        "Address": node.address,
        "Datacenter": datacenter,
        "TaggedAddresses": in_key_order(node.tagged_addresses),
        "NodeMeta": in_key_order(node.meta),
        "ServiceKind": service.service_kind,
        "ServiceID": service.id,
        "ServiceName": service.name,
        "ServiceTags": service.tags,
        "ServiceAddress": service.address,
    }
    if service.tagged_addresses:
        found["ServiceTaggedAddresses"] = _addresses(service.tagged_addresses)
    found |= {
        "ServiceWeights": {"Passing": service.weights.passing, "Warning": service.weights.warning},
        "ServiceMeta": in_key_order(service.meta) or {},
        "ServicePort": service.port,
        "ServiceEnableTagOverride": service.enable_tag_override,
        "ServiceProxy": catalog_proxy(service.proxy) if service.proxy else _EMPTY_PROXY,
        "ServiceConnect": _NATIVE if service.is_native else {},
        "CreateIndex": entry.create_index,
        "ModifyIndex": entry.modify_index,
        "ServiceManager": service.manager,
        "ServiceIncarnation": service.incarnation,
    }
    return found


def health_entry(catalog: Catalog, instance: Instance, datacenter: str) -> dict[str, Any]:
    """An instance with its node and checks, as health/service shows it."""
    node = instance.node or Entry(Node(name=instance.service.record.node), 0, 0)
    return {
        "Node": node_object(node, datacenter),
        "Service": node_service(instance.service),
        "Checks": [health_check(catalog, entry) for entry in instance.checks],
    }


def health_check(catalog: Catalog, entry: Entry[Check]) -> dict[str, Any]:
    """A check, as the health paths show it; `Definition` only where the catalog's paths wrote it."""
    check = entry.record
    return {
        "Node": check.node,
        "CheckID": check.id,
        "Name": check.name,
        "Status": check.status,
        "Notes": check.notes,
        "Output": catalog.output(entry),
        "ServiceID": check.service_id,
        "ServiceName": check.service_name,
        "ServiceTags": check.service_tags,
        "Type": check.type,
        "Definition": check.shown_definition or {},
        "CreateIndex": entry.create_index,
        "ModifyIndex": entry.modify_index,
        "Manager": check.manager,
    }


def agent_check(catalog: Catalog, entry: Entry[Check]) -> dict[str, Any]:
    """A check, as agent/checks shows it: without indexes, and with its pace.

    `ExposedPort` is the port at which a proxy would let the check through to a service of the mesh; no proxy is
    set up by this agent, so there is none.

    Source: Consul 1.11.4 (behaviour).
    """
    definition = entry.record.definition or _NO_DEFINITION
    pace = {
        "Interval": format_duration(definition.interval_s),
        "Timeout": format_duration(definition.timeout_s),
        "ExposedPort": 0,
    }
    shown: dict[str, Any] = {}
    for key, value in health_check(catalog, entry).items():
        if key == "Definition":
            shown |= pace
        shown[key] = value
    return shown | {"CreateIndex": 0, "ModifyIndex": 0}


def content_hash(service: Service) -> str:
    """16 hex digits that change with what the caller registered of an instance, and with nothing else."""
    return _digest(_as_registered(service))


def registration_hash(service: Service, checks: Iterable[Check]) -> str:
    """The same over an instance and the definitions of its checks: what a renewal compares.

    Checks that come and go by others' hands, of a drain or maintenance for instance, don't count.
    """
    definitions = [
        msgspec.structs.replace(check, status="", output="", manager="agent")
        for check in checks
        if not (is_own_check(check) or is_maintenance(check))
    ]
    definitions.sort(key=lambda check: check.id)
    return _digest(_as_registered(service), *definitions)


def _as_registered(service: Service) -> Service:
    return msgspec.structs.replace(service, incarnation="", manager="agent")


def _digest(*records: Record) -> str:
    return hashlib.blake2b(msgspec.json.encode(records), digest_size=8).hexdigest()


def _addresses(addresses: dict[str, ServiceAddress]) -> dict[str, Any]:
    return {tag: {"Address": each.address, "Port": each.port} for tag, each in sorted(addresses.items())}


def _lifetime(service: Service) -> dict[str, Any]:
    return {"Manager": service.manager, "Incarnation": service.incarnation}

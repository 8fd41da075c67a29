"""Which services a gateway lets through, by the configuration entry of its name.

Source: Consul 1.9 (behaviour): `ingress-gateway` and `terminating-gateway` entries, catalog/gateway-services.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from regista.catalog.replica import Catalog
from regista.model import CONNECT_PROXY, GATEWAY_KINDS, ConfigEntry, Entry

INGRESS = "ingress-gateway"
TERMINATING = "terminating-gateway"
_WILDCARD = "*"


@dataclasses.dataclass(frozen=True, slots=True)
class GatewayService:
    """A service that a gateway lets through.

    Attributes:
        gateway: the gateway's configuration entry.
        listener: of an ingress gateway; empty otherwise.
        wish: what the entry says of the service.
        is_from_wildcard: whether it is not named, but meant by `*`.
    """

    name: str
    gateway: Entry[ConfigEntry]
    listener: dict[str, Any]
    wish: dict[str, Any]
    is_from_wildcard: bool


def gateway_services(catalog: Catalog, gateway: str) -> list[GatewayService]:
    """The services that the gateway of that name lets through, by name."""
    found: list[GatewayService] = []
    for kind in (INGRESS, TERMINATING):
        entry = catalog.config_entries.find(kind, gateway)
        if entry is not None:
            found += _services_of(catalog, entry)
    return sorted(found, key=lambda each: each.name.lower())


def ingress_gateways(catalog: Catalog, service: str) -> list[str]:
    """The names of the ingress gateways that let a service through."""
    return [
        entry.record.name
        for entry in catalog.config_entries.of_kind(INGRESS)
        if any(each.name.lower() == service.lower() for each in _services_of(catalog, entry))
    ]


def _services_of(catalog: Catalog, entry: Entry[ConfigEntry]) -> Iterator[GatewayService]:
    fields = entry.record.fields
    listeners = fields.get("Listeners") or [] if entry.record.entry_kind == INGRESS else [fields]
    for listener in listeners:
        is_ingress = listener is not fields
        wishes = {wish.get("Name", ""): wish for wish in listener.get("Services") or []}
        everything = wishes.pop(_WILDCARD, None)
        own = listener if is_ingress else {}
        for name, wish in wishes.items():
            yield GatewayService(name, entry, own, wish, is_from_wildcard=False)
        if everything is not None:
            named = {name.lower() for name in wishes}
            for name in _ordinary_names(catalog):
                if name.lower() not in named:
                    yield GatewayService(name, entry, own, everything, is_from_wildcard=True)


def _ordinary_names(catalog: Catalog) -> Iterator[str]:
    """The names of all services but proxies, gateways and the registry itself."""
    for group in catalog.service_indexes.by_name.values():
        service = group.ordered()[0].record
        is_plumbing = service.service_kind == CONNECT_PROXY or service.service_kind in GATEWAY_KINDS
        if not is_plumbing and service.manager != "server":
            yield service.name

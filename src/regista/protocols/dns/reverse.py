"""Who has an address: nodes and instances by address, kept in step with the replica."""

from __future__ import annotations

import ipaddress

from regista.catalog import Catalog
from regista.model import Node, Record, Service
from regista.protocols.dns.following import follow_records

_KINDS = (Node.kind, Service.kind)


class AddressIndex:
    """The keys of nodes, and of instances with an address of their own, by address; IPv6 however it is written."""

    def __init__(self, catalog: Catalog) -> None:
        self._nodes: dict[str, dict[str, None]] = {}
        self._services: dict[str, dict[str, None]] = {}
        for node in catalog.nodes.values():
            self._add(node.record)
        for service in catalog.services.values():
            self._add(service.record)
        follow_records(catalog, _KINDS, add=self._add, remove=self._remove)

    def nodes(self, address: str) -> tuple[str, ...]:
        """The keys of the nodes with this address."""
        return tuple(self._nodes.get(_plain(address), ()))

    def services(self, address: str) -> tuple[str, ...]:
        """The keys of the instances with this address."""
        return tuple(self._services.get(_plain(address), ()))

    def _add(self, record: Record) -> None:
        if isinstance(record, (Node, Service)) and record.address:
            self._keys(record).setdefault(_plain(record.address), {})[record.key] = None

    def _remove(self, record: Record) -> None:
        if isinstance(record, (Node, Service)) and record.address:
            keys, address = self._keys(record), _plain(record.address)
            held = keys.get(address, {})
            held.pop(record.key, None)
            if not held:
                keys.pop(address, None)

    def _keys(self, record: Node | Service) -> dict[str, dict[str, None]]:
        return self._nodes if isinstance(record, Node) else self._services


def _plain(address: str) -> str:
    """The usual spelling of an address; what is none stays as it is."""
    if ":" not in address:
        return address
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address

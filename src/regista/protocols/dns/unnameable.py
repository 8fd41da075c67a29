"""Warnings about what is registered under a name that can't be asked for over DNS.

Source: Consul 1.9 (behaviour), which warns of names of services and nodes. It warns of `_` in either and of dots
in the names of nodes too, which are found all the same.
"""

from __future__ import annotations

import logging

from regista.catalog import Catalog
from regista.model import Batch, Delete, Node, Record, Service
from regista.protocols.dns.records import is_label

logger = logging.getLogger(__name__)

_WARNINGS_MAX = 1000
"""Enough to see what is wrong; who makes up names must not fill the log, nor the memory of what is in it."""

_SHOWN_MAX = 100
"""A name may be as long as a body; what is wrong with it is seen from its beginning."""

_RULES = {
    Service.kind: "a service's name there has 1 to 63 characters of printable ASCII, no space and no dot",
    Node.kind: "a node's name there has 1 to 63 characters of printable ASCII, and no space, between its dots",
}


class NameWarnings:
    """Warns once of each name that DNS has no way to ask for, as it is registered; of a thousand at the most."""

    def __init__(self, catalog: Catalog) -> None:
        self._warned: set[tuple[str, str]] = set()
        for node in catalog.nodes.values():
            self._look_at(node.record)
        for service in catalog.services.values():
            self._look_at(service.record)
        catalog.subscribe(self._on_batch)

    def _on_batch(self, batch: Batch) -> None:
        for change in batch.changes:
            if not isinstance(change, Delete):
                self._look_at(change.record)

    def _look_at(self, record: Record) -> None:
        if not isinstance(record, (Node, Service)) or _is_nameable(record):
            return
        key = (record.kind, record.name)
        if key in self._warned or len(self._warned) >= _WARNINGS_MAX:
            return
        self._warned.add(key)
        shown = ascii(record.name[:_SHOWN_MAX]) + ("…" if len(record.name) > _SHOWN_MAX else "")
        logger.warning("%s %s can't be found over DNS: %s", record.kind, shown, _RULES[record.kind])
        if len(self._warned) == _WARNINGS_MAX:
            logger.warning("of further names that can't be found over DNS nothing is said")


def _is_nameable(record: Node | Service) -> bool:
    name = record.name
    if isinstance(record, Node) and "." in name:
        return all(map(is_label, name.split(".")))
    return is_label(name)

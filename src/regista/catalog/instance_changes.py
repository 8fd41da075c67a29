"""Which instances of a service may look different than at somebody's last look.

For those who keep something of every instance of some services, such as its JSON: they need not look at a thousand
instances to find the one that changed. A topic would tell that one did, and not which.
"""

from __future__ import annotations

from collections.abc import Mapping

from regista.catalog.indexes import ServiceIndexes
from regista.model import Check, Node, Record, Service

_KEYS_MAX = 4096
"""Of a service that nobody looks at meanwhile; beyond it they have to look at all."""


class InstanceChanges:
    """The changes of the services that are followed; costs a look-up a change, and nothing while none is."""

    def __init__(self, services: ServiceIndexes) -> None:
        self._services = services
        # By the service's name, lower-cased; None for all.
        self._followed: dict[str, set[str] | None] = {}

    @property
    def followed(self) -> Mapping[str, object]:
        """The services that are followed, by name; read only."""
        return self._followed

    def follow(self, name: str) -> None:
        """Notes from now on what changes of a service, given by its lower-cased name."""
        self._followed[name] = set()

    def forget(self, name: str) -> None:
        """Notes nothing of it any more."""
        self._followed.pop(name, None)

    def take(self, name: str) -> set[str] | None:
        """The keys of the instances that came, changed or went since the last call; None for any of them."""
        keys = self._followed[name]
        if keys is None or keys:
            self._followed[name] = set()
        return keys

    def note(self, record: Record) -> None:
        """Takes notice of a record that was written or deleted, or that shows something else now.

        Of a record that was replaced by another, both are to be told; after that, with the indexes up to date.
        """
        if not self._followed:
            return
        if isinstance(record, Service):
            self._add(record.name, record.key)
        elif isinstance(record, Node):
            self._add_all_on(record.name)
        elif isinstance(record, Check):
            if not record.service_id:
                self._add_all_on(record.node)
                return
            service = self._services.entries.get(record.service_key)
            if service is not None:
                self._add(service.record.name, record.service_key)

    def _add_all_on(self, node: str) -> None:
        for key, entry in self._services.by_node.get(node.lower(), {}).items():
            self._add(entry.record.name, key)

    def _add(self, service: str, key: str) -> None:
        name = service.lower()
        keys = self._followed.get(name)
        if keys is not None:
            keys.add(key)
            if len(keys) > _KEYS_MAX:
                self._followed[name] = None

"""What changed that rules may be about, and which instances of each service are not passing.

Both follow the log batch by batch, so a change costs the same however much there is in the catalog.
"""

from __future__ import annotations

from regista.catalog import Catalog, State, decide_state
from regista.model import Batch, Check, Delete, Node, Record, Service


class Touched:
    """What changed since the last look.

    Attributes:
        services: names, lower-cased.
        instances, checks: keys.
    """

    __slots__ = ("checks", "instances", "services")

    def __init__(self) -> None:
        self.services: set[str] = set()
        self.instances: set[str] = set()
        self.checks: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self.services or self.checks)

    def note(self, catalog: Catalog, batch: Batch) -> None:
        """Adds what a batch changed, once the replica has applied it."""
        for change in batch.changes:
            self._note(catalog, change.record)
            if not isinstance(change, Delete) and change.replaces is not None:
                self._note(catalog, change.replaces)

    def _note(self, catalog: Catalog, record: Record) -> None:
        match record:
            case Service():
                self._instance(record)
            case Check():
                self.checks.add(record.key)
                if not record.service_id:
                    self._node(catalog, record.node)
                    return
                self.services.add(record.service_name.lower())
                service = catalog.services.get(record.service_key)
                if service is not None:
                    self._instance(service.record)
            case Node():
                self._node(catalog, record.name)

    def _node(self, catalog: Catalog, node: str) -> None:
        """A node's own checks speak for all its instances."""
        for entry in catalog.service_indexes.by_node.get(node.lower(), {}).values():
            self._instance(entry.record)

    def _instance(self, service: Service) -> None:
        self.instances.add(service.key)
        self.services.add(service.name.lower())


class Unwell:
    """The instances of each service that are not passing; memory only for those."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._states: dict[str, dict[str, State]] = {}
        self._names: dict[str, str] = {}
        for key in catalog.services:
            self._look_at(key)

    def follow(self, touched: Touched) -> None:
        """Looks again at the instances that something changed of."""
        for key in touched.instances:
            self._look_at(key)

    def counts(self, name: str) -> tuple[int, int]:
        """How many instances of a service, lower-cased, are passing, and how many count.

        Those that drain or are in maintenance do neither: somebody wants them so.
        """
        group = self._catalog.service_indexes.by_name.get(name)
        total = len(group.members) if group else 0
        states = self._states.get(name, {})
        off_duty = sum(state in ("draining", "maintenance") for state in states.values())
        return total - len(states), total - off_duty

    def _look_at(self, key: str) -> None:
        name = self._names.pop(key, None)
        if name is not None:
            states = self._states[name]
            del states[key]
            if not states:
                del self._states[name]
        entry = self._catalog.services.get(key)
        if entry is None:
            return
        state = decide_state(self._catalog.check_entries(entry.record))
        if state != "passing":
            name = self._names[key] = entry.record.name.lower()
            self._states.setdefault(name, {})[key] = state

"""Instances of large services, and what was worked out of each, kept from change to change. Pure.

Theory of operation. Of ten thousand instances a change touches one. Whether the others are what they were is seen
by what they are made of: the catalog replaces an entry, or a tuple of checks, whenever anything about it changes,
so those that are still the very same objects make the same instance. What follows from an instance alone, such as
its record, is kept with it. Nothing has to be told of changes, and so nothing can be forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from regista.catalog import Catalog, Instance, service_topic
from regista.model import Check, Entry, Node, Service

Made = TypeVar("Made")

_INSTANCES_MIN = 200
"""Smaller services are read anew in less than a millisecond."""

_INSTANCES_MAX = 200_000
"""Of all services together. With the records of all types that is half a kilobyte each, less than the catalog has
for an instance."""

_Checks = tuple[Entry[Check], ...]
_NO_CHECKS: _Checks = ()
_Parts = tuple[str, str, Entry[Node] | None, _Checks, _Checks, Instance]
"""The keys of an instance's node and of itself, its node, both their checks, and what they come to."""


class Roster:
    """The instances of one service, each the same object for as long as nothing about it changes."""

    def __init__(self, catalog: Catalog, name: str) -> None:
        self._catalog = catalog
        self._name = name
        self._topics = (service_topic(name),)
        self._version: tuple[int, ...] = ()
        self._instances: Sequence[Instance] = ()
        self._known: dict[int, _Parts] = {}
        self._made: dict[str, dict[int, tuple[Instance, Any]]] = {}

    def __len__(self) -> int:
        """How many instances it had when they were asked for last."""
        return len(self._instances)

    def instances(self) -> Sequence[Instance]:
        """All of them, by node and id; as `find_instances` gives them."""
        version = self._catalog.topics.version(self._topics)
        if version != self._version:
            self._version = version
            self._instances = self._read()
        return self._instances

    def made(self, kind: str, instances: Sequence[Instance], make: Callable[[Instance], Made]) -> list[Made]:
        """What is made of each of these instances.

        Args:
            kind: the name of what is made; it has to follow from the instance alone.
            instances: some of those that were given last.
            make: never gives None.
        """
        known = self._made.get(kind, {})
        found = [known.get(id(each)) for each in instances]
        if None in found:
            # An entry holds its instance, so that no other can have its id.
            found = [
                (each, make(each)) if pair is None else pair for each, pair in zip(instances, found, strict=True)
            ]
            self._made[kind] = {id(pair[0]): pair for pair in found if pair is not None}
        return [pair[1] for pair in found if pair is not None]

    def _read(self) -> list[Instance]:
        catalog, known = self._catalog, self._known
        nodes, indexes = catalog.nodes, catalog.check_indexes
        of_node, of_instance = indexes.of_node_itself, indexes.by_instance
        group = catalog.service_indexes.by_name.get(self._name)
        fresh: dict[int, _Parts] = {}
        for entry in group.ordered() if group else ():
            parts = known.get(id(entry))
            if (
                parts is None
                or nodes.get(parts[0]) is not parts[2]
                or of_node.get(parts[0], _NO_CHECKS) is not parts[3]
                or of_instance.get(parts[1], _NO_CHECKS) is not parts[4]
            ):
                parts = self._parts(entry)
            fresh[id(entry)] = parts
        self._known = fresh
        return [parts[5] for parts in fresh.values()]

    def _parts(self, entry: Entry[Service]) -> _Parts:
        catalog, service = self._catalog, entry.record
        node, key = service.node.lower(), service.key
        of_node = catalog.check_indexes.of_node_itself.get(node, _NO_CHECKS)
        of_instance = catalog.check_indexes.by_instance.get(key, _NO_CHECKS)
        node_entry = catalog.nodes.get(node)
        instance = Instance(entry, node_entry, of_node + of_instance)
        return node, key, node_entry, of_node, of_instance, instance


class Rosters:
    """The rosters of those large services that were asked for last."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._rosters: OrderedDict[str, Roster] = OrderedDict()

    def of(self, service: str) -> Roster | None:
        """The roster of a service; None for one that is not large."""
        name = service.lower()
        group = self._catalog.service_indexes.by_name.get(name)
        if group is None or not _INSTANCES_MIN <= len(group.members) <= _INSTANCES_MAX:
            self._rosters.pop(name, None)
            return None
        roster = self._rosters.get(name)
        if roster is None:
            roster = self._rosters[name] = Roster(self._catalog, name)
            roster.instances()
        self._rosters.move_to_end(name)
        while sum(map(len, self._rosters.values())) > _INSTANCES_MAX and len(self._rosters) > 1:
            self._rosters.popitem(last=False)
        return roster

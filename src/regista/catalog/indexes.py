"""The shelves of nodes, instances and checks: by name, node, instance, status, tag, meta.

Each index is changed by `add` and `remove` only, in step with the entries.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from regista.catalog.shelves import Shelf
from regista.catalog.topics import CHECKS, NODES, SERVICES, mesh_topic, node_topic, service_topic
from regista.model import Check, Entry, Node, Service

T = TypeVar("T")
P = TypeVar("P")

Nodes = dict[str, Entry[Node]]
Services = dict[str, Entry[Service]]
Checks = dict[str, Entry[Check]]


class ServiceGroup:
    """The instances of one service, whatever the case of its name."""

    __slots__ = ("_by_meta", "_by_tag", "_ordered", "_tag_ends", "members")

    def __init__(self) -> None:
        self.members: Services = {}
        self._ordered: tuple[Entry[Service], ...] | None = None
        # Made when first asked for, and again after a change: most services are never asked for by tag.
        self._by_tag: dict[str, list[Entry[Service]]] | None = None
        self._by_meta: dict[tuple[str, str], list[Entry[Service]]] | None = None
        self._tag_ends: set[str] | None = None

    def ordered(self) -> tuple[Entry[Service], ...]:
        """All instances, by node and then by id (both lower-cased), as Consul orders them."""
        if self._ordered is None:
            self._ordered = tuple(sorted(self.members.values(), key=_by_node_and_id))
        return self._ordered

    def with_tag(self, tag: str) -> Iterable[Entry[Service]]:
        """The instances with this tag, compared without regard to case; in the same order."""
        if self._by_tag is None:
            self._by_tag = {}
            for entry in self.ordered():
                for each in {tag.lower() for tag in entry.record.tags}:
                    self._by_tag.setdefault(each, []).append(entry)
        return self._by_tag.get(tag.lower(), ())

    def has_tag_below(self, name: str) -> bool:
        """Whether the tag of an instance ends with a dot and this name, compared without regard to case."""
        if self._tag_ends is None:
            dotted = {tag.lower() for entry in self.members.values() for tag in entry.record.tags if "." in tag}
            self._tag_ends = {tag[at + 1 :] for tag in dotted for at, sign in enumerate(tag) if sign == "."}
        return name.lower() in self._tag_ends

    def with_meta(self, pair: tuple[str, str]) -> Iterable[Entry[Service]]:
        """The instances with this key and value in their metadata; in the same order."""
        if self._by_meta is None:
            self._by_meta = {}
            for entry in self.ordered():
                for each in (entry.record.meta or {}).items():
                    self._by_meta.setdefault(each, []).append(entry)
        return self._by_meta.get(pair, ())

    def changed(self) -> None:
        """Drops what was derived from the members."""
        self._ordered = self._by_tag = self._by_meta = self._tag_ends = None


class ServiceIndexes(Shelf[Service]):
    """Instances by service name, by the name that they are reached by within the mesh, and by node."""

    def __init__(self) -> None:
        super().__init__()
        self.by_name: dict[str, ServiceGroup] = {}
        self.by_mesh_name: dict[str, ServiceGroup] = {}
        self.by_node: dict[str, Services] = {}

    def add(self, key: str, entry: Entry[Service]) -> None:
        """Notes an entry that was just put among the records; its key is free here."""
        service = entry.record
        _join(self.by_name, service.name, key, entry)
        if service.mesh_name:
            _join(self.by_mesh_name, service.mesh_name, key, entry)
        self.by_node.setdefault(service.node.lower(), {})[key] = entry

    def remove(self, key: str, entry: Entry[Service]) -> None:
        """Drops an entry that was noted before."""
        service = entry.record
        _part(self.by_name, service.name, key)
        if service.mesh_name:
            _part(self.by_mesh_name, service.mesh_name, key)
        _discard(self.by_node, service.node.lower(), key)

    def topics(self, record: Service) -> Iterable[str]:
        """The list of services, those of its name, its node."""
        topics = SERVICES, service_topic(record.name), node_topic(record.node)
        return (*topics, mesh_topic(record.mesh_name)) if record.mesh_name else topics

    def has_topic(self, room: str, name: str) -> bool:
        """Whether there are instances of that name, or on that node."""
        return (
            (room == "service" and name in self.by_name)
            or (room == "mesh" and name in self.by_mesh_name)
            or (room == "node" and name in self.by_node)
        )

    def topics_on(self, node: str) -> set[str]:
        """The topics of every service on a node."""
        services = [entry.record for entry in self.by_node.get(node.lower(), {}).values()]
        topics = {service_topic(service.name) for service in services}
        return topics | {mesh_topic(service.mesh_name) for service in services if service.mesh_name}


class CheckIndexes(Shelf[Check]):
    """Checks by instance, by service name, by node and by status."""

    def __init__(self, services: ServiceIndexes) -> None:
        super().__init__()
        self._services = services
        # Tuples, in the order of their ids: an instance has few checks, and a dict each costs 200 bytes more.
        self.by_instance: dict[str, tuple[Entry[Check], ...]] = {}
        self.of_node_itself: dict[str, tuple[Entry[Check], ...]] = {}
        self.by_service_name: dict[str, Checks] = {}
        self.by_node: dict[str, Checks] = {}
        self.by_status: dict[str, Checks] = {}

    def add(self, key: str, entry: Entry[Check]) -> None:
        """Notes an entry that was just put among the records; its key is free here."""
        check = entry.record
        node = check.node.lower()
        self.by_node.setdefault(node, {})[key] = entry
        self.by_status.setdefault(check.status, {})[key] = entry
        if check.service_id:
            _insert(self.by_instance, check.service_key, entry)
            self.by_service_name.setdefault(check.service_name.lower(), {})[key] = entry
        else:
            _insert(self.of_node_itself, node, entry)

    def remove(self, key: str, entry: Entry[Check]) -> None:
        """Drops an entry that was noted before."""
        check = entry.record
        node = check.node.lower()
        _discard(self.by_node, node, key)
        _discard(self.by_status, check.status, key)
        if check.service_id:
            _take_out(self.by_instance, check.service_key, entry)
            _discard(self.by_service_name, check.service_name.lower(), key)
        else:
            _take_out(self.of_node_itself, node, entry)

    def topics(self, record: Check) -> Iterable[str]:
        """The list of checks, its node, and the services for whose instances it speaks."""
        if not record.service_id:
            return CHECKS, node_topic(record.node), *self._services.topics_on(record.node)
        topics = [CHECKS, node_topic(record.node), service_topic(record.service_name)]
        # An instance may have been renamed since the check was registered.
        service = self._services.entries.get(record.service_key)
        if service is not None:
            if service.record.name != record.service_name:
                topics.append(service_topic(service.record.name))
            if service.record.mesh_name:
                topics.append(mesh_topic(service.record.mesh_name))
        return topics

    def has_topic(self, room: str, name: str) -> bool:
        """Whether there are checks of instances of that name, or on that node."""
        return (room == "service" and name in self.by_service_name) or (room == "node" and name in self.by_node)


class NodeIndexes(Shelf[Node]):
    """Nodes by metadata and by id."""

    def __init__(self, services: ServiceIndexes) -> None:
        super().__init__()
        self._services = services
        self.by_meta: dict[tuple[str, str], Nodes] = {}
        # Two nodes may claim one id for a while: a machine that was given another name. The last to come has it.
        self.by_id: Nodes = {}
        self._claims: dict[str, Nodes] = {}

    def add(self, key: str, entry: Entry[Node]) -> None:
        """Notes an entry that was just put among the records; its key is free here."""
        node = entry.record
        if node.id:
            self._claims.setdefault(node.id, {})[key] = entry
            self._settle_claims(node.id)
        for pair in (node.meta or {}).items():
            self.by_meta.setdefault(pair, {})[key] = entry

    def remove(self, key: str, entry: Entry[Node]) -> None:
        """Drops an entry that was noted before."""
        node = entry.record
        if node.id:
            _discard(self._claims, node.id, key)
            self._settle_claims(node.id)
        for pair in (node.meta or {}).items():
            _discard(self.by_meta, pair, key)

    def topics(self, record: Node) -> Iterable[str]:
        """The list of nodes, the node, and the services whose answers show it."""
        return NODES, node_topic(record.name), *self._services.topics_on(record.name)

    def has_topic(self, room: str, name: str) -> bool:
        """Whether there is a node of that name."""
        return room == "node" and name in self.entries

    def with_meta(self, pairs: Iterable[tuple[str, str]]) -> set[str]:
        """The keys of the nodes that have all these pairs; none for no pairs."""
        found: set[str] | None = None
        for pair in pairs:
            keys = set(self.by_meta.get(pair, ()))
            found = keys if found is None else found & keys
        return found or set()

    def _settle_claims(self, node_id: str) -> None:
        claims = self._claims.get(node_id)
        if claims:
            self.by_id[node_id] = max(claims.values(), key=lambda entry: (entry.modify_index, entry.record.key))
        else:
            self.by_id.pop(node_id, None)


def _join(groups: dict[str, ServiceGroup], name: str, key: str, entry: Entry[Service]) -> None:
    group = groups.get(name.lower())
    if group is None:
        group = groups[name.lower()] = ServiceGroup()
    group.members[key] = entry
    group.changed()


def _part(groups: dict[str, ServiceGroup], name: str, key: str) -> None:
    group = groups[name.lower()]
    del group.members[key]
    group.changed()
    if not group.members:
        del groups[name.lower()]


def _by_node_and_id(entry: Entry[Service]) -> tuple[str, str]:
    return entry.record.node.lower(), entry.record.id.lower()


def _by_check_id(entry: Entry[Check]) -> str:
    return entry.record.id.lower()


def _insert(index: dict[str, tuple[Entry[Check], ...]], key: str, entry: Entry[Check]) -> None:
    index[key] = tuple(sorted((*index.get(key, ()), entry), key=_by_check_id))


def _take_out(index: dict[str, tuple[Entry[Check], ...]], key: str, entry: Entry[Check]) -> None:
    left = tuple(each for each in index[key] if each is not entry)
    if left:
        index[key] = left
    else:
        del index[key]


def _discard(index: dict[P, dict[str, T]], name: P, key: str) -> None:
    members = index[name]
    del members[key]
    if not members:
        del index[name]

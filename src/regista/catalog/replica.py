"""The replica: what the log's batches come to, in memory, with its indexes.

Only `load` and `apply` change records; `set_output` changes the one thing that is kept beside the log. All of it
runs on one thread, and every read is a plain look-up: what a caller is given stays true until it gives up the
thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import cast

from regista.catalog.indexes import CheckIndexes, Checks, NodeIndexes, Nodes, ServiceIndexes, Services
from regista.catalog.topics import CHECKS, NODES, SERVICES, Topics, node_topic, service_topic
from regista.model import Batch, Change, Check, Delete, Entry, Node, Put, Record, Service, Snapshot, Tombstone

BatchSubscriber = Callable[[Batch], None]

_FORGET_TOPICS_AT = 10_000
"""Idle topics are looked for when topics are twice as many as were left the last time, and at least so many."""


class Catalog:
    """Every record that is true at `index`.

    Attributes:
        index: the index of the last batch applied.
        nodes, services, checks, tombstones: entries by key; read only.
        service_indexes, check_indexes, node_indexes: the same entries by other things; read only.
        topics: what changed when, and who waits for it.
    """

    def __init__(self) -> None:
        self.index = 0
        self.nodes: Nodes = {}
        self.services: Services = {}
        self.checks: Checks = {}
        self.tombstones: dict[str, Entry[Tombstone]] = {}
        self.node_indexes = NodeIndexes()
        self.service_indexes = ServiceIndexes()
        self.check_indexes = CheckIndexes()
        self.topics = Topics()
        self._forget_topics_at = _FORGET_TOPICS_AT
        self._outputs: dict[str, str] = {}
        self._subscribers: list[BatchSubscriber] = []

    def load(self, snapshot: Snapshot) -> None:
        """Fills an empty replica.

        Deletions and changes of name leave no record behind that could tell a topic's index, so those still in
        the log are read from there, and for older ones every topic starts at the log's floor. Hence no index goes
        back at a restart.
        """
        assert not self.index, "load is for an empty replica"
        self.topics.absent_index = max(1, snapshot.floor_index)
        for entry in sorted(snapshot.entries, key=lambda entry: entry.modify_index):
            self._put(entry.record.key, entry)
        held: Iterable[Entry[Record]] = (*self.nodes.values(), *self.services.values(), *self.checks.values())
        for entry in held:
            self.topics.touch(self._topics_of(entry.record), max(entry.modify_index, snapshot.floor_index))
        for batch in snapshot.recent:
            for change in batch.changes:
                gone = change.record if isinstance(change, Delete) else change.replaces
                if gone is not None:
                    self.topics.touch(self._topics_of(gone), batch.index)
                    # The replica before may have forgotten the topic, and told this index of all absent ones.
                    self.topics.absent_index = max(self.topics.absent_index, batch.index)
        self._forget_topics()
        self.index = snapshot.index

    def apply(self, batch: Batch) -> None:
        """Brings the replica to `batch.index`, then tells the subscribers, then wakes who waits."""
        assert batch.index > self.index, "batches come in order"
        touched: dict[str, None] = {}
        for change in batch.changes:
            touched.update(dict.fromkeys(self._apply_change(change, batch.index)))
        self.index = batch.index
        self.topics.touch(touched, batch.index)
        for subscriber in self._subscribers:
            subscriber(batch)
        self.topics.wake(touched)
        if len(self.topics) > self._forget_topics_at:
            self._forget_topics()

    def subscribe(self, subscriber: BatchSubscriber) -> None:
        """Has `subscriber` called with every later batch, in order, once the replica has applied it."""
        self._subscribers.append(subscriber)

    def output(self, entry: Entry[Check]) -> str:
        """The check's latest output."""
        return self._outputs.get(entry.record.key, entry.record.output)

    def set_output(self, key: str, output: str) -> None:
        """Keeps newer output of a check whose status did not change: no transaction, and nobody is woken."""
        entry = self.checks.get(key)
        if entry is not None and self.output(entry) != output:
            self._outputs[key] = output
            self.topics.refresh(self._topics_of(entry.record))

    def check_entries(self, service: Service) -> Iterator[Entry[Check]]:
        """The checks that speak for an instance: its node's own, then its own, each by check id."""
        yield from self.check_indexes.of_node_itself.get(service.node.lower(), ())
        yield from self.check_indexes.by_instance.get(service.key, ())

    # ---- applying ----

    def _apply_change(self, change: Change, index: int) -> Iterable[str]:
        """Makes the change; the topics it touched."""
        record = change.record
        key = record.key
        output = self._outputs.get(key) if record.kind == Check.kind else None
        before = self._take(record.kind, key)
        topics = list(self._topics_of(record))
        if before is not None:
            topics += self._topics_of(before.record)
        if isinstance(change, Put):
            self._put(key, Entry(record, before.create_index if before else index, index))
            if output is not None and before is not None and _says_the_same(before.record, record):
                self._outputs[key] = output
        return topics

    def _put(self, key: str, entry: Entry[Record]) -> None:
        record = entry.record
        if isinstance(record, Service):
            service = self.services[key] = cast("Entry[Service]", entry)
            self.service_indexes.add(key, service)
        elif isinstance(record, Check):
            check = self.checks[key] = cast("Entry[Check]", entry)
            self.check_indexes.add(key, check)
        elif isinstance(record, Node):
            node = self.nodes[key] = cast("Entry[Node]", entry)
            self.node_indexes.add(key, node)
        else:
            self.tombstones[key] = cast("Entry[Tombstone]", entry)

    def _take(self, kind: str, key: str) -> Entry[Record] | None:
        if kind == Service.kind:
            if (service := self.services.pop(key, None)) is not None:
                self.service_indexes.remove(key, service)
            return service
        if kind == Check.kind:
            if (check := self.checks.pop(key, None)) is not None:
                self.check_indexes.remove(key, check)
                self._outputs.pop(key, None)
            return check
        if kind == Node.kind:
            if (node := self.nodes.pop(key, None)) is not None:
                self.node_indexes.remove(key, node)
            return node
        return self.tombstones.pop(key, None)

    def _topics_of(self, record: Record) -> Iterable[str]:
        """What answers a change of this record may alter."""
        if isinstance(record, Service):
            return SERVICES, service_topic(record.name), node_topic(record.node)
        if isinstance(record, Check):
            if record.service_id:
                topics = [CHECKS, node_topic(record.node), service_topic(record.service_name)]
                # An instance may have been renamed since the check was registered.
                service = self.services.get(record.service_key)
                if service is not None and service.record.name != record.service_name:
                    topics.append(service_topic(service.record.name))
                return topics
            return CHECKS, node_topic(record.node), *self._service_topics_on(record.node)
        if isinstance(record, Node):
            return NODES, node_topic(record.name), *self._service_topics_on(record.name)
        return ()

    def _service_topics_on(self, node: str) -> set[str]:
        on_node = self.service_indexes.by_node.get(node.lower(), {})
        return {service_topic(entry.record.name) for entry in on_node.values()}

    def _forget_topics(self) -> None:
        self.topics.forget(self._is_live)
        self._forget_topics_at = max(_FORGET_TOPICS_AT, 2 * len(self.topics))

    def _is_live(self, topic: str) -> bool:
        room, _, name = topic.partition("/")
        if room == "service":
            return name in self.service_indexes.by_name or name in self.check_indexes.by_service_name
        if room == "node":
            return name in self.nodes or name in self.service_indexes.by_node or name in self.check_indexes.by_node
        return True


def _says_the_same(before: Record, after: Record) -> bool:
    """Whether a check was changed in other things than what is known of its health."""
    assert isinstance(before, Check)
    assert isinstance(after, Check)
    return before.status == after.status and before.output == after.output

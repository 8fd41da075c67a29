"""The replica: what the log's batches come to, in memory, with its indexes.

Only `load` and `apply` change records; `set_output` and `set_mark` change what is kept beside the log. All of it
runs on one thread, and every read is a plain look-up: what a caller is given stays true until it gives up the
thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from regista.catalog.alert_shelves import AlertShelves
from regista.catalog.config_entries import ConfigShelf
from regista.catalog.coordinates import CoordinateShelf
from regista.catalog.indexes import CheckIndexes, NodeIndexes, ServiceIndexes
from regista.catalog.instance_changes import InstanceChanges
from regista.catalog.kv import KV_DELETIONS_MAX, KvShelf
from regista.catalog.marks import Mark, Marks
from regista.catalog.prepared_queries import QueryShelf
from regista.catalog.sessions import SessionShelf
from regista.catalog.shelves import Shelf
from regista.catalog.subscriptions import DeadLetterShelf
from regista.catalog.topics import Topics
from regista.model import (
    Alert,
    AlertChannel,
    AlertNotice,
    AlertRule,
    AlertSilence,
    Autopilot,
    Batch,
    Change,
    Check,
    ConfigEntry,
    ConfigRevision,
    Coordinate,
    DeadLetter,
    Delete,
    Delivery,
    Entry,
    KvEntry,
    Node,
    PortClaim,
    PreparedQuery,
    Put,
    QueryName,
    Record,
    Service,
    Session,
    Snapshot,
    Subscription,
    Tombstone,
)

BatchSubscriber = Callable[[Batch], None]
AsideSubscriber = Callable[[str, str], None]

_FORGET_TOPICS_AT = 10_000
"""Idle topics are looked for when topics are twice as many as were left the last time, and at least so many."""


class Catalog:
    """Every record that is true at `index`.

    Attributes:
        index: the index of the last batch applied.
        nodes, services, checks, tombstones, port_claims: entries by key; read only.
        coordinates, config_entries, queries, kv, sessions: the shelves of these kinds; read only.
        config_revisions: the one record that all changes of configuration entries rest on; read only.
        query_names: whose a prepared query's name is, by key; read only.
        subscriptions, deliveries, dead_letters: webhooks, how far they are, and what was given up; read only.
        alerting: rules, alerts and what belongs to them; read only.
        service_indexes, check_indexes, node_indexes: the same entries by other things; read only.
        topics: what changed when, and who waits for it.
        instance_changes: which instances of a service changed, for those who follow it.
        marks: what no status can say of records; read only, see `set_mark`.
    """

    def __init__(self, *, kv_deletions_max: int = KV_DELETIONS_MAX) -> None:
        self.index = 0
        self.topics = Topics()
        self.service_indexes = ServiceIndexes()
        self.check_indexes = CheckIndexes(self.service_indexes)
        self.node_indexes = NodeIndexes(self.service_indexes)
        graveyard: Shelf[Tombstone] = Shelf()
        port_claims: Shelf[PortClaim] = Shelf()
        self.coordinates = CoordinateShelf()
        self.config_entries = ConfigShelf()
        self.queries = QueryShelf()
        self.kv = KvShelf(self.topics, deletions_max=kv_deletions_max)
        self.sessions = SessionShelf()
        query_names: Shelf[QueryName] = Shelf()
        self.query_names = query_names.entries
        config_revisions: Shelf[ConfigRevision] = Shelf()
        subscriptions: Shelf[Subscription] = Shelf()
        deliveries: Shelf[Delivery] = Shelf()
        self.config_revisions = config_revisions.entries
        self.subscriptions = subscriptions.entries
        self.deliveries = deliveries.entries
        self.dead_letters = DeadLetterShelf()
        self.alerting = AlertShelves()
        self.services = self.service_indexes.entries
        self.checks = self.check_indexes.entries
        self.nodes = self.node_indexes.entries
        self.tombstones = graveyard.entries
        self.port_claims = port_claims.entries
        # Every kind of record has its shelf here.
        self._shelves: dict[str, Shelf[Any]] = {
            Node.kind: self.node_indexes,
            Service.kind: self.service_indexes,
            Check.kind: self.check_indexes,
            Tombstone.kind: graveyard,
            PortClaim.kind: port_claims,
            Autopilot.kind: Shelf[Autopilot](),
            Coordinate.kind: self.coordinates,
            ConfigEntry.kind: self.config_entries,
            ConfigRevision.kind: config_revisions,
            PreparedQuery.kind: self.queries,
            KvEntry.kind: self.kv,
            Session.kind: self.sessions,
            QueryName.kind: query_names,
            Subscription.kind: subscriptions,
            Delivery.kind: deliveries,
            DeadLetter.kind: self.dead_letters,
            AlertRule.kind: self.alerting.rule_shelf,
            Alert.kind: self.alerting.alert_shelf,
            AlertNotice.kind: self.alerting.notice_shelf,
            AlertSilence.kind: self.alerting.silence_shelf,
            AlertChannel.kind: self.alerting.channel_shelf,
        }
        self._forget_topics_at = _FORGET_TOPICS_AT
        self._outputs: dict[str, str] = {}
        self.instance_changes = InstanceChanges(self.service_indexes)
        self.marks = Marks()
        self._subscribers: list[BatchSubscriber] = []
        self._aside_subscribers: list[AsideSubscriber] = []

    def load(self, snapshot: Snapshot) -> None:
        """Fills an empty replica.

        Deletions and changes of name leave no record behind that could tell a topic's index, so those still in
        the log are read from there, and for older ones every topic starts at the log's floor. Hence no index goes
        back at a restart.
        """
        assert not self.index, "load is for an empty replica"
        self.topics.absent_index = max(1, snapshot.floor_index)
        for shelf in self._shelves.values():
            shelf.begin(snapshot.floor_index)
        for entry in sorted(snapshot.entries, key=lambda entry: entry.modify_index):
            self._shelves[entry.record.kind].put(entry.record.key, entry)
        for shelf in self._shelves.values():
            for entry in shelf.entries.values():
                self.topics.touch(shelf.topics(entry.record), max(entry.modify_index, snapshot.floor_index))
        self._note_gone(snapshot.recent)
        self._forget_topics()
        self.index = snapshot.index

    def apply(self, batch: Batch) -> None:
        """Brings the replica to `batch.index`, then tells the subscribers, then wakes who waits."""
        assert batch.index > self.index, "batches come in order"
        touched: dict[str, None] = {}
        for change in batch.changes:
            touched.update(dict.fromkeys(self._apply_change(change, batch.index)))
        self._finish(batch, touched)

    def renew(self, snapshot: Snapshot) -> None:
        """Brings the replica to a later snapshot, as one batch would that holds all that differs.

        Callers may have been told elsewhere of what came and went in between. It is in what the snapshot has of
        the log; by what is older, any topic may have been touched. So no index is behind the others', but some are
        later than they need be.
        """
        if snapshot.floor_index > self.index:
            self.topics.raise_all(snapshot.floor_index)
            for shelf in self._shelves.values():
                shelf.begin(snapshot.floor_index)
        self._note_gone(batch for batch in snapshot.recent if batch.index > self.index)
        kept = {(entry.record.kind, entry.record.key): entry for entry in snapshot.entries}
        entries = self.entries()
        gone = [entry for entry in entries if (entry.record.kind, entry.record.key) not in kept]
        changes: list[Change] = [Delete(entry.record) for entry in gone]
        touched: dict[str, None] = {}
        for change in changes:
            touched.update(dict.fromkeys(self._apply_change(change, snapshot.index)))
        for entry in kept.values():
            if entry.modify_index > self.index:
                changes.append(Put(entry.record))
                touched.update(dict.fromkeys(self._apply_change(changes[-1], snapshot.index, entry)))
        self._finish(Batch(snapshot.index, 0.0, tuple(changes)), touched)

    def _note_gone(self, batches: Iterable[Batch]) -> None:
        """Notes what the log tells of records and names that are no longer there."""
        for batch in batches:
            for change in batch.changes:
                self._shelves[change.record.kind].note(change, batch.index)
                gone = change.record if isinstance(change, Delete) else change.replaces
                topics = tuple(self._topics_of(gone)) if gone is not None else ()
                if topics:
                    self.topics.touch(topics, batch.index)
                    # Another replica may have forgotten the topic, and told this index of all absent ones.
                    self.topics.raise_absent(batch.index)

    def _finish(self, batch: Batch, touched: dict[str, None]) -> None:
        """Tells of a batch whose changes are made."""
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

    def subscribe_asides(self, subscriber: AsideSubscriber) -> None:
        """Has `subscriber` called with what was said of a record beside the log, see `Asides`, and its key."""
        self._aside_subscribers.append(subscriber)

    def entries(self) -> list[Entry[Record]]:
        """Every entry, in a list of the caller's; copies references only."""
        return [entry for shelf in self._shelves.values() for entry in shelf.entries.values()]

    def output(self, entry: Entry[Check]) -> str:
        """The check's latest output."""
        return self._outputs.get(entry.record.key, entry.record.output)

    @property
    def outputs(self) -> Mapping[str, str]:
        """The outputs that are newer than the checks' records, by key; read only."""
        return self._outputs

    def set_output(self, key: str, output: str) -> None:
        """Keeps newer output of a check whose status did not change: no transaction, and nobody is woken."""
        entry = self.checks.get(key)
        if entry is not None and self.output(entry) != output:
            self._outputs[key] = output
            self.instance_changes.note(entry.record)
            self.topics.refresh(self._topics_of(entry.record))
            self._tell_aside("output", key)

    def set_mark(self, mark: Mark, record: Record, sentence: str) -> None:
        """Says this of a record, or ("") no longer anything: no transaction, and nobody is woken."""
        if self.marks.set(mark, record.key, sentence):
            self.topics.refresh(self._topics_of(record))
            self._tell_aside(mark, record.key)

    def _tell_aside(self, what: str, key: str) -> None:
        for subscriber in self._aside_subscribers:
            subscriber(what, key)

    def all_entries(self) -> Iterator[Entry[Record]]:
        """Every entry of every kind; don't give up the thread meanwhile."""
        for shelf in self._shelves.values():
            yield from shelf.entries.values()

    def find(self, kind: str, key: str) -> Entry[Record] | None:
        """The entry of that kind under that key."""
        entry: Entry[Record] | None = self._shelves[kind].entries.get(key)
        return entry

    def has_topic(self, topic: str) -> bool:
        """Whether any record stands behind a topic; of those without a slash one always does."""
        room, slash, name = topic.partition("/")
        return not slash or any(shelf.has_topic(room, name) for shelf in self._shelves.values())

    def check_entries(self, service: Service) -> tuple[Entry[Check], ...]:
        """The checks that speak for an instance: its node's own, then its own, each by check id."""
        indexes = self.check_indexes
        return indexes.of_node_itself.get(service.node.lower(), ()) + indexes.by_instance.get(service.key, ())

    # ---- applying ----

    def _apply_change(self, change: Change, index: int, entry: Entry[Record] | None = None) -> Iterable[str]:
        """Makes the change; the topics it touched.

        Args:
            entry: what a put comes to, where its indexes are known; None to take them from `index`.
        """
        record = change.record
        key = record.key
        shelf = self._shelves[record.kind]
        before: Entry[Record] | None = shelf.take(key)
        topics = list(shelf.topics(record))
        if before is not None:
            topics += shelf.topics(before.record)
        if isinstance(change, Put):
            shelf.put(key, entry or Entry(record, before.create_index if before else index, index))
        else:
            self.marks.drop(record.kind, key)
        shelf.note(change, index)
        if before is not None and before.record is not record:
            self.instance_changes.note(before.record)
        self.instance_changes.note(record)
        if record.kind == Check.kind and not (
            isinstance(change, Put) and before is not None and _says_the_same(before.record, record)
        ):
            self._outputs.pop(key, None)
        return topics

    def _topics_of(self, record: Record) -> Iterable[str]:
        return self._shelves[record.kind].topics(record)

    def _forget_topics(self) -> None:
        self.topics.forget(self.has_topic)
        self._forget_topics_at = max(_FORGET_TOPICS_AT, 2 * len(self.topics))


def _says_the_same(before: Record, after: Record) -> bool:
    """Whether a check was changed in other things than what is known of its health."""
    assert isinstance(before, Check)
    assert isinstance(after, Check)
    return before.status == after.status and before.output == after.output

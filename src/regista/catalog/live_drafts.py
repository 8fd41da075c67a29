"""A draft that sees what it changes, and ends the sessions that what it takes away kept alive.

A session ends in the transaction in which its node or a check that it needs goes, or the check turns critical; so
its keys are never locked by a session that is not well. Whoever plans with `LiveDraft` need not think of it.
"""

from __future__ import annotations

from typing import TypeVar, cast

import msgspec

from regista.catalog.drafts import Draft
from regista.catalog.replica import Catalog
from regista.model import (
    CRITICAL,
    Check,
    Delete,
    Entry,
    KvEntry,
    Node,
    PreparedQuery,
    Put,
    QueryName,
    Record,
    Session,
    query_name_key,
)

R = TypeVar("R", bound=Record)


class LiveDraft(Draft):
    """A transaction in the making, as a replica in which it is committed already would look.

    Attributes:
        catalog: the replica that is planned on.
        next_index: what changed entries show as their index; higher than that of any that there is.
    """

    def __init__(self, catalog: Catalog) -> None:
        super().__init__()
        self.catalog = catalog
        self.next_index = catalog.index + 1

    def find(self, record_type: type[R], key: str) -> Entry[R] | None:
        """The entry under the key, as this draft leaves it; the draft then rests on it."""
        kind = record_type.kind
        before = cast("Entry[R] | None", self.catalog.find(kind, key))
        if (kind, key) not in self._conditions:
            self.rests_on(kind, key, before)
        change = self._changes.get((kind, key))
        if change is None:
            return before
        if isinstance(change, Delete):
            return None
        return Entry(cast("R", change.record), before.create_index if before else self.next_index, self.next_index)

    def put(self, entry: Entry[R] | None, record: R) -> None:  # noqa: ARG002 - the replica's own is what counts
        """Makes `record` true where `entry` was found."""
        kind, key = record.kind, record.key
        self._put(kind, key, self.catalog.find(kind, key), record)
        if kind == Check.kind and isinstance(record, Check) and record.status == CRITICAL:
            self._end_sessions(self.catalog.sessions.by_check.get(key))

    def delete(self, entry: Entry[Record]) -> None:
        """Makes an end of what was found."""
        record = entry.record
        before = self.catalog.find(record.kind, record.key)
        if before is None:
            self._changes.pop((record.kind, record.key), None)
            return
        super().delete(before)
        if isinstance(record, Check):
            self._end_sessions(self.catalog.sessions.by_check.get(record.key))
        elif isinstance(record, Node):
            self._end_sessions(self.catalog.sessions.by_node.get(record.key))

    def forget_value(self, key: str) -> None:
        """Has the deletion of a key logged without its value."""
        change = self._changes.get((KvEntry.kind, key))
        if isinstance(change, Delete) and isinstance(change.record, KvEntry):
            bare = msgspec.structs.replace(change.record, value=b"")
            self._changes[KvEntry.kind, key] = msgspec.structs.replace(change, record=bare)

    def put_records(self, record_type: type[R]) -> list[R]:
        """The records of a kind that this draft puts."""
        return [
            change.record
            for change in self._changes.values()
            if isinstance(change, Put) and isinstance(change.record, record_type)
        ]

    def end_session(self, entry: Entry[Session]) -> None:
        """The session gone; its keys are free, or gone with it, as it says; and so are the queries bound to it."""
        session = entry.record
        if isinstance(self._changes.get((Session.kind, session.id)), Delete):
            return
        self.delete(entry)
        locked = [record.key for record in self.put_records(KvEntry) if record.session == session.id]
        for key in (*self.catalog.kv.held.get(session.id, ()), *locked):
            self.let_go(key, session)
        for query in self.catalog.queries.by_session.get(session.id, {}).values():
            self._delete_query(query)

    def let_go(self, key: str, session: Session) -> None:
        """The key free of the session's lock, or gone, as the session says; nothing if it does not hold it."""
        held = self.find(KvEntry, key)
        if held is None or held.record.session != session.id:
            return
        if session.behavior == "delete":
            self.delete(held)
        else:
            self.put(held, msgspec.structs.replace(held.record, session=""))

    def _end_sessions(self, sessions: dict[str, Entry[Session]] | None) -> None:
        for entry in tuple((sessions or {}).values()):
            self.end_session(entry)

    def _delete_query(self, entry: Entry[PreparedQuery]) -> None:
        query = entry.record
        self.delete(entry)
        name = self.find(QueryName, query_name_key(query.name))
        if name is not None and name.record.query == query.id:
            self.delete(name)

"""A transaction in the making, for plans: see `writes.py` for what a plan is; and its cause, once it is made."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from regista.model import (
    Cause,
    Change,
    Condition,
    Delete,
    Entry,
    Put,
    Record,
    Tombstone,
    Transaction,
)

R = TypeVar("R", bound=Record)


class Draft:
    """A transaction in the making: adds only real changes, and a condition for everything that was looked at."""

    def __init__(self) -> None:
        self._changes: dict[tuple[str, str], Change] = {}
        self._conditions: dict[tuple[str, str], Condition] = {}

    def rests_on(self, kind: str, key: str, entry: Entry[Record] | None) -> None:
        """The decision holds only while this entry (or its absence) does."""
        self._conditions[kind, key] = Condition(kind, key, entry.modify_index if entry else 0)

    def put(self, entry: Entry[R] | None, record: R) -> None:
        """Makes `record` true where `entry` was found."""
        self._put(record.kind, record.key, entry, record)

    def _put(self, kind: str, key: str, entry: Entry[Record] | None, record: Record) -> None:
        name = (kind, key)
        self._conditions[name] = Condition(kind, key, entry.modify_index if entry else 0)
        if entry is None:
            self._changes[name] = Put(record)
        elif entry.record != record:
            self._changes[name] = _put_over(entry, record)
        else:
            self._changes.pop(name, None)

    def renew(self, entry: Entry[Record]) -> None:
        """Writes an instance or a session again as it is, because it gets one more check or query.

        Whoever planned at the same time on all that goes with it rests on its index, and so has to plan again
        with the new one.
        """
        record = entry.record
        self.rests_on(record.kind, record.key, entry)
        self._changes.setdefault((record.kind, record.key), _put_over(entry, record))

    def bury(self, entry: Entry[Tombstone] | None, tombstone: Tombstone) -> None:
        """Notes the end of an incarnation; whatever was found under its key said the same."""
        self._changes[tombstone.kind, tombstone.key] = _put_over(entry, tombstone) if entry else Put(tombstone)

    def delete(self, entry: Entry[Record]) -> None:
        """Makes an end of what was found."""
        record = entry.record
        self.rests_on(record.kind, record.key, entry)
        self._changes[record.kind, record.key] = Delete(record, entry.create_index, entry.modify_index)

    def transaction(self) -> Transaction:
        """The finished draft."""
        if not self._changes:
            return Transaction()
        return Transaction(tuple(self._changes.values()), tuple(self._conditions.values()))


def _put_over(entry: Entry[R], record: R) -> Put:
    return Put(record, entry.record, entry.create_index, entry.modify_index)


def stamped(transaction: Transaction, cause: Cause) -> Transaction:
    """The transaction with its cause, which the tombstones in it keep, so that it outlives the log."""
    changes = transaction.changes
    if any(change.record.kind == Tombstone.kind for change in changes):
        changes = tuple(_stamped(change, cause) for change in changes)
    return Transaction(changes, transaction.conditions, cause)


def _stamped(change: Change, cause: Cause) -> Change:
    record = change.record
    if isinstance(change, Delete) or not isinstance(record, Tombstone) or record.cause is not None:
        return change
    return msgspec.structs.replace(change, record=msgspec.structs.replace(record, cause=cause))

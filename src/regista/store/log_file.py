"""The file of the log, as its one writer sees it: opening, reading, and committing groups of transactions.

A group is judged and written in **one** SQLite transaction, with a handful of statements whatever its size: each
gives up the interpreter lock, and has to win it back from the event loop.

Journal: WAL with `synchronous=FULL`: an acknowledged transaction survives `kill -9` and power loss.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from regista.model import BadInput, Batch, Compacted, Conflict, Snapshot, StoreUnavailable, Transaction
from regista.store import schema
from regista.store.loading import find_index_at, read_log, read_snapshot
from regista.store.retention import LogRetention, row_room_bytes
from regista.store.rows import Encoded, encode_transaction, fold
from regista.store.settings import StoreSettings

logger = logging.getLogger(__name__)

_ROWS_AT_ONCE = 400
"""Rows in one statement: enough for a group, and far from SQLite's limit of 32,766 values."""

Outcome = int | Exception
"""Of a transaction: the index at which it came into force, or why it did not."""


@dataclasses.dataclass(slots=True)
class _Group:
    """What one SQLite transaction will hold, and what became of each transaction that was to be in it."""

    batches: list[Batch]
    encoded: list[Encoded]
    outcomes: list[Outcome]


class _Outage:
    """Logs the beginning and the end of a time without writes; a line for each of them would fill the disk."""

    def __init__(self, path: Path | None) -> None:
        self._store = path or "the store in memory"
        self._problem = ""

    def begin(self, problem: str) -> None:
        """Says why a write could not be made."""
        if problem != self._problem:
            logger.warning("%s can't be written: %s. Reads go on; nothing new is kept", self._store, problem)
        self._problem = problem

    def end(self) -> None:
        """Says that a write was made."""
        if self._problem:
            logger.warning("%s can be written again", self._store)
            self._problem = ""


class LogFile:
    """The log in a file, or in memory without a path. For one thread at a time.

    Args:
        wall_clock: seconds since the epoch, for `Batch.at_s` and retention.

    Attributes:
        index: of the last batch.
        floor_index: the index after which the log has every batch.
    """

    def __init__(self, path: Path | None, settings: StoreSettings, *, wall_clock: Callable[[], float]) -> None:
        self.index = 0
        self.floor_index = 0
        self._path = path
        self._wall_clock = wall_clock
        self._connection: sqlite3.Connection | None = None
        self._outage = _Outage(path)
        self._retention = LogRetention(settings)

    def open(self) -> Snapshot:
        """What the file holds; it is made if there is none, and brought to the current version.

        Raises:
            StoreDamaged, StoreTooNew, StoreUnavailable: the file is untouched.
        """
        try:
            snapshot = self._read_untouched()
            self._connection = schema.connect(self._path)
            if snapshot is None:
                schema.migrate(self._connection)
                snapshot = self._read_snapshot(self._connection)
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(
                f"{self._path} can't be opened: {error}. Mend the disk, or give another --data-dir."
            ) from error
        return snapshot

    def close(self) -> None:
        """Lets the file go. Does nothing if it is not open."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def commit(self, transactions: Sequence[Transaction]) -> tuple[Sequence[Batch], Sequence[Outcome]]:
        """What was committed, oldest first, and the outcome of each transaction in turn."""
        before = self.index
        group = _Group([], [], [])
        try:
            self._judge(transactions, group)
            if group.batches:
                self._write(group)
                self._outage.end()
        except sqlite3.Error as error:
            if group.batches and self._is_committed_after_all():
                logger.warning("the store reported an error for a commit that is on disk: %s", error)
            else:
                self.index = before
                self._outage.begin(str(error))
                failure = StoreUnavailable(
                    f"the write was not made: {error}. Reads go on; free space on the disk or mend it, then "
                    "try again."
                )
                return (), [failure] * len(transactions)
        return group.batches, group.outcomes

    def changes(self, after_index: int, batches_max: int) -> Sequence[Batch]:
        """See `Store.changes`."""
        if after_index < self.floor_index:
            raise Compacted(floor_index=self.floor_index)
        with schema.reading(self._path):
            assert self._connection is not None
            return list(read_log(self._connection, after_index, batches_max))

    def index_at(self, at_s: float) -> int:
        """See `Store.index_at`."""
        with schema.reading(self._path):
            assert self._connection is not None
            found = find_index_at(self._connection, at_s)
        if found is None and self.floor_index:
            raise Compacted(floor_index=self.floor_index)
        return found or 0

    def prove(self) -> None:
        """See `Store.prove`."""
        assert self._connection is not None
        schema.prove(self._connection, self.index + 1)
        self._outage.end()

    # ---- opening ----

    def _read_untouched(self) -> Snapshot | None:
        """What a file of this version holds, read without writing; None for a new or an older one."""
        if self._path is None:
            return None
        with schema.inspected(self._path) as connection:
            return self._read_snapshot(connection) if connection is not None else None

    def _read_snapshot(self, connection: sqlite3.Connection) -> Snapshot:
        with schema.reading(self._path):
            snapshot = read_snapshot(connection)
            self._retention.load(connection)
        self.index, self.floor_index = snapshot.index, snapshot.floor_index
        return snapshot

    # ---- committing ----

    def _judge(self, transactions: Sequence[Transaction], group: _Group) -> None:
        """Gives an index to each transaction whose conditions hold after those before it."""
        encoded = [_encoded(each) for each in transactions]
        named = {(kind, key) for each in encoded if isinstance(each, Encoded) for kind, key, _ in each.conditions}
        assert self._connection is not None
        indexes = _modify_indexes(self._connection, named)
        now_s = self._wall_clock()
        for transaction, each in zip(transactions, encoded, strict=True):
            if not isinstance(each, Encoded):
                group.outcomes.append(each)
                continue
            broken = next((c for c in each.conditions if indexes.get(c[:2], 0) != c[2]), None)
            if broken is not None:
                group.outcomes.append(
                    Conflict(
                        f"{broken[0]} {broken[1]} has changed meanwhile; read it again and decide anew",
                        index=self.index,
                    )
                )
                continue
            self.index += 1
            for change in each.changes:
                indexes[change.kind, change.key] = self.index if change.is_put else 0
            group.batches.append(Batch(self.index, now_s, transaction.changes, transaction.cause))
            group.encoded.append(each)
            group.outcomes.append(self.index)

    def _write(self, group: _Group) -> None:
        puts, deletes, log_rows = fold(list(zip(group.batches, group.encoded, strict=True)))
        assert self._connection is not None
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        if deletes:
            execute(
                "DELETE FROM record WHERE (kind, key) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))",
                (msgspec.json.encode(deletes).decode(),),
            )
        _insert(
            self._connection,
            "INSERT INTO record (kind, key, create_index, modify_index, value)",
            puts,
            "ON CONFLICT DO UPDATE SET modify_index = excluded.modify_index, value = excluded.value",
        )
        _insert(self._connection, "INSERT INTO log (idx, at_s, changes, cause)", log_rows)
        floor_index = self._retention.compact(
            self._connection,
            floor_index=self.floor_index,
            added_bytes=sum(row_room_bytes(encoded.log_bytes) for encoded in group.encoded),
            now_s=group.batches[0].at_s,
        )
        execute("UPDATE state SET last_index = ?, floor_index = ?", (self.index, floor_index))
        execute("COMMIT")
        self._committed(floor_index)
        self._retention.shrink_file(self._connection, floor_index=floor_index)

    def _committed(self, floor_index: int) -> None:
        self.floor_index = floor_index
        self._retention.committed()

    def _is_committed_after_all(self) -> bool:
        """Ends the transaction that failed, and asks the file whether it took it all the same.

        A failing COMMIT may have reached the disk. Then its indexes are taken, and those who wait must hear so.
        """
        assert self._connection is not None
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            last_index, floor_index = self._connection.execute(
                "SELECT last_index, floor_index FROM state"
            ).fetchone()
        except sqlite3.Error:
            return False
        if last_index != self.index:
            return False
        self._committed(floor_index)
        return True


def _encoded(transaction: Transaction) -> Encoded | BadInput:
    try:
        return encode_transaction(transaction)
    except BadInput as error:
        return error


def _modify_indexes(connection: sqlite3.Connection, keys: set[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """When the records of these kinds and keys were changed last; nothing for those that are not there."""
    if not keys:
        return {}
    rows = connection.execute(
        "SELECT record.kind, record.key, record.modify_index FROM json_each(?) AS wanted "
        "JOIN record ON record.kind = wanted.value ->> 0 AND record.key = wanted.value ->> 1",
        (msgspec.json.encode(list(keys)).decode(),),
    )
    return {(kind, key): index for kind, key, index in rows}


def _insert(
    connection: sqlite3.Connection, into: str, rows: Sequence[Sequence[Any]], on_conflict: str = ""
) -> None:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        some = rows[start : start + _ROWS_AT_ONCE]
        # The connection keeps the last statements ready, and groups are of few different sizes.
        places = _places(len(some), len(some[0]))
        connection.execute(f"{into} VALUES {places} {on_conflict}", [value for row in some for value in row])


@functools.lru_cache(maxsize=_ROWS_AT_ONCE)
def _places(rows: int, columns: int) -> str:
    return ", ".join([f"({', '.join('?' * columns)})"] * rows)

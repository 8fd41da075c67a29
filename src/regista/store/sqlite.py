"""The log in one SQLite file (or in memory): group commit, retention, one writer thread.

Theory of operation. Transactions arrive on the event loop and are handed to the writer thread as a group: at the
end of the loop's turn if the thread is idle, otherwise when it has brought back the group before. The thread
judges their conditions one after the other, writes what holds in **one** SQLite transaction, and hands the
outcomes back to the loop in one call. So a commit costs a share of an fsync, and the busier it gets, the smaller
the share.

Loop and thread want the same interpreter lock. Hence a group is handed over whole, and only when the thread is
free for it; and it is written with a handful of statements whatever its size, because each gives up the lock and
has to win it back from the loop.

Journal: WAL with `synchronous=FULL`: an acknowledged transaction survives `kill -9` and power loss.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from regista.model import (
    BadInput,
    Batch,
    Compacted,
    Conflict,
    Overloaded,
    Snapshot,
    StoreUnavailable,
    Transaction,
    setting,
)
from regista.store import schema
from regista.store.loading import find_index_at, read_log, read_snapshot
from regista.store.lock import DirectoryLock
from regista.store.retention import LogRetention, row_room_bytes
from regista.store.rows import Encoded, encode_transaction, fold

if TYPE_CHECKING:
    from regista.store import BatchListener

logger = logging.getLogger(__name__)

T = TypeVar("T")

FILE_NAME = "regista.db"

_ROWS_AT_ONCE = 400
"""Rows in one statement: enough for a group, and far from SQLite's limit of 32,766 values."""


@dataclasses.dataclass(frozen=True, slots=True)
class StoreSettings:
    """What can be set of the store."""

    log_retention_s: float = setting(
        3600.0,
        "How long the log keeps a change after it was made. Longer lets a listener that was away for longer "
        "resume; shorter keeps the file smaller.",
        unit="s",
        at_least=0,
        at_most=30 * 86400,
    )
    log_bytes_min: int = setting(
        1024 * 1024,
        "How large the log may always grow. Beyond it, the log may take half as much room as the live records "
        "do, so that the file stays in proportion to them. More keeps more history of a small registry.",
        unit="bytes",
        at_least=64 * 1024,
        at_most=16 * 1024**3,
    )
    log_bytes_max: int = setting(
        64 * 1024 * 1024,
        "How large the log may grow at the most; the oldest changes go first.",
        unit="bytes",
        at_least=64 * 1024,
        at_most=16 * 1024**3,
    )
    commit_queue_max: int = setting(
        8192,
        "How many writes may wait for the disk. More rides out longer stalls of the disk; fewer tells callers "
        "sooner that it can't keep up.",
        at_least=1,
        at_most=1_000_000,
    )


@dataclasses.dataclass(slots=True)
class _Waiting:
    """A transaction in the queue, and who waits for its outcome."""

    transaction: Transaction
    done: asyncio.Future[int]


@dataclasses.dataclass(slots=True)
class _Group:
    """What one SQLite transaction will hold."""

    batches: list[Batch]
    encoded: list[Encoded]
    outcomes: list[tuple[asyncio.Future[int], int | Exception]]


class _Outage:
    """Logs the beginning and the end of a time without writes; a line for each of them would fill the disk."""

    def __init__(self) -> None:
        self._problem = ""

    def begin(self, problem: str) -> None:
        """Says why a write could not be made."""
        if problem != self._problem:
            logger.warning("the store can't be written: %s. Reads go on; nothing new is kept", problem)
        self._problem = problem

    def end(self) -> None:
        """Says that a write was made."""
        if self._problem:
            logger.warning("the store can be written again")
            self._problem = ""


def _prove(connection: sqlite3.Connection | None, index: int, outage: _Outage) -> None:
    schema.prove(connection, index)
    outage.end()


class SqliteStore:
    """A `Store` in `directory / "regista.db"`, or in memory when `directory` is None.

    Args:
        wall_clock: seconds since the epoch, for `Batch.at_s` and retention.
    """

    def __init__(
        self, directory: Path | None, settings: StoreSettings, *, wall_clock: Callable[[], float]
    ) -> None:
        self._directory = directory
        self._path = directory / FILE_NAME if directory else None
        self._settings = settings
        self._wall_clock = wall_clock
        self._lock: DirectoryLock | None = None
        self._queue: queue.SimpleQueue[list[_Waiting] | Callable[[], None] | None] = queue.SimpleQueue()
        self._arrived: list[_Waiting] = []
        self._groups_under_way = 0
        # Transactions that wait to be committed; for others to read.
        self.waiting_count = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_batch: BatchListener | None = None
        # Below: the writer thread's alone, once it runs.
        self._connection: sqlite3.Connection | None = None
        self._outage = _Outage()
        self._index = 0
        self._floor_index = 0
        self._retention = LogRetention(settings)

    async def open(self, on_batch: BatchListener) -> Snapshot:
        """See `Store.open`. Reads the whole file; the loop stands still meanwhile, for nothing runs yet."""
        assert self._thread is None, "open was called twice"
        if self._directory:
            self._lock = DirectoryLock(self._directory)
            self._lock.take()
        try:
            snapshot = self._read_untouched()
            self._connection = schema.connect(self._path)
            if snapshot is None:
                schema.migrate(self._connection)
                snapshot = self._read_snapshot(self._connection)
        except BaseException as error:
            self._let_go()
            if isinstance(error, sqlite3.Error | OSError):
                raise StoreUnavailable(
                    f"{self._path} can't be opened: {error}. Mend the disk, or give another --data-dir."
                ) from error
            raise
        self._on_batch = on_batch
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._write_loop, name="regista-store", daemon=True)
        self._thread.start()
        return snapshot

    async def commit(self, transaction: Transaction) -> int:
        """See `Store.commit`."""
        used, most = self.waiting_count, self._settings.commit_queue_max
        if used >= most:
            raise Overloaded("store.commit_queue_max", used=used, most=most)
        assert transaction.changes, "a transaction without changes has no place in the log"
        assert self._loop is not None
        if self._thread is None:
            raise StoreUnavailable("the store is closed; the agent is stopping. Try again when it is back.")
        done: asyncio.Future[int] = self._loop.create_future()
        self.waiting_count += 1
        self._arrived.append(_Waiting(transaction, done))
        if len(self._arrived) == 1 and not self._groups_under_way:
            # Whoever else commits in this turn of the loop comes along.
            self._loop.call_soon(self._hand_over_if_idle)
        return await done

    async def changes(self, after_index: int, *, batches_max: int = -1) -> Sequence[Batch]:
        """See `Store.changes`."""

        def read() -> Sequence[Batch]:
            if after_index < self._floor_index:
                raise Compacted(floor_index=self._floor_index)
            with schema.reading(self._path):
                assert self._connection is not None
                return list(read_log(self._connection, after_index, batches_max))

        return await self._in_writer(read)

    async def index_at(self, at_s: float) -> int:
        """See `Store.index_at`."""

        def read() -> int:
            with schema.reading(self._path):
                assert self._connection is not None
                found = find_index_at(self._connection, at_s)
            if found is None and self._floor_index:
                raise Compacted(floor_index=self._floor_index)
            return found or 0

        return await self._in_writer(read)

    @property
    def floor_index(self) -> int:
        """See `Store.floor_index`."""
        return self._floor_index

    async def barrier(self) -> int:
        """See `Store.barrier`: this store has one writer, so what is queued now is all there can be."""
        return await self._in_writer(lambda: self._index)

    async def prove(self) -> None:
        """See `Store.prove`."""
        await self._in_writer(lambda: _prove(self._connection, self._index + 1, self._outage))

    async def close(self) -> None:
        """See `Store.close`."""
        if self._thread is None:
            return
        assert self._loop is not None
        thread, self._thread = self._thread, None
        self._hand_over()
        self._queue.put(None)
        await self._loop.run_in_executor(None, thread.join)
        self._let_go()

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
        self._index, self._floor_index = snapshot.index, snapshot.floor_index
        return snapshot

    def _let_go(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    # ---- the writer thread ----

    async def _in_writer(self, job: Callable[[], T]) -> T:
        """What `job` returns when it is run by the writer thread, after all that waits now."""
        assert self._loop is not None
        if self._thread is None:
            raise StoreUnavailable("the store is closed; the agent is stopping. Try again when it is back.")
        loop = self._loop
        done: asyncio.Future[T] = loop.create_future()

        def run() -> None:
            outcome: T | Exception
            try:
                outcome = job()
            except Exception as error:  # noqa: BLE001 - it is raised where the job was asked for
                outcome = error
            loop.call_soon_threadsafe(_settle, done, outcome)

        self._hand_over()
        self._queue.put(run)
        return await done

    def _hand_over(self) -> None:
        """On the loop: gives all that arrived to the thread as one group."""
        if self._arrived:
            self._groups_under_way += 1
            self._queue.put(self._arrived)
            self._arrived = []

    def _hand_over_if_idle(self) -> None:
        if not self._groups_under_way:
            self._hand_over()

    def _write_loop(self) -> None:
        """Does what comes, until None comes."""
        while (item := self._queue.get()) is not None:
            if isinstance(item, list):
                self._commit_group(item)
            else:
                item()

    def _commit_group(self, waiting: Sequence[_Waiting]) -> None:
        before = self._index
        group = _Group([], [], [])
        try:
            self._judge(waiting, group)
            if group.batches:
                self._write(group)
                self._outage.end()
        except sqlite3.Error as error:
            if group.batches and self._is_committed_after_all():
                logger.warning("the store reported an error for a commit that is on disk: %s", error)
            else:
                self._index = before
                self._outage.begin(str(error))
                failure = StoreUnavailable(
                    f"the write was not made: {error}. Reads go on; free space on the disk or mend it, then "
                    "try again."
                )
                group = _Group([], [], [(item.done, failure) for item in waiting])
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._deliver, group)

    def _deliver(self, group: _Group) -> None:
        """On the loop: first the replica, then those who wait, so that they read what they wrote."""
        assert self._on_batch is not None
        for batch in group.batches:
            self._on_batch(batch)
        for done, outcome in group.outcomes:
            self.waiting_count -= 1
            _settle(done, outcome)
        self._groups_under_way -= 1
        self._hand_over_if_idle()

    def _judge(self, waiting: Sequence[_Waiting], group: _Group) -> None:
        """Gives an index to each transaction whose conditions hold after those before it."""
        sound: list[tuple[_Waiting, Encoded]] = []
        outcomes: list[tuple[asyncio.Future[int], int | Exception]] = []
        for item in waiting:
            try:
                sound.append((item, encode_transaction(item.transaction)))
            except BadInput as error:
                outcomes.append((item.done, error))
        assert self._connection is not None
        named = {(kind, key) for _, each in sound for kind, key, _ in each.conditions}
        indexes = _modify_indexes(self._connection, named)
        now_s = self._wall_clock()
        for item, encoded in sound:
            broken = next((c for c in encoded.conditions if indexes.get(c[:2], 0) != c[2]), None)
            if broken is not None:
                conflict = Conflict(
                    f"{broken[0]} {broken[1]} has changed meanwhile; read it again and decide anew",
                    index=self._index,
                )
                outcomes.append((item.done, conflict))
                continue
            self._index += 1
            for change in encoded.changes:
                indexes[change.kind, change.key] = self._index if change.is_put else 0
            group.batches.append(Batch(self._index, now_s, item.transaction.changes, item.transaction.cause))
            group.encoded.append(encoded)
            outcomes.append((item.done, self._index))
        group.outcomes.extend(outcomes)

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
            floor_index=self._floor_index,
            added_bytes=sum(row_room_bytes(encoded.log_bytes) for encoded in group.encoded),
            now_s=group.batches[0].at_s,
        )
        execute("UPDATE state SET last_index = ?, floor_index = ?", (self._index, floor_index))
        execute("COMMIT")
        self._committed(floor_index)
        self._retention.shrink_file(self._connection, floor_index=floor_index)

    def _committed(self, floor_index: int) -> None:
        self._floor_index = floor_index
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
        if last_index != self._index:
            return False
        self._committed(floor_index)
        return True


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


def _settle(done: asyncio.Future[Any], outcome: Any) -> None:
    """Gives the outcome to whoever still waits for it."""
    if done.done():
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)

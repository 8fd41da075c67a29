"""The log in one SQLite file (or in memory): group commit, one writer thread.

Theory of operation. Transactions arrive on the event loop and are handed to the writer thread as a group: at the
end of the loop's turn if the thread is idle, otherwise when it has brought back the group before. The thread
commits the group (`log_file`), and hands the outcomes back to the loop in one call. So a commit costs a share of
an fsync, and the busier it gets, the smaller the share.

Loop and thread want the same interpreter lock. Hence a group is handed over whole, and only when the thread is
free for it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from regista.model import Batch, Overloaded, Snapshot, StoreUnavailable, Transaction
from regista.store.lock import DirectoryLock
from regista.store.log_file import LogFile, Outcome
from regista.store.settings import StoreSettings

if TYPE_CHECKING:
    from regista.store import BatchListener

T = TypeVar("T")

FILE_NAME = "regista.db"


@dataclasses.dataclass(slots=True)
class _Waiting:
    """A transaction in the queue, and who waits for its outcome."""

    transaction: Transaction
    done: asyncio.Future[int]


class SqliteStore:
    """A `Store` in `directory / "regista.db"`, or in memory when `directory` is None.

    Args:
        wall_clock: seconds since the epoch, for `Batch.at_s` and retention.
    """

    def __init__(
        self, directory: Path | None, settings: StoreSettings, *, wall_clock: Callable[[], float]
    ) -> None:
        self._settings = settings
        self._lock = DirectoryLock(directory) if directory else None
        # The writer thread's alone, once it runs.
        self._file = LogFile(directory / FILE_NAME if directory else None, settings, wall_clock=wall_clock)
        self._queue: queue.SimpleQueue[list[_Waiting] | Callable[[], None] | None] = queue.SimpleQueue()
        self._arrived: list[_Waiting] = []
        self._groups_under_way = 0
        # Transactions that wait to be committed; for others to read.
        self.waiting_count = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._on_batch: BatchListener | None = None

    async def open(self, on_batch: BatchListener) -> Snapshot:
        """See `Store.open`. Reads the whole file; the loop stands still meanwhile, for nothing runs yet."""
        assert self._thread is None, "open was called twice"
        if self._lock is not None:
            self._lock.take()
        try:
            snapshot = self._file.open()
        except BaseException:
            self._let_go()
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
        return await self._in_writer(lambda: self._file.changes(after_index, batches_max))

    async def index_at(self, at_s: float) -> int:
        """See `Store.index_at`."""
        return await self._in_writer(lambda: self._file.index_at(at_s))

    @property
    def floor_index(self) -> int:
        """See `Store.floor_index`."""
        return self._file.floor_index

    async def barrier(self) -> int:
        """See `Store.barrier`: this store has one writer, so what is queued now is all there can be."""
        return await self._in_writer(lambda: self._file.index)

    async def prove(self) -> None:
        """See `Store.prove`."""
        await self._in_writer(self._file.prove)

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

    def _let_go(self) -> None:
        self._file.close()
        if self._lock is not None:
            self._lock.release()

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
        batches, outcomes = self._file.commit([each.transaction for each in waiting])
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._deliver, batches, waiting, outcomes)

    def _deliver(self, batches: Sequence[Batch], waiting: Sequence[_Waiting], outcomes: Sequence[Outcome]) -> None:
        """On the loop: first the replica, then those who wait, so that they read what they wrote."""
        assert self._on_batch is not None
        for batch in batches:
            self._on_batch(batch)
        for each, outcome in zip(waiting, outcomes, strict=True):
            self.waiting_count -= 1
            _settle(each.done, outcome)
        self._groups_under_way -= 1
        self._hand_over_if_idle()


def _settle(done: asyncio.Future[Any], outcome: Any) -> None:
    """Gives the outcome to whoever still waits for it."""
    if done.done():
        return
    if isinstance(outcome, Exception):
        done.set_exception(outcome)
    else:
        done.set_result(outcome)

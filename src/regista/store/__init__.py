"""The ordered log and where it is kept. Knows the model, and nothing of what a record is for.

This page is the specification that every store implements and `tests/contract` holds each of them to.

*Order.* Every transaction that commits gets the next index; indexes only grow, across restarts too, and never
repeat. `on_batch` is called on the event loop, once for each committed transaction, in the order of the
indexes, without a gap.

*Atomicity.* A transaction commits whole or not at all, also through a crash at any moment.

*Durability.* `commit` returns after the transaction is on stable storage (a store in memory: after it is in
memory) **and** after `on_batch` has returned for it, so a caller reads its own writes.

*Conditions.* They are judged at the transaction's place in the log. If one does not hold, nothing is changed,
and `Conflict` is raised after `on_batch` was called for the change that stood in the way; a caller that plans
again on its replica therefore plans on what is true.

*Failure.* When the medium can't be written, `commit` raises `StoreUnavailable`, nothing of the transaction is
there, and later commits are tried afresh.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from regista.model import Batch, Snapshot, Transaction
from regista.store.framed_connection import FramedConnection
from regista.store.frames import frame
from regista.store.remote import RemoteStore, unix_connection
from regista.store.serving import LogServer
from regista.store.settings import StoreSettings
from regista.store.sqlite import SqliteStore
from regista.store.tail import LogTail

__all__ = [
    "BatchListener",
    "FramedConnection",
    "LogServer",
    "LogTail",
    "RemoteStore",
    "SqliteStore",
    "Store",
    "StoreSettings",
    "frame",
    "unix_connection",
]

BatchListener = Callable[[Batch], None]


class Store(Protocol):
    """An ordered log of transactions, see the page above."""

    async def open(self, on_batch: BatchListener) -> Snapshot:
        """What the store holds now; batches after `Snapshot.index` go to `on_batch`.

        Call once, before anything else.

        Raises:
            StoreInUse, StoreDamaged, StoreTooNew, StoreUnavailable: the store stays closed, its files untouched.
        """

    async def commit(self, transaction: Transaction) -> int:
        """The index at which the transaction came into force.

        A caller that is cancelled while it waits does not undo the transaction.

        Raises:
            BadInput: a record holds what could not be read back; nothing was changed.
            Conflict: a condition does not hold; nothing was changed.
            Overloaded: more transactions wait than the limit allows; nothing was changed.
            StoreUnavailable: it can't be written just now; nothing was changed.
        """

    async def changes(self, after_index: int, *, batches_max: int = -1) -> Sequence[Batch]:
        """The batches after `after_index`, oldest first; the first so many, or -1 for all.

        Raises:
            Compacted: the log does not reach back that far.
        """

    async def index_at(self, at_s: float) -> int:
        """The index of the last batch committed at or before `at_s` (seconds since the epoch); 0 if none was.

        By the clock of whoever committed, so around a clock that was set back it is an index nearby.

        Raises:
            Compacted: the log does not reach back that far.
        """

    @property
    def floor_index(self) -> int:
        """The index after which the log has every batch; grows as old ones are dropped."""

    async def barrier(self) -> int:
        """An index such that every write acknowledged anywhere before the call is at or below it.

        Returns after `on_batch` was called up to that index, so a read that follows is linearizable.
        """

    async def prove(self) -> None:
        """Returns after something was written as durably as a commit that leaves no trace: no index, no batch.

        Raises:
            StoreUnavailable: it can't be written just now.
        """

    async def close(self) -> None:
        """Commits what waits, writes everything out and lets the files go. Does nothing when it is closed."""

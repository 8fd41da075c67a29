"""A log in memory and its writer: plans on the replica, commits a little later, in order, if nothing stood in the way."""

from __future__ import annotations

import asyncio
import collections
import math
import random
from collections.abc import Callable
from typing import NamedTuple

from tests.simulation.agenda import Agenda
from tests.simulation.loop import VirtualLoop

from regista.catalog import Catalog, stamped
from regista.model import Batch, Cause, Contended, Snapshot, StoreUnavailable, Transaction

_RETRIES_MAX = 16
_COMMIT_S = (0.0005, 0.02)
"""The shortest and the longest time that a commit takes: an SSD on a good day and on a bad one."""
_PROVE_S = 1.0
"""After a failure it is tried every second whether writes are taken again, as the agent's writer does."""
_SLOW_S = 5.0
"""A write that is not answered for longer hangs."""


class _Commit(NamedTuple):
    transaction: Transaction
    done: asyncio.Future[int | None]


class MemoryStore:
    """See above; the scheduler's `Writer`.

    Args:
        on_planned: told each transaction at the moment that it was planned.
        on_committed: told each batch once the replica has applied it.

    Attributes:
        catalog: the replica that follows the log.
        is_refusing: whether it says of every commit that it can't be written just now.
        has_failed: whether the last write that was settled could not be made.
        failed_spans: since when and until when that was so, the last one perhaps still open.
    """

    def __init__(
        self,
        loop: VirtualLoop,
        agenda: Agenda,
        rng: random.Random,
        *,
        wall_s: Callable[[], float],
        on_planned: Callable[[Transaction], None],
        on_committed: Callable[[Batch], None],
    ) -> None:
        self.catalog = Catalog()
        self.is_refusing = False
        self.has_failed = False
        self.failed_spans: list[tuple[float, float]] = []
        self._is_proving = False
        self._loop = loop
        self._agenda = agenda
        self._rng = rng
        self._wall_s = wall_s
        self._on_planned = on_planned
        self._on_committed = on_committed
        self._waiting: collections.deque[_Commit] = collections.deque()
        self._hangs_until_s = 0.0
        self._waiting_since_s = 0.0

    async def write(self, plan: Callable[[Catalog], Transaction], *, cause: Cause) -> int:
        for _ in range(_RETRIES_MAX):
            transaction = plan(self.catalog)
            if not transaction.changes:
                return self.catalog.index
            transaction = stamped(transaction, cause)
            self._on_planned(transaction)
            index = await self._queue(transaction)
            if index is not None:
                return index
        raise Contended("others were faster too often; try again")

    def is_away(self) -> bool:
        """Whether nothing can be written just now, as far as the agent can tell: it was refused, or waits for long."""
        hangs = bool(self._waiting) and self._loop.now_s - self._waiting_since_s > _SLOW_S
        return self.has_failed or hangs

    def hang(self, seconds: float) -> None:
        """Commits nothing for so long, and says nothing either."""
        self._hangs_until_s = max(self._hangs_until_s, self._loop.now_s + seconds)

    def restart(self) -> None:
        """Opens the log again, with a new replica; of what was on its way, some is in it."""
        while self._waiting:
            if self._rng.random() < 0.5:
                self._land(self._waiting.popleft())
            else:
                self._refuse(self._waiting.popleft())
        before = self.catalog
        self.catalog = Catalog()
        self.catalog.load(Snapshot(before.index, before.index, before.entries(), ()))

    def _queue(self, transaction: Transaction) -> asyncio.Future[int | None]:
        done: asyncio.Future[int | None] = self._loop.create_future()
        self._waiting.append(_Commit(transaction, done))
        if len(self._waiting) == 1:
            self._waiting_since_s = self._loop.now_s
            self._agenda.after(self._rng.uniform(*_COMMIT_S), self._commit_waiting)
        return done

    def _commit_waiting(self) -> None:
        """Takes all that wait in one go, as one transaction of the disk does."""
        if self._hangs_until_s > self._loop.now_s:
            self._agenda.at(self._hangs_until_s, self._commit_waiting)
            return
        waiting, self._waiting = self._waiting, collections.deque()
        for commit in waiting:
            if self.is_refusing:
                self._refuse(commit)
            else:
                self._land(commit)

    def _refuse(self, commit: _Commit) -> None:
        if not self.has_failed:
            self.failed_spans.append((self._loop.now_s, math.inf))
        self.has_failed = True
        if not self._is_proving:
            self._is_proving = True
            self._agenda.after(_PROVE_S, self._prove)
        if not commit.done.done():
            commit.done.set_exception(StoreUnavailable("the disk is full; make room"))

    def _prove(self) -> None:
        if not self.is_refusing:
            self._succeed()
        self._is_proving = self.has_failed
        if self._is_proving:
            self._agenda.after(_PROVE_S, self._prove)

    def _succeed(self) -> None:
        if self.has_failed:
            self.has_failed = False
            self.failed_spans[-1] = self.failed_spans[-1][0], self._loop.now_s

    def _land(self, commit: _Commit) -> None:
        transaction = commit.transaction
        for condition in transaction.conditions:
            entry = self.catalog.find(condition.kind, condition.key)
            if (entry.modify_index if entry else 0) != condition.modify_index:
                if not commit.done.done():
                    commit.done.set_result(None)
                return
        batch = Batch(self.catalog.index + 1, self._wall_s(), transaction.changes, transaction.cause)
        self.catalog.apply(batch)
        self._on_committed(batch)
        self._succeed()
        if not commit.done.done():
            commit.done.set_result(batch.index)

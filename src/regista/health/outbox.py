"""What is still to be written: the newest wish for each thing, kept until the store has taken it.

Theory of operation. A wish is a plan for a slot (a check's status, an instance's end). A newer wish for a slot
takes the older one's place; at most one write of a slot is under way, so that a plan always sees what the one
before it came to. A wish that failed is tried again after a second at the earliest, and while the store can't be
written nothing new is started in that second.

    (none) ──want──▶ ready ──▶ flying ──▶ done
                       ▲         │ fails            want while flying: behind, ready when the flight lands
                       └─delayed◀┘                  withdraw: whatever is not flying is forgotten
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Callable, Coroutine
from typing import Protocol

from regista.catalog import Catalog
from regista.health.deadlines import Deadlines
from regista.model import Cause, Contended, Overloaded, StateError, StoreError, Transaction

logger = logging.getLogger(__name__)

Plan = Callable[[Catalog], Transaction]
Slot = str
"""What a wish is for: a word, a space, and the key of the record."""

_WRITES_AT_ONCE_MAX = 128
"""The store commits all that wait in one go, so more at once is faster; but callers wait in the same queue, and a
mass expiry must not fill it."""

_RETRY_S = 1.0


class Writer(Protocol):
    """Commits plans; what of a store the scheduler needs."""

    async def write(self, plan: Callable[[Catalog], Transaction], *, cause: Cause) -> int:
        """The index at which the plan's transaction is in force; plans again where others were faster.

        A plan without changes writes nothing. The log keeps the cause.

        Raises:
            Contended: others were faster too often.
            Overloaded: too many writes wait.
            StoreUnavailable: the store can't be written just now.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class _Wish:
    plan: Plan
    done: Callable[[], None]
    """Called once the plan is committed, if it changed anything."""
    cause: Cause


class Outbox:
    """Wishes by slot, on their way to the store.

    Args:
        on_write: told after each write whether the store refused it.
    """

    def __init__(self, writer: Writer, *, now_s: Callable[[], float], on_write: Callable[[bool], None]) -> None:
        self._writer = writer
        self._now_s = now_s
        self._on_write = on_write
        self._ready: dict[Slot, _Wish] = {}
        self._flying: dict[Slot, asyncio.Task[None]] = {}
        self._behind: dict[Slot, _Wish] = {}
        self._delayed: dict[Slot, _Wish] = {}
        self._retries = Deadlines()
        self._paused_until_s = 0.0
        self._is_outage = False

    def is_flying(self, slot: Slot) -> bool:
        """Whether a write for the slot is under way, so that what the replica says of it may be old."""
        return slot in self._flying

    def want(self, slot: Slot, plan: Plan, done: Callable[[], None], *, cause: Cause) -> None:
        """Has `plan` written as soon as can be, in place of any earlier wish for the slot.

        Args:
            done: called once it is committed, if it changed anything.
            cause: why it is to be written, for the log.
        """
        self.withdraw(slot)
        if slot in self._flying:
            self._behind[slot] = _Wish(plan, done, cause)
        else:
            self._ready[slot] = _Wish(plan, done, cause)
            self._start_ready()

    def withdraw(self, slot: Slot) -> None:
        """Forgets the wish for the slot, unless its write is under way."""
        self._ready.pop(slot, None)
        self._behind.pop(slot, None)
        if self._delayed.pop(slot, None) is not None:
            self._retries.drop(slot)

    async def write(self, slot: Slot, plan: Plan, done: Callable[[], None], *, cause: Cause) -> None:
        """Writes `plan` for a caller who waits, in place of any wish for the slot; not tried again.

        A caller that is cancelled does not undo the write.

        Raises:
            Contended, Overloaded, StoreUnavailable: see `Writer`.
        """
        self.withdraw(slot)
        while (flight := self._flying.get(slot)) is not None:
            await asyncio.wait((flight,))
        await asyncio.shield(self._launch(slot, self._fly(_Wish(plan, done, cause))))

    def tick(self, now_s: float) -> None:
        """Starts what is to be tried again."""
        for slot in self._retries.pop_due(now_s):
            self._ready[slot] = self._delayed.pop(slot)
        self._start_ready()

    def next_s(self) -> float | None:
        """When `tick` has something to do."""
        if self._ready and len(self._flying) < _WRITES_AT_ONCE_MAX:
            return self._paused_until_s
        return self._retries.next_s()

    async def stop(self) -> None:
        """Forgets all wishes and stops waiting for writes under way."""
        for wishes in (self._ready, self._behind, self._delayed):
            wishes.clear()
        flights = list(self._flying.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _start_ready(self) -> None:
        if not self._ready or self._paused_until_s > self._now_s():
            return
        while self._ready and len(self._flying) < _WRITES_AT_ONCE_MAX:
            slot = next(iter(self._ready))
            self._launch(slot, self._fly_or_delay(slot, self._ready.pop(slot)))

    def _launch(self, slot: Slot, flight: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = self._flying[slot] = asyncio.get_running_loop().create_task(flight)
        task.add_done_callback(lambda task: self._land(slot, task))
        return task

    def _land(self, slot: Slot, task: asyncio.Task[None]) -> None:
        del self._flying[slot]
        if task.cancelled():
            return
        problem = task.exception()
        if problem is not None and not isinstance(problem, StoreError | StateError):
            logger.error("a write for %s failed in a way that it must not", slot, exc_info=problem)
        if slot in self._behind:
            self._ready[slot] = self._behind.pop(slot)
        self._start_ready()

    async def _fly(self, wish: _Wish) -> None:
        has_changes = False

        def plan(catalog: Catalog) -> Transaction:
            nonlocal has_changes
            transaction = wish.plan(catalog)
            has_changes = bool(transaction.changes)
            return transaction

        try:
            await self._writer.write(plan, cause=wish.cause)
        except (StoreError, Overloaded):
            self._on_write(True)
            raise
        if has_changes:
            # What changes nothing is not written, and says nothing of the store.
            self._on_write(False)
        if self._is_outage:
            self._is_outage = False
            logger.info("the store takes what the checks found again")
        if has_changes:
            wish.done()

    async def _fly_or_delay(self, slot: Slot, wish: _Wish) -> None:
        try:
            await self._fly(wish)
        except (StoreError, StateError) as problem:
            retry_s = self._now_s() + _RETRY_S
            if not isinstance(problem, Contended):
                # The store itself, not this slot: nobody else need find out within the same second.
                self._paused_until_s = retry_s
                if not self._is_outage:
                    self._is_outage = True
                    logger.warning("what the checks found can't be written, and will be tried again: %s", problem)
            if slot not in self._behind:
                self._delayed[slot] = wish
                self._retries.set(slot, retry_s)

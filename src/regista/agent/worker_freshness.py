"""Whether a worker's replica has all that was written: what its answers say of themselves, and what they wait for.

current                   the replica has every batch that anybody was told of
behind, for a moment      a batch is on its way: an answer waits for it
behind                    the worker was stopped, or has too much to do: answers are `stale; age=…`
the main process hangs    or can't write: so they are then
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from regista.agent.shared_page import SharedPage
from regista.catalog import Catalog
from regista.model import StoreUnavailable
from regista.store import RemoteStore

WAIT_S = 1.0
"""How long an answer waits for a replica that is behind. What is on its way comes in less than a millisecond; a
worker that was stopped for seconds has read in less than this what it missed."""

BEAT_S = 0.5
"""How often main process and workers look at the clock, so that ages are right to that much."""

_SILENT_S = 5.0
"""A main process that does not get to its clock for longer hangs. As long as a write may take (`store_state`)."""


class Freshness:
    """How far a worker's replica is.

    Args:
        clock: monotonic seconds, the same as the main process's.
    """

    def __init__(
        self, page: SharedPage, catalog: Catalog, store: RemoteStore, *, clock: Callable[[], float]
    ) -> None:
        self._page = page
        self._catalog = catalog
        self._store = store
        self._clock = clock
        # When the replica was last seen to have everything.
        self._current_s = clock()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_behind(self) -> bool:
        """Whether there are batches that the replica has not."""
        return self._page.head_index > self._catalog.index

    @property
    def behind_count(self) -> int:
        """How many batches the replica has not, about."""
        return max(0, self._page.head_index - self._catalog.index)

    def stale_s(self) -> float | None:
        """For how long something may be missing in answers; None while nothing is."""
        page, now_s = self._page, self._clock()
        if page.head_index > self._catalog.index:
            return now_s - self._current_s
        if page.stale_since_s:
            return now_s - page.stale_since_s
        silent_s = now_s - page.beat_s
        return silent_s if silent_s > _SILENT_S else None

    async def catch_up(self) -> bool:
        """Returns once the replica has all that was there before; false if it takes too long."""
        try:
            async with asyncio.timeout(WAIT_S):
                await self._store.reached(self._page.head_index)
        except (TimeoutError, StoreUnavailable):
            return False
        return True

    def start(self) -> None:
        """Begins to look at the clock."""
        if not self.is_behind:
            self._current_s = self._clock()
        self._timer = asyncio.get_running_loop().call_later(BEAT_S, self.start)

    def stop(self) -> None:
        """Ends that."""
        if self._timer is not None:
            self._timer.cancel()


class CurrentTopics:
    """A replica's topics for its response cache, which gives nothing while the replica is behind."""

    def __init__(self, catalog: Catalog, freshness: Freshness) -> None:
        self._topics = catalog.topics
        self._freshness = freshness

    @property
    def changes_count(self) -> int:
        """As the topics'; no number of theirs while the replica is behind."""
        return -1 if self._freshness.is_behind else self._topics.changes_count

    def version(self, names: tuple[str, ...], /) -> tuple[int, ...]:
        """As the topics'; none of theirs while the replica is behind."""
        return (-1,) if self._freshness.is_behind else self._topics.version(names)

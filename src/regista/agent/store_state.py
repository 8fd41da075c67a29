"""Whether the store takes writes just now, as far as the writes tell: what makes answers stale.

The replica of an agent that can't write still has all that is in the log; but what its checks find, and what
services want to say, does not get there. So its answers say for how long that has been so.

Two things begin such a time: a write that the store could not make, and one that is not answered (a disk that
hangs). A write that succeeds ends it; so that an idle agent does not wait for the next one, `CatalogWriter` tries.
"""

from __future__ import annotations

from collections.abc import Callable

from regista.store import Store

SLOW_S = 5.0
"""A commit that takes longer hangs: a slow disk needs tens of milliseconds, a busy one a second."""


class StoreState:
    """What the writes tell of the store.

    Args:
        clock: monotonic seconds.

    Attributes:
        outages: how often it began that the store can't be written.
        on_change: is called each time that this begins or ends, but for a write that hangs, which only time tells.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.outages = 0
        self.on_change: Callable[[], None] = lambda: None
        self._clock = clock
        self._failed_s: float | None = None
        self._under_way = 0
        # When the store last got on with what is under way.
        self._progress_s = 0.0

    @property
    def has_failed(self) -> bool:
        """Whether the last write that was settled could not be made."""
        return self._failed_s is not None

    def begin(self) -> None:
        """Says that a write is handed to the store."""
        if not self._under_way:
            self._progress_s = self._clock()
        self._under_way += 1

    def end(self, *, is_made: bool) -> None:
        """Says that a write has come back: it is made, or refused for a reason that is not the store's."""
        self._under_way -= 1
        if self._under_way:
            self._progress_s = self._clock()
        if is_made and self._failed_s is not None:
            self._failed_s = None
            self.on_change()

    def fail(self) -> None:
        """Says that a write has come back that the store could not make."""
        self._under_way -= 1
        self._progress_s = self._clock()
        if self._failed_s is None:
            self.outages += 1
            self._failed_s = self._progress_s
            self.on_change()

    def stale_s(self) -> float | None:
        """For how long nothing could be written; None while all is well."""
        if self._failed_s is not None:
            return self._clock() - self._failed_s
        if not self._under_way:
            return None
        age_s = self._clock() - self._progress_s
        return age_s if age_s > SLOW_S else None


async def settling_left_s(store: Store, settling_s: float, *, now_s: float) -> float:
    """How long others get yet to register again, if the store began empty; 0 if it did not, or that is over.

    That the store is young is read from its log, so an agent that is restarted meanwhile still knows it.

    Args:
        now_s: seconds since the epoch.
    """
    if store.floor_index:
        return 0.0
    first = await store.changes(0, batches_max=1)
    began_s = first[0].at_s if first else now_s
    # A clock that was set back must not make it longer.
    return min(settling_s, max(0.0, began_s + settling_s - now_s))

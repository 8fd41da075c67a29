"""The clock of everything that ends by silence: listening time, less the time in which the store took no writes.

Who was shut out could not say so: a registration that the store refused is not the silence of its service. So
while the store can't be written the deadlines of leases, TTL checks, sessions and times in critical stand still,
and go on where they were when it takes writes again. Probes go on in listening time, for looking costs no write.

That the store is away is known from writes that failed, and that it is back from one that did not. A failure
speaks for the next seconds only: if nobody tries to write any more, time goes on, and the first thing that falls
due then tries for all. It is tried again every second, so an outage in which anything is due is seen as a whole.
"""

from __future__ import annotations

from collections.abc import Callable

_FAILURE_STANDS_S = 3.0
"""Longer than the second between two attempts at a write, with room for one that takes its time."""


class HearingClock:
    """Seconds in which whoever lives could have been heard.

    Attributes:
        outages: how often the store went away.
    """

    def __init__(self, listening_s: Callable[[], float]) -> None:
        self.outages = 0
        self._listening_s = listening_s
        self._away_s = 0.0
        self._since_s: float | None = None
        self._until_s = 0.0

    @property
    def is_still(self) -> bool:
        """Whether it stands still just now."""
        self._settle(self._listening_s())
        return self._since_s is not None

    @property
    def away_s(self) -> float:
        """How long it has stood still in all."""
        return self._listening_s() - self.now_s()

    def now_s(self) -> float:
        """The present moment."""
        now_s = self._listening_s()
        self._settle(now_s)
        return (now_s if self._since_s is None else self._since_s) - self._away_s

    def listening_at_s(self, moment_s: float) -> float:
        """When this moment comes in listening time, if the clock does not stand still any longer than it must."""
        resumes_s = self._until_s - self._since_s if self._since_s is not None else 0.0
        return moment_s + self._away_s + resumes_s

    def note_write(self, *, has_failed: bool) -> None:
        """Takes notice of how a write came out."""
        now_s = self._listening_s()
        self._settle(now_s)
        if has_failed:
            if self._since_s is None:
                self._since_s = now_s
                self.outages += 1
            self._until_s = now_s + _FAILURE_STANDS_S
        elif self._since_s is not None:
            self._until_s = now_s
            self._settle(now_s)

    def _settle(self, now_s: float) -> None:
        """Goes on, once no failure stands any more."""
        if self._since_s is not None and now_s >= self._until_s:
            self._away_s += self._until_s - self._since_s
            self._since_s = None

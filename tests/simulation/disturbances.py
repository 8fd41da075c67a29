"""When the agent itself was not as it should be: time that no promise counts."""

from __future__ import annotations

from collections.abc import Callable

ROW_S = 11.0
"""Stalls that are less apart are a row: 10 s of hearing, and the second between two looks at the clock."""
HEARD_S = 1.0


class Disturbances:
    """Stalls, outages of the store, and times in which the agent was down."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._past: list[tuple[float, float]] = []
        self._present: dict[str, float] = {}
        self._stalls: list[tuple[float, float]] = []
        self.up_since_s = 0.0

    def begin(self, kind: str) -> None:
        """One of a kind at a time."""
        assert kind not in self._present, kind
        self._present[kind] = self._now_s()

    def end(self, kind: str) -> None:
        span = self._present.pop(kind), self._now_s()
        self._past.append(span)
        if kind == "stall":
            self._stalls.append(span)
        if kind == "down":
            self.up_since_s = span[1]

    def is_on(self, kind: str) -> bool:
        return kind in self._present

    def is_calm(self) -> bool:
        return not self._present

    def within(self, begin_s: float, end_s: float) -> tuple[int, float]:
        """How many there were in this time, and how much of it they took together."""
        spans = [span for span in self._past if span[1] >= begin_s and span[0] <= end_s]
        spans += [(since_s, end_s) for since_s in self._present.values()]
        taken_s, reached_s = 0.0, begin_s
        for since_s, until_s in sorted(spans):
            from_s, to_s = max(since_s, reached_s), min(until_s, end_s)
            if to_s > from_s:
                taken_s += to_s - from_s
                reached_s = to_s
        return len(spans), taken_s

    def stalled_s(self, begin_s: float, end_s: float, *, tolerance_s: float) -> float:
        """How long the agent did nothing between these moments: whole stalls that touch them, but for short ones.

        An agent that stalls in a row hears for a second between two, however little time is between them.
        """
        total_s, before_s = 0.0, -ROW_S
        for since_s, until_s in self._stalls:
            if until_s - since_s <= tolerance_s:
                continue
            heard_s = HEARD_S if since_s - before_s < ROW_S else 0.0
            before_s = until_s
            if until_s > begin_s and since_s < end_s:
                total_s += until_s - since_s - heard_s
        return total_s

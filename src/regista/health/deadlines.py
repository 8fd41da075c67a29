"""Many deadlines, of which most are pushed later long before they come: heartbeats.

Pure: moments come in as arguments.

A heap holds one entry a key, at or before the key's deadline. Pushing a deadline later changes a dictionary
only; the entry moves when it comes to the top. An entry counts only if it is the one that `_heaped` names, so
dropping a key, or setting it earlier, leaves the old entry where it is; when such leftovers outnumber the keys,
the heap is made anew.
"""

from __future__ import annotations

import heapq

_LEFTOVERS_ALWAYS_ALLOWED = 64
"""Below this many it is not worth making the heap anew."""

_DUE_AT_ONCE_MAX = 1000
"""A hundred thousand leases that end in one instant must not hold up the event loop: what becomes of one takes
some 10 µs, so of these some 10 ms. The others come with the next call."""


class Deadlines:
    """Keys with a moment each, in seconds of whichever clock the caller uses throughout."""

    __slots__ = ("_due", "_heap", "_heaped")

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._heaped: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._due)

    def __contains__(self, key: str) -> bool:
        return key in self._due

    def get(self, key: str) -> float | None:
        """The key's deadline; None for a key that is not here."""
        return self._due.get(key)

    def set(self, key: str, at_s: float) -> None:
        """Makes `at_s` the key's deadline. O(1) if that is later than before, else O(log n)."""
        self._due[key] = at_s
        heaped = self._heaped.get(key)
        if heaped is None or at_s < heaped:
            self._heaped[key] = at_s
            heapq.heappush(self._heap, (at_s, key))
            if heaped is not None:
                self._sweep()

    def drop(self, key: str) -> None:
        """Forgets the key, if it is there."""
        if self._due.pop(key, None) is not None:
            del self._heaped[key]
            self._sweep()

    def pop_due(self, now_s: float) -> list[str]:
        """The keys whose deadline is at or before `now_s`, earliest first; they are forgotten.

        At most so many at once; if there are more, `next_s` stays in the past.
        """
        due: list[str] = []
        while len(due) < _DUE_AT_ONCE_MAX and (at_s := self.next_s()) is not None and at_s <= now_s:
            _, key = heapq.heappop(self._heap)
            del self._due[key], self._heaped[key]
            due.append(key)
        return due

    def next_s(self) -> float | None:
        """The earliest deadline; None without any. Amortised O(log n)."""
        heap = self._heap
        while heap:
            at_s, key = heap[0]
            if self._heaped.get(key) != at_s:
                heapq.heappop(heap)
            elif self._due[key] > at_s:
                self._heaped[key] = self._due[key]
                heapq.heapreplace(heap, (self._due[key], key))
            else:
                return at_s
        return None

    def _sweep(self) -> None:
        """Makes the heap anew if most of it is leftovers."""
        if len(self._heap) > 2 * len(self._due) + _LEFTOVERS_ALWAYS_ALLOWED:
            self._heap = [(at_s, key) for key, at_s in self._due.items()]
            heapq.heapify(self._heap)
            self._heaped = dict(self._due)

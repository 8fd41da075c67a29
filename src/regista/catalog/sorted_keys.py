"""Keys in order, so that those with a common beginning are found without looking at the others."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

_SORT_IN_SINGLY_MAX = 32
"""One key is sorted in by moving those behind it (20 µs among 100,000); for more it is cheaper to sort anew."""

_LAST_CHARACTER = "\U0010ffff"


class SortedKeys:
    """A set of texts in the order of their UTF-8 bytes, which is that of their code points.

    Additions and removals cost O(1); they are sorted in when somebody looks.
    """

    __slots__ = ("_added", "_removed", "_sorted")

    def __init__(self) -> None:
        self._sorted: list[str] = []
        self._added: set[str] = set()
        self._removed: set[str] = set()

    def add(self, key: str) -> None:
        """Takes in a key that is not there."""
        if key in self._removed:
            self._removed.discard(key)
        else:
            self._added.add(key)

    def remove(self, key: str) -> None:
        """Gives up a key that is there."""
        if key in self._added:
            self._added.discard(key)
        else:
            self._removed.add(key)

    def below(self, prefix: str) -> Sequence[str]:
        """The keys that begin with `prefix`; O(their number) and a search."""
        self._sort_in()
        if not prefix:
            return tuple(self._sorted)
        end = _end_of(prefix)
        start_at = bisect_left(self._sorted, prefix)
        end_at = len(self._sorted) if end is None else bisect_left(self._sorted, end, start_at)
        return self._sorted[start_at:end_at]

    def _sort_in(self) -> None:
        if len(self._added) + len(self._removed) <= _SORT_IN_SINGLY_MAX:
            for key in self._removed:
                del self._sorted[bisect_left(self._sorted, key)]
            for key in self._added:
                insort(self._sorted, key)
        else:
            self._sorted = [key for key in self._sorted if key not in self._removed]
            self._sorted += sorted(self._added)
            self._sorted.sort()  # two runs in order, which it only merges
        self._removed.clear()
        self._added.clear()


def _end_of(prefix: str) -> str | None:
    """The first text behind all that begin with `prefix`; None if there is none."""
    stem = prefix.rstrip(_LAST_CHARACTER)
    return stem[:-1] + chr(ord(stem[-1]) + 1) if stem else None

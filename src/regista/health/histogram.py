"""How a quantity is distributed, in a few numbers however often it is seen."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterator, Sequence


class Histogram:
    """Observations by bucket, with what is needed for their mean and spread; observing costs O(log buckets).

    Args:
        bounds: the upper bounds of the buckets, ascending; one without a bound comes after the last.

    Attributes:
        count: how many there were.
        total: of all of them.
        least, most: the smallest and the largest of them; 0 without any.
    """

    __slots__ = ("_bounds", "_counts", "_squares", "count", "least", "most", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        assert all(earlier < later for earlier, later in itertools.pairwise(bounds)), bounds
        self._bounds = (*bounds, math.inf)
        self._counts = [0] * len(self._bounds)
        self._squares = 0.0
        self.count = 0
        self.total = 0.0
        self.least = 0.0
        self.most = 0.0

    def observe(self, value: float) -> None:
        """Counts a value."""
        self.least = min(self.least, value) if self.count else value
        self.most = max(self.most, value) if self.count else value
        self._counts[bisect.bisect_left(self._bounds, value)] += 1
        self.count += 1
        self.total += value
        self._squares += value * value

    @property
    def mean(self) -> float:
        """The mean of all values; 0 without any."""
        return self.total / self.count if self.count else 0.0

    @property
    def deviation(self) -> float:
        """The standard deviation of all values; 0 without any."""
        if not self.count:
            return 0.0
        return math.sqrt(max(0.0, self._squares / self.count - self.mean**2))

    def add(self, other: Histogram) -> None:
        """Counts all values of another with the same bounds."""
        assert other._bounds == self._bounds, "of other bounds"
        if other.count:
            self.least = min(self.least, other.least) if self.count else other.least
            self.most = max(self.most, other.most) if self.count else other.most
        self._counts = [own + more for own, more in zip(self._counts, other._counts, strict=True)]
        self._squares += other._squares
        self.count += other.count
        self.total += other.total

    def parts(self) -> tuple[list[float], list[int], list[float]]:
        """All that it knows, as plain values, for `of_parts`."""
        return list(self._bounds[:-1]), self._counts, [self.total, self._squares, self.least, self.most]

    @classmethod
    def of_parts(cls, bounds: Sequence[float], counts: Sequence[int], sums: Sequence[float]) -> Histogram:
        """The histogram that has these parts."""
        found = cls(bounds)
        found._counts = list(counts)
        found.count = sum(counts)
        found.total, found._squares, found.least, found.most = sums
        return found

    def buckets(self) -> Iterator[tuple[float, int]]:
        """Each bound, and how many values are at or below it; the last is infinite."""
        return zip(self._bounds, itertools.accumulate(self._counts), strict=True)

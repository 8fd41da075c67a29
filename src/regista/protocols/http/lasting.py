"""What a response stays true as long as, and its bytes, made once for all who are given it.

A handler that gives the same response again and again gives it `forms`: then its head is built and joined with the
body once for each way of asking (plain or gzip, GET or HEAD), and only the date is written anew each second. If it
also says what it depends on (`Lasting`), the response cache may give it to whoever sends the same head.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Tally:
    """Counts responses that say the same of themselves."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Lasting(NamedTuple):
    """What a response depends on.

    It must be all: neither who asks, nor when, nor what was asked before may make a difference.

    Attributes:
        topics: of the replica.
        version: theirs when the response was made.
        is_steady: whether what it says of its own reliability still holds; None if it says nothing.
        tally: what else it counts in each time it is given; None for nothing.
    """

    topics: tuple[str, ...]
    version: tuple[int, ...]
    is_steady: Callable[[], bool] | None = None
    tally: Tally | None = None


class Form:
    """A response's bytes for one way of asking.

    Attributes:
        holders: how many entries of the response cache give it.
    """

    __slots__ = ("_date", "_date_at", "_encoded", "holders")

    def __init__(self, encoded: bytes, *, date: str, date_at: int) -> None:
        self._encoded = encoded
        self._date = date
        self._date_at = date_at
        self.holders = 0

    def __len__(self) -> int:
        return len(self._encoded)

    def at(self, date: str) -> bytes:
        """The bytes with this date, which has as many characters as all dates."""
        if date is not self._date:
            end = self._date_at + len(self._date)
            assert len(date) == len(self._date)
            self._encoded = b"".join((self._encoded[: self._date_at], date.encode(), self._encoded[end:]))
            self._date = date
        return self._encoded

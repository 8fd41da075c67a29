"""`X-Regista-Answer`: how far an answer about health can be relied on.

    fresh              the replica has all that is in the log
    stale; age=12      for 12 seconds nothing could be written, so what changed since then is not in the answer
    empty-confirmed    nothing is found, and the agent knows that there is nothing
    unknown; settles=73  nothing is found, but the agent began with an empty store and may know it in 73 seconds

`fresh` also says that the answer is not empty; an empty one of an agent that can't write is `stale`. It is told
for each response, not kept with the answer: it changes with time and the store, and wakes nobody.

Consul's own headers say the same where the answer may be stale: every read that has them, of catalog and keys too,
says `X-Consul-Effective-Consistency: stale`, and the age in `X-Consul-Lastcontact`, see `reads.index_headers`.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable
from typing import Protocol

from regista.catalog import Catalog
from regista.protocols.consul.labels import DEGRADED, DEGRADED_REASONS
from regista.protocols.http import Headers, Tally

ANSWER = "X-Regista-Answer"

STANDINGS = ("fresh", "stale", "empty-confirmed", "unknown")
"""The words above."""

FRESH: Headers = ((ANSWER, "fresh"),)
EMPTY: Headers = ((ANSWER, "empty-confirmed"),)


class Standing(Protocol):
    """Who tells how far answers can be relied on."""

    def label(self, topic: str, *, is_empty: bool, headers: Headers = ()) -> Headers:
        """The header for an answer of now.

        Args:
            topic: of what was asked for; "" where that has no name, as the list of all critical checks.
            headers: those that belong to the answer itself.
        """

    def tally(self, label: Headers, headers: Headers) -> Tally | None:
        """Where to count that an answer is given again, as it is; None if the label may not be true by then.

        Args:
            label: what `label` gave.
            headers: those that belong to the answer itself.
        """

    def is_steady(self) -> bool:
        """Whether such an answer may be given again just now."""

    def stale_s(self) -> float | None:
        """For how long something may be missing in answers; None while nothing is."""


class PresentStanding:
    """That of answers about the present.

    Args:
        stale_s: for how long nothing could be written; None while all is well.
        settling_s: how long from now others get to register again with an agent that began with an empty store; 0
            for one that has its store.
    """

    def __init__(
        self,
        catalog: Catalog,
        stale_s: Callable[[], float | None],
        *,
        settling_s: float,
        clock: Callable[[], float],
    ) -> None:
        # By the word, and what is odd about the answer.
        self._tallies: dict[tuple[str, tuple[str, ...]], Tally] = {}
        self._catalog = catalog
        self._stale_s = stale_s
        self._settled_at_s = clock() + settling_s if settling_s else None
        self._clock = clock

    def label(self, topic: str, *, is_empty: bool, headers: Headers = ()) -> Headers:
        """See `Standing.label`; it is counted too. In good times that costs a call and a few comparisons."""
        label = self._label(topic, is_empty=is_empty)
        self._tally(label, headers).count += 1
        return label

    def is_unknown(self, topic: str) -> bool:
        """Whether what is not found may only not have registered again since the start."""
        return self._label(topic, is_empty=True)[0][1].startswith("unknown")

    def tally(self, label: Headers, headers: Headers) -> Tally | None:
        """See `Standing.tally`."""
        return self._tally(label, headers) if label in (FRESH, EMPTY) else None

    def is_steady(self) -> bool:
        """See `Standing.is_steady`."""
        return self._stale_s() is None

    def stale_s(self) -> float | None:
        """See `Standing.stale_s`."""
        return self._stale_s()

    @property
    def settles_s(self) -> float:
        """Until when others get to register again, by the clock; 0 if that is over, or never was."""
        return self._settled_at_s or 0.0

    @property
    def given(self) -> collections.Counter[str]:
        """Answers by what they said, see `STANDINGS`."""
        return self._sum(lambda word, _: (word,))

    @property
    def degraded(self) -> collections.Counter[str]:
        """Answers that held others than were asked for, see `DEGRADED_REASONS`."""
        return self._sum(lambda _, reasons: reasons)

    def _tally(self, label: Headers, headers: Headers) -> Tally:
        key = label[0][1].partition(";")[0], _reasons(headers) if headers else ()
        tally = self._tallies.get(key)
        if tally is None:
            tally = self._tallies[key] = Tally()
        return tally

    def _sum(self, names: Callable[[str, tuple[str, ...]], Iterable[str]]) -> collections.Counter[str]:
        total: collections.Counter[str] = collections.Counter()
        for (word, reasons), tally in self._tallies.items():
            for name in names(word, reasons):
                total[name] += tally.count
        return total

    def _label(self, topic: str, *, is_empty: bool) -> Headers:
        stale_s = self._stale_s()
        if stale_s is None and not is_empty:
            return FRESH
        if is_empty and self._settled_at_s is not None:
            left_s = self._settled_at_s - self._clock()
            if left_s <= 0:
                self._settled_at_s = None
            elif not self._is_known_to_be_gone(topic):
                return ((ANSWER, f"unknown; settles={int(left_s) + 1}"),)
        if stale_s is not None:
            return ((ANSWER, f"stale; age={int(stale_s)}"),)
        return EMPTY

    def _is_known_to_be_gone(self, topic: str) -> bool:
        """Whether something was registered since the start, and all of it is gone again.

        What is there, but not in this answer for its health or its tags, may be joined by others yet.
        """
        if not topic:
            return False
        catalog = self._catalog
        return catalog.topics.is_touched(topic) and not catalog.has_topic(topic)


class PastStanding:
    """That of answers about the past, which say nothing of the present."""

    def label(
        self,
        topic: str,  # noqa: ARG002 - a standing's signature
        *,
        is_empty: bool,  # noqa: ARG002 - as above
        headers: Headers = (),  # noqa: ARG002 - as above
    ) -> Headers:
        """No header."""
        return ()

    def tally(
        self,
        label: Headers,  # noqa: ARG002 - as above
        headers: Headers,  # noqa: ARG002 - as above
    ) -> Tally | None:
        """None: whoever looks back rarely asks the same twice."""
        return None

    def is_steady(self) -> bool:
        """Never, as nothing is to be given again."""
        return False

    def stale_s(self) -> float | None:
        """None: what was there then is known, as far as it is answered at all."""
        return None


def _reasons(headers: Headers) -> tuple[str, ...]:
    """Why an answer with these headers holds others than were asked for."""
    # Items are parted by commas, and what callers name in them is quoted.
    items = [item for name, value in headers if name == DEGRADED for item in value.split(", ")]
    return tuple(reason for reason in DEGRADED_REASONS if any(item.startswith(reason) for item in items))

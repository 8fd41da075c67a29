"""How many questions over UDP each source may ask: against answers that are sent to whoever did not ask.

Pure: moments come in as arguments.

Source: response rate limiting as in BIND and NSD: every other question above the rate gets a cut answer (*slip*),
so that an honest client gets through over TCP, and a forged one gains nothing.
"""

from __future__ import annotations

import enum
from collections import OrderedDict

_BURST_S = 2.0
"""A source may have saved up so many seconds' worth of questions."""

_SLIP = 2


class Admission(enum.Enum):
    """What becomes of a question."""

    ANSWERED = "answered"
    SLIPPED = "slipped"
    DROPPED = "dropped"


class SourceRates:
    """The token buckets of sources.

    Args:
        per_s: how many questions a second each may ask; 0 for any number.
        sources_max: how many sources are remembered; the one that asked least recently is forgotten first.
    """

    def __init__(self, *, per_s: float, sources_max: int) -> None:
        self._per_s = per_s
        self._burst = per_s * _BURST_S
        self._sources_max = sources_max
        # Tokens, moment, and how many questions were too many: counted on through those that are answered, for a
        # source that is a little above its rate has never two in a row that are not.
        self._buckets: OrderedDict[str, tuple[float, float, int]] = OrderedDict()

    def admit(self, source: str, now_s: float) -> Admission:
        """What becomes of a source's question."""
        if not self._per_s or is_own(source):
            return Admission.ANSWERED
        tokens, then_s, over = self._buckets.pop(source, (self._burst, now_s, 0))
        tokens = min(self._burst, tokens + (now_s - then_s) * self._per_s)
        is_admitted = tokens >= 1
        over += not is_admitted
        self._buckets[source] = (tokens - 1 if is_admitted else tokens, now_s, over)
        if len(self._buckets) > self._sources_max:
            self._buckets.popitem(last=False)
        if is_admitted:
            return Admission.ANSWERED
        return Admission.SLIPPED if over % _SLIP == 0 else Admission.DROPPED


def is_own(source: str) -> bool:
    """Whether the address is one that only this machine has, and nobody else can forge."""
    return source.startswith("127.") or source == "::1"

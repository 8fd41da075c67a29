"""Whether a check flaps, and which status is shown of one that does.

No I/O, no clock, no randomness: moments come in as arguments, as in `decide`.

Theory of operation. Thresholds come first: `decide_status` says what a check deserves, result by result. Here it
is decided whether that is shown at once. Of the last 21 results it is kept which differ from the one before; the
flap index is their weighted share in percent, a new change weighing half as much again as the oldest. Shown is

    | the check               | on the next result                   | is shown                              |
    | ----------------------- | ------------------------------------ | ------------------------------------- |
    | steady                  | any                                  | what it deserves                      |
    | failed a single time    | the first success                    | the worse of what was shown, and that |
    |                         | the second success, or failure       | what it deserves                      |
    | steady, failed once     | the index reaches the high limit     | the worse of both; it flaps now       |
    | flapping                | the index stays at or above the low  | the worse of both                     |
    | flapping                | the index falls below the low limit  | what it deserves; it flaps no more    |

Whatever is held is held at what was shown before, or worse. So no result changes what is shown that would not have
changed it without damping, and each change for the better that is made late was saved when it was due.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from regista.health.decide import KEEP, Verdict
from regista.model import CRITICAL, PASSING, STATUSES, WARNING, Status, format_time

RESULTS_COUNT: Final = 21
"""So many results are looked at; between them are 20 places where the result may change."""

_CHANGES_COUNT = RESULTS_COUNT - 1
_ALL_CHANGES = (1 << _CHANGES_COUNT) - 1
_WEIGHTS = tuple(1.2 - 0.4 * age / (_CHANGES_COUNT - 1) for age in range(_CHANGES_COUNT))
"""By age, the newest change first. A check that was wild and is quiet now is judged by now."""

assert abs(sum(_WEIGHTS) - _CHANGES_COUNT) < 1e-9, "a result that always changes has an index of 100 %"

_BADNESS = {PASSING: 0, WARNING: 1, CRITICAL: 2}


class Flaps(msgspec.Struct, frozen=True, gc=False):
    """What is remembered of the results of one check.

    Attributes:
        changes: a bit for each of the last results, the newest lowest: whether it differed from the one before.
        seen: the last result; None before the first.
        deserved: the status that results and thresholds came to.
        shown: the status that was published.
        is_lone: whether the last result is the first failure after a time in which all was well.
        since_s: when it began to flap, for people; None while it does not.
    """

    changes: int
    seen: Status | None
    deserved: Status
    shown: Status
    is_lone: bool
    since_s: float | None

    @property
    def is_flapping(self) -> bool:
        """Whether the check changes too often."""
        return self.since_s is not None

    @property
    def is_held(self) -> bool:
        """Whether another status is shown than the check deserves."""
        return self.shown != self.deserved


_CALM = {status: Flaps(0, status, status, status, False, None) for status in _BADNESS}
"""Nearly all checks are calm nearly all the time; a hundred thousand of them share these."""


def fresh_flaps(status: Status) -> Flaps:
    """The memory of a check without a result that is registered with this status."""
    return _FRESH[status]


_FRESH = {
    status: Flaps(changes=0, seen=None, deserved=status, shown=status, is_lone=False, since_s=None)
    for status in STATUSES
}


def flap_percent(changes: int) -> float:
    """The flap index: 0 if no result differs from the one before, 100 if each does.

    Source: Nagios, detection of state flapping (behaviour).
    """
    return sum(weight for age, weight in enumerate(_WEIGHTS) if changes >> age & 1) * 100 / _CHANGES_COUNT


def decide_flaps(
    state: Flaps,
    observed: Status,
    verdict: Status | Literal[Verdict.KEEP],
    *,
    is_held: bool,
    high_percent: float,
    low_percent: float,
    now_s: float,
) -> Flaps:
    """The memory after a result, with the status to show.

    Args:
        observed: the result itself, which the index counts.
        verdict: what thresholds made of it.
        is_held: whether the check is held while it flaps; if not, what it deserves is always shown.
        high_percent: the check flaps from this index on.
        low_percent: it flaps no more below this one; a limit above the high one counts as that one.
        now_s: seconds since the epoch, for people.
    """
    if state is _CALM.get(observed) and verdict == observed:
        return state
    changes = (state.changes << 1 | (state.seen is not None and observed != state.seen)) & _ALL_CHANGES
    limit_percent = min(low_percent, high_percent) if state.is_flapping else high_percent
    is_flapping = changes != 0 and flap_percent(changes) >= limit_percent
    deserved = state.deserved if verdict is KEEP else verdict
    must_hold = is_held and (is_flapping or (state.is_lone and observed != CRITICAL))
    shown = _worse(state.shown, deserved) if must_hold else deserved
    if changes == 0 and observed == deserved == shown and not _is_lone(state, observed):
        return _CALM[observed]
    return Flaps(
        changes=changes,
        seen=observed,
        deserved=deserved,
        shown=shown,
        is_lone=_is_lone(state, observed),
        since_s=(state.since_s if state.is_flapping else now_s) if is_flapping else None,
    )


def told_flapping(state: Flaps, *, what: str, is_held: bool, low_percent: float) -> str:
    """What a check that flaps is doing, since when, and what ends it.

    Args:
        what: what changes, in the plural: `results` or `reports`.
    """
    assert state.since_s is not None
    if not is_held:
        what_now = "not held, for its own word counts,"
    elif state.shown == PASSING:
        what_now = "passing, for it never failed often enough in a row,"
    else:
        what_now = f"held at {state.shown}, the worse state,"
    return (
        f"Flapping since {format_time(state.since_s)}: its {what} changed {state.changes.bit_count()} times "
        f"within the last {RESULTS_COUNT}. It is {what_now} and marked until they settle: until the flap index, "
        f"{flap_percent(state.changes):.0f}% now, is below {low_percent:g}%, which {_CHANGES_COUNT} equal {what} "
        "more bring about at the latest."
    )


def told_unconfirmed(state: Flaps) -> str:
    """Why a check that failed a single time is not back after one success."""
    return f"Still {state.shown} after a single failure: one more success confirms that it is {state.deserved}."


def _is_lone(state: Flaps, observed: Status) -> bool:
    """Whether this result is a failure that came out of the blue; one after a time in critical does not."""
    if observed != CRITICAL or state.seen == CRITICAL:
        return False
    return state.seen is not None or state.shown != CRITICAL


def _worse(one: Status, other: Status) -> Status:
    return one if _BADNESS[one] >= _BADNESS[other] else other

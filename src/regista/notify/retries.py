"""What follows from an attempt to deliver something. Pure: times and the dice come in as arguments.

Waits grow with the failures of the receiver in a row, of whatever event, so one that is down is not tried more
often because one event after the other is given up.
"""

from __future__ import annotations

import dataclasses
import email.utils
from typing import Literal

RETRY_AFTER_MAX_S = 3600.0
"""The longest that a receiver can put us off for; whoever wants more rest can disable the subscription."""

_DOUBLINGS_MAX = 30
assert 0.01 * 2**_DOUBLINGS_MAX > 86400, "the longest wait is reached from the shortest"

_PATIENT = frozenset((408, 425, 429))
"""Answers with 4xx that say "later", not "never"."""


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attempt.

    Attributes:
        status: of the answer; 0 if there was none.
        problem: what went wrong, in a sentence without secrets; "" if it was delivered.
        retry_after_s: when the receiver wants to be asked again.
        took_s: how long it took.
    """

    status: int = 0
    problem: str = ""
    retry_after_s: float | None = None
    took_s: float = 0.0

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has it."""
        return not self.problem

    @property
    def is_refused(self) -> bool:
        """Whether the receiver will not have it, as far as its answer tells."""
        return 400 <= self.status < 500 and self.status not in _PATIENT


@dataclasses.dataclass(frozen=True, slots=True)
class Tries:
    """What was tried so far, with the attempt that is judged.

    Attributes:
        attempts, refusals: of this event; and how many of them were refused.
        failures: in a row, of the receiver, whatever the event.
        since_s: when this event was tried first.
    """

    attempts: int = 0
    refusals: int = 0
    failures: int = 0
    since_s: float = 0.0

    def after(self, outcome: Outcome, *, began_s: float) -> Tries:
        """With one more attempt.

        Args:
            began_s: when the attempt was made.
        """
        return Tries(
            attempts=self.attempts + 1,
            refusals=self.refusals + outcome.is_refused,
            failures=0 if outcome.is_delivered else self.failures + 1,
            since_s=self.since_s if self.attempts else began_s,
        )


@dataclasses.dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How patient to be; see `NotifySettings`."""

    first_s: float
    most_s: float
    attempts_max: int
    refusals_max: int
    age_max_s: float


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """What to do next.

    Attributes:
        word: go on with the next event; try this one `again` after `after_s`; give it up; or stop altogether, for
            the receiver is gone for good.
    """

    word: Literal["delivered", "again", "dead", "disable"]
    after_s: float = 0.0


def decide_retry(outcome: Outcome, tries: Tries, *, now_s: float, jitter: float, policy: RetryPolicy) -> Verdict:
    """What follows from an attempt.

    The wait is a random part of one that doubles with each failure ("full jitter"), but no shorter than the
    receiver asks for.

    Args:
        tries: with this attempt.
        now_s: same clock as `tries.since_s`.
        jitter: from 0 to 1.
    """
    if outcome.is_delivered:
        return Verdict("delivered")
    if outcome.status == 410:
        return Verdict("disable")
    is_given_up = (
        tries.attempts >= policy.attempts_max
        or tries.refusals >= policy.refusals_max
        or now_s - tries.since_s >= policy.age_max_s
    )
    if is_given_up:
        return Verdict("dead")
    after_s = jitter * min(policy.most_s, policy.first_s * 2 ** min(max(tries.failures - 1, 0), _DOUBLINGS_MAX))
    if outcome.retry_after_s is not None:
        after_s = max(after_s, min(outcome.retry_after_s, RETRY_AFTER_MAX_S))
    return Verdict("again", after_s)


def parse_retry_after_s(text: str, *, now_s: float) -> float | None:
    """The seconds that a header `Retry-After` means, as a number or a date; None if it says nothing.

    Source: RFC 9110, 10.2.3.
    """
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) < 10:
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - now_s)
    except (ValueError, OverflowError):
        return None

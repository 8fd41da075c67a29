"""What an outlier detector knows of one host, and what it says of it."""

from __future__ import annotations

import dataclasses
from typing import Literal, TypeAlias

RowRule: TypeAlias = Literal["consecutive_5xx", "consecutive_gateway_failure", "consecutive_local_origin_failure"]
"""The rules that look at failures in a row."""

Rule: TypeAlias = (
    RowRule
    | Literal[
        "success_rate",
        "local_origin_success_rate",
        "failure_percentage",
        "failure_percentage_local_origin",
        "latency",
    ]
)
RULES: tuple[Rule, ...] = (
    "consecutive_5xx",
    "consecutive_gateway_failure",
    "consecutive_local_origin_failure",
    "success_rate",
    "local_origin_success_rate",
    "failure_percentage",
    "failure_percentage_local_origin",
    "latency",
)
"""What can take a host out; `enforcing_` and the rule is the parameter that says how often it does."""


class Host:
    """One host's counters, in a hundred-odd bytes.

    Attributes:
        consecutive_5xx, consecutive_gateway_failure, consecutive_local_origin_failure: failures since the last
            success of that kind.
        requests, successes: in this interval, of those that count as answers.
        attempts, reached: in this interval, of all; for errors of local origin.
        timed, latency_ms: in this interval, how many successes told their latency, and its sum.
        ejections: how often in a row it was taken out; less one for each interval without.
        until_s: until when it is out; None if it is not.
        rule: which rule took it out the last time; "" if none did, or nobody remembers.
        is_back: whether it came back in this interval.
    """

    __slots__ = (
        "attempts",
        "consecutive_5xx",
        "consecutive_gateway_failure",
        "consecutive_local_origin_failure",
        "ejections",
        "is_back",
        "latency_ms",
        "reached",
        "requests",
        "rule",
        "successes",
        "timed",
        "until_s",
    )

    def __init__(self) -> None:
        self.ejections = 0
        self.until_s: float | None = None
        self.rule: Rule | Literal[""] = ""
        self.is_back = False
        self.clear_rows()
        self.begin_interval()

    def clear_rows(self) -> None:
        """Forgets failures in a row."""
        self.consecutive_5xx = 0
        self.consecutive_gateway_failure = 0
        self.consecutive_local_origin_failure = 0

    def begin_interval(self) -> None:
        """Forgets what was counted in the interval."""
        self.requests = 0
        self.successes = 0
        self.attempts = 0
        self.reached = 0
        self.timed = 0
        self.latency_ms = 0.0

    @property
    def is_blank(self) -> bool:
        """Whether it is as a host of which nothing was ever said, but for this interval."""
        in_a_row = (
            self.consecutive_5xx or self.consecutive_gateway_failure or self.consecutive_local_origin_failure
        )
        return not (in_a_row or self.ejections or self.is_back) and self.until_s is None


@dataclasses.dataclass(frozen=True, slots=True)
class Ejection:
    """A host is out.

    Attributes:
        because: the numbers, as a sentence without a full stop.
        in_a_row: how often it has been taken out without a rest, this time counted.
    """

    host: str
    rule: Rule
    because: str
    until_s: float
    in_a_row: int


@dataclasses.dataclass(frozen=True, slots=True)
class Release:
    """A host is back.

    Attributes:
        because: why, as a sentence without a full stop.
    """

    host: str
    because: str


Change: TypeAlias = Ejection | Release

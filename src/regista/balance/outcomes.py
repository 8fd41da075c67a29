"""What a caller can say of a request to an instance: the words of reports."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec

Outcome: TypeAlias = Literal["success", "5xx", "gateway", "timeout", "connect", "reset"]
"""`5xx`: it failed by its own word. `gateway`: it, or a proxy before it, could not reach what it needs. The
others: it could not be reached, or did not answer (an error of *local origin* in Envoy's words)."""

OUTCOMES: tuple[Outcome, ...] = ("success", "5xx", "gateway", "timeout", "connect", "reset")

LOCAL_ORIGIN: frozenset[Outcome] = frozenset(("timeout", "connect", "reset"))
"""Those that the caller found by itself."""

GATEWAY_FAILURES: frozenset[Outcome] = LOCAL_ORIGIN | {"gateway"}
"""Those that count as 502, 503 or 504 where local errors are not counted apart."""

REPORT_COUNT_MAX = 1_000_000_000
"""Requests of one report: more than any caller makes between two reports, and sums of them stay exact."""

_LATENCY_MS_MAX = 86_400_000.0
"""A day; more is a slip of units."""

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
Code = Annotated[int, msgspec.Meta(ge=100, le=599)]
Count = Annotated[int, msgspec.Meta(ge=1, le=REPORT_COUNT_MAX)]
LatencyMs = Annotated[float, msgspec.Meta(ge=0.0, le=_LATENCY_MS_MAX)]


class OutcomeReport(msgspec.Struct, frozen=True, gc=False, array_like=True, forbid_unknown_fields=True):
    """That `count` requests to an instance had the same outcome; in JSON a list, for reports must be small.

    Attributes:
        service: the service's name.
        id: the instance's.
        outcome: a word, or the status code of an HTTP answer.
        latency_ms: the mean of these requests; None if it is not known.
        node: the instance's; "" where its id says enough.
    """

    service: Name
    id: Name
    outcome: Outcome | Code = "success"
    count: Count = 1
    latency_ms: LatencyMs | None = None
    node: str = ""


def outcome_of_code(code: int) -> Outcome:
    """What an HTTP answer with this status code is; whatever is below 500 is a success, as Envoy has it."""
    if code < 500:
        return "success"
    return "gateway" if code in (502, 503, 504) else "5xx"

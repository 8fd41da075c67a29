"""What an observation, or the lack of one, means for a check: pure verdicts over state, definition and facts.

No I/O, no clock, no randomness: moments and rolls of the dice come in as arguments.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from regista.model import CRITICAL, PASSING, WARNING, CheckDefinition, Status, format_duration


class Verdict(enum.Enum):
    """The verdict that is not a status."""

    KEEP = "keep"


KEEP: Final = Verdict.KEEP
"""Neither status nor output changes."""

TTL_EXPIRED = "TTL expired"

_JITTER = 0.05
"""The part of an interval by which probes move about, so that checks which fell in step fall out of it again."""

_PLAIN_SECONDS_MOST_S = 120.0
"""People write `90s` and read it easily; from here on the form of Go (`2m0s`, `72h0m0s`) is easier."""


class Hysteresis(msgspec.Struct, frozen=True, gc=False):
    """How many results in a row went one way."""

    successes: int
    failures: int


def fresh_hysteresis(definition: CheckDefinition) -> Hysteresis:
    """The counters of a check without a result: at their thresholds, so that the first result applies at once."""
    return Hysteresis(definition.success_before_passing, definition.failures_before_critical)


def has_thresholds(definition: CheckDefinition) -> bool:
    """Whether a definition wants several results in a row."""
    return bool(
        definition.success_before_passing
        or definition.failures_before_warning
        or definition.failures_before_critical
    )


def decide_status(
    state: Hysteresis, definition: CheckDefinition, observed: Status
) -> tuple[Hysteresis, Status | Literal[Verdict.KEEP]]:
    """The counters after a result, and the status that the check deserves, or `KEEP`.

    A warning counts as a success. For TTL checks only if thresholds are set, which Consul leaves aside there.

    Source: Consul 1.11, `StatusHandler` (behaviour).
    """
    if observed != CRITICAL:
        state = Hysteresis(state.successes + 1, 0)
        return state, observed if state.successes >= definition.success_before_passing else KEEP
    state = Hysteresis(0, state.failures + 1)
    if state.failures >= definition.failures_before_critical:
        return state, CRITICAL
    if state.failures >= (definition.failures_before_warning or definition.failures_before_critical):
        return state, WARNING
    return state, KEEP


def decide_kind(definition: CheckDefinition) -> str:
    """Which kind of check it is: `http`, `ttl`, `tcp`, `alias` …, or "" for none that can be run.

    Source: Consul, the precedence of a definition's targets (behaviour).
    """
    for kind, attribute in _TARGETS:
        if getattr(definition, attribute):
            return kind
    return ""


_TARGETS = (
    ("grpc", "grpc"),
    ("http", "http"),
    ("ttl", "ttl_s"),
    ("tcp", "tcp"),
    ("udp", "udp"),
    ("alias", "alias_node"),
    ("alias", "alias_service"),
    ("docker", "docker_container_id"),
    ("script", "script_args"),
    ("h2ping", "h2ping"),
    ("os_service", "os_service"),
)
"""The kinds, and the attribute that makes a check one."""


def decide_ttl_output(last_output: str) -> str:
    """What an expired TTL check shows; the output of an earlier expiry is not wrapped once more.

    Source: Consul 1.9, TTL checks (behaviour).
    """
    if not last_output:
        return TTL_EXPIRED
    if last_output.startswith(TTL_EXPIRED):
        return last_output
    return f"{TTL_EXPIRED} (last output before timeout follows): {last_output}"


def decide_alias(checks: Iterable[tuple[str, Status, str]]) -> tuple[Status, str]:
    """The status and output of an alias whose target has these checks, as name, status and output.

    The worst status wins, and its first check is named; a target without checks is passing.

    Source: Consul 1.9, alias checks (behaviour).
    """
    worst = PASSING
    output = "No checks found."
    for name, status, said in checks:
        if output == "No checks found.":
            output = "All checks passing."
        if status == PASSING or (status == WARNING and worst != PASSING) or worst == CRITICAL:
            continue
        worst = WARNING if status == WARNING else CRITICAL
        output = f'Aliased check "{name}" failing: {said}'
    return worst, output


def decide_alias_without_target(service_id: str, node: str) -> tuple[Status, str]:
    """The status and output of an alias of an instance that is not there.

    Source: Consul 1.9, alias checks (behaviour), which names no node where the check does not.
    """
    return CRITICAL, f"Service {service_id} could not be found on node {node}"


def decide_output_bytes_max(definition: CheckDefinition, limit_bytes: int) -> int:
    """How much output is kept; a definition can lower the agent's limit, not raise it."""
    return min(definition.output_bytes_max or limit_bytes, limit_bytes)


def cut_head(output: str, bytes_max: int) -> str:
    """The first `bytes_max` bytes, never half a character, with a note of what was cut; all of it if it fits.

    Source: Consul 1.9, agent/check/update (behaviour).
    """
    encoded = output.encode("utf-8", "replace")
    if len(encoded) <= bytes_max:
        return output
    head = encoded[:bytes_max].decode("utf-8", "ignore")
    return f"{head} ... (captured {bytes_max} of {len(encoded)} bytes)"


def decode_tail(tail: bytes, *, is_cut: bool) -> str:
    """The end of a body as text; what isn't UTF-8 becomes U+FFFD, and a character cut at the front is left out."""
    start = 0
    while is_cut and start < min(3, len(tail)) and tail[start] & 0xC0 == 0x80:
        start += 1
    return tail[start:].decode("utf-8", "replace")


def decide_first_probe_s(*, now_s: float, interval_s: float, roll: float) -> float:
    """When a new check is probed first: anywhere within one interval, `roll` from 0 to 1 says where."""
    return now_s + roll * interval_s


def decide_next_slot_s(slot_s: float, *, now_s: float, interval_s: float) -> float:
    """The slot after `slot_s` in a fixed cadence; slots that have passed already are left out, not made up for."""
    missed = max(0, math.floor((now_s - slot_s) / interval_s))
    return slot_s + (missed + 1) * interval_s


def decide_probe_s(slot_s: float, *, interval_s: float, roll: float) -> float:
    """When within its slot a probe starts, `roll` from 0 to 1."""
    return slot_s + roll * _JITTER * interval_s


def lease_reason(ttl_s: float) -> str:
    """Why an instance is gone that nobody renewed, to follow "incarnation … of instance …"."""
    return f"was not renewed for {_span(ttl_s)}"


def reap_reason(check_id: str, after_s: float) -> str:
    """Why an instance is gone whose check was critical for so long, to follow "incarnation … of instance …"."""
    return f'was deregistered because check "{check_id}" was critical for {_span(after_s)}'


def drain_reason(for_s: float) -> str:
    """Why an instance is gone whose drain came to its end, to follow "incarnation … of instance …"."""
    return f"was drained for {_span(for_s)}"


def _span(seconds: float) -> str:
    return f"{seconds:g}s" if 1 <= seconds < _PLAIN_SECONDS_MOST_S else format_duration(seconds)

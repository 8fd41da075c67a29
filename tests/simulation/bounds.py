"""How long things may take: every promise's figure, as a formula over the definition.

`JITTER` is the part of an interval by which a probe may start later than its place in the cadence, `SLACK_S` covers
the agent's timer and the network; what
is not right then has half a second more to come to the disk. What the agent could not do because it was itself disturbed comes on
top, see `Disturbances`.
"""

from __future__ import annotations

import math

from tests.simulation.processes import Process

from regista.model import CheckDefinition

JITTER = 0.05
SLACK_S = 0.5

_APART_S = 5.0
"""Knocks at one port are at least so far apart."""
_REVIEW_S = 0.25
"""So often it is looked whether one is due."""
_DIAL_S = 2.0
"""Whoever is cut off lets a knock run into its timeout."""


def step_s(definition: CheckDefinition) -> float:
    """From the start of one probe that takes its whole timeout to that of the next: one that runs loses its slots."""
    slots = max(1, math.ceil(definition.timeout_s / definition.interval_s + JITTER))
    return slots * definition.interval_s


def probe_out_s(definition: CheckDefinition) -> float:
    """From a target's failing until it is out of the passing answer.

    A probe that has just found it well may be answered still. Each further one starts an interval after the one
    before, and the last of those that are needed takes its whole timeout.
    """
    needed = max(1, min(_critical_after(definition), definition.failures_before_warning or 1_000_000))
    return (needed + JITTER) * step_s(definition) + definition.timeout_s + SLACK_S


def probe_critical_s(definition: CheckDefinition) -> float:
    """As `probe_out_s`, until it is critical."""
    return (_critical_after(definition) + JITTER) * step_s(definition) + definition.timeout_s + SLACK_S


def _critical_after(definition: CheckDefinition) -> int:
    return max(1, definition.failures_before_critical)


def silence_out_s(process: Process) -> float:
    """From the last word of a program with a lease or a TTL check until it is out of the passing answer."""
    return process.ttl_s + SLACK_S


def reaped_s(process: Process) -> float:
    """From a program's end until it is not registered any more; its check says how long critical may last."""
    assert process.definition is not None
    critical_s = silence_out_s(process) if process.kind == "ttl" else probe_critical_s(process.definition)
    return critical_s + process.definition.deregister_critical_service_after_s + SLACK_S


def back_s(process: Process) -> float:
    """From a program's being well until it is in the passing answer again.

    It may first have to find out that it is unknown, and register; then it reports, or a probe comes within one
    interval and as many as are needed after it.
    """
    seconds = 1.1 * process.says_every_s + 6 * SLACK_S
    if process.kind == "ttl":
        seconds += 1.1 * process.says_every_s
    if process.is_probed:
        assert process.definition is not None
        needed = max(1, process.definition.success_before_passing)
        seconds += (needed + 1 + JITTER) * step_s(process.definition) + process.definition.timeout_s
    return seconds


def damping_s(process: Process, *, is_flapping: bool) -> float:
    """What damping adds: a success that confirms the first, or so many equal results until a check has settled."""
    assert process.definition is not None
    results = 21 if is_flapping else 1
    return results * (1 + JITTER) * step_s(process.definition)


def abstention_s(process: Process, abstain_s: float) -> float:
    """What doubt of the agent's own network adds: each failure that is needed may be withheld once."""
    assert process.definition is not None
    needed = _critical_after(process.definition)
    return needed * (abstain_s + (1 + JITTER) * step_s(process.definition))


def patience_s(process: Process) -> float:
    """Within which a program that lives would have been heard once more, by whatever would end it."""
    return max(process.ttl_s, critical_patience_s(process) if process.is_probed else 0.0)


def critical_patience_s(process: Process) -> float:
    """The same by its check, where that ends it: a TTL, or two probes and the successes that are needed."""
    definition = process.definition
    assert definition is not None
    probes_s = definition.interval_s * (2 + definition.success_before_passing) + definition.timeout_s
    return max(_APART_S, definition.ttl_s or probes_s)


def company_s(patience_s: float, lost_count: int) -> float:
    """What it costs that others are lost too: the wait for whether more follow, and the rate of expiries.

    Args:
        patience_s: of what ends.
    """
    return patience_s / 2 + SLACK_S + queue_s(lost_count)


def queue_s(lost_count: int) -> float:
    """How long so many take to go, at the lowest rate of a service: 5 each second."""
    return lost_count / 5


def knock_s(process: Process) -> float:
    """From one knock at the port of a program that is kept until what the next one found is acted upon."""
    return max(_APART_S, patience_s(process)) + last_knock_s()


def last_knock_s() -> float:
    """From the moment that a knock is due until what it found is acted upon."""
    return _REVIEW_S + _DIAL_S + SLACK_S


def protection_s(process: Process) -> float:
    """What one protection costs beside its length: the time to be heard after it, and two looks at the port."""
    return 1.5 * patience_s(process) + 10.0


def disturbance_s(process: Process) -> float:
    """What one disturbance of the agent costs beside its length.

    A probe under way does not count, the listening clock is up to a second behind, a write is tried again after a
    second, and a client whose request failed comes again a period later.
    """
    probe_s = step_s(process.definition) if process.definition and process.is_probed else 0.0
    timeout_s = process.definition.timeout_s if process.definition and process.is_probed else 0.0
    return (1 + JITTER) * probe_s + timeout_s + 1.1 * process.says_every_s + 6 * SLACK_S

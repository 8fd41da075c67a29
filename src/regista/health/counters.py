"""What the scheduler counts; the metrics door reads it."""

from __future__ import annotations

import collections
import dataclasses

from regista.health.histogram import Histogram

_LATENESS_BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""From the gap between two ticks to intervals that are usual; in the steps that Prometheus takes by default."""

_ENDING_WAIT_BOUNDS_S = (0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""By default a service of any size is gone in some four seconds, and ten thousand instances are in fifty."""


@dataclasses.dataclass(slots=True)
class Counters:
    """Counts since the start; they only grow.

    Attributes:
        probes: results by kind of check and observed status.
        probes_ignored: failures that were not counted, because the agent itself stalled meanwhile.
        own_faults: failures that were not counted, because the probe said that they were this machine's.
        withheld: results after which another status was shown than they deserved, by why: `flapping`,
            `unconfirmed` (the first success after a single failure), `network` (the agent doubts its own).
        flaps_started: checks that began to flap.
        flaps_ended: those that settled; not those that were deleted or defined anew meanwhile.
        abstentions: times at which the agent began to doubt its own network.
        transitions: committed changes of a status, by the new one.
        expiries: TTLs that ran out, by `check`, `service` and `session`.
        deregistrations: instances removed, by `lease` (not renewed), `critical` (for too long) and `drain`.
        outcomes: requests that callers reported, by outcome.
        outcomes_unknown: reports of instances that nobody knows, or that several are.
        ejections: instances taken out by what callers reported, by rule.
        protections: times at which a scope began to hold what silence would have ended.
        endings_held: endings that were held.
        endings_survived: those of them whose instance was heard again.
        endings_confirmed: endings that something else confirmed, so that they were no silent loss.
        verifications: what the ports of held ones were found to be, by `answers`, `closed`, `replaced` (another
            instance answers there) and `no-port`.
        ending_waits: seconds for which endings that nothing else kept waited for the rates.
        lateness: seconds from the moment at which a probe was to start to that at which it did.
        slots_missed: probes that were never started: the one before was still under way, or the agent was away for
            longer than an interval.
        late_starts: probes that started over a second late, because too many others were under way.
    """

    probes: collections.Counter[tuple[str, str]] = dataclasses.field(default_factory=collections.Counter)
    probes_ignored: int = 0
    own_faults: int = 0
    withheld: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    flaps_started: int = 0
    flaps_ended: int = 0
    abstentions: int = 0
    transitions: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    expiries: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    deregistrations: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    outcomes: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    outcomes_unknown: int = 0
    ejections: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    protections: int = 0
    endings_held: int = 0
    endings_survived: int = 0
    endings_confirmed: int = 0
    verifications: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    ending_waits: Histogram = dataclasses.field(default_factory=lambda: Histogram(_ENDING_WAIT_BOUNDS_S))
    lateness: Histogram = dataclasses.field(default_factory=lambda: Histogram(_LATENESS_BOUNDS_S))
    slots_missed: int = 0
    late_starts: int = 0

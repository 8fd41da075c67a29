"""What the scheduler counts; the metrics door reads it."""

from __future__ import annotations

import collections
import dataclasses


@dataclasses.dataclass(slots=True)
class Counters:
    """Counts since the start; they only grow.

    Attributes:
        probes: results by kind of check and observed status.
        probes_ignored: failures that were not counted, because the agent itself stalled meanwhile.
        transitions: committed changes of a status, by the new one.
        expiries: TTLs that ran out, by `check`, `service` and `session`.
        deregistrations: instances removed, by `lease` (not renewed) and `critical` (for too long).
        late_starts: probes that started over a second late, because too many others were under way.
    """

    probes: collections.Counter[tuple[str, str]] = dataclasses.field(default_factory=collections.Counter)
    probes_ignored: int = 0
    transitions: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    expiries: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    deregistrations: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    late_starts: int = 0

"""What is known of each program from outside: what it said, how it answered, and the verdict that follows.

The verdict is written down here once more, from the specification and not from the code under test.
"""

from __future__ import annotations

import collections
import dataclasses
from collections.abc import Iterable

from tests.simulation.processes import Process

from regista.model import CRITICAL, PASSING, WARNING, CheckDefinition, Status

_REMEMBERED = 21
"""Of so many results damping may hold the worst."""


@dataclasses.dataclass(eq=False, slots=True)
class Ledger:
    """What is known of one program.

    Attributes:
        silent_since_s, failing_since_s, well_since_s: since when this has been so without a break; None if it isn't.
        ill_s: when it was last not well.
        heard_s: when the agent last had a word of it.
        found_closed_s, found_open_s: when its port was last dialled and found so; negative for never.
        kept_since_s: when it was first found open of the times since it was last heard of, or became critical.
        verdict: what its probes' answers come to since this agent has run; "" before the first.
        verdicts: the verdict after each of the last answers.
        better_s: when they last came to something better than critical.
        flapping_s: when it was last marked as flapping.
        registered_s: when its present life was first written to the log.
        removed_s: when its last one was deleted.
        drained_s: since when it drains.
        drains_for_s: how long it is to; 0 if it does not.
        critical_since_s: since when the registry says critical.
    """

    silent_since_s: float | None = 0.0
    failing_since_s: float | None = 0.0
    well_since_s: float | None = None
    ill_s: float = 0.0
    heard_s: float = 0.0
    found_closed_s: float = -1.0
    found_open_s: float = -1.0
    kept_since_s: float = -1.0
    verdict: Status = ""
    verdicts: collections.deque[Status] = dataclasses.field(
        default_factory=lambda: collections.deque(maxlen=_REMEMBERED)
    )
    better_s: float = 0.0
    flapping_s: float = 0.0
    registered_s: float = 0.0
    removed_s: float = 0.0
    drained_s: float = 0.0
    drains_for_s: float = 0.0
    critical_since_s: float | None = None
    _goods: int = 0
    _bads: int = 0
    _is_fresh: bool = True

    def begin(self) -> None:
        """Nothing is known: the agent, or the check, is new. Then it is as if enough answers had come of each kind."""
        self.verdict = ""
        self.verdicts.clear()
        self._is_fresh = True

    def found_open(self, now_s: float) -> None:
        self.found_open_s = now_s
        if self.kept_since_s <= max(self.heard_s, self.better_s, self.registered_s, self.critical_since_s or 0.0):
            self.kept_since_s = now_s

    def answered(self, definition: CheckDefinition, now_s: float, *, is_good: bool) -> None:
        if self._is_fresh:
            self._goods, self._bads = definition.success_before_passing, definition.failures_before_critical
            self._is_fresh = False
        self._goods, self._bads = (self._goods + 1, 0) if is_good else (0, self._bads + 1)
        verdict = self._verdict(definition, is_good=is_good)
        if verdict:
            self.verdict = verdict
        self.verdicts.append(self.verdict)
        if verdict in (PASSING, WARNING):
            self.better_s = now_s

    def _verdict(self, definition: CheckDefinition, *, is_good: bool) -> Status:
        """What this answer comes to; "" if it changes nothing."""
        if is_good:
            return PASSING if self._goods >= definition.success_before_passing else ""
        if self._bads >= definition.failures_before_critical:
            return CRITICAL
        if self._bads >= (definition.failures_before_warning or definition.failures_before_critical):
            return WARNING
        return ""


class Ledgers:
    """The ledger of every program, and the program of every key."""

    def __init__(self) -> None:
        self._ledgers: dict[str, Ledger] = {}
        self._by_key: dict[str, Process] = {}

    def of(self, process: Process) -> Ledger:
        found = self._ledgers.get(process.id)
        if found is None:
            found = self._ledgers[process.id] = Ledger()
            self._by_key[process.key] = self._by_key[process.check_key] = process
        return found

    def all(self) -> Iterable[Ledger]:
        return self._ledgers.values()

    def process(self, key: str) -> Process:
        """The program that a service's or a check's key stands for."""
        return self._by_key[key]

    def begin(self) -> None:
        """The agent is new."""
        for ledger in self._ledgers.values():
            ledger.begin()

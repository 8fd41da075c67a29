"""Mass-expiry protection: that it begins for a reason, holds nobody longer than it may, and ends by itself."""

from __future__ import annotations

import dataclasses
import math

from tests.simulation import bounds
from tests.simulation.ledgers import Ledgers
from tests.simulation.processes import Process
from tests.simulation.world import World

_LOOKS_EVERY_S = 1.0
_VERIFYING_S = 15.0
"""How long it takes to dial all ports, some of them twice because the agent was away, and to let go of the closed."""

_DISTURBANCE_S = 4.0
"""The hearing clock stands still for three seconds after the last write that failed, and a stall is seen late."""


@dataclasses.dataclass(eq=False, slots=True)
class _Span:
    """One protection of one scope.

    Attributes:
        since_s: when it began by the scheduler's own clock; two within a second have another.
    """

    begin_s: float
    since_s: float
    end_s: float | None = None


class Protections:
    """Looks every second at which scopes protect."""

    def __init__(self, world: World, ledgers: Ledgers) -> None:
        self._world = world
        self._ledgers = ledgers
        self._spans: dict[str, list[_Span]] = {}
        self._on: dict[str, _Span] = {}
        self._unseen: list[float] = []
        self._taken: dict[str, dict[str, float]] = {}
        self._begun = 0
        self._is_looking = False

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(len(spans) for spans in self._spans.values())

    def begin(self) -> None:
        """The agent is new, and protects nobody."""
        for scope in list(self._on):
            self._end(scope)
        self._begun = 0
        if not self._is_looking:
            self._is_looking = True
            self._world.agenda.after(_LOOKS_EVERY_S, self._look)

    def is_on(self, process: Process) -> bool:
        """Whether the program is among those that are held, if it is silent."""
        return any(scope in self._on for scope in ("", process.service))

    def within(self, process: Process, begin_s: float) -> tuple[int, float]:
        """How often it was protected since then, and for how long in all."""
        spans = [
            (max(begin_s, span.begin_s), span.end_s if span.end_s is not None else self._world.now_s)
            for scope in ("", process.service)
            for span in self._spans.get(scope, ())
            if span.end_s is None or span.end_s > begin_s
        ]
        unseen = sum(moment_s > begin_s for moment_s in self._unseen)
        return len(spans) + unseen, sum(max(0.0, until_s - since_s) for since_s, until_s in spans)

    def on_removed(self, process: Process) -> None:
        """Of programs that only can't be heard, no more go within the window than are allowed to.

        Those that were dialled do not count: a port was found closed, or open for so long that enough is enough.
        """
        world, ledger = self._world, self._ledgers.of(process)
        since_s = ledger.silent_since_s
        if not (process.is_alive and process.is_wanted) or since_s is None or ledger.found_closed_s > since_s:
            return
        if ledger.kept_since_s > since_s and self._was_kept_long(ledger.kept_since_s):
            return
        for scope in ("", process.service):
            # One that comes back and goes again is one instance of so many, as it is one of the size.
            taken = self._taken.setdefault(scope, {})
            taken[process.id] = world.now_s
            begin_s = max(world.now_s - world.settings.protection_window_s, world.disturbances.up_since_s)
            recent = sum(moment_s >= begin_s for moment_s in taken.values())
            size = self._size(scope, begin_s)
            allowed = math.ceil(world.settings.protection_share * size)
            if recent > allowed and size >= self._size_least(scope):
                told = f"{recent} of {size} in {scope or 'all'} that live went within the window, not {allowed}"
                world.fail(told, "tombstone", "protection:", "agent:")

    def _was_kept_long(self, since_s: float) -> bool:
        """Whether a port that answers keeps nobody any more whom it has kept since then, in time that counts."""
        kept_s = self._world.now_s - since_s - self._world.deaf_s(since_s)
        return kept_s >= self._world.settings.protection_silent_s_max

    def _size(self, scope: str, begin_s: float) -> int:
        """How many could have been lost since then: those that are registered, and those that went meanwhile."""
        return sum(
            each.key in self._world.catalog.services or self._ledgers.of(each).removed_s >= begin_s
            for each in self._world.processes.values()
            if scope in ("", each.service) and (each.ttl_s > 0 or each.is_reaped)
        )

    def _size_least(self, scope: str) -> int:
        settings = self._world.settings
        return settings.protection_service_instances_min if scope else settings.protection_instances_min

    def _look(self) -> None:
        self._world.agenda.after(_LOOKS_EVERY_S, self._look)
        if not self._world.is_up:
            return
        scopes = self._world.scheduler._silence._scopes
        protecting = {scope.name: scope.since_s for scope in scopes if scope.phase != "calm"}
        for scope, span in list(self._on.items()):
            if protecting.get(scope) != span.since_s:
                self._end(scope)
        begun = self._world.scheduler.counters.protections
        new = [scope for scope in protecting if scope not in self._on]
        # Those that were over within a second.
        self._unseen += [self._world.now_s] * (begun - self._begun - len(new))
        self._begun = begun
        for scope, since_s in protecting.items():
            if scope in new:
                self._world.history.note(f"protection: of {scope or 'all'} begins")
                self._on[scope] = _Span(self._world.now_s, since_s)
                self._spans.setdefault(scope, []).append(self._on[scope])
                self._check_reason(scope)
            self._check_length(scope)

    def _end(self, scope: str) -> None:
        self._world.history.note(f"protection: of {scope or 'all'} ends")
        self._on.pop(scope).end_s = self._world.now_s

    def _check_reason(self, scope: str) -> None:
        """It begins only if more than the share really fell ill: nothing of the agent's own brings it about."""
        world = self._world
        members = [each for each in world.processes.values() if scope in ("", each.service)]
        ill = [each for each in members if self._was_ill(each)]
        share = world.settings.protection_share
        registered = sum(each.key in world.catalog.services for each in members)
        if len(ill) <= int(share * registered):
            names = ", ".join(each.id for each in ill)
            world.fail(
                f"protection of {scope or 'all'} begins though only {names or 'none'} were ill", "agent:", "store:"
            )

    def _was_ill(self, process: Process) -> bool:
        """Whether it was ill so lately that its silence may count now."""
        ledger, world = self._ledgers.of(process), self._world
        memory_s = 2 * bounds.patience_s(process) + world.settings.protection_window_s
        if process.is_reaped:
            memory_s += bounds.reaped_s(process)
        _, disturbed_s = world.disturbances.within(world.now_s - memory_s - 600, world.now_s)
        is_ill = ledger.well_since_s is None
        return is_ill or ledger.ill_s > world.now_s - memory_s - disturbed_s

    def _check_length(self, scope: str) -> None:
        """It ends by itself: after its time those whom it holds are dialled."""
        world, span = self._world, self._on[scope]
        count, disturbed_s = world.disturbances.within(span.begin_s, world.now_s)
        lasts_s = world.now_s - span.begin_s - disturbed_s - count * _DISTURBANCE_S
        if lasts_s > world.settings.protection_s_max + _VERIFYING_S and world.disturbances.is_calm():
            world.fail(
                f"protection of {scope or 'all'} lasts {lasts_s:.0f}s", "protection:", "dial:", "agent:", "store:"
            )

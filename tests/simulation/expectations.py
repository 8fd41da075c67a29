"""What is true must be shown in time. A look at the moment that the bound runs out, for each thing that becomes true."""

from __future__ import annotations

import math
from collections.abc import Callable

from tests.simulation import bounds
from tests.simulation.ledgers import Ledgers
from tests.simulation.processes import Process
from tests.simulation.protections import Protections
from tests.simulation.world import World

_LOOK_AGAIN_S = 0.5
"""What is not right at once may be on its way to the disk; it has so long."""

Bound = Callable[[Process], float]
Finding = Callable[[Process], str]
"""What is wrong with a program's place in the answers; "" if nothing is."""


class Expectations:
    """Set up by every change of a program; those whose reason has gone are forgotten when they come up."""

    def __init__(self, world: World, ledgers: Ledgers, protections: Protections) -> None:
        self._world = world
        self._ledgers = ledgers
        self._protections = protections
        self._abstentions = 0
        self._abstained_s = -1.0

    # ---- what is true ----

    def on_change(self, process: Process) -> None:
        now_s, ledger = self._world.now_s, self._ledgers.of(process)
        if process.speaks:
            ledger.silent_since_s = None
        elif ledger.silent_since_s is None:
            ledger.silent_since_s = now_s
            self._expect_silence(process, now_s)
        if process.is_probed and process.answers:
            ledger.failing_since_s = None
        elif process.is_probed and ledger.failing_since_s is None:
            ledger.failing_since_s = now_s
            self._expect_failure(process, now_s)
        if not (process.is_well and process.is_wanted):
            ledger.well_since_s, ledger.ill_s = None, now_s
        elif ledger.well_since_s is None:
            ledger.well_since_s, ledger.ill_s = now_s, now_s
            still = lambda: ledger.well_since_s == now_s  # noqa: E731 - one line says it
            self._expect(process, now_s, still, bound_s=self._back_s, find=self._is_in, what="is well")

    def _expect_silence(self, process: Process, since_s: float) -> None:
        ledger = self._ledgers.of(process)
        if process.ttl_s <= 0:
            return
        still = lambda: ledger.silent_since_s == since_s  # noqa: E731 - one line says it
        findings: list[tuple[Finding, Bound]] = [(self._is_out, self._silence_out_s)]
        if process.has_lease:
            findings.append((self._is_gone, self._silence_out_s))
        elif process.is_reaped:
            findings.append((self._is_gone, self._reaped_s))
        for find, bound_s in findings:
            self._expect(process, since_s, still, bound_s=bound_s, find=find, what="is silent", is_guarded=True)

    def _expect_failure(self, process: Process, since_s: float) -> None:
        ledger = self._ledgers.of(process)
        still = lambda: ledger.failing_since_s == since_s  # noqa: E731 - one line says it
        self._expect(process, since_s, still, bound_s=self._probe_out_s, find=self._is_out, what="fails")
        if process.is_reaped:
            self._expect(
                process,
                since_s,
                still,
                bound_s=self._reaped_s,
                find=self._is_gone,
                what="fails",
                is_guarded=True,
            )

    def on_drained(self, process: Process, for_s: float) -> None:
        """Whoever drains is gone when it is to be, whatever others do: that is no silence."""
        ledger, life = self._ledgers.of(process), process.incarnation
        still = lambda: ledger.drains_for_s > 0 and process.incarnation == life  # noqa: E731 - one line says it
        self._expect(
            process,
            self._world.now_s,
            still,
            bound_s=lambda _: for_s + bounds.SLACK_S,
            find=self._is_gone,
            what="drains",
        )

    # ---- bounds with what the agent's caution adds ----

    def _probe_out_s(self, process: Process) -> float:
        assert process.definition is not None
        return bounds.probe_out_s(process.definition) + self._abstained_for_s(process)

    def _silence_out_s(self, process: Process) -> float:
        return bounds.silence_out_s(process) + self._company_s(process, process.ttl_s)

    def _reaped_s(self, process: Process) -> float:
        company_s = self._company_s(process, bounds.critical_patience_s(process))
        return bounds.reaped_s(process) + self._abstained_for_s(process) + company_s

    def _company_s(self, process: Process, patience_s: float) -> float:
        """What it adds that others were lost within the window, or shortly before or after; nothing if alone."""
        settings, now_s = self._world.settings, self._world.now_s
        if settings.protection_share >= 1:
            return self._queue_s(process)
        lost_count = self._lost_count(now_s - settings.protection_window_s - 2 * bounds.patience_s(process))
        return bounds.company_s(patience_s, lost_count) if lost_count > 1 else 0.0

    def _queue_s(self, process: Process) -> float:
        """How long those who may be before it in the queue take to go."""
        return bounds.queue_s(self._lost_count(self._world.now_s - bounds.patience_s(process)))

    def _lost_count(self, since_s: float) -> int:
        return sum(each.well_since_s is None or each.ill_s > since_s for each in self._ledgers.all())

    def _back_s(self, process: Process) -> float:
        seconds = bounds.back_s(process)
        if process.is_probed and self._world.settings.flap_damping:
            is_flapping = process.check_key in self._world.catalog.marks.of("flapping")
            seconds += bounds.damping_s(process, is_flapping=is_flapping)
        return seconds

    def _abstained_for_s(self, process: Process) -> float:
        """What is withheld because the agent doubts its network; nothing, unless it has lately."""
        scheduler, settings = self._world.scheduler, self._world.settings
        count = scheduler.counters.abstentions
        if count != self._abstentions:
            self._abstentions, self._abstained_s = count, self._world.now_s
        since_s = self._ledgers.of(process).failing_since_s
        if self._abstained_s < 0 or since_s is None or not process.is_probed:
            return 0.0
        is_recent = scheduler.abstention or self._abstained_s >= since_s - settings.abstain_s
        return bounds.abstention_s(process, settings.abstain_s) if is_recent else 0.0

    # ---- looking ----

    def _expect(
        self,
        process: Process,
        since_s: float,
        still: Callable[[], bool],
        *,
        bound_s: Bound,
        find: Finding,
        what: str,
        is_guarded: bool = False,
    ) -> None:
        """Looks once the time is up, if the reason is `still` there.

        Args:
            is_guarded: whether what is expected passes the guard, which holds it while a scope protects, and keeps
                it while the port answers.
        """
        world = self._world

        def look(*, is_again: bool = False) -> None:
            if not still() or not (problem := find(process)):
                return
            begin_s = self._begin_s(process, since_s, find)
            late_by_s = self._late_by_s(process, begin_s, bound_s(process), is_guarded=is_guarded)
            is_held = False
            if is_guarded:
                late_by_s = min(late_by_s, self._kept_too_long_s(process, since_s, find))
                is_held = self._protections.is_on(process)
            if late_by_s < 0 or not world.disturbances.is_calm() or is_held:
                world.agenda.after(max(-late_by_s, 1.0), look)
            elif not is_again:
                world.agenda.after(_LOOK_AGAIN_S, lambda: look(is_again=True))
            else:
                told = f"{process.id} ({process.kind}) {what} since {since_s:.3f}s, and {problem}"
                bound = f"the bound is {bound_s(process):.2f}s"
                found_open_s = self._ledgers.of(process).found_open_s
                if is_guarded and found_open_s > since_s:
                    bound = f"{bound}; its port was last found open at {found_open_s:.3f}s"
                world.fail(f"{told}; {bound}", process.id, "agent:", "store:")

        world.agenda.after(bound_s(process), look)

    def _begin_s(self, process: Process, since_s: float, find: Finding) -> float:
        """From when the time counts: a newer word, or life, or agent begins it anew."""
        ledger = self._ledgers.of(process)
        begin_s = max(since_s, self._world.disturbances.up_since_s)
        if ledger.silent_since_s is not None and find != self._is_in:
            begin_s = max(begin_s, ledger.heard_s)
        if find == self._is_in:
            # A renewal that comes while the end is on its way to the disk is too late; the next one finds out.
            return max(begin_s, ledger.removed_s, ledger.flapping_s)
        return max(begin_s, ledger.registered_s) if find == self._is_gone else begin_s

    def _late_by_s(self, process: Process, begin_s: float, bound_s: float, *, is_guarded: bool) -> float:
        """How long the bound has run out, less what the agent was disturbed; negative while it has not.

        Args:
            is_guarded: whether the time in which it was protected does not count either.
        """
        count, disturbed_s = self._world.disturbances.within(begin_s, self._world.now_s)
        late_by_s = self._world.now_s - begin_s - bound_s - disturbed_s - count * bounds.disturbance_s(process)
        if is_guarded:
            count, protected_s = self._protections.within(process, begin_s)
            late_by_s -= protected_s + count * bounds.protection_s(process)
        return late_by_s

    def _kept_too_long_s(self, process: Process, since_s: float, find: Finding) -> float:
        """How late the end of a program is that was kept, for its port answered since then; infinite if it never did.

        Who was found to be there is knocked at again and again, and is kept from one knock to the next: also if it
        ends just after one. Whoever answers all the time is not kept for ever either.
        """
        ledger = self._ledgers.of(process)
        if ledger.found_open_s <= since_s:
            return math.inf
        rest_s = self._queue_s(process)
        if process.kind == "ttl" and find == self._is_gone and not self._is_critical_before(process):
            # What was kept is the good status of its check; once that goes, the time in critical begins.
            assert process.definition is not None
            rest_s += process.definition.deregister_critical_service_after_s
            rest_s += self._company_s(process, bounds.critical_patience_s(process))
        from_last_s = bounds.knock_s(process) + rest_s
        from_first_s = self._world.settings.protection_silent_s_max + bounds.last_knock_s() + rest_s
        return max(
            self._late_by_s(process, ledger.found_open_s, from_last_s, is_guarded=True),
            self._late_by_s(process, ledger.kept_since_s, from_first_s, is_guarded=True),
        )

    def _is_critical_before(self, process: Process) -> bool:
        """Whether it was critical already when its port was last found open."""
        ledger = self._ledgers.of(process)
        return ledger.critical_since_s is not None and ledger.critical_since_s < ledger.found_open_s

    def _is_out(self, process: Process) -> str:
        return "it is in the passing answer" if process.id in self._world.passing(process.service) else ""

    def _is_in(self, process: Process) -> str:
        return "" if process.id in self._world.passing(process.service) else "it is not in the passing answer"

    def _is_gone(self, process: Process) -> str:
        return "it is registered" if process.key in self._world.catalog.services else ""

"""What must be right at the moment that it is planned: nothing is removed or called ill without a reason."""

from __future__ import annotations

from tests.simulation.ledgers import Ledger, Ledgers
from tests.simulation.processes import Process
from tests.simulation.world import World

from regista.catalog.own_checks import DRAIN_PREFIX
from regista.model import CRITICAL, PASSING, WARNING, Cause, Check, Delete, Put, Service, Status, Transaction

_EPSILON_S = 1e-6
_BADNESS = {PASSING: 0, WARNING: 1, CRITICAL: 2}


class Judgements:
    """Judges every transaction of the scheduler by what is true, or was said, when it is planned."""

    def __init__(self, world: World, ledgers: Ledgers) -> None:
        self._world = world
        self._ledgers = ledgers

    def on_planned(self, transaction: Transaction) -> None:
        for change in transaction.changes:
            record = change.record
            if isinstance(change, Delete) and isinstance(record, Service):
                self._check_removal(record, transaction.cause)
            elif isinstance(change, Put) and isinstance(record, Check):
                before = self._world.catalog.checks.get(record.key)
                if before is not None and before.record.status != record.status:
                    self._check_status(record, transaction.cause)

    def _check_removal(self, service: Service, cause: Cause) -> None:
        """Nothing alive is removed: a lease was not renewed for its time, a check was critical for its time."""
        process = self._ledgers.process(service.key)
        ledger = self._ledgers.of(process)
        if cause.kind == "expiry":
            self._check_span(process, ledger.heard_s, process.ttl_s, "it was heard")
        elif cause.kind == "reaper" and DRAIN_PREFIX in cause.source:
            self._check_span(process, ledger.drained_s, ledger.drains_for_s, "it drains")
        elif cause.kind == "reaper":
            assert process.definition is not None
            after_s = process.definition.deregister_critical_service_after_s
            self._check_span(process, ledger.better_s, after_s, "it was better")
            if ledger.critical_since_s is None:
                self._fail(f"{process.id} is reaped, and is not critical", process)
            else:
                self._check_span(process, ledger.critical_since_s, after_s, "it is critical")
        elif cause.kind != "request" or (process.is_wanted and service.incarnation == process.incarnation):
            self._fail(f"{process.id} is removed by {cause.kind}: {cause.reason}", process)

    def _check_span(self, process: Process, since_s: float, least_s: float, what: str) -> None:
        """At least so much time, in which the agent could hear, has passed since."""
        world = self._world
        begin_s = max(since_s, world.disturbances.up_since_s)
        span_s = world.now_s - begin_s - world.deaf_s(begin_s)
        if span_s < least_s - _EPSILON_S:
            told = f"only {span_s:.3f}s of hearing since {what}, not {least_s:g}s"
            self._fail(f"{process.id} ({process.kind}): {told}", process)

    def _check_status(self, check: Check, cause: Cause) -> None:
        """A status follows from what the program said, or how it answered, and from nothing else."""
        process = self._ledgers.process(check.key)
        ledger = self._ledgers.of(process)
        if process.kind == "ttl":
            if check.status == CRITICAL:
                self._check_span(process, ledger.heard_s, process.ttl_s, "it was heard")
            elif cause.kind != "request":
                self._fail(f"{process.id} is {check.status} without its word", process)
        elif check.status != ledger.verdict and not self._may_differ(check.status, ledger):
            verdict = ledger.verdict or "nothing"
            self._fail(f"{process.id} is said to be {check.status}; its answers come to {verdict}", process)

    def _may_differ(self, status: Status, ledger: Ledger) -> bool:
        """Whether a status may be another than the answers come to.

        Damping may hold a worse one that was deserved within the results that it looks at. An agent that doubts its
        own network leaves failures out, so that it may come to a better one, but never to the best.
        """
        if not ledger.verdict:
            return False
        if _BADNESS[status] > _BADNESS[ledger.verdict]:
            return self._world.settings.flap_damping and status in ledger.verdicts
        return self._world.settings.abstain_s > 0 and status != PASSING

    def _fail(self, sentence: str, process: Process) -> None:
        self._world.fail(sentence, process.id, "agent:", "store:")

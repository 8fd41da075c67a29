"""What must be true of the log: its index, the lives of instances, and why they ended."""

from __future__ import annotations

from tests.simulation.ledgers import Ledgers
from tests.simulation.world import World

from regista.catalog import is_drain
from regista.model import CRITICAL, Batch, Cause, Check, Delete, Put, Service, Tombstone


class LogChecks:
    """Looks at every batch.

    Attributes:
        ended: the incarnations that have a tombstone, and why.
    """

    def __init__(self, world: World, ledgers: Ledgers) -> None:
        self.ended: dict[str, Cause] = {}
        self._world = world
        self._ledgers = ledgers
        self._index = 0

    def on_committed(self, batch: Batch) -> None:
        self._check_index(batch)
        buried = {
            change.record.incarnation
            for change in batch.changes
            if isinstance(change, Put) and isinstance(change.record, Tombstone)
        }
        for change in batch.changes:
            record = change.record
            self._world.history.note(
                f"log: {batch.index} {type(change).__name__} {_told(record)} {batch.cause.kind}"
            )
            if isinstance(record, Tombstone) and isinstance(change, Put):
                self._check_end(record, batch)
            elif isinstance(record, Service):
                gone = change.record if isinstance(change, Delete) else change.replaces
                assert gone is None or isinstance(gone, Service)
                self._check_life(record, gone, buried, is_put=isinstance(change, Put))
            elif isinstance(record, Check):
                self._note_check(change, record)

    def _check_index(self, batch: Batch) -> None:
        """The index only grows, by one."""
        if batch.index != self._index + 1 or self._world.catalog.index != batch.index:
            self._world.fail(f"index {batch.index} comes after {self._index}")
        self._index = batch.index

    def _check_end(self, tombstone: Tombstone, batch: Batch) -> None:
        """An incarnation ends once, and the log says why."""
        if tombstone.incarnation in self.ended:
            self._world.fail(f"{tombstone.id}: incarnation {tombstone.incarnation} ended twice", tombstone.id)
        if tombstone.cause != batch.cause or not tombstone.reason or batch.cause.kind == "unknown":
            self._world.fail(f"{tombstone.id}: nobody says why {tombstone.incarnation} ended", tombstone.id)
        self.ended[tombstone.incarnation] = batch.cause

    def _check_life(self, service: Service, gone: Service | None, buried: set[str], *, is_put: bool) -> None:
        """Whose life ends has a tombstone in the same transaction, and nobody comes back."""
        is_new = is_put and (gone is None or gone.incarnation != service.incarnation)
        if gone is not None and (is_new or not is_put) and gone.incarnation not in buried:
            self._world.fail(f"{gone.id}: incarnation {gone.incarnation} went without a tombstone", gone.id)
        ledger = self._ledgers.of(self._ledgers.process(service.key))
        if is_new:
            ledger.registered_s = self._world.now_s
        elif not is_put:
            ledger.removed_s = self._world.now_s
        if is_put and service.incarnation in self.ended:
            self._world.fail(f"{service.id}: the ended incarnation {service.incarnation} came back", service.id)

    def _note_check(self, change: Put | Delete, check: Check) -> None:
        if is_drain(check):
            self._note_drain(change, check)
            return
        ledger = self._ledgers.of(self._ledgers.process(check.key))
        if isinstance(change, Delete):
            ledger.critical_since_s = None
            return
        if change.replaces is None:
            ledger.begin()
        if check.status != CRITICAL:
            ledger.critical_since_s = None
        elif ledger.critical_since_s is None:
            ledger.critical_since_s = self._world.now_s

    def _note_drain(self, change: Put | Delete, check: Check) -> None:
        """Who drains is in no passing answer from that index on."""
        process = self._ledgers.process(check.service_key)
        ledger = self._ledgers.of(process)
        ledger.drains_for_s = 0.0
        if isinstance(change, Put) and check.definition is not None:
            ledger.drained_s = self._world.now_s
            ledger.drains_for_s = check.definition.deregister_critical_service_after_s
            if process.id in self._world.passing(process.service):
                self._world.fail(f"{process.id} drains, and is in the passing answer", process.id)


def _told(record: object) -> str:
    if isinstance(record, Check):
        return f"check {record.id} {record.status}"
    if isinstance(record, Service):
        return f"service {record.id} {record.incarnation}"
    if isinstance(record, Tombstone):
        return f"tombstone {record.id} {record.incarnation} {record.reason}"
    return type(record).__name__

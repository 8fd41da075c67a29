"""From a decided status to the catalog: a change is written, the same status with other output is only kept."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from regista.catalog import Catalog, set_check_status
from regista.health.counters import Counters
from regista.health.decide import Hysteresis
from regista.health.doubt import target_host
from regista.health.flapping import Flaps
from regista.health.outbox import Outbox, Plan
from regista.model import Cause, Check, CheckDefinition, Entry, Status, Transaction

logger = logging.getLogger(__name__)

_LOG_OUTPUT_CHARACTERS_MAX = 200


class WatchedCheck(msgspec.Struct, eq=False, gc=False):
    """A check that is run here, in one life and with one definition; another of either is another object.

    Attributes:
        create_index: which life of the key it is; a check that was deleted and registered again has another.
        kind: see `decide_kind`.
        flaps: how its results have changed lately.
        slot_s: its place in the cadence of probes, in listening time; the prober's, as is the next.
        probe_s: when its next probe is to start, within that place.
    """

    key: str
    node: str
    create_index: int
    definition: CheckDefinition
    kind: str
    hysteresis: Hysteresis
    flaps: Flaps
    slot_s: float = 0.0
    probe_s: float = 0.0
    _host: str | None = None

    @property
    def host(self) -> str:
        """The host beyond the network that it looks at; "" for this machine, or none."""
        if self._host is None:
            # Only now: most checks that are registered were never probed yet, and it takes some microseconds.
            self._host = target_host(self.definition)
        return self._host

    def entry_in(self, catalog: Catalog) -> Entry[Check] | None:
        """What the replica has of this life of the check."""
        entry = catalog.checks.get(self.key)
        return entry if entry is not None and entry.create_index == self.create_index else None


class Statuses:
    """Takes the statuses of checks to the catalog.

    Attributes:
        on_output: told of each check of which other output is shown, its status as it was.
    """

    def __init__(self, *, catalog: Catalog, outbox: Outbox, counters: Counters) -> None:
        self.on_output: Callable[[WatchedCheck], None] = lambda _watched: None
        self._catalog = catalog
        self._outbox = outbox
        self._counters = counters

    def publish(
        self,
        watched: WatchedCheck,
        status: Status,
        output: str,
        *,
        cause: Cause,
        is_void: Callable[[], bool] | None = None,
    ) -> None:
        """Makes this the check's status, as soon as the store takes it.

        Args:
            cause: why it is, for the log.
            is_void: asked when the write is planned; true if meanwhile there is no reason for it any more.
        """
        entry = watched.entry_in(self._catalog)
        if entry is None:
            return
        slot = _slot(watched.key)
        if entry.record.status == status and not self._outbox.is_flying(slot):
            self._outbox.withdraw(slot)
            self._show(watched, entry, output)
            return
        plan, done = self._change(watched, status, output, is_void)
        self._outbox.want(slot, plan, done, cause=cause)

    async def write(self, watched: WatchedCheck, status: Status, output: str, *, cause: Cause) -> None:
        """Makes this the check's status, and returns when the replica says so.

        Raises:
            Contended, Overloaded, StoreUnavailable: see `Writer`.
        """
        slot = _slot(watched.key)
        entry = watched.entry_in(self._catalog)
        if entry is None or entry.record.status != status or self._outbox.is_flying(slot):
            plan, done = self._change(watched, status, output, None)
            await self._outbox.write(slot, plan, done, cause=cause)
        else:
            self._outbox.withdraw(slot)
        entry = watched.entry_in(self._catalog)
        if entry is not None:
            self._show(watched, entry, output)

    def is_flying(self, key: str) -> bool:
        """Whether a status of the check is being written, so that the replica may not show the newest."""
        return self._outbox.is_flying(_slot(key))

    def withdraw(self, key: str) -> None:
        """Forgets a status that is not written yet."""
        self._outbox.withdraw(_slot(key))

    def _show(self, watched: WatchedCheck, entry: Entry[Check], output: str) -> None:
        """Has this output shown, which is not written."""
        is_other = self._catalog.output(entry) != output
        self._catalog.set_output(watched.key, output)
        if is_other:
            self.on_output(watched)

    def _change(
        self, watched: WatchedCheck, status: Status, output: str, is_void: Callable[[], bool] | None
    ) -> tuple[Plan, Callable[[], None]]:
        """The plan for a change of status, and what to do when it is committed."""
        before: Check | None = None

        def plan(catalog: Catalog) -> Transaction:
            nonlocal before
            entry = watched.entry_in(catalog)
            if entry is None or (is_void is not None and is_void()):
                return Transaction()
            before = entry.record
            return set_check_status(catalog, watched.key, status, output)

        def done() -> None:
            assert before is not None
            self._counters.transitions[status] += 1
            said = shortened(output)
            why = f": {said}" if said else ""
            logger.info("%s is %s now, was %s%s", told(before), status, before.status, why)

        return plan, done


def told(check: Check) -> str:
    """The check as a log line names it."""
    of = f' of instance "{check.service_id}"' if check.service_id else ""
    return f'check "{check.id}"{of}'


def shortened(output: str) -> str:
    """So much of an output as fits a line of the log."""
    line = " ".join(output[: 2 * _LOG_OUTPUT_CHARACTERS_MAX].split())
    return line if len(line) <= _LOG_OUTPUT_CHARACTERS_MAX else line[:_LOG_OUTPUT_CHARACTERS_MAX] + "…"


def _slot(key: str) -> str:
    return "check " + key

"""Deregisters a service one of whose checks was critical for too long, or that has drained.

The time counts by the hearing clock, from the moment that the replica said critical, or from the agent's start:
nobody watched while it was down. The time of a drain counts from when it was asked for last.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import msgspec

from regista.catalog import Catalog, deregister_service, is_drain, reaps_after_s
from regista.health.counters import Counters
from regista.health.deadlines import Deadlines
from regista.health.decide import drain_reason, reap_reason
from regista.health.endings import Ending
from regista.health.guard import Guard
from regista.health.outbox import Outbox
from regista.model import CRITICAL, Check, Entry, Transaction, caused_by, format_duration

logger = logging.getLogger(__name__)


_PATIENCE_S_MIN = 5.0
"""For checks that are neither probed nor have a TTL."""


class _Critical(msgspec.Struct, frozen=True, eq=False, gc=False):
    """An uninterrupted time in critical.

    Attributes:
        asked_index: of the transaction that asked for the drain, if it is one; 0 for any other check.
    """

    service_key: str
    since_s: float
    asked_index: int = 0


class Reaper:
    """Which checks are critical since when, and how long they may be."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        outbox: Outbox,
        guard: Guard,
        counters: Counters,
        wall_clock: Callable[[], float],
        after_s_min: float,
    ) -> None:
        self._catalog = catalog
        self._outbox = outbox
        self._guard = guard
        self._counters = counters
        self._wall_clock = wall_clock
        self._after_s_min = after_s_min
        self._critical: dict[str, _Critical] = {}
        self._deadlines = Deadlines()

    def note(self, key: str, entry: Entry[Check], now_s: float) -> None:
        """Takes notice of a check's status and definition. One that belongs to no service ends nothing."""
        check = entry.record
        after_s = self._after_s(check) if check.status == CRITICAL else 0.0
        if after_s <= 0:
            self.drop(key)
            return
        critical = self._critical.get(key)
        service_key = check.service_key
        asked_index = entry.modify_index if is_drain(check) else 0
        if critical is None or critical.service_key != service_key or critical.asked_index != asked_index:
            self.drop(key)
            critical = self._critical[key] = _Critical(service_key, now_s, asked_index)
        self._deadlines.set(key, critical.since_s + after_s)

    def restart(self, key: str, now_s: float) -> None:
        """Counts a check's time in critical anew: it was found to be better, though that may not be written yet.

        Without this, a store that comes back could take the end of a service before the news that it is well.
        """
        critical = self._critical.get(key)
        entry = self._catalog.checks.get(key)
        if critical is not None and entry is not None:
            self.drop(key)
            self._critical[key] = _Critical(critical.service_key, now_s, critical.asked_index)
            self._deadlines.set(key, now_s + self._after_s(entry.record))

    def drop(self, key: str) -> None:
        """Takes back whatever was intended because of this check."""
        if self._critical.pop(key, None) is not None:
            self._deadlines.drop(key)
            self._guard.withdraw(_slot(key))
            self._outbox.withdraw(_slot(key))

    def tick(self, now_s: float) -> None:
        """Proposes to deregister the services of checks that were critical for too long."""
        for key in self._deadlines.pop_due(now_s):
            self._propose(key, self._critical[key], now_s)

    def near(self, now_s: float) -> Iterator[str]:
        """The instances that are to be deregistered sooner than they could be heard once more."""
        for key, critical in self._critical.items():
            at_s = self._deadlines.get(key)
            entry = self._catalog.checks.get(key)
            if at_s is not None and entry is not None and at_s <= now_s + _patience_s(entry.record) / 2:
                yield critical.service_key

    def deadline_s(self, key: str) -> float | None:
        """When the service of a check that stays critical is deregistered, by the hearing clock; None: never."""
        return self._deadlines.get(key)

    def next_s(self) -> float | None:
        """When `tick` has something to do."""
        return self._deadlines.next_s()

    @property
    def drains_count(self) -> int:
        """How many instances drain; costs O(checks that are critical)."""
        return sum(critical.asked_index > 0 for critical in self._critical.values())

    def _after_s(self, check: Check) -> float:
        """How long the check may be critical; 0 for ever. A drain is as short as it was asked for."""
        after_s = reaps_after_s(check)
        if is_drain(check):
            return after_s
        return max(after_s, self._after_s_min) if after_s > 0 else 0.0

    def _reason(self, check: Check) -> str:
        after_s = self._after_s(check)
        return drain_reason(after_s) if is_drain(check) else reap_reason(check.id, after_s)

    def _propose(self, key: str, critical: _Critical, now_s: float) -> None:
        check = self._catalog.checks.get(key)
        service = self._catalog.services.get(critical.service_key)
        if check is None or service is None:
            return
        ending = Ending(
            slot=_slot(key),
            instance=critical.service_key,
            service=service.record.name.lower(),
            why=f'its check "{check.record.id}" was critical for {format_duration(self._after_s(check.record))}',
            patience_s=_patience_s(check.record),
            carry_out=lambda: self._reap(key, critical),
        )
        self._guard.propose(ending, now_s)

    def _reap(self, key: str, critical: _Critical) -> None:
        reason = ""

        def plan(catalog: Catalog) -> Transaction:
            nonlocal reason
            check = catalog.checks.get(key)
            service = catalog.services.get(critical.service_key)
            if (
                check is None
                or service is None
                or service.record.manager == "server"
                or check.record.status != CRITICAL
                or self._critical.get(key) is not critical
            ):
                return Transaction()
            reason = self._reason(check.record)
            found = service.record
            return deregister_service(catalog, found.node, found.id, reason=reason, now_s=self._wall_clock())

        def done() -> None:
            self._counters.deregistrations["drain" if critical.asked_index else "critical"] += 1
            logger.info("instance %s %s", critical.service_key, reason)

        entry = self._catalog.checks.get(key)
        why = self._reason(entry.record) if entry else ""
        self._outbox.want(_slot(key), plan, done, cause=caused_by("reaper", source=key, reason=why))


def _patience_s(check: Check) -> float:
    """Within which a check that is critical could be better again: two probes and a timeout, or a TTL."""
    definition = check.definition
    if definition is None:
        return _PATIENCE_S_MIN
    probes_s = definition.interval_s * (2 + definition.success_before_passing) + definition.timeout_s
    return max(_PATIENCE_S_MIN, definition.ttl_s or probes_s)


def _slot(key: str) -> str:
    return "reap " + key

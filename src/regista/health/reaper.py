"""Deregisters a service one of whose checks was critical for too long.

The time counts in listening time, from the moment that the replica said critical, or from the agent's start:
nobody watched while it was down.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from regista.catalog import Catalog, deregister_service
from regista.health.counters import Counters
from regista.health.deadlines import Deadlines
from regista.health.decide import reap_reason
from regista.health.outbox import Outbox
from regista.model import CRITICAL, Check, Entry, Transaction, caused_by

logger = logging.getLogger(__name__)


class _Critical(msgspec.Struct, frozen=True, eq=False, gc=False):
    """An uninterrupted time in critical."""

    service_key: str
    since_s: float


class Reaper:
    """Which checks are critical since when, and how long they may be."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        outbox: Outbox,
        counters: Counters,
        wall_clock: Callable[[], float],
        after_s_min: float,
    ) -> None:
        self._catalog = catalog
        self._outbox = outbox
        self._counters = counters
        self._wall_clock = wall_clock
        self._after_s_min = after_s_min
        self._critical: dict[str, _Critical] = {}
        self._deadlines = Deadlines()

    def note(self, entry: Entry[Check], now_s: float) -> None:
        """Takes notice of a check's status and definition. One that belongs to no service ends nothing."""
        check = entry.record
        if check.status != CRITICAL or not check.service_id or self._after_s(check) <= 0:
            self.drop(check.key)
            return
        critical = self._critical.get(check.key)
        if critical is None or critical.service_key != check.service_key:
            self.drop(check.key)
            critical = self._critical[check.key] = _Critical(check.service_key, now_s)
        self._deadlines.set(check.key, critical.since_s + self._after_s(check))

    def restart(self, key: str, now_s: float) -> None:
        """Counts a check's time in critical anew: it was found to be better, though that may not be written yet.

        Without this, a store that comes back could take the end of a service before the news that it is well.
        """
        critical = self._critical.get(key)
        entry = self._catalog.checks.get(key)
        if critical is not None and entry is not None:
            self.drop(key)
            self._critical[key] = _Critical(critical.service_key, now_s)
            self._deadlines.set(key, now_s + self._after_s(entry.record))

    def drop(self, key: str) -> None:
        """Takes back whatever was intended because of this check."""
        if self._critical.pop(key, None) is not None:
            self._deadlines.drop(key)
            self._outbox.withdraw(_slot(key))

    def tick(self, now_s: float) -> None:
        """Deregisters the services of checks that were critical for too long."""
        for key in self._deadlines.pop_due(now_s):
            self._reap(key, self._critical[key])

    def deadline_s(self, key: str) -> float | None:
        """When the service of a check that stays critical is deregistered, in listening time; None for never."""
        return self._deadlines.get(key)

    def next_s(self) -> float | None:
        """When `tick` has something to do."""
        return self._deadlines.next_s()

    def _after_s(self, check: Check) -> float:
        """How long the check may be critical; 0 for ever."""
        after_s = check.definition.deregister_critical_service_after_s if check.definition else 0.0
        return max(after_s, self._after_s_min) if after_s > 0 else 0.0

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
            reason = reap_reason(check.record.id, self._after_s(check.record))
            found = service.record
            return deregister_service(catalog, found.node, found.id, reason=reason, now_s=self._wall_clock())

        def done() -> None:
            self._counters.deregistrations["critical"] += 1
            logger.info("instance %s %s", critical.service_key, reason)

        entry = self._catalog.checks.get(key)
        why = reap_reason(entry.record.id, self._after_s(entry.record)) if entry else ""
        self._outbox.want(_slot(key), plan, done, cause=caused_by("reaper", source=key, reason=why))


def _slot(key: str) -> str:
    return "reap " + key

"""TTL checks: services that say themselves how they are, and are taken for dead when they stop saying it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from regista.catalog import Catalog
from regista.health.counters import Counters
from regista.health.deadlines import Deadlines
from regista.health.decide import decide_ttl_output
from regista.health.endings import Ending
from regista.health.guard import Guard
from regista.health.statuses import Statuses, WatchedCheck, told
from regista.model import CRITICAL, caused_by, format_duration

logger = logging.getLogger(__name__)


class Heartbeats:
    """When each TTL check must have been heard from, by the hearing clock."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        statuses: Statuses,
        guard: Guard,
        counters: Counters,
        on_silence: Callable[[WatchedCheck], None],
    ) -> None:
        self._catalog = catalog
        self._guard = guard
        self._statuses = statuses
        self._counters = counters
        self._on_silence = on_silence
        self._watched: dict[str, WatchedCheck] = {}
        self._deadlines = Deadlines()

    def add(self, watched: WatchedCheck, now_s: float) -> None:
        """Expects a check to be heard from within one TTL."""
        self._watched[watched.key] = watched
        self._deadlines.set(watched.key, now_s + watched.definition.ttl_s)

    def drop(self, key: str) -> None:
        """Expects nothing of the check any more."""
        if self._watched.pop(key, None) is not None:
            self._deadlines.drop(key)
            self._guard.withdraw(_slot(key))

    def find(self, key: str) -> WatchedCheck | None:
        """The TTL check of this key."""
        return self._watched.get(key)

    def renew(self, watched: WatchedCheck, now_s: float) -> None:
        """Gives the check a whole TTL again, and takes back an expiry that is not written yet."""
        if watched.key not in self._deadlines:
            self._guard.withdraw(_slot(watched.key))
            self._statuses.withdraw(watched.key)
        self._deadlines.set(watched.key, now_s + watched.definition.ttl_s)

    def tick(self, now_s: float) -> None:
        """Proposes to make critical what was not heard from in time."""
        for key in self._deadlines.pop_due(now_s):
            self._propose(self._watched[key], now_s)

    def near(self, now_s: float) -> Iterator[str]:
        """The instances with a check that is to expire within half its TTL; see `Leases.near`."""
        deadline_s = self._deadlines.get
        for key, watched in self._watched.items():
            at_s = deadline_s(key)
            if at_s is not None and at_s <= now_s + watched.definition.ttl_s / 2:
                entry = watched.entry_in(self._catalog)
                if entry is not None and entry.record.status != CRITICAL:
                    yield entry.record.service_key

    def deadline_s(self, key: str) -> float | None:
        """When the check must have been heard from, by the hearing clock; None for never."""
        return self._deadlines.get(key)

    def next_s(self) -> float | None:
        """When `tick` has something to do."""
        return self._deadlines.next_s()

    def _propose(self, watched: WatchedCheck, now_s: float) -> None:
        entry = watched.entry_in(self._catalog)
        if entry is None:
            return
        check = entry.record
        self._counters.expiries["check"] += 1
        silence = f"was not heard from for {format_duration(watched.definition.ttl_s)}"
        last_output = self._catalog.output(entry)
        if check.status == CRITICAL:
            # Nothing ends: it only shows that it expired too.
            self._expire(watched, silence, last_output)
            return
        service = self._catalog.services.get(check.service_key) if check.service_id else None
        ending = Ending(
            slot=_slot(watched.key),
            instance=check.service_key if service is not None else "",
            service=service.record.name.lower() if service is not None else "",
            why=f'its check "{check.id}" {silence}',
            patience_s=watched.definition.ttl_s,
            carry_out=lambda: self._expire(watched, silence, last_output),
            explain=lambda sentence: self._catalog.set_output(watched.key, sentence or last_output),
        )
        self._guard.propose(ending, now_s)

    def _expire(self, watched: WatchedCheck, silence: str, last_output: str) -> None:
        entry = watched.entry_in(self._catalog)
        if entry is None:
            return
        logger.info("%s %s", told(entry.record), silence)
        self._on_silence(watched)
        output = decide_ttl_output(last_output)
        self._statuses.publish(
            watched,
            CRITICAL,
            output,
            cause=caused_by("expiry", source=watched.key, reason=silence),
            is_void=lambda: watched.key in self._deadlines,
        )


def _slot(key: str) -> str:
    return "check " + key

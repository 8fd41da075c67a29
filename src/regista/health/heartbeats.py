"""TTL checks: services that say themselves how they are, and are taken for dead when they stop saying it."""

from __future__ import annotations

import logging

from regista.catalog import Catalog
from regista.health.counters import Counters
from regista.health.deadlines import Deadlines
from regista.health.decide import decide_ttl_output
from regista.health.statuses import Statuses, WatchedCheck, told
from regista.model import CRITICAL, caused_by, format_duration

logger = logging.getLogger(__name__)


class Heartbeats:
    """When each TTL check must have been heard from, in listening time."""

    def __init__(self, *, catalog: Catalog, statuses: Statuses, counters: Counters) -> None:
        self._catalog = catalog
        self._statuses = statuses
        self._counters = counters
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

    def find(self, key: str) -> WatchedCheck | None:
        """The TTL check of this key."""
        return self._watched.get(key)

    def renew(self, watched: WatchedCheck, now_s: float) -> None:
        """Gives the check a whole TTL again, and takes back an expiry that is not written yet."""
        if watched.key not in self._deadlines:
            self._statuses.withdraw(watched.key)
        self._deadlines.set(watched.key, now_s + watched.definition.ttl_s)

    def tick(self, now_s: float) -> None:
        """Makes critical what was not heard from in time."""
        for key in self._deadlines.pop_due(now_s):
            self._expire(self._watched[key])

    def deadline_s(self, key: str) -> float | None:
        """When the check must have been heard from, in listening time; None for never."""
        return self._deadlines.get(key)

    def next_s(self) -> float | None:
        """When `tick` has something to do."""
        return self._deadlines.next_s()

    def _expire(self, watched: WatchedCheck) -> None:
        entry = watched.entry_in(self._catalog)
        if entry is None:
            return
        self._counters.expiries["check"] += 1
        silence = f"was not heard from for {format_duration(watched.definition.ttl_s)}"
        logger.info("%s %s", told(entry.record), silence)
        output = decide_ttl_output(self._catalog.output(entry))
        self._statuses.publish(
            watched,
            CRITICAL,
            output,
            cause=caused_by("expiry", source=watched.key, reason=silence),
            is_void=lambda: watched.key in self._deadlines,
        )

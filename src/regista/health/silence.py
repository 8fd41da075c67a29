"""Everything that ends by silence, on one clock: TTL checks, leases, sessions, and times in critical.

The parts say who was not heard in time; the guard says what may come of it. For the rest of the scheduler this is
one part: moments are of the listening clock outside, and of the hearing clock inside.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from regista.catalog import Catalog
from regista.health.counters import Counters
from regista.health.dialling import Dialler, Verifier
from regista.health.guard import Guard
from regista.health.hearing import HearingClock
from regista.health.heartbeats import Heartbeats
from regista.health.leases import Leases
from regista.health.listening import ListeningClock
from regista.health.outbox import Outbox
from regista.health.protection import Protection
from regista.health.reaper import Reaper
from regista.health.scopes import Scopes
from regista.health.sessions import SessionWatch
from regista.health.settings import HealthSettings
from regista.health.statuses import Statuses, WatchedCheck


class Part(Protocol):
    """What the scheduler's timer serves."""

    def tick(self, now_s: float) -> None:
        """Does what is due."""

    def next_s(self) -> float | None:
        """When `tick` has something to do; None for never as far as it knows."""


class Silence:
    """Who must be heard when, and what comes of it if they are not.

    Args:
        is_store_away: whether the store takes no writes just now.
        on_silence: told of each TTL check that expires.

    Attributes:
        hearing: the clock of it all.
        heartbeats, leases, sessions, reaper: to be told of what changes, in its time.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        outbox: Outbox,
        statuses: Statuses,
        counters: Counters,
        settings: HealthSettings,
        listening: ListeningClock,
        hearing: HearingClock,
        wall_clock: Callable[[], float],
        verifier: Verifier,
        is_store_away: Callable[[], bool],
        on_silence: Callable[[WatchedCheck], None],
    ) -> None:
        self.hearing = hearing
        self._is_store_away = is_store_away
        self._was_store_away = False
        self._scopes = Scopes(catalog=catalog, settings=settings, now_s=hearing.now_s)
        self._dialler = Dialler(verifier, at_once_max=settings.dials_at_once_max, listening=listening)
        self._guard = guard = Guard(
            catalog=catalog,
            scopes=self._scopes,
            dialler=self._dialler,
            settings=settings,
            counters=counters,
            now_s=hearing.now_s,
            wall_clock=wall_clock,
        )
        self.heartbeats = Heartbeats(
            catalog=catalog, statuses=statuses, guard=guard, counters=counters, on_silence=on_silence
        )
        self.leases = Leases(catalog=catalog, outbox=outbox, guard=guard, counters=counters, wall_clock=wall_clock)
        self.sessions = SessionWatch(catalog=catalog, outbox=outbox, counters=counters)
        self.reaper = Reaper(
            catalog=catalog,
            outbox=outbox,
            guard=guard,
            counters=counters,
            wall_clock=wall_clock,
            after_s_min=settings.deregister_after_s_min,
        )
        self._scopes.near = self._near
        self._parts: tuple[Part, ...] = (self.heartbeats, self.leases, self.sessions, self.reaper, guard)

    # ---- time ----

    def tick(self, _now_s: float) -> None:
        """Does what is due."""
        is_away = self._is_store_away()
        if is_away or self._was_store_away:
            self._was_store_away = is_away
            self.hearing.note_write(has_failed=is_away)
        heard_s = self.hearing.now_s()
        for part in self._parts:
            part.tick(heard_s)

    def next_s(self) -> float | None:
        """When `tick` has something to do, in listening time."""
        moments = [moment for part in self._parts if (moment := part.next_s()) is not None]
        return self.hearing.listening_at_s(min(moments)) if moments else None

    async def stop(self) -> None:
        """Ends what is under way, and waits until it has."""
        await self._dialler.stop()

    # ---- who is heard, and who there is ----

    def note(self, key: str) -> None:
        """Takes notice of an instance that changed, or one of its checks."""
        self._scopes.note(key)

    def renew_check(self, key: str) -> None:
        """Gives a TTL check a whole TTL again; does nothing for any other check."""
        watched = self.heartbeats.find(key)
        if watched is not None:
            self.heartbeats.renew(watched, self.hearing.now_s())

    def renew_service(self, key: str) -> None:
        """Gives an instance's lease a whole TTL again; does nothing for one without a lease."""
        self.leases.renew(key, self.hearing.now_s())

    def renew_session(self, session_id: str) -> None:
        """Gives a session a whole TTL again; does nothing for one without a TTL."""
        self.sessions.renew(session_id, self.hearing.now_s())

    # ---- what will happen ----

    def lease_left_s(self, key: str) -> float | None:
        """Seconds until an instance that nobody renews is removed; None without a lease here."""
        return self._left_s(self.leases.deadline_s(key))

    def heartbeat_left_s(self, key: str) -> float | None:
        """Seconds until a TTL check that nobody reports is critical; None if it is, or has no TTL here."""
        return self._left_s(self.heartbeats.deadline_s(key))

    def reap_left_s(self, key: str) -> float | None:
        """Seconds until a critical check that stays so ends its service; None if it does not."""
        return self._left_s(self.reaper.deadline_s(key))

    def _left_s(self, deadline_s: float | None) -> float | None:
        return None if deadline_s is None else max(0.0, deadline_s - self.hearing.now_s())

    # ---- what is kept ----

    @property
    def is_protection_enabled(self) -> bool:
        """Whether mass losses are held; an operator can switch it off until the agent ends."""
        return self._guard.is_enabled

    def protections(self) -> tuple[Protection, ...]:
        """The scopes whose mass loss is not believed; all services together come first."""
        return self._guard.protections()

    def enable_protection(self, *, is_enabled: bool) -> None:
        """Holds mass losses from now on, or lets go of those held and of all later ones."""
        self._guard.enable(is_enabled=is_enabled)

    def endings_counts(self) -> Mapping[str, int]:
        """How many instances and TTL checks are to end, by how far that is."""
        return self._guard.counts()

    def _near(self, now_s: float) -> Iterable[str]:
        """The instances that are about to fall silent."""
        return itertools.chain(self.leases.near(now_s), self.heartbeats.near(now_s), self.reaper.near(now_s))

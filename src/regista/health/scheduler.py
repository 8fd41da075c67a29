"""Runs the checks and leases of one node: follows the catalog, and brings back to it what it finds.

Theory of operation. What is to be run is read from the catalog: at the start, and from every batch that changes
something of this node. Each part (probes, heartbeats, leases, reaper, outbox) keeps deadlines in listening time
and has a `tick` that does what is due and a `next_s`; one timer serves them all. Nothing here waits: writes and
probes run in tasks of their own, and a decision is taken in one go between two looks at the clock.

    batch ──▶ watched checks ──▶ prober, heartbeats, aliases ──▶ decide ──▶ statuses ─┐
        └───▶ leases, sessions, reaper ──────────────────────────────────────────┴──▶ outbox ──▶ writer
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Mapping

from regista.catalog import Catalog
from regista.health.aliases import Aliases
from regista.health.counters import Counters
from regista.health.decide import (
    KEEP,
    cut_head,
    decide_kind,
    decide_output_bytes_max,
    decide_status,
    fresh_hysteresis,
)
from regista.health.heartbeats import Heartbeats
from regista.health.leases import Leases
from regista.health.listening import ListeningClock
from regista.health.observation import Observation, Probe
from regista.health.outbox import Outbox, Writer
from regista.health.prober import Prober
from regista.health.reaper import Reaper
from regista.health.sessions import SessionWatch
from regista.health.settings import HealthSettings
from regista.health.statuses import Statuses, WatchedCheck
from regista.model import (
    CRITICAL,
    STATUSES,
    Batch,
    Cause,
    Check,
    Entry,
    Manager,
    NotFound,
    Service,
    Status,
    caused_by,
    node_item_key,
)

_HEARTBEAT_S = 1.0
"""The timer comes round at least so often, so that a stall is noticed and retries are made."""

_TICK_GAP_S = 0.005
"""Ten thousand checks must not cost ten thousand timers a second; what falls due together is done together."""

_MANAGERS: tuple[Manager, ...] = ("agent", "config")


class Scheduler:
    """The checks and leases of one node.

    All of it runs on the event loop's thread. `start` needs the running loop; `take_over` and `tick` alone do
    the same for a caller who holds the clock.

    Args:
        catalog: the replica; followed, and told new outputs.
        node: whose checks and leases these are.
        writer: commits what was decided.
        clock: monotonic seconds.
        wall_clock: seconds since the epoch, for people.
        probes: how to look at each kind of target; the caller closes them, after `stop`.

    Attributes:
        counters: what happened, for the metrics.
        listening: the clock of all deadlines; it knows the stalls.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        node: str,
        writer: Writer,
        settings: HealthSettings,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        rng: random.Random,
        probes: Mapping[str, Probe],
    ) -> None:
        self.counters = Counters()
        self.listening = ListeningClock(clock, tolerance_s=settings.stall_tolerance_s)
        self._catalog = catalog
        self._node = node
        self._settings = settings
        self._clock = clock
        self._probes = probes
        self._checks: dict[str, WatchedCheck] = {}
        self._outbox = Outbox(writer, now_s=self.listening.now_s)
        self._statuses = Statuses(catalog=catalog, outbox=self._outbox, counters=self.counters)
        self._heartbeats = Heartbeats(catalog=catalog, statuses=self._statuses, counters=self.counters)
        self._leases = Leases(catalog=catalog, outbox=self._outbox, counters=self.counters, wall_clock=wall_clock)
        self._sessions = SessionWatch(catalog=catalog, outbox=self._outbox, counters=self.counters)
        self._reaper = Reaper(
            catalog=catalog,
            outbox=self._outbox,
            counters=self.counters,
            wall_clock=wall_clock,
            after_s_min=settings.deregister_after_s_min,
        )
        self._prober = Prober(
            probes=probes,
            settings=settings,
            listening=self.listening,
            rng=rng,
            counters=self.counters,
            on_observation=self._on_observation,
        )
        self._aliases = Aliases(catalog=catalog, statuses=self._statuses)
        self._parts = (
            self._heartbeats,
            self._leases,
            self._sessions,
            self._reaper,
            self._prober,
            self._aliases,
            self._outbox,
        )
        self._is_following = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_s = math.inf
        self._is_timer_due = False

    # ---- life ----

    def start(self) -> None:
        """Takes over what the catalog holds, and runs it until `stop`. Call once, from the running loop."""
        self._loop = asyncio.get_running_loop()
        self.take_over()
        self._on_timer()

    def take_over(self) -> None:
        """Watches what the catalog holds now and every later change; each TTL starts with a whole one."""
        now_s = self.listening.now_s()
        node_key = self._node.lower()
        for check in list(self._catalog.check_indexes.by_node.get(node_key, {}).values()):
            self._follow_check(check.record.key, now_s)
        for service in list(self._catalog.service_indexes.by_node.get(node_key, {}).values()):
            self._follow_service(service.record.key, now_s)
        self._sessions.take_over(now_s)
        self._is_following = True
        self._catalog.subscribe(self._on_batch)

    async def stop(self) -> None:
        """Ends all probes and writes under way, and waits until they have; statuses stay as they are."""
        self._is_following = False
        self._loop = None
        if self._timer is not None:
            self._timer.cancel()
        await self._prober.stop()
        await self._outbox.stop()

    def tick(self) -> float:
        """Does what is due; the moment of the clock at which it wants to be called next, within a second."""
        now_s = self.listening.tick_s()
        for part in self._parts:
            part.tick(now_s)
        return self.listening.expect(max(self._next_s(now_s), now_s + _TICK_GAP_S))

    # ---- what clients say ----

    async def report(self, check_id: str, status: Status, output: str, *, cause: Cause) -> None:
        """Takes a service's word for how it is, and gives its TTL check a whole TTL again.

        Returns when the replica shows the status. An empty output takes the old one's place.

        Args:
            cause: who said it.

        Raises:
            NotFound: there is no such check here, or it has no TTL.
            Contended, Overloaded, StoreUnavailable: the status could not be written; the TTL counts anew anyway.
        """
        assert status in STATUSES, status
        watched = self._heartbeats.find(node_item_key(self._node, check_id))
        if watched is None:
            raise NotFound(
                f'CheckID "{check_id}" does not have associated TTL. '
                "Register the check again, with a TTL, and report to the ID that it is listed under."
            )
        now_s = self.listening.now_s()
        self._heartbeats.renew(watched, now_s)
        if status != CRITICAL:
            self._reaper.restart(watched.key, now_s)
        bytes_max = decide_output_bytes_max(watched.definition, self._settings.output_bytes_max)
        await self._statuses.write(watched, status, cut_head(output, bytes_max), cause=cause)

    def renew_check(self, key: str) -> None:
        """Gives a TTL check a whole TTL again, its status as it was; does nothing for any other check."""
        watched = self._heartbeats.find(key)
        if watched is not None:
            self._heartbeats.renew(watched, self.listening.now_s())

    def renew_service(self, key: str) -> None:
        """Gives an instance's lease a whole TTL again, without a write; does nothing for one without a lease."""
        self._leases.renew(key, self.listening.now_s())

    # ---- what will happen ----

    def lease_left_s(self, key: str) -> float | None:
        """Seconds until an instance that nobody renews is removed; None without a lease here."""
        return self._left_s(self._leases.deadline_s(key))

    def heartbeat_left_s(self, key: str) -> float | None:
        """Seconds until a TTL check that nobody reports is critical; None if it is, or has no TTL here."""
        return self._left_s(self._heartbeats.deadline_s(key))

    def reap_left_s(self, key: str) -> float | None:
        """Seconds until a critical check that stays so ends its service; None if it does not."""
        return self._left_s(self._reaper.deadline_s(key))

    def _left_s(self, deadline_s: float | None) -> float | None:
        return None if deadline_s is None else max(0.0, deadline_s - self.listening.now_s())

    def renew_session(self, session_id: str) -> None:
        """Gives a session a whole TTL again, without a write; does nothing for one without a TTL."""
        self._sessions.renew(session_id, self.listening.now_s())

    # ---- following the catalog ----

    def _on_batch(self, batch: Batch) -> None:
        if not self._is_following:
            return
        now_s = self.listening.now_s()
        node_key = self._node.lower()
        for change in batch.changes:
            record = change.record
            self._sessions.note(change, now_s)
            if isinstance(record, Check | Service):
                changed_node_key = record.node.lower()
                self._aliases.note(changed_node_key)
                if changed_node_key == node_key:
                    self._follow(record, now_s)
        if self._loop is not None and not self._is_timer_due:
            # Once for all the batches that arrive together.
            self._is_timer_due = True
            self._loop.call_soon(self._look_ahead)

    def _follow(self, record: Check | Service, now_s: float) -> None:
        if isinstance(record, Check):
            self._follow_check(record.key, now_s)
        else:
            self._follow_service(record.key, now_s)

    def _follow_service(self, key: str, now_s: float) -> None:
        entry = self._catalog.services.get(key)
        if entry is None or entry.record.manager not in _MANAGERS:
            self._leases.drop(key)
        else:
            self._leases.note(entry, now_s)

    def _follow_check(self, key: str, now_s: float) -> None:
        entry = self._catalog.checks.get(key)
        watched = self._checks.get(key)
        if entry is None or entry.record.definition is None or entry.record.manager not in _MANAGERS:
            if watched is not None:
                self._forget_check(watched)
                self._reaper.drop(key)
            return
        if watched is None or watched.create_index != entry.create_index:
            self._reaper.drop(key)
        if (
            watched is None
            or watched.create_index != entry.create_index
            or watched.definition != entry.record.definition
        ):
            self._watch_check(entry, watched, now_s)
        self._reaper.note(entry, now_s)

    def _watch_check(self, entry: Entry[Check], before: WatchedCheck | None, now_s: float) -> None:
        """Runs the check as its definition says now; nothing counts that was found under the one before."""
        if before is not None:
            self._forget_check(before)
        definition = entry.record.definition
        assert definition is not None
        watched = WatchedCheck(
            key=entry.record.key,
            node=entry.record.node,
            create_index=entry.create_index,
            definition=definition,
            kind=decide_kind(definition),
            hysteresis=fresh_hysteresis(definition),
        )
        self._checks[watched.key] = watched
        if watched.kind == "ttl":
            self._heartbeats.add(watched, now_s)
        elif watched.kind == "alias":
            self._aliases.add(watched)
        elif watched.kind in self._probes:
            self._prober.add(watched, now_s)

    def _forget_check(self, watched: WatchedCheck) -> None:
        del self._checks[watched.key]
        self._prober.drop(watched.key)
        self._heartbeats.drop(watched.key)
        self._aliases.drop(watched)
        self._statuses.withdraw(watched.key)

    def _on_observation(self, watched: WatchedCheck, observation: Observation) -> None:
        watched.hysteresis, verdict = decide_status(watched.hysteresis, watched.definition, observation.status)
        if verdict is not KEEP:
            if verdict != CRITICAL:
                self._reaper.restart(watched.key, self.listening.now_s())
            cause = caused_by(
                "check", source=watched.key, reason=f"its {watched.kind} probe found {observation.status}"
            )
            self._statuses.publish(watched, verdict, observation.output, cause=cause)

    # ---- the timer ----

    def _next_s(self, now_s: float) -> float:
        """When something is due next, in listening time; at most a heartbeat away."""
        moments = (part.next_s() for part in self._parts)
        return min((now_s + _HEARTBEAT_S, *(moment for moment in moments if moment is not None)))

    def _look_ahead(self) -> None:
        """Has the timer come earlier if a change calls for it."""
        self._is_timer_due = False
        self._set_timer(self._next_s(self.listening.now_s()) + self.listening.stalled_s)

    def _on_timer(self) -> None:
        self._timer_s = math.inf
        self._set_timer(self.tick())

    def _set_timer(self, at_s: float) -> None:
        """Has the timer come at `at_s` of the clock, unless it comes before that anyway."""
        if self._loop is None or at_s >= self._timer_s:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer_s = at_s
        self._timer = self._loop.call_later(max(0.0, at_s - self._clock()), self._on_timer)

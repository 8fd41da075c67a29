"""Runs the checks and leases of one node: follows the catalog, and brings back to it what it finds.

Theory of operation. What is to be run is read from the catalog: at the start, and from every batch that changes
something of this node. Each part (probes, heartbeats, leases, reaper, outbox) keeps deadlines and has a `tick`
that does what is due and a `next_s`; one timer serves them all. What ends by silence goes by the hearing clock,
the rest by listening time. Nothing here waits: writes and probes run in tasks of their own, and a decision is
taken in one go between two looks at the clock.

    batch ──▶ watched checks ──▶ prober, heartbeats, aliases ──▶ decide ──▶ statuses ─┐
        └───▶ leases, sessions, reaper ──────────────────────────────────────────┴──▶ outbox ──▶ writer
"""

from __future__ import annotations

import random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

from regista.catalog import Catalog
from regista.health.aliases import Aliases
from regista.health.counters import Counters
from regista.health.decide import KEEP, cut_head, decide_output_bytes_max
from regista.health.dialling import TcpVerifier, Verifier
from regista.health.hearing import HearingClock
from regista.health.kind_rule import KindRule
from regista.health.listening import ListeningClock
from regista.health.observation import Observation, Probe
from regista.health.outbox import Outbox, Writer
from regista.health.passive import PassiveHealth
from regista.health.passive_settings import PassiveSettings
from regista.health.prober import Prober
from regista.health.protection import Protection
from regista.health.settings import HealthSettings
from regista.health.silence import Part, Silence
from regista.health.statuses import Statuses, WatchedCheck
from regista.health.timer import Timer
from regista.health.verdicts import Verdicts
from regista.health.watching import Watching, concerns
from regista.health.withholding import Withholding
from regista.model import (
    PASSING,
    STATUSES,
    Batch,
    Cause,
    Check,
    NotFound,
    Service,
    Status,
    node_item_key,
)

_HEARTBEAT_S = 1.0
"""The timer comes round at least so often, so that a stall is noticed and retries are made."""

_TICK_GAP_S = 0.005
"""Ten thousand checks must not cost ten thousand timers a second; what falls due together is done together."""

NOTHING_RUN = KindRule()

_PASSIVE = PassiveSettings()

Writing: TypeAlias = Coroutine[Any, Any, None]
"""What is left of a report: to be awaited until it is written."""


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
        kind_rule: which of them are allowed; programs are not, unless it says so.
        passive: when what callers report takes an instance out.
        verifier: looks whether silent instances are there.
        is_store_away: whether the store takes no writes just now; asked every second at least.

    Attributes:
        counters: what happened, for the metrics.
        listening: the clock of probes; it knows the stalls.
        hearing: the clock of whatever ends by silence; it knows the store's outages too.
        passive: judges instances by what their callers report.
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
        kind_rule: KindRule = NOTHING_RUN,
        passive: PassiveSettings = _PASSIVE,
        verifier: Verifier | None = None,
        is_store_away: Callable[[], bool] = lambda: False,
    ) -> None:
        self.counters = Counters()
        self.listening = ListeningClock(clock, tolerance_s=settings.stall_tolerance_s)
        self.hearing = HearingClock(self.listening.now_s)
        self._catalog = catalog
        self._node = node
        self._settings = settings
        self._timer = Timer(clock, tick=self.tick, next_s=self._due_s)
        self._outbox = Outbox(writer, now_s=self.listening.now_s, on_write=self.note_write)
        self._statuses = Statuses(catalog=catalog, outbox=self._outbox, counters=self.counters)
        self._silence = self._new_silence(verifier or TcpVerifier(), is_store_away, wall_clock)
        self._verdicts = self._new_verdicts(wall_clock)
        self._withholding = Withholding(
            catalog=catalog,
            counters=self.counters,
            abstain_s=settings.abstain_s,
            on_observation=self._verdicts.judge,
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
        self.passive = self._new_passive(passive, rng, wall_clock)
        self._watching = Watching(
            catalog=catalog,
            listening=self.listening,
            kind_rule=kind_rule,
            probes=probes,
            silence=self._silence,
            prober=self._prober,
            withholding=self._withholding,
            verdicts=self._verdicts,
            aliases=self._aliases,
            statuses=self._statuses,
        )
        self._parts: tuple[Part, ...] = (
            self._silence,
            self._prober,
            self._withholding,
            self._aliases,
            self.passive,
            self._outbox,
        )
        self._is_following = False

    def _new_silence(
        self, verifier: Verifier, is_store_away: Callable[[], bool], wall_clock: Callable[[], float]
    ) -> Silence:
        return Silence(
            catalog=self._catalog,
            outbox=self._outbox,
            statuses=self._statuses,
            counters=self.counters,
            settings=self._settings,
            listening=self.listening,
            hearing=self.hearing,
            wall_clock=wall_clock,
            verifier=verifier,
            is_store_away=is_store_away,
            on_silence=self._on_silence,
        )

    def _new_verdicts(self, wall_clock: Callable[[], float]) -> Verdicts:
        return Verdicts(
            catalog=self._catalog,
            statuses=self._statuses,
            reaper=self._silence.reaper,
            counters=self.counters,
            settings=self._settings,
            now_s=self.hearing.now_s,
            wall_clock=wall_clock,
        )

    def _new_passive(
        self, settings: PassiveSettings, rng: random.Random, wall_clock: Callable[[], float]
    ) -> PassiveHealth:
        return PassiveHealth(
            catalog=self._catalog,
            node=self._node,
            outbox=self._outbox,
            counters=self.counters,
            settings=settings,
            rng=rng,
            now_s=self.listening.now_s,
            wall_clock=wall_clock,
            wake_up=self._timer.look_soon,
        )

    # ---- life ----

    def start(self) -> None:
        """Takes over what the catalog holds, and runs it until `stop`. Call once, from the running loop."""
        self.take_over()
        self._timer.start()

    def take_over(self) -> None:
        """Watches what the catalog holds now and every later change; each TTL starts with a whole one."""
        self._watching.take_over(self._node)
        self._silence.sessions.take_over(self.hearing.now_s())
        self.passive.take_over(self.listening.now_s())
        self._is_following = True
        self._catalog.subscribe(self._on_batch)

    async def stop(self) -> None:
        """Ends all probes and writes under way, and waits until they have; statuses stay as they are."""
        self._is_following = False
        self._timer.stop()
        await self._prober.stop()
        await self._silence.stop()
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

        Returns when the replica shows what the report comes to: with thresholds it may be one of several that are
        needed, and status and output stay. An empty output takes the old one's place.

        Raises:
            NotFound: there is no such check here, or it has no TTL.
            Contended, Overloaded, StoreUnavailable: the status could not be written; the TTL counts anew anyway.
        """
        writing = self.report_nowait(check_id, status, output, cause=cause)
        if writing is not None:
            await writing

    def report_nowait(self, check_id: str, status: Status, output: str, *, cause: Cause) -> Writing | None:
        """As `report`, but what has to be written is left to the caller to await; None if nothing has."""
        assert status in STATUSES, status
        watched = self._silence.heartbeats.find(node_item_key(self._node, check_id))
        if watched is None:
            raise _without_ttl(check_id)
        self._silence.heartbeats.renew(watched, self.hearing.now_s())
        verdict = self._verdicts.judge_report(watched, status)
        if verdict is KEEP:
            return None
        bytes_max = decide_output_bytes_max(watched.definition, self._settings.output_bytes_max)
        return self._statuses.write(watched, verdict, cut_head(output, bytes_max), cause=cause)

    def renew_check(self, key: str) -> None:
        """Gives a TTL check a whole TTL again, its status as it was; does nothing for any other check."""
        self._silence.renew_check(key)

    def renew_service(self, key: str) -> None:
        """Gives an instance's lease a whole TTL again, without a write; does nothing for one without a lease."""
        self._silence.renew_service(key)

    def renew_session(self, session_id: str) -> None:
        """Gives a session a whole TTL again, without a write; does nothing for one without a TTL."""
        self._silence.renew_session(session_id)

    def note_write(self, has_failed: bool) -> None:  # noqa: FBT001 - the one thing that there is to say
        """Takes notice of whether the store refused a write, whoever wanted it: while it does, nobody expires."""
        self.hearing.note_write(has_failed=has_failed)

    # ---- what will happen ----

    def lease_left_s(self, key: str) -> float | None:
        """Seconds until an instance that nobody renews is removed; None without a lease here."""
        return self._silence.lease_left_s(key)

    def heartbeat_left_s(self, key: str) -> float | None:
        """Seconds until a TTL check that nobody reports is critical; None if it is, or has no TTL here."""
        return self._silence.heartbeat_left_s(key)

    def reap_left_s(self, key: str) -> float | None:
        """Seconds until a critical check that stays so ends its service; None if it does not."""
        return self._silence.reap_left_s(key)

    @property
    def drains_count(self) -> int:
        """How many instances drain."""
        return self._silence.reaper.drains_count

    # ---- what is held ----

    def protections(self) -> tuple[Protection, ...]:
        """The scopes whose mass loss is not believed; all services together come first."""
        return self._silence.protections()

    @property
    def is_protection_enabled(self) -> bool:
        """Whether mass losses are held; an operator can switch it off until the agent ends."""
        return self._silence.is_protection_enabled

    def enable_protection(self, *, is_enabled: bool) -> None:
        """Holds mass losses from now on, or lets go of those held and of all later ones."""
        self._silence.enable_protection(is_enabled=is_enabled)
        self._timer.look_soon()

    def endings_counts(self) -> Mapping[str, int]:
        """How many instances and TTL checks are to end, by how far that is."""
        return self._silence.endings_counts()

    @property
    def abstention(self) -> str:
        """Why this agent withholds what its probes find, for people; "" while it does not."""
        return self._withholding.sentence

    def told_hold(self, key: str) -> str:
        """Why a check is not simply what its last result was: it flaps, or that is held back; "" if it is."""
        watched = self._watching.checks.get(key)
        if watched is None:
            return ""
        if self._withholding.holds(key):
            return f"Its last failure is withheld. {self.abstention}".rstrip()
        return self._verdicts.told_hold(watched)

    # ---- following the catalog ----

    def _on_batch(self, batch: Batch) -> None:
        if not self._is_following:
            return
        now_s = self.hearing.now_s()
        node_key = self._node.lower()
        here: list[Check | Service] = []
        for change in batch.changes:
            record = change.record
            self._silence.sessions.note(change, now_s)
            self.passive.note(change)
            if isinstance(record, (Check, Service)):
                self._aliases.note(record.node.lower())
                if concerns(record, node_key):
                    here.append(record)
        self._watching.follow(here)
        self._timer.look_soon()

    def _on_observation(self, watched: WatchedCheck, observation: Observation) -> None:
        now_s = self.listening.now_s()
        self._withholding.take(watched, observation, now_s)
        if observation.status == PASSING:
            self.passive.note_passing(watched.key, now_s)

    def _on_silence(self, watched: WatchedCheck) -> None:
        self._verdicts.note_silence(watched)

    # ---- the timer ----

    def _next_s(self, now_s: float) -> float:
        """When something is due next, in listening time; at most a heartbeat away."""
        moments = (part.next_s() for part in self._parts)
        return min((now_s + _HEARTBEAT_S, *(moment for moment in moments if moment is not None)))

    def _due_s(self) -> float:
        """The same as a moment of the clock."""
        return self._next_s(self.listening.now_s()) + self.listening.stalled_s


def _without_ttl(check_id: str) -> NotFound:
    return NotFound(
        f'CheckID "{check_id}" does not have associated TTL. '
        "Register the check again, with a TTL, and report to the ID that it is listed under."
    )

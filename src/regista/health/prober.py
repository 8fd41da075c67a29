"""Runs probes: each check in a cadence of its own, each probe in a task of its own, so many at once.

Two probes of one check never run at once: one that takes longer than its interval loses the slots that it misses.
What a probe found is handed on; what it means is not decided here.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import random
from collections.abc import Callable, Mapping

from regista.health.counters import Counters
from regista.health.deadlines import Deadlines
from regista.health.decide import decide_first_probe_s, decide_next_slot_s, decide_probe_s
from regista.health.listening import ListeningClock
from regista.health.observation import Observation, Probe
from regista.health.settings import HealthSettings
from regista.health.statuses import WatchedCheck
from regista.model import CRITICAL

logger = logging.getLogger(__name__)

_LATE_AFTER_S = 1.0
"""The shortest interval is about a second; what is late by less is not worth a number."""

_OWN_FAULT_TOLD_EVERY_S = 60.0
"""A machine without free files has thousands of such faults a minute, and one line says it all."""


class Prober:
    """The checks that are probed here, their cadences, and the probes under way."""

    def __init__(
        self,
        *,
        probes: Mapping[str, Probe],
        settings: HealthSettings,
        listening: ListeningClock,
        rng: random.Random,
        counters: Counters,
        on_observation: Callable[[WatchedCheck, Observation], None],
    ) -> None:
        self._probes = probes
        self._settings = settings
        self._listening = listening
        self._rng = rng
        self._counters = counters
        self._on_observation = on_observation
        self._watched: dict[str, WatchedCheck] = {}
        self._deadlines = Deadlines()
        self._running: dict[WatchedCheck, asyncio.Task[None]] = {}
        self._waiting: dict[WatchedCheck, float] = {}
        self._own_fault_told_s = -math.inf

    def add(self, watched: WatchedCheck, now_s: float) -> None:
        """Probes a check from now on."""
        interval_s = self._interval_s(watched)
        watched.slot_s = decide_first_probe_s(now_s=now_s, interval_s=interval_s, roll=self._rng.random())
        watched.probe_s = watched.slot_s
        self._watched[watched.key] = watched
        self._deadlines.set(watched.key, watched.slot_s)

    def drop(self, key: str) -> None:
        """Probes the check no more; what a probe under way still finds is lost."""
        watched = self._watched.pop(key, None)
        if watched is None:
            return
        self._deadlines.drop(key)
        self._waiting.pop(watched, None)
        if watched in self._running:
            self._running[watched].cancel()

    def tick(self, now_s: float) -> None:
        """Starts the probes whose time has come."""
        for key in self._deadlines.pop_due(now_s):
            watched = self._watched[key]
            due_s = watched.probe_s
            self._plan_next(watched, now_s)
            if watched in self._running or watched in self._waiting:
                self._counters.slots_missed += 1
            else:
                self._waiting[watched] = due_s
        self._start_waiting(now_s)

    def next_s(self) -> float | None:
        """When `tick` has something to do."""
        return self._deadlines.next_s()

    async def stop(self) -> None:
        """Cancels the probes under way and waits until they are gone."""
        for key in list(self._watched):
            self.drop(key)
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _interval_s(self, watched: WatchedCheck) -> float:
        return max(watched.definition.interval_s, self._settings.interval_s_min)

    def _plan_next(self, watched: WatchedCheck, now_s: float) -> None:
        interval_s = self._interval_s(watched)
        slot_s = decide_next_slot_s(watched.slot_s, now_s=now_s, interval_s=interval_s)
        self._counters.slots_missed += round((slot_s - watched.slot_s) / interval_s) - 1
        watched.slot_s = slot_s
        watched.probe_s = decide_probe_s(slot_s, interval_s=interval_s, roll=self._rng.random())
        self._deadlines.set(watched.key, watched.probe_s)

    def _start_waiting(self, now_s: float) -> None:
        while self._waiting and len(self._running) < self._settings.probes_at_once_max:
            watched = next(iter(self._waiting))
            due_s = self._waiting.pop(watched)
            if now_s - due_s > _LATE_AFTER_S:
                self._counters.late_starts += 1
            task = asyncio.get_running_loop().create_task(self._run(watched, due_s))
            self._running[watched] = task
            task.add_done_callback(functools.partial(self._finish, watched))

    async def _run(self, watched: WatchedCheck, due_s: float) -> None:
        self._counters.lateness.observe(self._listening.now_s() - due_s)
        stalls = self._listening.stalls
        observation = await self._probes[watched.kind].observe(watched.definition)
        self._listening.now_s()  # A stall may be there that no tick has noticed yet.
        self._counters.probes[watched.kind, observation.status] += 1
        if observation.status == CRITICAL and stalls != self._listening.stalls:
            # The agent was away, not the target: a timeout says nothing then.
            self._counters.probes_ignored += 1
        elif observation.is_own_fault:
            self._note_own_fault(observation)
        elif self._watched.get(watched.key) is watched:
            self._on_observation(watched, observation)

    def _note_own_fault(self, observation: Observation) -> None:
        """Ignores a result that says something of this machine only."""
        self._counters.own_faults += 1
        now_s = self._listening.now_s()
        if now_s >= self._own_fault_told_s + _OWN_FAULT_TOLD_EVERY_S:
            self._own_fault_told_s = now_s
            logger.warning(
                "probes fail for want of something on this machine, and do not count: %s", observation.output
            )

    def _finish(self, watched: WatchedCheck, task: asyncio.Task[None]) -> None:
        del self._running[watched]
        if not task.cancelled() and (problem := task.exception()) is not None:
            logger.error("the probe of check %s failed in a way that it must not", watched.key, exc_info=problem)
        self._start_waiting(self._listening.now_s())

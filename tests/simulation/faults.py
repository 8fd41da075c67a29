"""What goes wrong, when, and for whom: drawn from the world's dice before it happens."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Container

from tests.simulation.clients import Clients
from tests.simulation.processes import Process
from tests.simulation.world import World


@dataclasses.dataclass(frozen=True, slots=True)
class Weather:
    """How often each kind of fault comes, as the mean of seconds between two; 0 for never.

    Attributes:
        programs: something happens to one program: it crashes, hangs, is slow, fails, flaps, or says goodbye.
        kills: a share of all programs is killed at once.
        partitions: a share of the programs is cut off from the agent.
        stalls, outages, restarts: the agent stands still, its store can't be written, it is started anew.
        lasts_s: about how long a fault of programs and network lasts.
        agent_lasts_s: about how long one of the agent and its store lasts.
    """

    programs: float = 0.0
    kills: float = 0.0
    partitions: float = 0.0
    stalls: float = 0.0
    outages: float = 0.0
    restarts: float = 0.0
    lasts_s: float = 60.0
    agent_lasts_s: float = 20.0


class Faults:
    """Makes a world go wrong until `until_s`; then all that is broken is mended, but for programs that ended.

    Args:
        ended: the incarnations that have a tombstone.
    """

    def __init__(
        self,
        world: World,
        clients: Clients,
        weather: Weather,
        *,
        until_s: float,
        ended: Container[str],
    ) -> None:
        self._ended = ended
        self._world = world
        self._clients = clients
        self._weather = weather
        self._until_s = until_s
        for name, strike in (
            ("programs", self._strike_program),
            ("kills", self._kill_many),
            ("partitions", self._cut_off_many),
            ("stalls", self._stall),
            ("outages", self._outage),
            ("restarts", self._restart),
        ):
            self._plan(getattr(weather, name), strike)
        world.agenda.at(until_s, self._mend)

    def _plan(self, mean_s: float, strike: Callable[[], None]) -> None:
        if mean_s > 0:
            self._world.agenda.after(self._world.rng.expovariate(1 / mean_s), self._strike, mean_s, strike)

    def _strike(self, mean_s: float, strike: Callable[[], None]) -> None:
        if self._world.now_s < self._until_s:
            strike()
            self._plan(mean_s, strike)

    def _lasts_s(self) -> float:
        return self._world.rng.expovariate(1 / self._weather.lasts_s)

    def _agent_lasts_s(self) -> float:
        return self._world.rng.expovariate(1 / self._weather.agent_lasts_s)

    # ---- programs ----

    def _strike_program(self) -> None:
        rng = self._world.rng
        process = rng.choice(list(self._world.processes.values()))
        if not process.is_alive:
            return
        fault = rng.choice((self._crash, self._hang, self._slow, self._fail, self._flap, self._goodbye))
        fault(process)

    def _crash(self, process: Process) -> None:
        """It ends; another takes its place at once, later, or never."""
        before = process.incarnation
        self._clients.crash(process)
        again_s = self._world.rng.choice((0.5, self._lasts_s(), 5 * self._lasts_s(), None))
        if again_s is not None:
            self._world.agenda.after(again_s, self._start_again, process)
            self._world.agenda.after(again_s + self._lasts_s(), self._come_late, process, before)

    def _start_again(self, process: Process) -> None:
        if not process.is_alive and self._world.now_s < self._until_s:
            self._clients.start(process)

    def _come_late(self, process: Process, incarnation: str) -> None:
        if incarnation in self._ended:
            self._clients.speak_from_the_grave(process, incarnation)

    def _hang(self, process: Process) -> None:
        self._world.change(process, is_hung=True)
        self._later(process, is_hung=False)

    def _slow(self, process: Process) -> None:
        timeout_s = process.definition.timeout_s if process.definition else 1.0
        before_s = process.delay_s
        self._world.change(process, delay_s=timeout_s * self._world.rng.uniform(0.3, 2))
        self._later(process, delay_s=min(before_s, 0.1))

    def _fail(self, process: Process) -> None:
        self._world.change(process, is_failing=True)
        self._later(process, is_failing=False)

    def _flap(self, process: Process) -> None:
        interval_s = process.definition.interval_s if process.definition and process.is_probed else process.ttl_s
        self._flap_on(process, process.incarnation, self._world.now_s + 3 * self._lasts_s(), interval_s)

    def _flap_on(self, process: Process, life: str, until_s: float, interval_s: float) -> None:
        if not process.is_alive or process.incarnation != life:
            return
        world = self._world
        is_over = world.now_s >= min(until_s, self._until_s)
        world.change(process, is_failing=not is_over and not process.is_failing)
        if not is_over:
            pause_s = interval_s * world.rng.uniform(0.5, 2)
            world.agenda.after(pause_s, self._flap_on, process, life, until_s, interval_s)

    def _goodbye(self, process: Process) -> None:
        if process.speaks and process.is_wanted:
            if self._world.rng.random() < 0.5:
                self._clients.say_goodbye(process)
            else:
                self._clients.drain(process, self._lasts_s())
            if self._world.rng.random() < 0.5:
                self._world.agenda.after(10 + self._lasts_s(), self._start_again, process)

    def _later(self, process: Process, **facts: object) -> None:
        """Makes it so after a while, if it still lives."""
        life = process.incarnation

        def heal() -> None:
            if process.is_alive and process.incarnation == life:
                self._world.change(process, **facts)

        self._world.agenda.after(self._lasts_s(), heal)

    # ---- many at once ----

    def _some(self, least: float, most: float) -> list[Process]:
        rng = self._world.rng
        everyone = list(self._world.processes.values())
        return rng.sample(everyone, int(len(everyone) * rng.uniform(least, most)))

    def _kill_many(self) -> None:
        self._world.history.note("world: many are killed")
        for process in self._some(0.1, 0.5):
            if process.is_alive:
                self._crash(process)

    def _cut_off_many(self) -> None:
        cut_off = [process for process in self._some(0.05, 0.7) if not process.is_cut_off]
        for process in cut_off:
            self._world.change(process, is_cut_off=True)
        self._world.agenda.after(2 * self._lasts_s(), self._join, cut_off)

    def _join(self, cut_off: list[Process]) -> None:
        for process in cut_off:
            if process.is_cut_off:
                self._world.change(process, is_cut_off=False)

    # ---- the agent ----

    def _stall(self) -> None:
        """A long one, or one that is still an ordinary delay: the agent's tolerance lies between."""
        world = self._world
        if world.is_up:
            world.stall_agent(
                world.rng.uniform(0.1, 0.6) if world.rng.random() < 0.3 else 2.5 + self._agent_lasts_s()
            )

    def _outage(self) -> None:
        world = self._world
        if not world.is_up or world.disturbances.is_on("outage") or world.disturbances.is_on("hang"):
            return
        if world.rng.random() < 0.5:
            world.refuse_writes(1 + self._agent_lasts_s())
        else:
            world.hang_writes(1 + self._agent_lasts_s())

    def _restart(self) -> None:
        if self._world.is_up:
            self._world.spawn(self._world.restart_agent(1 + self._agent_lasts_s()))

    # ---- the end ----

    def _mend(self) -> None:
        self._world.history.note("world: no more faults")
        self._join(list(self._world.processes.values()))
        for process in self._world.processes.values():
            if process.is_alive:
                self._world.change(process, is_hung=False, is_failing=False, delay_s=0.01)

"""Worlds with their checkers, and the runs that tests make of them."""

from __future__ import annotations

import dataclasses

from tests.simulation.checkers import Checkers
from tests.simulation.clients import Clients
from tests.simulation.faults import Faults, Weather
from tests.simulation.populations import populate
from tests.simulation.processes import Process
from tests.simulation.world import World

from regista.health import HealthSettings

DAY_S = 86400.0


class Run:
    """A world, the clients of its programs, and those who look on."""

    def __init__(self, seed: int, settings: HealthSettings) -> None:
        self.world = World(seed, settings)
        self.checkers = Checkers(self.world)
        self.clients = Clients(self.world)

    def start(self, *processes: Process) -> None:
        """Starts these programs within the time in which each says something once."""
        for process in processes:
            self.world.add(process)
            begin_s = self.world.rng.random() * process.says_every_s
            self.world.agenda.at(begin_s, self.clients.start, process)

    def removed(self) -> list[str]:
        """The incarnations that were ended by silence or by a check, and not by a request."""
        return [life for life, cause in self.checkers.log.ended.items() if cause.kind in ("expiry", "reaper")]


_ILL = Weather(programs=20, lasts_s=40)
WEATHERS = (
    _ILL,
    dataclasses.replace(_ILL, kills=400, partitions=300),
    dataclasses.replace(_ILL, stalls=200, outages=300, restarts=600),
    dataclasses.replace(_ILL, kills=600, partitions=400, stalls=300, outages=400, restarts=900),
)
"""Only programs fall ill; the network too; the agent too; everything."""

CAUTIONS = (
    HealthSettings(flap_damping=False, abstain_s=0, protection_share=1),
    HealthSettings(protection_share=1),
    HealthSettings(protection_s_max=120, protection_silent_s_max=180),
)
"""As Consul; with damping and doubt; and with protection too, shorter than usual so that it ends within the run."""


def run_dense(seed: int) -> Run:
    """Half an hour of 40 programs in 5 services, with probes every 10 s and TTLs of 30 s; the last third is calm.

    The seed chooses what goes wrong and how cautious the registry is, too: neighbours differ.
    """
    run = Run(seed, CAUTIONS[seed // len(WEATHERS) % len(CAUTIONS)])
    faulty_s, settling_s = 1200.0, 600.0
    populate(run.world, run.clients, count=40, services=5, unit_s=10.0)
    weather = WEATHERS[seed % len(WEATHERS)]
    Faults(run.world, run.clients, weather, until_s=faulty_s, ended=run.checkers.log.ended)
    run.world.agenda.at(faulty_s + settling_s - 1.0, run.checkers.check_settled)
    run.world.run(faulty_s + settling_s)
    return run


def run_week(seed: int) -> Run:
    """A week of 1,000 programs in 50 services: probes and words every 20 minutes, TTLs of an hour.

    With an interval of 10 s it would be 60 million probes, which no Python program makes in seconds. What decides is
    the order of events and the number of intervals, not their length: 504 intervals of 20 minutes for each program
    are as many as there are in 84 minutes of 10 s, and `run_dense` runs 30 such minutes hundreds of times. Here it
    is the number of programs that is put to the test, and the length of time: 1.4 million ticks of the scheduler.
    """
    run = Run(seed, HealthSettings())
    populate(run.world, run.clients, count=1000, services=50, unit_s=1200.0)
    weather = Weather(
        programs=3600,
        kills=2 * DAY_S,
        partitions=1.5 * DAY_S,
        stalls=DAY_S / 2,
        outages=DAY_S / 2,
        restarts=2 * DAY_S,
        lasts_s=1800,
        agent_lasts_s=60,
    )
    Faults(run.world, run.clients, weather, until_s=6 * DAY_S, ended=run.checkers.log.ended)
    run.world.agenda.at(7 * DAY_S - 1.0, run.checkers.check_settled)
    run.world.run(7 * DAY_S)
    return run

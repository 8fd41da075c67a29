"""What the agent's probes find: they ask the world instead of the network."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.simulation.processes import PORT, Process

from regista.health import Observation
from regista.model import CRITICAL, PASSING, CheckDefinition

if TYPE_CHECKING:
    from tests.simulation.world import World

_DIAL_TIMEOUT_S = 2.0


class SimulatedProbe:
    """One kind of probe; `Probe` says what it does."""

    def __init__(self, world: World, kind: str) -> None:
        self._world = world
        self._kind = kind

    async def observe(self, definition: CheckDefinition) -> Observation:
        world = self._world
        address = getattr(definition, self._kind).removeprefix("http://")
        process = world.at(address.partition(":")[0])
        begun_s = world.now_s
        observation = await self._look(process, definition.timeout_s)
        is_good = observation.status == PASSING
        # The agent's own absence is nobody's failure; what it makes of it is its affair, and is looked at.
        if is_good or not world.stalled_s(begun_s):
            world.witness.on_answer(process, is_good=is_good)
        world.history.note(f"probe: {process.id} {observation.status} {observation.output}")
        return observation

    async def close(self) -> None:
        pass

    async def _look(self, process: Process, timeout_s: float) -> Observation:
        begun_s = self._world.now_s
        if process.is_alive and not process.is_hung and not process.is_cut_off:
            await asyncio.sleep(min(process.delay_s, timeout_s))
        left_s = begun_s + timeout_s - self._world.now_s
        if process.is_hung or process.is_cut_off:
            await asyncio.sleep(max(0.0, left_s))
            return _silence()
        if not process.is_alive:
            return Observation(CRITICAL, "connection refused")
        if left_s <= 0:
            # Also if the answer came while the agent was away: its own timer has come first.
            return _silence()
        if process.is_failing:
            return Observation(CRITICAL, "500 Internal Server Error")
        return Observation(PASSING, "200 OK")


def _silence() -> Observation:
    return Observation(CRITICAL, "timed out", is_silent=True)


class SimulatedVerifier:
    """Knocks at ports; `Verifier` says how. A program that hangs has an open port: the kernel answers for it."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def answers(self, host: str, port: int) -> bool | None:
        process = self._world.at(host)
        assert port == PORT
        if process.is_cut_off:
            await asyncio.sleep(_DIAL_TIMEOUT_S)
        is_open = process.is_alive and not process.is_cut_off
        self._world.history.note(f"dial: {process.id} {'open' if is_open else 'closed'}")
        self._world.witness.on_dialled(process, is_open=is_open)
        return is_open

"""What the programs say to the agent: they register, renew, report, look whether they are known, and say goodbye."""

from __future__ import annotations

import dataclasses

from tests.simulation.processes import NODE, Process
from tests.simulation.world import EPOCH_S, World

from regista.catalog import Registration, check_incarnation, deregister_service, drain_service, register_service
from regista.model import PASSING, NotFound, RegistaError, StaleIncarnation, caused_by

_REQUEST = caused_by("request", source="10.0.0.9:4711", path="PUT /v1/agent/service/register")
_GOODBYE = caused_by("request", source="10.0.0.9:4711", path="PUT /v1/agent/service/deregister")
_DRAIN = caused_by("request", source="10.0.0.9:4711", path="PUT /v1/agent/service/drain")
_TRY_AGAIN_S = 2.0
"""A client that was refused tries again after so long, and a quarter more or less."""
_WANDERS = 0.1
"""The part of its period by which a client says it earlier or later."""


class Clients:
    """The client of every program."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lives = 0
        self._registering: set[str] = set()

    def start(self, process: Process) -> None:
        """Starts the program in a new life, which registers, and says that it is well again and again."""
        world = self._world
        self._lives += 1
        process.incarnation = f"{process.id}-{self._lives}"
        process.is_wanted = True
        world.change(
            process, is_alive=True, is_hung=False, is_failing=False, delay_s=world.rng.uniform(0.001, 0.1)
        )
        self._register(process, process.incarnation)
        world.agenda.after(world.rng.random() * process.says_every_s, self._say, process, self._lives)

    def crash(self, process: Process) -> None:
        """As `kill -9` does."""
        self._world.change(process, is_alive=False)

    def say_goodbye(self, process: Process) -> None:
        """The program deregisters itself, and ends."""
        self._world.change(process, is_wanted=False)
        self._deregister(process, process.incarnation)

    def drain(self, process: Process, for_s: float) -> None:
        """The program has itself taken out of answers, goes on for a while, and is deregistered by the registry."""
        if self._world.is_up:
            self._world.spawn(self._drain_now(process, for_s))

    def speak_from_the_grave(self, process: Process, incarnation: str) -> None:
        """A message of a life that has ended comes late."""
        if self._world.is_up:
            self._world.spawn(self._come_late(process, incarnation))

    # ---- again and again ----

    def _say(self, process: Process, life: int) -> None:
        world = self._world
        if not process.is_alive or not process.incarnation.endswith(f"-{life}") or not process.is_wanted:
            return
        wandering = 1 + world.rng.uniform(-_WANDERS, _WANDERS)
        world.agenda.after(process.says_every_s * wandering, self._say, process, life)
        if process.speaks and world.is_up:
            self._say_now(process)

    def _say_now(self, process: Process) -> None:
        world = self._world
        entry = world.catalog.services.get(process.key)
        if process.id in self._registering:
            return
        if entry is None or entry.record.incarnation != process.incarnation:
            # Not known any more; the one that was removed does not come back, so it begins another life.
            self._lives += 1
            world.history.note(f"client: {process.id} is unknown, and registers anew")
            process.incarnation = f"{process.id}-{self._lives}"
            world.agenda.after(process.says_every_s, self._say, process, self._lives)
            self._register(process, process.incarnation)
        elif process.has_lease:
            world.witness.on_heard(process)
            world.scheduler.renew_service(process.key)
        elif process.kind == "ttl":
            world.spawn(self._report(process))

    async def _report(self, process: Process) -> None:
        world = self._world
        # Only now: a stall may end between the request and its being read, and what fell due in it comes first then.
        world.witness.on_heard(process)
        try:
            await world.scheduler.report(process.id + ":check", PASSING, "all is well", cause=_REQUEST)
        except RegistaError as error:
            world.history.note(f"client: {process.id} {type(error).__name__}")

    # ---- writes ----

    def _register(self, process: Process, incarnation: str) -> None:
        world = self._world
        if process.incarnation != incarnation or not process.is_alive or not process.is_wanted:
            return
        if not process.speaks or not world.is_up:
            world.agenda.after(self._pause_s(), self._register, process, incarnation)
        elif process.id not in self._registering:
            world.spawn(self._register_now(process, incarnation))

    async def _register_now(self, process: Process, incarnation: str) -> None:
        world = self._world
        self._registering.add(process.id)
        wanted = Registration(
            process.record(), checks=process.checks(), replace_checks=True, new_incarnation=incarnation
        )
        try:
            await world.store.write(
                lambda catalog: register_service(catalog, wanted, now_s=EPOCH_S + world.now_s), cause=_REQUEST
            )
        except RegistaError as error:
            world.history.note(f"client: {process.id} not registered: {type(error).__name__}")
            world.agenda.after(self._pause_s(), self._register, process, process.incarnation)
        else:
            if world.is_up:
                world.witness.on_heard(process)
                world.scheduler.renew_service(process.key)
                world.scheduler.renew_check(process.check_key)
        finally:
            self._registering.discard(process.id)

    def _deregister(self, process: Process, incarnation: str) -> None:
        world = self._world
        if process.incarnation != incarnation or not process.is_alive:
            return
        if not process.speaks or not world.is_up:
            world.agenda.after(self._pause_s(), self._deregister, process, incarnation)
        else:
            world.spawn(self._deregister_now(process, incarnation))

    async def _deregister_now(self, process: Process, incarnation: str) -> None:
        world = self._world
        try:
            await world.store.write(
                lambda catalog: deregister_service(
                    catalog,
                    NODE,
                    process.id,
                    reason="was deregistered through the agent's API",
                    now_s=EPOCH_S + world.now_s,
                    incarnation=incarnation,
                ),
                cause=_GOODBYE,
            )
        except StaleIncarnation:
            self.crash(process)
        except RegistaError:
            world.agenda.after(self._pause_s(), self._deregister, process, incarnation)
        else:
            self.crash(process)

    async def _drain_now(self, process: Process, for_s: float) -> None:
        world, life = self._world, process.incarnation
        try:
            await world.store.write(
                lambda catalog: drain_service(
                    catalog, NODE, process.id, for_s=for_s, asked_by="a test", now_s=EPOCH_S + world.now_s
                ),
                cause=_DRAIN,
            )
        except RegistaError as error:
            world.history.note(f"client: {process.id} does not drain: {type(error).__name__}")
            return
        if process.is_alive and process.incarnation == life:
            world.change(process, is_wanted=False)
            world.witness.on_drained(process, for_s=for_s)
            world.agenda.after(for_s, self._end_life, process, life)

    def _end_life(self, process: Process, life: str) -> None:
        if process.is_alive and process.incarnation == life:
            self.crash(process)

    async def _come_late(self, process: Process, incarnation: str) -> None:
        """A renewal and a registration of a life that has ended; both must be refused."""
        world = self._world
        record = dataclasses.replace(process, incarnation=incarnation).record()
        for attempt in (
            lambda catalog: check_incarnation(catalog, NODE, process.id, incarnation),
            lambda catalog: register_service(catalog, Registration(record), now_s=EPOCH_S + world.now_s),
        ):
            try:
                attempt(world.catalog)
            except (StaleIncarnation, NotFound):
                continue
            world.fail(f"{process.id}: the ended incarnation {incarnation} was let in again", process.id)

    def _pause_s(self) -> float:
        return _TRY_AGAIN_S * self._world.rng.uniform(0.75, 1.25)

"""A health room, whole and real, in a world that is not: time, network, disk and programs are simulated.

The scheduler with all its parts runs on a virtual loop. Its probes ask the world what they would find; its writer
is a log in memory; the programs renew, report and register as the agent's clients do. Whoever holds the world makes
it go wrong (see `faults`), and the checkers, which know what is true, judge what the registry says.

Randomness comes from one seed: one source for the world, one for the disk, and one for the scheduler, so that a
scheduler that rolls its dice once more still meets the same faults.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Protocol

from tests.simulation.agenda import Agenda
from tests.simulation.disturbances import Disturbances
from tests.simulation.history import History
from tests.simulation.loop import VirtualLoop
from tests.simulation.probes import SimulatedProbe, SimulatedVerifier
from tests.simulation.processes import NODE, Process
from tests.simulation.store import MemoryStore

from regista.catalog import Catalog, Lookup, find_instances, register_node
from regista.health import HealthSettings, Scheduler
from regista.model import Batch, Node, Transaction, caused_by

EPOCH_S = 1.7e9
_OUTAGE_SEEN_AFTER_S = 1.5


class Broken(AssertionError):
    """A promise was not kept; its text names the seed and the virtual moment."""


class Witness(Protocol):
    """Who looks on."""

    def on_planned(self, transaction: Transaction) -> None: ...
    def on_committed(self, batch: Batch) -> None: ...
    def on_change(self, process: Process) -> None: ...
    def on_heard(self, process: Process) -> None: ...
    def on_answer(self, process: Process, *, is_good: bool) -> None: ...
    def on_dialled(self, process: Process, *, is_open: bool) -> None: ...
    def on_drained(self, process: Process, *, for_s: float) -> None: ...
    def on_agent(self) -> None: ...


class World:
    """See above.

    Attributes:
        rng: rolls the dice of all that happens, but for the disk and the scheduler.
        processes: by id.
        is_up: whether the agent runs.
        disturbances: when the agent itself was not as it should be.
        witness: told of everything, at once.
    """

    def __init__(self, seed: int, settings: HealthSettings) -> None:
        self.seed = seed
        self.settings = settings
        self.loop = VirtualLoop()
        self.agenda = Agenda(self.loop)
        self.rng = random.Random(f"world {seed}")
        self.history = History(self.loop.time)
        self.disturbances = Disturbances(self.loop.time)
        self.store = MemoryStore(
            self.loop,
            self.agenda,
            random.Random(f"disk {seed}"),
            wall_s=lambda: EPOCH_S + self.loop.now_s,
            on_planned=self._on_planned,
            on_committed=self._on_committed,
        )
        self.processes: dict[str, Process] = {}
        self._by_host: dict[str, Process] = {}
        self.probes = {kind: SimulatedProbe(self, kind) for kind in ("http", "tcp")}
        self.is_up = False
        self.witness: Witness
        self._rng_of_scheduler = random.Random(f"scheduler {seed}")
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None
        self._ended = asyncio.Event()

    @property
    def now_s(self) -> float:
        return self.loop.now_s

    @property
    def catalog(self) -> Catalog:
        return self.store.catalog

    def passing(self, service: str) -> set[str]:
        """The ids in the answer to a caller who asks for the service's passing instances."""
        found = find_instances(self.catalog, Lookup(service, passing_only=True))
        return {instance.service.record.id for instance in found}

    # ---- life ----

    def run(self, seconds: float) -> None:
        """Lets the world go on for so long, from nothing.

        Raises:
            Broken: a checker found a promise broken, or something failed in a way that it must not.
        """
        self.loop.set_exception_handler(self._on_trouble)
        with self._listen_to_errors():
            self.loop.finish(self._live(seconds))

    async def _live(self, seconds: float) -> None:
        await self.store.write(
            lambda catalog: register_node(catalog, Node(name=NODE, manager="server")),
            cause=caused_by("server", reason="its own"),
        )
        self.start_agent()
        self.agenda.after(seconds, self._ended.set)
        await self._ended.wait()
        if self._failure is not None:
            raise self._failure
        await self.scheduler.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def fail(self, sentence: str, *about: str) -> None:
        """Ends the run: a promise is broken.

        Args:
            about: words that pick the lines of the history to be shown.
        """
        if self._failure is None:
            lines = self.history.about(*about) if about else ""
            self._failure = Broken(f"SEED={self.seed} at {self.now_s:.3f}s (virtual): {sentence}\n{lines}")
            self._ended.set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Has a request of a client made."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- the agent ----

    def start_agent(self) -> None:
        self.scheduler = Scheduler(
            catalog=self.catalog,
            node=NODE,
            writer=self.store,
            settings=self.settings,
            clock=self.loop.time,
            wall_clock=lambda: EPOCH_S + self.loop.now_s,
            rng=self._rng_of_scheduler,
            probes=self.probes,
            verifier=SimulatedVerifier(self),
            is_store_away=self.store.is_away,
        )
        self.scheduler.start()
        self.is_up = True
        self.witness.on_agent()

    async def restart_agent(self, down_s: float) -> None:
        """Ends the agent, and starts another on the same log `down_s` later."""
        self.history.note(f"agent: down for {down_s:.1f}s")
        self.is_up = False
        self.disturbances.begin("down")
        await self.scheduler.stop()
        await asyncio.sleep(down_s)
        self.store.restart()
        self.start_agent()
        self.disturbances.end("down")
        self.history.note("agent: up")

    def stall_agent(self, seconds: float) -> None:
        """The agent's process does nothing for so long; whatever is sent to it waits."""
        # Not within the agenda's callback: what was due meanwhile is to come in the order of the loop's timers.
        self.loop.call_soon(self._stall_now, seconds)

    def _stall_now(self, seconds: float) -> None:
        self.history.note(f"agent: stalls for {seconds:.1f}s")
        self.disturbances.begin("stall")
        self.loop.stall(seconds)
        self.disturbances.end("stall")

    def refuse_writes(self, seconds: float) -> None:
        self.history.note(f"store: refuses for {seconds:.1f}s")
        self.store.is_refusing = True
        self.disturbances.begin("outage")
        self.agenda.after(seconds, self._take_writes)

    def _take_writes(self) -> None:
        self.history.note("store: takes again")
        self.store.is_refusing = False
        self.disturbances.end("outage")

    def hang_writes(self, seconds: float) -> None:
        self.history.note(f"store: hangs for {seconds:.1f}s")
        self.store.hang(seconds)
        self.disturbances.begin("hang")
        self.agenda.after(seconds, self.disturbances.end, "hang")

    def stalled_s(self, begin_s: float) -> float:
        """How long the agent did nothing since, but for what it must take for an ordinary delay."""
        return self.disturbances.stalled_s(begin_s, self.now_s, tolerance_s=self.settings.stall_tolerance_s)

    def deaf_s(self, begin_s: float) -> float:
        """How long nobody could make himself heard since: stalls, and the time in which the store failed.

        Of an outage the agent learns by its own look, which comes every second.
        """
        seconds = self.stalled_s(begin_s)
        for since_s, until_s in self.store.failed_spans:
            from_s, to_s = max(since_s, begin_s), min(until_s, self.now_s)
            if to_s > from_s:
                stalled_s = self.disturbances.stalled_s(from_s, to_s, tolerance_s=0.0)
                seconds += max(0.0, to_s - from_s - stalled_s - _OUTAGE_SEEN_AFTER_S)
        return seconds

    # ---- programs ----

    def add(self, process: Process) -> None:
        self.processes[process.id] = process
        self._by_host[process.host] = process

    def at(self, host: str) -> Process:
        """The program that is to be found there."""
        return self._by_host[host]

    def change(self, process: Process, **facts: Any) -> None:
        """Makes something else true of a program."""
        for name, value in facts.items():
            setattr(process, name, value)
        told = " ".join(f"{name}={value}" for name, value in facts.items())
        self.history.note(f"world: {process.id} {told}")
        self.witness.on_change(process)

    def _on_planned(self, transaction: Transaction) -> None:
        self.witness.on_planned(transaction)

    def _on_committed(self, batch: Batch) -> None:
        self.witness.on_committed(batch)

    # ---- trouble ----

    def _on_trouble(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        problem = context.get("exception")
        if self._failure is None:
            sentence = f"SEED={self.seed} at {self.now_s:.3f}s (virtual): {context['message']}: {problem!r}"
            self._failure = Broken(sentence)
            self._failure.__cause__ = problem
        self._ended.set()

    @contextlib.contextmanager
    def _listen_to_errors(self) -> Iterator[None]:
        """What the health room logs as an error is a failure here."""
        room = logging.getLogger("regista")
        handler = _Errors(self.fail)
        room.addHandler(handler)
        try:
            yield
        finally:
            room.removeHandler(handler)


class _Errors(logging.Handler):
    def __init__(self, fail: Callable[..., None]) -> None:
        super().__init__(logging.ERROR)
        self._fail = fail

    def emit(self, record: logging.LogRecord) -> None:
        self._fail(f"the log says: {self.format(record)}")

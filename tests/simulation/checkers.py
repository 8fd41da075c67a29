"""All that looks on: what is planned, what is committed, what is shown in time, and what is left at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tests.simulation.expectations import Expectations
from tests.simulation.judgements import Judgements
from tests.simulation.ledgers import Ledgers
from tests.simulation.log_checks import LogChecks
from tests.simulation.processes import Process
from tests.simulation.protections import Protections
from tests.simulation.world import World

from regista.health.deadlines import Deadlines
from regista.model import Batch, Transaction


class Checkers:
    """Looks on from the start of a world to its end."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.ledgers = Ledgers()
        self.log = LogChecks(world, self.ledgers)
        self.protections = Protections(world, self.ledgers)
        self._judgements = Judgements(world, self.ledgers)
        self._expectations = Expectations(world, self.ledgers, self.protections)
        world.witness = self

    def on_planned(self, transaction: Transaction) -> None:
        self._judgements.on_planned(transaction)

    def on_committed(self, batch: Batch) -> None:
        self.log.on_committed(batch)

    def on_change(self, process: Process) -> None:
        self._expectations.on_change(process)

    def on_heard(self, process: Process) -> None:
        self.ledgers.of(process).heard_s = self._world.now_s

    def on_answer(self, process: Process, *, is_good: bool) -> None:
        assert process.definition is not None
        ledger = self.ledgers.of(process)
        if process.check_key in self._world.catalog.marks.of("flapping"):
            ledger.flapping_s = self._world.now_s
        ledger.answered(is_good, process.definition, self._world.now_s)

    def on_dialled(self, process: Process, *, is_open: bool) -> None:
        ledger = self.ledgers.of(process)
        if is_open:
            ledger.found_open_s = self._world.now_s
        else:
            ledger.found_closed_s = self._world.now_s

    def on_agent(self) -> None:
        self.ledgers.begin()
        self.protections.begin()

    def check_settled(self) -> None:
        """What must be true when nothing has gone wrong for longer than every bound."""
        problems = (*wrongly_shown(self._world), *leftovers(self._world), *waiting(self._world))
        if problems:
            self._world.fail("at the end: " + "; ".join(problems), "agent:", "store:", *_ids(problems))


def wrongly_shown(world: World) -> list[str]:
    """Where the registry's answer is not what is true."""
    wrong = []
    for process in world.processes.values():
        is_shown = process.id in world.passing(process.service)
        if is_shown != (process.is_well and process.is_wanted):
            wrong.append(f"{process.id} is {'' if is_shown else 'not '}in the passing answer")
        entry = world.catalog.services.get(process.key)
        if is_shown and entry is not None and entry.record.incarnation != process.incarnation:
            wrong.append(f"{process.id} is shown in another life, {entry.record.incarnation}")
    return wrong


def waiting(world: World) -> list[str]:
    """What the outbox holds though it could be written."""
    outbox = world.scheduler._outbox
    return [
        f"the outbox holds {slot}"
        for wishes in (outbox._ready, outbox._flying, outbox._behind, outbox._delayed)
        for slot in wishes
    ]


def leftovers(world: World) -> list[str]:
    """What the scheduler's parts still hold of instances and checks that are gone."""
    found = []
    for part in vars(world.scheduler).values():
        if type(part).__module__.startswith("regista.health."):
            for name, keys in _keys_held(part):
                found += [f"{type(part).__name__}.{name} has {key}" for key in keys if not _is_live(world, key)]
    return found


_NOT_BY_RECORD = frozenset(("_probes", "_views", "_near", "_buckets", "_services", "_queues"))
"""What is kept for each kind of probe, or for each service: both are few."""


def _keys_held(part: object) -> Iterator[tuple[str, Iterable[object]]]:
    for name in getattr(part, "__dict__", ()):
        held = getattr(part, name)
        if name == "_by_state":
            for state, endings in held.items():
                yield f"{name}.{state}", endings
        elif isinstance(held, Deadlines):
            yield name, held._due
        elif isinstance(held, dict | set) and name not in _NOT_BY_RECORD:
            yield name, held


def _is_live(world: World, key: object) -> bool:
    text = getattr(key, "key", key)
    if not isinstance(text, str):
        return True
    known = (world.catalog.services, world.catalog.checks, world.catalog.nodes)
    return any(each in entries for each in (text, text.partition(" ")[2]) for entries in known)


def _ids(problems: tuple[str, ...]) -> list[str]:
    return [problem.partition(" ")[0] for problem in problems[:3]]

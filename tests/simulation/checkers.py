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
from regista.model import Batch, Delete, Service, Transaction


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
        if batch.cause.kind in ("expiry", "reaper"):
            for change in batch.changes:
                if isinstance(change, Delete) and isinstance(change.record, Service):
                    self.protections.on_removed(self.ledgers.process(change.record.key))

    def on_change(self, process: Process) -> None:
        self._expectations.on_change(process)

    def on_heard(self, process: Process) -> None:
        self.ledgers.of(process).heard_s = self._world.now_s

    def on_answer(self, process: Process, *, is_good: bool) -> None:
        assert process.definition is not None
        ledger = self.ledgers.of(process)
        if process.check_key in self._world.catalog.marks.of("flapping"):
            ledger.flapping_s = self._world.now_s
        ledger.answered(process.definition, self._world.now_s, is_good=is_good)

    def on_dialled(self, process: Process, *, is_open: bool) -> None:
        ledger = self.ledgers.of(process)
        if is_open:
            ledger.found_open(self._world.now_s)
        else:
            ledger.found_closed_s = self._world.now_s

    def on_drained(self, process: Process, *, for_s: float) -> None:
        self._expectations.on_drained(process, for_s)

    def on_agent(self) -> None:
        self.ledgers.begin()
        self.protections.begin()

    def check_settled(self) -> None:
        """What must be true when nothing has gone wrong for longer than every bound."""
        world = self._world
        problems = (*wrongly_shown(world), *wrongly_suspected(world), *leftovers(world), *waiting(world))
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


def wrongly_suspected(world: World) -> list[str]:
    """Who is well, and still said to be silent."""
    suspects = world.catalog.marks.of("suspect")
    return [
        f"{each.id} is a suspect" for each in world.processes.values() if each.is_well and each.key in suspects
    ]


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
    return [
        f"{where} has {key}"
        for where, keys in _held_by(world.scheduler)
        for key in keys
        if not _is_live(world, key)
    ]


_NOT_BY_RECORD = frozenset(("_probes", "_kinds", "_views", "_near", "_buckets", "_services", "_queues"))
"""What is kept for each kind of probe, or for each service: both are few."""


def _held_by(scheduler: object) -> Iterator[tuple[str, Iterable[object]]]:
    """Everything that the scheduler and its parts keep by the keys of records, with where it is."""
    seen, parts = set(), [scheduler]
    while parts:
        part = parts.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        for name, held in getattr(part, "__dict__", {}).items():
            where = f"{type(part).__name__}.{name}"
            if isinstance(held, Deadlines):
                yield where, held._due
            elif name == "_by_state":
                yield where, [slot for endings in held.values() for slot in endings]
            elif isinstance(held, dict | set) and name not in _NOT_BY_RECORD:
                yield where, held
            elif type(held).__module__.startswith("regista.health."):
                parts.append(held)


def _is_live(world: World, key: object) -> bool:
    text = getattr(key, "key", key)
    if not isinstance(text, str):
        return True
    catalog = world.catalog
    known = (catalog.services, catalog.checks, catalog.nodes, catalog.service_indexes.by_name)
    return any(each in entries for each in (text, text.partition(" ")[2]) for entries in known)


def _ids(problems: tuple[str, ...]) -> list[str]:
    return [problem.partition(" ")[0] for problem in problems[:3]]

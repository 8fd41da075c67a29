"""A catalog, a scheduler on it, and a clock that the test holds; for the tests of the health room."""

import asyncio
import collections
import random

from regista.catalog import Catalog, Registration, register_check, register_service, stamped
from regista.health import HealthSettings, Observation, Scheduler
from regista.model import CRITICAL, PASSING, Batch, Check, Service, StoreUnavailable, caused_by, node_item_key

NODE = "n1"
KEY = node_item_key(NODE, "c")
WEB = node_item_key(NODE, "web")


async def settle():
    """Lets every task run until it waits for something of the test's."""
    for _ in range(12):
        await asyncio.sleep(0)


class FakeWriter:
    """Applies plans to the catalog at once; can be away, or hold a write between plan and commit."""

    def __init__(self, catalog):
        self.catalog = catalog
        self.writes = 0
        self.attempts = 0
        self.is_away = False
        self.before_plan = None
        self.before_commit = None

    def apply(self, transaction):
        if transaction.changes:
            self.writes += 1
            index = self.catalog.index + 1
            self.catalog.apply(Batch(index, 0.0, transaction.changes, transaction.cause))
        return self.catalog.index

    async def write(self, plan, *, cause):
        self.attempts += 1
        if self.before_plan is not None:
            await self.before_plan
        if self.is_away:
            raise StoreUnavailable("the disk is full")
        transaction = stamped(plan(self.catalog), cause)
        if self.before_commit is not None:
            await self.before_commit
        for condition in transaction.conditions:
            entry = self.catalog.find(condition.kind, condition.key)
            assert (entry.modify_index if entry else 0) == condition.modify_index
        return self.apply(transaction)


class FakeProbe:
    """Says what `answers` says for the target, passing by default; a future there is waited for."""

    def __init__(self):
        self.answers = {}
        self.calls = collections.Counter()
        self.cancelled = 0

    async def observe(self, definition):
        self.calls[definition.http] += 1
        answer = self.answers.get(definition.http, PASSING)
        if isinstance(answer, asyncio.Future):
            try:
                answer = await asyncio.shield(answer)
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return answer if isinstance(answer, Observation) else Observation(answer, f"said {answer}")

    async def close(self):
        pass


class FakeVerifier:
    """Says of ports whether they are open, by default that they are not; None for all if it can't tell."""

    def __init__(self):
        self.open_ports = set()
        self.cannot_tell = False
        self.dials = []

    async def answers(self, host, port):
        self.dials.append((host, port))
        await asyncio.sleep(0)
        return None if self.cannot_tell else port in self.open_ports


class World:
    """A catalog, a scheduler on it, and a clock."""

    def __init__(self, **settings):
        self.now_s = 1000.0
        self.catalog = Catalog()
        self.writer = FakeWriter(self.catalog)
        self.probe = FakeProbe()
        self.verifier = FakeVerifier()
        self.settings = HealthSettings(**settings)
        self.scheduler = self.new_scheduler()

    def new_scheduler(self):
        return Scheduler(
            catalog=self.catalog,
            node=NODE,
            writer=self.writer,
            settings=self.settings,
            clock=lambda: self.now_s,
            wall_clock=lambda: 1.7e9 + self.now_s,
            rng=random.Random(7),
            probes={"http": self.probe},
            verifier=self.verifier,
        )

    def begin(self):
        self.scheduler.take_over()
        self.next_s = self.scheduler.tick()
        return self

    async def report(self, check_id, status, output):
        await self.scheduler.report(check_id, status, output, cause=caused_by("request", source="a test"))

    async def advance(self, seconds, *, step=None):
        """Moves the clock on, calling the scheduler whenever it wants to be called."""
        end_s = self.now_s + seconds
        while self.next_s <= end_s:
            self.now_s = max(self.now_s, self.next_s)
            self.next_s = self.scheduler.tick()
            await settle()
            if step is not None:
                step()
        self.now_s = end_s

    async def stall(self, seconds):
        """Moves the clock on while nobody calls the scheduler, then calls it."""
        self.now_s += seconds
        self.next_s = self.scheduler.tick()
        await settle()

    def service(self, *, service_id="web", ttl_s=0.0, checks=()):
        service = Service(node=NODE, id=service_id, name="web", ttl_s=ttl_s, manager="agent")
        wanted = Registration(service, checks=tuple(checks), new_incarnation="i1")
        self.writer.apply(register_service(self.catalog, wanted, now_s=0.0))

    def check(self, definition, *, check_id="c", status=CRITICAL, service_id="", manager="agent", output=""):
        check = Check(
            node=NODE,
            id=check_id,
            name=check_id,
            status=status,
            output=output,
            service_id=service_id,
            definition=definition,
            manager=manager,
        )
        self.writer.apply(register_check(self.catalog, check))

    def status(self, key=KEY):
        return self.catalog.checks[key].record.status

    def output(self, key=KEY):
        return self.catalog.output(self.catalog.checks[key])

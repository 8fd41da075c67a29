"""Alerts over a replica in memory, on a clock that the test holds, with a store and channels that may be away."""

import msgspec

from regista.catalog import Catalog, change_events, deregister_service, stamped
from regista.model import (
    AlertChannel,
    AlertRule,
    Batch,
    Check,
    Node,
    Put,
    Service,
    Snapshot,
    StoreUnavailable,
    Transaction,
    caused_by,
)
from regista.notify.alert_engine import AlertEngine
from regista.notify.alert_settings import AlertSettings
from regista.notify.alert_watchers import Sources
from regista.notify.retries import Outcome, RetryPolicy

PATIENT = RetryPolicy(first_s=1.0, most_s=60.0, attempts_max=2**62, refusals_max=2**62, age_max_s=float("inf"))


class FakeSender:
    """Channels that take everything, or nothing while `is_away`; `sent` has the groups that were taken."""

    def __init__(self):
        self.is_away = False
        self.sent = []

    async def check(self, channel):
        pass

    async def send(self, group, *, attempt):
        if self.is_away:
            return Outcome(problem="it is away")
        self.sent.append(group)
        return Outcome()


class AlertWorld:
    """A replica, and an engine over it that can be started anew at any moment."""

    def __init__(self, **settings):
        self.now_s = 1_700_000_000.0
        self.catalog = Catalog()
        self.batches = []
        self.sender = FakeSender()
        self.settings = AlertSettings(**{"default_rules": False, **settings})
        self.is_store_away = False
        self.away_since_s = None
        self.protections = []
        self.put(Node(name="n1"))
        self.engine = self.make_engine()

    def make_engine(self):
        """An engine as an agent's start makes it."""
        engine = AlertEngine(
            self,
            self.sender,
            self.settings,
            PATIENT,
            Sources(
                catalog=self.catalog,
                protections=lambda: self.protections,
                store_away_s=lambda: None if self.away_since_s is None else self.now_s - self.away_since_s,
                wall_clock=lambda: self.now_s,
            ),
            listening=lambda: self.now_s,
            clock=lambda: self.now_s,
            jitter=lambda: 0.5,
        )
        engine.load()
        self.catalog.subscribe(engine._on_batch)
        return engine

    async def restart(self):
        """Ends the engine as a power cut would, and starts another on what the log has."""
        await self.engine.teller.stop()
        entries = self.catalog.entries()
        index = self.catalog.index
        self.catalog = Catalog()
        self.catalog.load(Snapshot(index=index, floor_index=index, entries=entries, recent=()))
        self.engine = self.make_engine()

    # ---- the store ----

    async def write(self, plan, *, cause):
        """As the agent's writer."""
        if self.is_store_away:
            raise StoreUnavailable("the store is away")
        self.commit(stamped(plan(self.catalog), cause))
        return self.catalog.index

    def commit(self, transaction):
        if transaction.changes:
            batch = Batch(self.catalog.index + 1, self.now_s, transaction.changes, transaction.cause)
            self.batches.append(batch)
            self.catalog.apply(batch)

    def put(self, *records):
        """Writes records as they are."""
        found = [self.catalog.find(each.kind, each.key) for each in records]
        changes = tuple(
            Put(record, entry.record if entry else None) for record, entry in zip(records, found, strict=True)
        )
        self.commit(Transaction(changes, (), caused_by("operator")))

    # ---- what happens ----

    def add(self, service_id, *, name="web", status="passing", node="n1"):
        """An instance with one check of its own, called as it is."""
        service = Service(node=node, id=service_id, name=name)
        check = Check(
            node=node, id=f"c-{service_id}", name="alive", status=status, service_id=service_id, service_name=name
        )
        self.put(service, check)

    def set_status(self, service_id, status, *, output="", node="n1"):
        """Gives the instance's check a status."""
        entry = self.catalog.checks[f"{node}/c-{service_id}"]
        self.put(msgspec.structs.replace(entry.record, status=status, output=output))

    def remove(self, service_id, *, node="n1"):
        """Deregisters an instance."""
        self.commit(deregister_service(self.catalog, node, service_id, reason="", now_s=self.now_s))

    def rule(self, name="r", **fields):
        """Writes a rule."""
        fields = {"rule_kind": "check_critical_for", "for_s": 10.0, "channels": ("ops",), **fields}
        self.put(AlertRule(name=name, **fields))

    def channel(self, name="ops", **fields):
        """Writes a channel."""
        self.put(AlertChannel(name=name, **{"channel_kind": "webhook", "url": "http://x/", **fields}))

    async def beat(self, seconds=1.0, *, count=1):
        """Lets time go on, looks, writes and tells."""
        for _ in range(count):
            self.now_s += seconds
            await self.look()

    async def look(self):
        """Looks, writes and tells, in no time."""
        self.engine.tick()
        await self.flush()
        self.engine.tick()
        while self.engine.teller._tasks:
            for task in tuple(self.engine.teller._tasks.values()):
                await task
            await self.flush()
            self.engine.tick()
        await self.flush()

    async def flush(self):
        """Writes what waits, if the store takes it."""
        if not self.is_store_away:
            await self.engine._log.write()

    # ---- what came of it ----

    def alerts(self):
        """All alerts in the log, oldest first."""
        return sorted(
            (entry.record for entry in self.catalog.alerting.alerts.values()), key=lambda each: each.fired_at_s
        )

    def firing(self):
        """Subjects that fire, as the engine has it."""
        return sorted(
            each.labels.get("instance") or each.labels.get("service", "") for each in self.views("firing")
        )

    def views(self, state):
        return [each for each in self.engine.views() if each.state == state]

    def events(self):
        """Types and ids of the alerts' events, in order."""
        found = [event for batch in self.batches for event in change_events(batch)]
        return [(event.type, event.data.id) for event in found if event.type.startswith("alert.")]

    def messages(self):
        """What channels took: the subjects that fire and that ended, of each message."""
        return [
            (sorted(each.subject for each in group.firing), sorted(each.subject for each in group.ended))
            for group in self.sender.sent
        ]

"""Many instances that beat, some of which fall silent; for the tests of the guard."""

from tests.unit.health.world import NODE, World

from regista.catalog import Registration, register_check, register_service
from regista.model import PASSING, Check, CheckDefinition, Node, Put, Service, Transaction


class Fleet(World):
    """A world with services whose instances renew every third of their TTL, each at a time of its own.

    Attributes:
        keys: of all instances that there ever were.
        silent: of those who renew no more.
    """

    def __init__(self, *, ttl_s=30.0, **settings):
        super().__init__(**settings)
        self.ttl_s = ttl_s
        self.keys = []
        self.silent = set()
        self.writer.apply(Transaction((Put(Node(name=NODE, address="10.0.0.1")),)))

    def add(self, count, *, name="web", has_lease=True, port=1000, checks=lambda _service_id: ()):
        """So many more instances; their keys. `checks` makes those of an instance."""
        added = []
        for number in range(len(self.keys), len(self.keys) + count):
            service = Service(
                node=NODE,
                id=f"{name}{number}",
                name=name,
                port=port and port + number,
                ttl_s=self.ttl_s if has_lease else 0.0,
                manager="agent",
            )
            wanted = Registration(service, checks=tuple(checks(service.id)), new_incarnation=f"i{number}")
            self.writer.apply(register_service(self.catalog, wanted, now_s=0.0))
            added.append(service.key)
        self.keys += added
        return added

    def beat(self, key):
        """One beat of an instance: its lease, and its TTL checks."""
        self.scheduler.renew_service(key)
        for entry in self.catalog.check_indexes.by_instance.get(key, ()):
            self.scheduler.renew_check(entry.record.key)

    async def live(self, seconds, *, step_s=0.5):
        """Lets time go by, with everybody beating who is not silent."""
        cadence_s = self.ttl_s / 3
        for _ in range(round(seconds / step_s)):
            before_s = self.now_s
            await self.advance(step_s)
            for number, key in enumerate(self.keys):
                phase_s = number * 0.618034 % 1 * cadence_s
                has_beat = (before_s - phase_s) // cadence_s != (self.now_s - phase_s) // cadence_s
                if has_beat and key not in self.silent:
                    self.beat(key)

    @property
    def there(self):
        """The keys of the instances that are registered."""
        return {key for key in self.keys if key in self.catalog.services}

    @property
    def suspects(self):
        """The sentences of the instances that are marked."""
        return self.catalog.marks.of("suspect")

    def make_critical(self, key, output):
        """Has an HTTP check of an instance found something."""
        service = self.catalog.services[key].record
        check = Check(
            node=NODE,
            id=f"h-{service.id}",
            name="h",
            status="critical",
            output=output,
            service_id=service.id,
            definition=CheckDefinition(http=f"http://10.0.0.1:{service.port}/", interval_s=1e6),
            manager="agent",
        )
        self.writer.apply(register_check(self.catalog, check))


def ttl_check(service_id, *, ttl_s=30.0, **more):
    """A TTL check for an instance, passing."""
    return Check(
        node=NODE,
        id=f"c-{service_id}",
        name="c",
        status=PASSING,
        output="all well",
        service_id=service_id,
        definition=CheckDefinition(ttl_s=ttl_s, **more),
        manager="agent",
    )

"""What is kept of answers changes none: two doors before one replica, one of which makes each answer anew.

Requests are random, and so is what happens between them. The answers must be the same byte for byte, the date
included, for both doors have the same clock.
"""

import asyncio

import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.doors import Door, World

from regista.model import Batch, Check, ConfigEntry, Coordinate, Delete, Node, Put, Service

NODES = ("n1", "N1", "n2")
NAMES = ("web", "Web", "api", "w1")
IDS = ("w1", "w2", "web")
STATUSES = ("passing", "warning", "critical")
NODE_IDS = ("", "aaaa1111-0000-4000-8000-000000000000", "aaaa2222-0000-4000-8000-000000000000")

PATHS = (
    *(f"/v1/health/service/{name}" for name in NAMES),
    *(f"/v1/catalog/service/{name}" for name in ("web", "api")),
    *(f"/v1/health/checks/{name}" for name in ("web", "w1")),
    *(f"/v1/catalog/node/{node}" for node in ("n1", "aaaa", "aaaa1111")),
    "/v1/catalog/node-services/n1",
    "/v1/health/node/n1",
    "/v1/health/state/any",
    "/v1/health/state/critical",
    "/v1/catalog/nodes",
    "/v1/catalog/services",
    "/v1/catalog/connect/web",
    "/v1/catalog/datacenters",
)
PARAMETERS = (
    *("passing", "passing=0", "tag=a", "near=n2", "near=_agent", "node-meta=k:v", "pretty", "stale", "consistent"),
    *(
        "cached",
        "wait=1ns&index=1",
        "wait=1us",
        "fallback=api",
        "fallback=warning,any",
        "filter=Node.Node==n1",
        "dc=dc1",
    ),
    *("version=%3E%3D2", "meta=version:2", "passing=maybe", "filter=("),
)
HEADERS = (
    *(b"Accept-Encoding: gzip", b"Connection: keep-alive", b"X-Consul-Token: t", b"Cache-Control: max-age=0"),
    *(b"User-Agent: a", b"X-Odd: \xe4"),
)


@st.composite
def requests(draw):
    """A whole request; the same ones come again and again."""
    query = "&".join(draw(st.lists(st.sampled_from(PARAMETERS), max_size=2, unique=True)))
    target = draw(st.sampled_from(PATHS)) + (f"?{query}" if query else "")
    method = draw(st.sampled_from(("GET", "GET", "GET", "HEAD")))
    headers = draw(st.lists(st.sampled_from(HEADERS), max_size=1))
    return b"\r\n".join([f"{method} {target} HTTP/1.1".encode(), b"Host: x", *headers, b"", b""])


services = st.builds(
    Service,
    node=st.sampled_from(NODES),
    id=st.sampled_from(IDS),
    name=st.sampled_from(NAMES),
    tags=st.sampled_from(((), ("a",), ("A", "b"))),
    meta=st.sampled_from((None, {"version": "2"}, {"version": "1.5"})),
    port=st.integers(1, 3),
    is_native=st.booleans(),
)
checks = st.builds(
    Check,
    node=st.sampled_from(NODES),
    id=st.sampled_from(("c1", "c2", "serfHealth")),
    name=st.just("c"),
    service_id=st.sampled_from(("", *IDS)),
    service_name=st.sampled_from(NAMES),
    status=st.sampled_from(STATUSES),
    output=st.sampled_from(("", "<fine>")),
)
nodes = st.builds(
    Node,
    name=st.sampled_from(NODES),
    id=st.sampled_from(NODE_IDS),
    address=st.sampled_from(("1.1.1.1", "2.2.2.2")),
    meta=st.sampled_from((None, {"k": "v"})),
)
panics = st.builds(
    ConfigEntry,
    entry_kind=st.just("service-defaults"),
    name=st.sampled_from(("web", "api")),
    fields=st.sampled_from(({}, {"PanicThreshold": 80})),
)
coordinates = st.builds(Coordinate, node=st.sampled_from(("n1", "n2")), vec=st.just((0.1, 0.2)))
records = st.one_of(services, checks, checks, nodes, panics, coordinates)


class Doors(RuleBasedStateMachine):
    """Both doors, the replica behind them, and some requests that are sent again after whatever happens."""

    @initialize(
        asked=st.lists(requests(), min_size=4, max_size=8, unique=True),
        panic_percent=st.sampled_from((0.0, 60.0)),
        settling_s=st.sampled_from((0, 50)),
        size=st.sampled_from((15_000, 1_000_000)),
    )
    def open(self, asked, panic_percent, settling_s, size):
        self.asked = asked
        self.runner = asyncio.Runner()
        self.world = World()
        terms = {"panic_percent": panic_percent, "settling_s": settling_s}
        self.size = size
        sizes = dict.fromkeys(("answers_bytes_max", "parts_bytes_max", "response_cache_bytes_max"), size)
        self.keeping, self.making = self.runner.run(self._open(terms, sizes))
        self._apply(
            [Put(Node(name="n1", address="1.1.1.1")), Put(Service(node="n1", id="w1", name="web", port=1))]
        )

    async def _open(self, terms, sizes):
        return (
            await Door(self.world, **terms, **sizes).open(),
            await Door(self.world, keeps=False, **terms).open(),
        )

    @invariant()
    def answers_the_same(self):
        """The answers of both are the same, so often that the kept ones are given again."""
        for _ in range(3):
            for request in self.asked:
                self._ask(request)

    @rule(request=requests())
    def ask_something_else(self, request):
        self._ask(request)
        self._ask(request)

    def _ask(self, request):
        answers = [self.runner.run(door.ask(request)) for door in (self.keeping, self.making)]
        assert answers[0] == answers[1], request
        assert answers[0].startswith(b"HTTP/1.1 ")

    @rule(changes=st.lists(records, min_size=1, max_size=3, unique_by=lambda each: (each.kind, each.key)))
    def write(self, changes):
        self._apply([self._put(record) for record in changes])

    @rule(data=st.data())
    def delete(self, data):
        entries = [entry.record for entry in self.world.catalog.entries()]
        if entries:
            record = data.draw(st.sampled_from(sorted(entries, key=lambda each: (each.kind, each.key))))
            self._apply([Delete(record)])

    @rule(data=st.data(), output=st.sampled_from(("", "new", "newer")))
    def output(self, data, output):
        keys = sorted(self.world.catalog.checks)
        if keys:
            self.world.catalog.set_output(data.draw(st.sampled_from(keys)), output)

    @rule(data=st.data(), sentence=st.sampled_from(("", "it flaps")))
    def mark(self, data, sentence):
        catalog = self.world.catalog
        entries = [*catalog.checks.values()]
        if entries:
            entry = data.draw(st.sampled_from(sorted(entries, key=lambda each: each.record.key)))
            catalog.set_mark("flapping", entry.record, sentence)

    @rule(stale_s=st.sampled_from((None, None, 3.0)))
    def lose_the_store(self, stale_s):
        self.world.stale_s = stale_s

    @rule(seconds=st.sampled_from((0.4, 1, 30)))
    def pass_time(self, seconds):
        self.world.now_s += seconds

    @rule()
    def forget_topics(self):
        self.world.catalog._forget_topics()

    @invariant()
    def counts_the_same(self):
        """Both have told as many answers of each kind, and the cache is within its limit."""
        assert self.keeping.standing.given == self.making.standing.given
        assert self.keeping.standing.degraded == self.making.standing.degraded
        assert self.keeping.responses.kept_bytes <= self.size

    def teardown(self):
        if hasattr(self, "runner"):
            for door in (self.keeping, self.making):
                self.runner.get_loop().call_soon(door.disconnect)
            self.runner.run(asyncio.sleep(0))
            self.runner.close()

    def _put(self, record):
        entry = self.world.catalog.find(record.kind, record.key)
        return Put(record, replaces=entry.record if entry else None)

    def _apply(self, changes):
        self.world.catalog.apply(Batch(self.world.catalog.index + 1, 0.0, tuple(changes)))


TestDoors = Doors.TestCase
TestDoors.settings = hypothesis.settings(
    max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=list(hypothesis.HealthCheck)
)

"""Answers put together from encoded instances are those that are encoded whole, whatever changed in between."""

import hypothesis
import pytest
from hypothesis import strategies as st

from regista.catalog import Catalog, Lookup, find_instances
from regista.model import Batch, Check, Delete, Node, Put, Service
from regista.protocols.consul.encode import health_entry
from regista.protocols.consul.health_parts import HealthParts
from regista.protocols.http import encode_json


class World:
    """A replica, and what is kept of it."""

    def __init__(self, bytes_max=1_000_000):
        self.catalog = Catalog()
        self.parts = HealthParts(self.catalog, "dc1", bytes_max=bytes_max)

    def put(self, *records):
        puts = []
        for record in records:
            before = self.catalog.find(record.kind, record.key)
            puts.append(Put(record, replaces=before.record if before else None))
        self.catalog.apply(Batch(self.catalog.index + 1, 0.0, tuple(puts)))

    def delete(self, *records):
        self.catalog.apply(Batch(self.catalog.index + 1, 0.0, tuple(map(Delete, records))))

    def whole(self, name="web", **lookup):
        instances = find_instances(self.catalog, Lookup(name=name, **lookup))
        return encode_json([health_entry(self.catalog, each, "dc1") for each in instances])

    def joined(self, name="web", *, passing_only=False, near=""):
        return self.parts.encode_all(name, passing_only=passing_only, near=near)


def service(number, name="web", node="n1", **fields):
    return Service(node=node, id=f"w{number}", name=name, **fields)


def check(number, status="passing", node="n1", **fields):
    return Check(
        node=node, id=f"c{number}", name="c", service_id=f"w{number}", service_name="web", status=status, **fields
    )


@pytest.fixture
def world():
    world = World()
    world.put(Node(name="n1", address="1.1.1.1"), *map(service, range(100)), *map(check, range(100)))
    for _ in range(3):
        world.joined()
    return world


def test_one_change_encodes_one_instance(world):
    """After one of a hundred instances changed, the answer has it and only that one was encoded."""
    for change in (lambda: world.put(service(50, port=81)), lambda: world.put(check(51, "critical"))):
        before = world.parts.encoded_count
        change()
        assert world.joined().body == world.whole()
        assert world.joined(passing_only=True).body == world.whole(passing_only=True)
        assert world.parts.encoded_count == before + 1


def test_output_that_is_no_transaction_is_shown(world):
    """New output of a check is in the next answer."""
    world.catalog.set_output(check(7).key, "slow <today>")
    assert world.joined().body == world.whole()
    assert b"slow \\u003ctoday" in world.joined().body


def test_an_instance_that_comes_or_goes_is_where_it_belongs(world):
    """New instances stand in the order of node and id, those that went do not stand there any more."""
    world.put(service(1000), service(0, node="m"), service(0, node="z"))
    world.delete(service(5), service(99), check(99))
    assert world.joined().body == world.whole()


def test_a_service_that_is_asked_for_once_is_not_kept():
    """The first question keeps nothing, so that a walk through all services takes no memory."""
    world = World()
    for number in range(100):
        world.put(service(number, name=f"s{number}"))
        assert world.joined(f"s{number}").body == world.whole(f"s{number}")
    assert world.parts.held_bytes == 0
    assert not world.catalog.instance_changes.followed


def test_memory_is_bounded_and_what_is_dropped_is_followed_no_more():
    """More services than memory: the last ones asked for are kept, and only their changes are noted."""
    world = World(bytes_max=20_000)
    for _ in range(3):
        for number in range(50):
            world.put(service(number, name=f"s{number}"))
            for _ in range(2):
                assert world.joined(f"s{number}").body == world.whole(f"s{number}")
    assert 0 < world.parts.held_bytes <= 20_000
    assert 0 < len(world.catalog.instance_changes.followed) < 50


def test_a_service_that_would_fill_the_memory_is_not_kept():
    """A service of which the half would not fit is encoded whole each time."""
    world = World(bytes_max=20_000)
    world.put(*map(service, range(100)))
    for _ in range(3):
        assert world.joined().body == world.whole()
    assert world.parts.held_bytes == 0


def test_the_fingerprint_does_not_tell_how_an_answer_was_made(world):
    """Kept or not, the same body has the same fingerprint, or those who wait would be woken for nothing."""
    other = HealthParts(world.catalog, "dc1", bytes_max=0)
    for passing_only in (False, True):
        kept, made = (each.encode_all("web", passing_only=passing_only, near="") for each in (world.parts, other))
        assert kept == made
    world.put(check(1, "critical"))
    assert world.joined().fingerprint != kept.fingerprint


NAMES = st.sampled_from(("web", "Web", "api"))
NODES = st.sampled_from(("n1", "n2", "m"))
IDS = st.sampled_from(("a", "B", "c", "d", "a/b"))
RECORDS = st.one_of(
    st.builds(Service, node=NODES, id=IDS, name=NAMES, port=st.integers(0, 2)),
    st.builds(Node, name=NODES, address=st.sampled_from(("1.1.1.1", "2.2.2.2"))),
    st.builds(
        Check,
        node=NODES,
        id=st.sampled_from(("c1", "c2")),
        name=st.just("c"),
        service_id=st.one_of(st.just(""), IDS),
        service_name=NAMES,
        status=st.sampled_from(("passing", "critical")),
    ),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.lists(RECORDS, min_size=1, max_size=3, unique_by=lambda r: (r.kind, r.key))),
        st.tuples(st.just("delete"), st.integers(0, 20)),
        st.tuples(st.just("output"), st.integers(0, 20)),
        st.tuples(st.just("ask"), NAMES),
    ),
    max_size=25,
)


@hypothesis.given(STEPS, st.sampled_from((0, 6_000, 1_000_000)))
@hypothesis.settings(deadline=None)
def test_whatever_happens_the_answer_is_the_one_that_is_encoded_whole(steps, bytes_max):
    """Any writes, deletions, renamings and outputs, with any memory: the bytes are the same."""
    world = World(bytes_max)
    for number, (what, argument) in enumerate(steps):
        match what:
            case "put":
                world.put(*argument)
            case "delete":
                entries = world.catalog.entries()
                if entries:
                    world.delete(entries[argument % len(entries)].record)
            case "output":
                keys = sorted(world.catalog.checks)
                if keys:
                    world.catalog.set_output(keys[argument % len(keys)], f"output {number}")
            case "ask":
                for passing_only in (False, True):
                    for near in ("", "n2"):
                        lookup = {"passing_only": passing_only, "near": near}
                        assert world.joined(argument, **lookup).body == world.whole(argument, **lookup)
                instances = find_instances(world.catalog, Lookup(name=argument))[::-1]
                shapes = [health_entry(world.catalog, each, "dc1") for each in instances]
                assert world.parts.encode(instances).body == encode_json(shapes)
        assert world.parts.held_bytes <= bytes_max

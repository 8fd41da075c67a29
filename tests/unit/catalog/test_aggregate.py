"""States in one word, and tallies against counting everything anew."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import batch_lists

from regista.catalog import STATES, Catalog, Tallies, add_counts, decide_state
from regista.catalog.aggregate import worst_of
from regista.model import Batch, Check, ConfigEntry, Delete, Entry, Node, Put, Service

CHECKS = {
    "passing": ("c", "passing"),
    "warning": ("c", "warning"),
    "critical": ("c", "critical"),
    "draining": ("_drain:web-1", "critical"),
    "maintenance": ("_service_maintenance:web-1", "critical"),
}


OWN_TYPES = {"_drain": "drain", "_passive": "passive"}


def check(check_id: str, status: str, service_id: str = "web-1", node: str = "n1") -> Check:
    name = "web" if service_id else ""
    return Check(
        node=node,
        id=check_id,
        name="c",
        status=status,
        service_id=service_id,
        service_name=name,
        type=OWN_TYPES.get(check_id.partition(":")[0], ""),
    )


@given(st.lists(st.sampled_from(STATES), max_size=6))
def test_the_worst_wins(states):
    """An instance is in the worst state that any of its checks says; passing without any."""
    checks = [Entry(check(*CHECKS[state]), 1, 1) for state in states]
    assert decide_state(checks) == max(states, key=STATES.index, default="passing")
    counts = tuple(states.count(state) for state in STATES)
    assert worst_of(counts) == decide_state(checks)


@pytest.mark.parametrize(("check_id", "state"), [("_node_maintenance", "maintenance"), ("c", "critical")])
def test_odd_checks(check_id, state):
    """A node's maintenance is told as such; a status that is none of Consul's counts as critical."""
    assert decide_state([Entry(check(check_id, "mine", service_id=""), 1, 1)]) == state


@given(batch_lists, st.sampled_from([0.0, 50.0]))
@settings(max_examples=50, deadline=None)
def test_kept_tallies_are_those_counted_anew(batches, threshold):
    """After any changes, what was counted again only where something changed is what counting all would give."""
    catalog = Catalog()
    kept = Tallies(catalog, threshold_default=threshold)
    for batch in batches:
        catalog.apply(batch)
        anew = Tallies(catalog, threshold_default=threshold)
        assert kept.services() == anew.services()
        assert kept.nodes() == anew.nodes()
        assert kept.node_states() == anew.node_states()
        assert kept.services().keys() == catalog.service_indexes.by_name.keys()
        total = add_counts(*(tally.instances for tally in kept.services().values()))
        assert sum(total) == len(catalog.services)


class World:
    """A replica that a test changes step by step."""

    def __init__(self):
        self.catalog = Catalog()
        self.tallies = Tallies(self.catalog, threshold_default=0.0)

    def put(self, *records):
        self._apply(Put(record) for record in records)

    def delete(self, *records):
        self._apply(Delete(record) for record in records)

    @property
    def web(self):
        return self.tallies.services()["web"]

    def _apply(self, changes):
        self.catalog.apply(Batch(self.catalog.index + 1, 0.0, tuple(changes)))


@pytest.fixture
def world():
    world = World()
    services = [Service(node="n1", id=f"web-{number}", name="web") for number in (1, 2)]
    world.put(Node(name="N1"), Node(name="n2"), *services, check("c", "critical"))
    return world


def test_a_panic_is_told_of_the_service(world):
    """A service's own threshold makes it panic, and another one again not."""
    assert not world.web.is_panicking
    for threshold, is_panicking in ((60, True), (50, False), (100, True)):
        fields = {"PanicThreshold": threshold}
        world.put(ConfigEntry(entry_kind="service-defaults", name="Web", fields=fields))
        assert (world.web.panic_threshold, world.web.is_panicking) == (threshold, is_panicking)


def test_marks_are_counted_as_they_come_and_go(world):
    """Suspects, flapping and ejecting checks are in the tally at once, though nothing was committed for marks."""
    world.put(check("_passive:web-2", "critical", "web-2"))
    assert (world.web.flapping, world.web.suspects, world.web.ejected) == (0, 0, 1)
    service = next(iter(world.catalog.services.values())).record
    flapping = world.catalog.checks[check("c", "").key].record
    world.catalog.set_mark("suspect", service, "silent")
    world.catalog.set_mark("flapping", flapping, "held")
    assert (world.web.flapping, world.web.suspects) == (1, 1)
    assert world.tallies.nodes()["n1"].suspects == 1
    world.catalog.set_mark("flapping", flapping, "")
    assert world.web.flapping == 0


def test_a_node_is_as_its_own_checks_say(world):
    """What fails of an instance is no fault of its node, which is told with its instances nevertheless."""
    assert world.tallies.node_states() == {"n1": "passing", "n2": "passing"}
    assert [(tally.name, sum(tally.instances)) for tally in world.tallies.nodes().values()] == [
        ("N1", 2),
        ("n2", 0),
    ]
    own = check("serfHealth", "critical", service_id="")
    world.put(own)
    assert world.tallies.node_states()["n1"] == "critical"
    assert world.web.instances == (0, 0, 2, 0, 0)
    world.delete(own)
    assert world.web.instances == (1, 0, 1, 0, 0)

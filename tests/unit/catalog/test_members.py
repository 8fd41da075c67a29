"""Members against the look-up that they follow, over any changes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regista.catalog import Catalog, Lookup, Members, Terms, find_available, touched_instances
from regista.catalog.own_checks import DRAIN_PREFIX
from regista.model import Batch, Check, ConfigEntry, Delete, Node, Put, Record, Service

LOOKUPS = (
    Lookup("web"),
    Lookup("Web", passing_only=True),
    Lookup("web", tags=("blue",)),
    Lookup("web", tags=("blue", "New"), passing_only=True),
    Lookup("web", meta=(("zone", "a"),), passing_only=True),
)

nodes = st.sampled_from(["n1", "N2"])
ids = st.sampled_from(["a", "b", "c"])
names = st.sampled_from(["web", "WEB", "api"])
statuses = st.sampled_from(["passing", "warning", "critical"])
services = st.builds(
    Service,
    node=nodes,
    id=ids,
    name=names,
    tags=st.sampled_from([(), ("blue",), ("Blue", "new")]),
    meta=st.sampled_from([None, {"zone": "a"}]),
)
own_checks = st.builds(
    Check,
    node=nodes,
    id=st.sampled_from(["c1", "c2"]),
    name=st.just("c"),
    status=statuses,
    service_id=ids,
    service_name=names,
)
drains = st.builds(
    Check,
    node=nodes,
    id=st.just(f"{DRAIN_PREFIX}a"),
    name=st.just("d"),
    type=st.just("drain"),
    status=st.just("critical"),
    service_id=st.just("a"),
    service_name=st.just("web"),
)
node_checks = st.builds(Check, node=nodes, id=st.just("ping"), name=st.just("p"), status=statuses)
node_records = st.builds(Node, name=nodes, address=st.sampled_from(["10.0.0.1", "10.0.0.2"]))
thresholds = st.builds(
    ConfigEntry,
    entry_kind=st.just("service-defaults"),
    name=st.just("web"),
    fields=st.sampled_from([{}, {"PanicThreshold": 50}, {"PanicThreshold": 100}]),
)
records = st.one_of(services, services, own_checks, own_checks, drains, node_checks, node_records, thresholds)
steps = st.lists(st.tuples(records, st.booleans()), min_size=1, max_size=4)


def commit(catalog: Catalog, changes: list[tuple[Record, bool]]) -> Batch | None:
    """Applies puts and (true) deletes of what is there, each key once, as the store does."""
    made = {}
    for record, is_end in changes:
        there = catalog.find(record.kind, record.key)
        if is_end and there is not None:
            made[record.kind, record.key] = Delete(there.record)
        elif not is_end:
            made[record.kind, record.key] = Put(record, there.record if there else None)
    if not made:
        return None
    batch = Batch(catalog.index + 1, 0.0, tuple(made.values()))
    catalog.apply(batch)
    return batch


def found(catalog: Catalog, lookup: Lookup, default: float):
    available = find_available(catalog, lookup.name, Terms(default), lookups_for=lambda _: (lookup,))
    return available.instances, bool(available.findings)


@settings(max_examples=60, deadline=None)
@given(st.lists(steps, max_size=12), st.sampled_from(LOOKUPS), st.sampled_from([0.0, 60.0]), st.data())
def test_members_are_what_the_look_up_finds(batches, lookup, default, data):
    """After any changes, looked at one by one or together; and the moves lead from each state to the next."""
    catalog = Catalog()
    members = Members(catalog, lookup, threshold_default=default)
    state: dict[str, object] = {}
    keys: list[str] = []
    for changes in batches:
        batch = commit(catalog, changes)
        if batch is not None:
            keys += [key for name, key in touched_instances(catalog, batch) if name == lookup.name.lower()]
        if data.draw(st.booleans()):
            continue
        moves = members.update(keys)
        keys.clear()
        assert len({move.service.key for move in moves}) == len(moves)
        for move in moves:
            if move.instance is None:
                del state[move.service.key]
            else:
                state[move.service.key] = move.instance
        expected, is_panicking = found(catalog, lookup, default)
        assert members.instances() == expected
        assert members.is_panicking == is_panicking
        assert state == {each.service.record.key: each for each in expected}


def test_members_begin_with_what_is_there():
    """Those who begin to follow late are given all at once."""
    catalog = Catalog()
    commit(catalog, [(Service(node="n1", id=each, name="web"), False) for each in "ba"])
    members = Members(catalog, Lookup("web"), threshold_default=0)
    assert [each.service.record.id for each in members.instances()] == ["a", "b"]


def test_a_look_up_that_needs_more_than_the_instance_is_not_followed():
    """An order by distance changes without any of the instances."""
    with pytest.raises(AssertionError):
        Members(Catalog(), Lookup("web", near="n1"), threshold_default=0)

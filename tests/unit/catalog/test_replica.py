"""The replica against a dict, against one rebuilt from scratch, and against one loaded from a snapshot."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.strategies import batch_lists

from regista.catalog import CHECKS, NODES, SERVICES, Catalog, degrading_topics, node_topic, service_topic
from regista.catalog import replica as replica_module
from regista.model import Batch, Check, ConfigEntry, Delete, Entry, Node, Put, Record, Service, Snapshot, Tombstone

TOPICS = [
    NODES,
    SERVICES,
    CHECKS,
    *(node_topic(name) for name in ("n1", "n2")),
    *(service_topic(name) for name in ("web", "api", "check")),
    service_topic("never registered"),
]


def applied(batches: Sequence[Batch]) -> Catalog:
    catalog = Catalog()
    for batch in batches:
        catalog.apply(batch)
    return catalog


def entries_of(catalog: Catalog) -> list[Entry[Record]]:
    return [
        *catalog.nodes.values(),
        *catalog.services.values(),
        *catalog.checks.values(),
        *catalog.tombstones.values(),
    ]


def loaded(batches: Sequence[Batch], *, floor_index: int = 0) -> Catalog:
    """A replica loaded from what a store holds after these batches, its log kept after `floor_index`."""
    catalog = Catalog()
    catalog.load(snapshot_of(batches, floor_index=floor_index))
    return catalog


def snapshot_of(batches: Sequence[Batch], *, floor_index: int) -> Snapshot:
    """What a store holds after these batches, its log kept after `floor_index`."""
    held: dict[tuple[str, str], Entry[Record]] = {}
    for batch in batches:
        for change in batch.changes:
            key = (change.record.kind, change.record.key)
            before = held.pop(key, None)
            if isinstance(change, Put):
                held[key] = Entry(change.record, before.create_index if before else batch.index, batch.index)
    # As SQLite reads them: by kind and key, not by index.
    ordered = [held[key] for key in sorted(held)]
    recent = [batch for batch in batches if batch.index > floor_index]
    return Snapshot(batches[-1].index if batches else 0, floor_index, iter(ordered), iter(recent))


def indexes_of(catalog: Catalog) -> dict[str, object]:
    """Everything that can be found in the indexes, in a form that can be compared."""
    services, checks, nodes = catalog.service_indexes, catalog.check_indexes, catalog.node_indexes
    tags = ("v1", "V1", "v2", "v3")
    pairs = (("zone", "1"), ("zone", "2"), ("rack", "r"))
    return {
        "service members": {name: group.members for name, group in services.by_name.items()},
        "service order": {name: group.ordered() for name, group in services.by_name.items()},
        "tags": {(n, tag): tuple(g.with_tag(tag)) for n, g in services.by_name.items() for tag in tags},
        "ends": {(n, tag): g.has_tag_below(tag) for n, g in services.by_name.items() for tag in tags},
        "metas": {(n, pair): tuple(g.with_meta(pair)) for n, g in services.by_name.items() for pair in pairs},
        "services by node": services.by_node,
        "checks by instance": checks.by_instance,
        "checks of nodes": checks.of_node_itself,
        "checks by service name": checks.by_service_name,
        "checks by node": checks.by_node,
        "checks by status": checks.by_status,
        "nodes by meta": nodes.by_meta,
        "nodes by id": nodes.by_id,
        "nodes with meta": {pair: nodes.with_meta([pair]) for pair in pairs},
    }


@given(batch_lists)
@settings(max_examples=30, deadline=None)
def test_indexes_are_those_of_a_replica_built_from_scratch(batches):
    """After any batches, each index finds exactly what an index built from the records alone would find."""
    catalog = applied(batches)
    rebuilt = Catalog()
    rebuilt.load(Snapshot(catalog.index, catalog.index, entries_of(catalog), ()))
    assert indexes_of(catalog) == indexes_of(rebuilt)


@given(batch_lists)
@settings(max_examples=30, deadline=None)
def test_derived_lists_are_never_old(batches):
    """What a group derived from its members for one question is derived again after a change."""
    catalog = Catalog()
    for batch in batches:
        catalog.apply(batch)
        indexes_of(catalog)
    assert indexes_of(catalog) == indexes_of(applied(batches))


@given(batch_lists)
@settings(max_examples=30, deadline=None)
def test_records_are_those_of_a_dict(batches):
    """The replica holds what a dict would, with the index that created and the one that last changed each record."""
    assert {(e.record.kind, e.record.key): e for e in entries_of(applied(batches))} == {
        (e.record.kind, e.record.key): e for e in entries_of(loaded(batches))
    }
    assert applied(batches).index == len(batches)


@given(batch_lists, st.data())
@settings(max_examples=30, deadline=None)
def test_a_restart_loses_nothing_and_no_index_goes_back(batches, data):
    """A replica loaded from a snapshot at any point has the same records and indexes, and no smaller topic index."""
    at = data.draw(st.integers(0, len(batches)), label="restart after")
    floor_index = data.draw(st.integers(0, at), label="log kept after")
    running, restarted = applied(batches[:at]), loaded(batches[:at], floor_index=floor_index)
    for batch in [None, *batches[at:]]:
        if batch is not None:
            running.apply(batch)
            restarted.apply(batch)
        assert indexes_of(restarted) == indexes_of(running)
        assert restarted.index == running.index
        for topic in TOPICS:
            assert restarted.topics.index([topic]) >= running.topics.index([topic]), topic
            assert restarted.topics.index([topic]) <= max(1, restarted.index)


@given(batch_lists, st.data())
@settings(max_examples=60, deadline=None)
def test_a_replica_that_is_renewed_is_behind_no_other(batches, data):
    """One that missed more than the log has: it has the records of one that missed nothing, and no smaller index."""
    at = data.draw(st.integers(0, len(batches)), label="stood still after")
    floor_index = data.draw(st.integers(at, len(batches)), label="log kept after")
    running, renewed = applied(batches), applied(batches[:at])
    known = {topic: (renewed.topics.version([topic]), renewed.topics.index([topic])) for topic in TOPICS}
    if at < len(batches):
        renewed.renew(snapshot_of(batches, floor_index=floor_index))
    assert indexes_of(renewed) == indexes_of(running)
    for topic in TOPICS:
        index = renewed.topics.index([topic])
        assert max(1, renewed.index) >= index >= running.topics.index([topic]), topic
        assert index == known[topic][1] or renewed.topics.version([topic]) != known[topic][0]


@given(batch_lists, st.integers(0, 4))
@settings(max_examples=30, deadline=None)
def test_no_index_goes_back_when_topics_are_forgotten(batches, topics_max):
    """However early idle topics are forgotten, before and after a restart, indexes only grow."""
    catalog = Catalog()
    last = dict.fromkeys(TOPICS, 1)
    for batch in batches:
        catalog._forget_topics_at = topics_max
        catalog.apply(batch)
        for topic in TOPICS:
            assert catalog.topics.index([topic]) >= last[topic]
            last[topic] = catalog.topics.index([topic])
    restarted = loaded(batches)
    for topic in TOPICS:
        assert restarted.topics.index([topic]) >= last[topic]


def _answers(catalog: Catalog) -> dict[str, object]:
    """What depends on each topic."""
    indexes = indexes_of(catalog)
    answers: dict[str, object] = {
        NODES: {key: entry.record for key, entry in catalog.nodes.items()},
        SERVICES: {key: entry.record for key, entry in catalog.services.items()},
        CHECKS: {key: entry.record for key, entry in catalog.checks.items()},
    }
    for name in ("n1", "n2"):
        answers[node_topic(name)] = [
            catalog.nodes.get(name),
            catalog.service_indexes.by_node.get(name),
            catalog.check_indexes.by_node.get(name),
        ]
    for name in ("web", "api"):
        group = catalog.service_indexes.by_name.get(name)
        answers[service_topic(name)] = [
            (entry, catalog.nodes.get(entry.record.node.lower()), tuple(catalog.check_entries(entry.record)))
            for entry in (group.ordered() if group else ())
        ] + [catalog.check_indexes.by_service_name.get(name)]
    assert indexes
    return msgspec.to_builtins({topic: repr(answer) for topic, answer in answers.items()})


@given(batch_lists)
@settings(max_examples=30, deadline=None)
def test_who_waits_misses_no_change(batches):
    """Whenever an answer changes, its topic was woken, at the index of the batch, with a new version."""
    catalog = Catalog()
    woken: set[str] = set()
    for topic in TOPICS:
        catalog.topics.watch([topic], lambda topic=topic: woken.add(topic))
    before = _answers(catalog)
    versions = {topic: catalog.topics.version([topic]) for topic in TOPICS}
    for batch in batches:
        woken.clear()
        catalog.apply(batch)
        after = _answers(catalog)
        for topic, answer in after.items():
            if answer != before[topic]:
                assert topic in woken
                assert catalog.topics.index([topic]) == batch.index
            if topic in woken:
                assert catalog.topics.version([topic]) != versions[topic]
        assert service_topic("never registered") not in woken
        before, versions = after, {topic: catalog.topics.version([topic]) for topic in TOPICS}


@given(batch_lists)
@settings(max_examples=30, deadline=None)
def test_nobody_is_woken_for_a_tombstone(batches):
    """A batch of tombstones alone wakes nobody: no answer shows them."""
    catalog = Catalog()
    woken: list[str] = []
    for topic in TOPICS:
        catalog.topics.watch([topic], lambda topic=topic: woken.append(topic))
    for batch in batches:
        woken.clear()
        catalog.apply(batch)
        if all(isinstance(change.record, Tombstone) for change in batch.changes):
            assert woken == []


def test_a_name_that_does_not_exist_waits_for_itself():
    """Ten thousand unrelated writes neither wake nor move whoever waits for a name that nobody registered."""
    catalog, woken = Catalog(), []
    catalog.topics.watch([service_topic("wanted")], lambda: woken.append(catalog.index))
    before = catalog.topics.index([service_topic("wanted")])
    for index in range(1, 10_001):
        service = Service(node="n", id="i", name=f"other-{index % 7}")
        catalog.apply(Batch(index, 0.0, (Put(service),)))
    assert woken == []
    assert catalog.topics.index([service_topic("wanted")]) == before
    catalog.apply(Batch(10_001, 0.0, (Put(Service(node="n", id="w", name="Wanted")),)))
    assert woken == [10_001]


def test_topics_of_names_that_came_and_went_do_not_pile_up():
    """A churn of ever new names leaves a bounded number of topics."""
    catalog = Catalog()
    most = replica_module._FORGET_TOPICS_AT
    for index in range(1, 2 * (most + 50), 2):
        service = Service(node="n", id="i", name=f"name-{index}")
        catalog.apply(Batch(index, 0.0, (Put(service),)))
        catalog.apply(Batch(index + 1, 0.0, (Delete(service),)))
    assert len(catalog.topics) <= 100


def test_many_who_wait_for_absent_names_do_not_slow_every_batch():
    """Topics that can't be forgotten, because they are watched, are not gone through at every batch."""
    catalog = Catalog()
    forgets = []
    for i in range(replica_module._FORGET_TOPICS_AT + 10):
        catalog.topics.watch([service_topic(f"absent-{i}")], lambda: None)
    original = catalog.topics.forget
    catalog.topics.forget = lambda is_live: (forgets.append(1), original(is_live))  # counts, changes nothing
    for index in range(1, 50):
        catalog.apply(Batch(index, 0.0, (Put(Node(name="n", address=str(index))),)))
    assert len(forgets) == 1


def test_subscribers_see_the_batch_applied():
    """A subscriber is told of each batch, in order, when the replica has it, and before those who wait."""
    catalog, told = Catalog(), []
    catalog.subscribe(lambda batch: told.append(("first", batch.index, catalog.index, "n" in catalog.nodes)))
    catalog.subscribe(lambda batch: told.append(("second", batch.index, catalog.index, "n" in catalog.nodes)))
    catalog.topics.watch([NODES], lambda: told.append(("waiter", catalog.index, catalog.index, True)))
    catalog.apply(Batch(1, 0.0, (Put(Node(name="n")),)))
    assert told == [("first", 1, 1, True), ("second", 1, 1, True), ("waiter", 1, 1, True)]


def test_batches_come_in_order():
    """A batch from the past is a mistake of the program, and changes nothing."""
    catalog = applied([Batch(5, 0.0, (Put(Node(name="n")),))])
    with pytest.raises(AssertionError, match="order"):
        catalog.apply(Batch(5, 0.0, (Put(Node(name="m")),)))
    assert "m" not in catalog.nodes
    with pytest.raises(AssertionError, match="empty"):
        catalog.load(Snapshot(9, 0, (), ()))


def test_a_restart_remembers_the_name_that_a_service_had():
    """Who waits for a name that its last instance gave up sees no smaller index after a restart."""
    web, api = Service(node="n", id="1", name="web"), Service(node="n", id="1", name="api")
    batches = [Batch(1, 0.0, (Put(web),)), Batch(2, 0.0, (Put(Node(name="n")),)), Batch(3, 0.0, (Put(api, web),))]
    running, restarted = applied(batches), loaded(batches, floor_index=1)
    assert running.topics.index([service_topic("web")]) == 3
    assert restarted.topics.index([service_topic("web")]) == 3


# ---- what is kept beside the log ----


def _with_check(**fields: str) -> tuple[Catalog, Check]:
    check = Check(node="n", id="c", name="c", output="first", service_id="1", service_name="web", **fields)
    service = Service(node="n", id="1", name="web")
    return applied([Batch(1, 0.0, (Put(service), Put(check)))]), check


def test_a_restart_remembers_that_settings_are_gone():
    """The index of an answer that depends on them goes back no more than that of the services themselves."""
    entry = ConfigEntry(entry_kind="service-defaults", name="web", fields={})
    batches = [Batch(1, 0.0, (Put(entry),)), Batch(2, 0.0, (Delete(entry),))]
    topics = degrading_topics(("web",))
    assert applied(batches).topics.touched_index(topics) == 2
    assert loaded(batches).topics.touched_index(topics) == 2


def test_output_wakes_nobody():
    """Newer output is shown at once, makes ready answers old, moves no index and wakes nobody."""
    catalog, check = _with_check()
    topics = [service_topic("web"), node_topic("n"), CHECKS]
    for topic in topics:
        catalog.topics.watch([topic], lambda: pytest.fail("was woken"))
    versions = [catalog.topics.version([topic]) for topic in topics]
    catalog.set_output(check.key, "second")
    assert catalog.output(catalog.checks[check.key]) == "second"
    assert all(catalog.topics.version([t]) != v for t, v in zip(topics, versions, strict=True))
    assert catalog.topics.index(topics) == 1


def test_the_same_output_makes_no_answer_old():
    """Output that is what it was changes nothing, and output of a check that is gone is dropped."""
    catalog, check = _with_check()
    version = catalog.topics.version([CHECKS])
    catalog.set_output(check.key, "first")
    catalog.set_output("n/gone", "text")
    assert catalog.topics.version([CHECKS]) == version
    assert catalog._outputs == {}


def test_a_new_status_has_its_own_output():
    """When the status changes, the output that came with it is shown, not one kept from before."""
    catalog, check = _with_check()
    catalog.set_output(check.key, "second")
    catalog.apply(Batch(2, 0.0, (Put(msgspec.structs.replace(check, status="passing", output="third")),)))
    assert catalog.output(catalog.checks[check.key]) == "third"


def test_registering_again_keeps_the_latest_output():
    """A check that is changed in other things than its status still shows the output that was heard last."""
    catalog, check = _with_check()
    catalog.set_output(check.key, "second")
    catalog.apply(Batch(2, 0.0, (Put(msgspec.structs.replace(check, notes="other")),)))
    assert catalog.output(catalog.checks[check.key]) == "second"
    catalog.apply(Batch(3, 0.0, (Delete(check),)))
    catalog.apply(Batch(4, 0.0, (Put(check),)))
    assert catalog.output(catalog.checks[check.key]) == "first"


@given(batch_lists)
@settings(max_examples=30, deadline=None)
def test_no_output_outlives_its_check(batches):
    """The outputs kept beside the log are those of checks that are there."""
    catalog = Catalog()
    for batch in batches:
        catalog.apply(batch)
        for key in catalog.checks:
            catalog.set_output(key, f"at {batch.index}")
        assert catalog._outputs.keys() == catalog.checks.keys()


def test_applying_does_not_change_what_was_given_out():
    """An entry that a caller holds stays as it was when the record changes."""
    catalog = applied([Batch(1, 0.0, (Put(Node(name="n", address="1")),))])
    entry = catalog.nodes["n"]
    catalog.apply(Batch(2, 0.0, (Put(Node(name="n", address="2")),)))
    assert (entry.record.address, entry.modify_index) == ("1", 1)
    assert catalog.nodes["n"].create_index == 1
    with contextlib.suppress(AttributeError):
        entry.modify_index = 9
        pytest.fail("an entry could be changed")

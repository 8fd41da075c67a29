"""Sessions: what they need, what ends them, and what goes with them."""

from __future__ import annotations

import pytest
from tests.unit.catalog.kv_world import IDS, NODE, World, entry

from regista.catalog import (
    CatalogEntry,
    Registration,
    acquire_key,
    create_session,
    delete_key,
    deregister_check,
    deregister_node,
    deregister_service,
    destroy_session,
    is_well,
    register_in_catalog,
    register_service,
    release_key,
    session_key,
    set_check_status,
    set_key,
    settle_session,
    take_over_node,
)
from regista.model import (
    BadInput,
    Batch,
    Check,
    Delete,
    Node,
    PreparedQuery,
    Put,
    QueryName,
    Service,
    Session,
    Transaction,
    node_item_key,
)

CHECK = node_item_key(NODE, "c")
WEB = Service(node=NODE, id="web", name="web", manager="agent")
WEB_CHECK = Check(node=NODE, id="service:web", name="web", status="passing", service_id="web", manager="agent")


def with_service(world):
    registration = Registration(WEB, checks=(WEB_CHECK,), new_incarnation="i1")
    world.commit(register_service(world.catalog, registration, now_s=0.0))
    world.commit(set_check_status(world.catalog, WEB_CHECK.key, "passing", ""))


def locked(world, session, *, key="k"):
    assert world.step(lambda draft: acquire_key(draft, entry(key, b"v", session=session), world.delays))
    return session


ENDS = {
    "its check turns critical": lambda catalog: set_check_status(catalog, CHECK, "critical", ""),
    "its check is deregistered": lambda catalog: deregister_check(catalog, NODE, "c"),
    "its check is overwritten as critical": lambda catalog: register_in_catalog(
        catalog,
        CatalogEntry(NODE, None, checks=(Check(node=NODE, id="C", name="c", status="critical"),)),
    ),
    "its node is deregistered": lambda catalog: deregister_node(catalog, NODE, reason="r", now_s=0.0),
    "its node has another name": lambda catalog: take_over_node(catalog, NODE, Node(name="n2")),
    "it is destroyed": lambda catalog: destroy_session(catalog, IDS[0]),
}


@pytest.mark.parametrize("how", ENDS)
@pytest.mark.parametrize("behavior", ["release", "delete"])
def test_a_session_ends_in_the_transaction_that_takes_away_what_it_needs(how, behavior):
    """One index: the check or node, the session, and its keys, which are free or gone as the session says."""
    world = World()
    locked(world, world.session(0, checks=("c",), behavior=behavior))
    other = locked(world, world.session(1, checks=()), key="other") if "node" not in how else ""
    index = world.catalog.index
    world.commit(ENDS[how](world.catalog))
    assert world.catalog.index == index + 1
    assert IDS[0] not in world.catalog.sessions.entries
    assert IDS[0] not in world.catalog.kv.held
    if behavior == "delete":
        assert world.record("k") is None
        assert world.catalog.kv.index_of("k") == index + 1
    else:
        assert (world.record("k").session, world.record("k").value, world.record("k").lock_index) == ("", b"v", 1)
        assert world.catalog.kv.entries["k"].modify_index == index + 1
    if other:
        assert world.record("other").session == other


def test_a_session_ends_with_the_service_of_its_check():
    """Deregistering a service takes its check, and so the session that needs it."""
    world = World()
    with_service(world)
    locked(world, world.session(0, checks=("service:web",)))
    world.commit(deregister_service(world.catalog, NODE, "web", reason="r", now_s=0.0))
    assert world.catalog.sessions.entries == {}
    assert world.record("k").session == ""


def test_queries_that_are_bound_to_a_session_end_with_it():
    """A prepared query that names the session goes with it, and its name is free; others stay."""
    world = World()
    session = world.session(0)
    bound = PreparedQuery(id=IDS[1], name="Bound", session=session, service="web")
    free = PreparedQuery(id=IDS[2], name="free", service="web")
    names = (QueryName(name=query.name.lower(), query=query.id) for query in (bound, free))
    world.commit(Transaction((Put(bound), Put(free), *map(Put, names))))
    world.commit(destroy_session(world.catalog, session))
    assert set(world.catalog.queries.entries) == {free.id}
    assert [entry.record.name for entry in world.catalog.query_names.values()] == ["free"]


def test_a_warning_ends_nothing():
    """A session lives on while its check is in warning, and while checks that it does not need are critical."""
    world = World()
    session = world.session(0, checks=("serfHealth",))
    world.session(1, checks=("c",))
    world.commit(set_check_status(world.catalog, CHECK, "warning", ""))
    assert set(world.catalog.sessions.entries) == {IDS[0], IDS[1]}
    world.commit(set_check_status(world.catalog, CHECK, "critical", ""))
    assert set(world.catalog.sessions.entries) == {session}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"node": "none"}, "Missing node registration"),
        ({"node_checks": ("none",)}, "Missing check 'none' registration"),
        ({"node_checks": ("c",)}, "Check 'c' is in critical state"),
    ],
)
def test_a_session_needs_what_is_there_and_well(fields, words):
    """A session on an unknown node, with an unknown check or a critical one, is refused in Consul's words."""
    world = World()
    world.commit(set_check_status(world.catalog, CHECK, "critical", ""))
    session = Session(id=IDS[0], **({"node": NODE} | fields))
    with pytest.raises(BadInput, match=words):
        create_session(world.catalog, session)


@pytest.mark.parametrize(
    ("session_id", "words"), [("none", "UUID must be 36 characters"), ("z" * 36, "Invalid UUID"), ("", "36")]
)
def test_what_looks_like_no_id_is_refused(session_id, words):
    """An id of another length, or of other signs, is a mistake."""
    with pytest.raises(BadInput, match=words):
        session_key(session_id)


# ---- writers at the same moment ----


def test_a_session_that_began_while_its_check_turned_critical_is_ended():
    """Each writer was right for what it saw; what they left together is settled by one more transaction."""
    world = World()
    critical = set_check_status(world.catalog, CHECK, "critical", "")
    world.session(0, checks=("c",))
    world.commit(critical)
    assert not is_well(world.catalog, world.catalog.sessions.entries[IDS[0]].record)
    world.commit(settle_session(world.catalog, IDS[0]))
    assert world.catalog.sessions.entries == {}
    assert settle_session(world.catalog, IDS[0]) == Transaction()


def test_a_key_that_was_locked_while_its_session_ended_is_let_go():
    """The key is free again, and closed for the session's lock-delay."""
    world = World()
    session = world.session(0, lock_delay_s=15.0)
    end = destroy_session(world.catalog, session)
    locked(world, session)
    world.commit(end)
    assert world.record("k").session == session
    assert world.delays.is_closed("k")
    world.commit(settle_session(world.catalog, session))
    assert world.record("k").session == ""


def test_a_session_that_is_well_is_left_alone():
    """Settling what is in order changes nothing."""
    world = World()
    locked(world, world.session(0))
    assert settle_session(world.catalog, IDS[0]) == Transaction()


def test_whoever_ends_a_session_rests_on_its_keys():
    """A key that its holder lets go of meanwhile makes the end be planned again."""
    world = World()
    session = locked(world, world.session(0))
    end = destroy_session(world.catalog, session)
    assert ("kv", "k") in {(condition.kind, condition.key) for condition in end.conditions}


# ---- lock-delay ----


def test_keys_stay_closed_for_the_lock_delay():
    """After its session was ended nobody can lock a key until the delay is over, gone or not."""
    world = World()
    for number, behavior in enumerate(("release", "delete")):
        locked(world, world.session(number, lock_delay_s=3.0, behavior=behavior), key=behavior)
        world.commit(destroy_session(world.catalog, IDS[number]))
    other = world.session(2)
    for key in ("release", "delete"):
        assert not world.step(lambda draft, key=key: acquire_key(draft, entry(key, session=other), world.delays))
        assert world.step(lambda draft, key=key: set_key(draft, entry(key, b"plain")))
    world.now_s += 3.0
    for key in ("release", "delete"):
        assert world.step(lambda draft, key=key: acquire_key(draft, entry(key, session=other), world.delays))


def test_letting_go_and_deleting_close_nothing():
    """A key that its holder releases, or that is deleted, can be locked at once; so with a delay of zero."""
    world = World()
    one, other = world.session(0, lock_delay_s=15.0), world.session(1)
    locked(world, one)
    world.step(lambda draft: release_key(draft, entry("k", session=one)))
    assert not world.delays.is_closed("k")
    locked(world, one)
    world.step(lambda draft: delete_key(draft, "k"))
    assert not world.delays.is_closed("k")
    locked(world, other)
    world.commit(destroy_session(world.catalog, other))
    assert not world.delays.is_closed("k")


def test_a_lock_delay_lasts_a_minute_at_the_most():
    """A longer delay is cut when it begins; a shorter one does not shorten one that lasts."""
    world = World()
    locked(world, world.session(0, lock_delay_s=900.0))
    world.commit(destroy_session(world.catalog, IDS[0]))
    world.now_s += 59.9
    assert world.delays.is_closed("k")
    world.now_s += 0.2
    assert not world.delays.is_closed("k")


def test_closed_keys_are_forgotten_when_they_open_and_beyond_the_limit():
    """What is over takes no room, and no more than the limit is remembered."""
    world = World()
    world.delays._count_max = 2
    for number in range(3):
        locked(world, world.session(number, lock_delay_s=5.0), key=f"k{number}")
        world.commit(destroy_session(world.catalog, IDS[number]))
    assert [world.delays.is_closed(f"k{number}") for number in range(3)] == [False, True, True]
    world.now_s += 6.0
    locked(world, world.session(3, lock_delay_s=5.0), key="k3")
    world.commit(destroy_session(world.catalog, IDS[3]))
    assert len(world.delays) == 1


def test_a_restart_forgets_lock_delays():
    """They are kept beside the log: a replica that is filled from it knows of none."""
    world = World()
    locked(world, world.session(0, lock_delay_s=15.0))
    entry_before = world.catalog.sessions.entries[IDS[0]].record
    fresh = World()
    fresh.catalog.apply(Batch(fresh.catalog.index + 1, 0.0, (Put(entry_before),)))
    fresh.catalog.apply(Batch(fresh.catalog.index + 1, 0.0, (Delete(entry_before),)))
    assert not fresh.delays.is_closed("k")

"""Transactions of several operations: verbs, two phases, all or nothing."""

from __future__ import annotations

import pytest
from tests.unit.catalog.kv_world import IDS, NODE, World, entry

from regista.catalog import (
    CheckStep,
    KvOperation,
    NodeStep,
    ServiceStep,
    destroy_session,
    is_read_only,
    plan_operations,
    set_key,
)
from regista.model import Check, KvEntry, Node, Service, Transaction


def kv(verb, key, value=b"", *, index=0, session="", flags=0):
    return KvOperation(verb, entry(key, value, session=session, flags=flags), index)


def node(verb, name, *, index=0, **fields):
    return NodeStep(verb, Node(name=name, **fields), index)


def service(verb, service_id, *, on="e1", index=0, has_name=True):
    return ServiceStep(verb, Service(node=on, id=service_id, name="svc"), index, has_name, "i1")


def check(verb, check_id, *, on="e1", index=0, status="passing", service_id=""):
    wanted = Check(node=on, id=check_id, name=check_id, status=status, service_id=service_id)
    return CheckStep(verb, wanted, index)


class Txn(World):
    """A world to which operations are committed."""

    def run(self, *operations):
        outcome = plan_operations(self.catalog, operations, delays=self.delays, now_s=0.0)
        if not outcome.errors:
            self.commit(outcome.transaction)
        return outcome

    def problems(self, *operations):
        outcome = self.run(*operations)
        assert outcome.results == ()
        assert outcome.transaction == Transaction()
        return list(outcome.errors)


@pytest.fixture
def world():
    world = Txn()
    world.step(lambda draft: set_key(draft, entry("k", b"1")))
    return world


def shown(outcome):
    """Key, value where it is shown, and whether its index is that of the transaction."""
    return [
        (
            result.entry.record.key,
            result.entry.record.value if result.shows_value else None,
            result.entry.modify_index == outcome.next_index,
        )
        for result in outcome.results
    ]


def test_operations_see_what_those_before_them_did(world):
    """A key that is set, locked and read in one transaction is read as it was set, at one index."""
    session = world.session()
    outcome = world.run(
        kv("set", "a", b"x"),
        kv("get", "a"),
        kv("lock", "a", b"y", session=session),
        kv("check-session", "a", session=session),
        kv("get-tree", "a"),
        kv("delete", "k"),
        kv("check-not-exists", "k"),
        kv("get-or-empty", "k"),
    )
    assert shown(outcome) == [
        ("a", None, True),
        ("a", b"x", True),
        ("a", None, True),
        ("a", None, True),
        ("a", b"y", True),
        ("k", b"", False),
    ]
    assert world.record("a") == KvEntry(key="a", value=b"y", lock_index=1, session=session)
    assert world.record("k") is None
    assert world.catalog.kv.entries["a"].modify_index == world.catalog.index == world.catalog.kv.index_of("k")


def test_every_failing_operation_is_named(world):
    """Those behind a failing one are tried too, and nothing of any is left."""
    before = world.catalog.index
    index = world.catalog.kv.entries["k"].modify_index
    assert world.problems(
        kv("set", "a", b"x"),
        kv("check-index", "k", index=99),
        kv("delete", "none"),
        kv("check-not-exists", "k"),
        kv("get", "none"),
        kv("cas", "k", index=99),
    ) == [
        (1, f'failed index check for key "k", current modify index {index} != 99'),
        (3, 'key "k" exists'),
        (4, 'key "none" doesn\'t exist'),
        (5, 'failed to set key "k", index is stale'),
    ]
    assert world.catalog.index == before
    assert world.record("a") is None


def test_what_is_wrong_by_itself_is_told_first(world):
    """Where an operation can't be looked at at all, the others are not tried."""
    assert world.problems(kv("get", "none"), kv("get-tree", ""), kv("set", "")) == [
        (1, "Must provide key"),
        (2, "Must provide key"),
    ]
    assert world.problems(
        node("set", ""),
        service("delete", "s", has_name=False),
        node("get", ""),
        service("get", "s", has_name=False),
    ) == [(0, "Must provide node"), (1, "Must provide service name with ID")]


@pytest.mark.parametrize(
    ("operation", "problem"),
    [
        (kv("delete-cas", "k", index=99), 'failed to delete key "k", index is stale'),
        (kv("lock", "k"), "missing session"),
        (kv("lock", "k", session=IDS[9]), f'invalid session "{IDS[9]}"'),
        (kv("lock", "k", session="none"), "failed session lookup: index error: UUID must be 36 characters"),
        (
            kv("unlock", "k", session=IDS[9]),
            'failed to unlock key "k", lock isn\'t held, or is held by another session',
        ),
        (kv("check-index", "none", index=1), 'failed to check index, key "none" doesn\'t exist'),
        (kv("check-session", "none"), 'failed to check session, key "none" doesn\'t exist'),
        (kv("check-session", "k", session="x"), 'failed session check for key "k", current session "" != "x"'),
        (kv("Set", "k"), 'unknown KV verb "Set"'),
        (node("get", "none"), 'node "none" doesn\'t exist'),
        (node("cas", "n1", index=99), 'failed to set node "n1", index is stale'),
        (node("delete-cas", "none", index=3), 'failed to delete node "none", index is stale'),
        (node("nonsense", "n1"), 'unknown Node verb "nonsense"'),
        (service("get", "s", on=NODE), 'service "s" on node "n1" doesn\'t exist'),
        (service("cas", "s", on=NODE, index=3), 'failed to set service "s" on node "n1", index is stale'),
        (
            service("delete-cas", "s", on=NODE, index=3),
            'failed to delete service "s" on node "n1", index is stale',
        ),
        (service("set", "s", on="none"), "Missing node registration"),
        (service("nonsense", "s"), 'unknown Service verb "nonsense"'),
        (check("get", "none", on=NODE), 'check "none" on node "n1" doesn\'t exist'),
        (check("cas", "c", on=NODE, index=99), 'failed to set check "c" on node "n1", index is stale'),
        (check("delete-cas", "c", on=NODE, index=99), 'failed to delete check "c" on node "n1", index is stale'),
        (check("set", "c", on="none"), "Missing node registration"),
        (check("set", "c", on=NODE, service_id="none"), "Missing service registration"),
        (check("nonsense", "c"), 'unknown Check verb "nonsense"'),
    ],
)
def test_refusals_have_consuls_words(world, operation, problem):
    """Each operation that can't be made says why as Consul does, or begins so."""
    ((position, words),) = world.problems(operation)
    assert position == 0
    assert words.startswith(problem)


def test_a_lock_that_is_held_or_closed_is_refused(world):
    """Another's lock is refused where it is tried, a lock-delay already before."""
    one, two = world.session(0, lock_delay_s=10.0), world.session(1)
    world.run(kv("lock", "l", session=one))
    assert world.problems(kv("lock", "l", session=two)) == [(0, 'failed to lock key "l", lock is already held')]
    world.commit(destroy_session(world.catalog, one))
    assert world.problems(kv("get", "none"), kv("lock", "l", session=two)) == [
        (1, 'failed to lock key "l" due to lock delay')
    ]


def test_trees_are_deleted_and_listed_with_what_was_just_set(world):
    """`get-tree` and `delete-tree` go over keys of the same transaction too; a tree without keys is no mistake."""
    outcome = world.run(
        kv("set", "t/2", b"2"),
        kv("set", "t/1", b"1"),
        kv("get-tree", "t/"),
        kv("get-tree", "none"),
        kv("delete-tree", "t/1"),
        kv("get-tree", "t/"),
        kv("delete-tree", ""),
    )
    assert [key for key, value, _ in shown(outcome) if value is not None] == ["t/1", "t/2", "t/2"]
    assert world.catalog.kv.entries == {}


def test_a_node_with_all_that_is_on_it_comes_and_goes(world):
    """Node, instance and check are written together; deleting the node takes what the transaction put there too."""
    outcome = world.run(
        node("set", "e1", address="10.0.0.1"),
        service("set", "s1"),
        check("set", "c1", service_id="s1", status="critical"),
        node("get", "E1"),
    )
    assert [type(result.entry.record).kind for result in outcome.results] == ["node", "service", "check", "node"]
    assert world.catalog.checks["e1/c1"].record.service_name == "svc"
    assert world.catalog.services["e1/s1"].record.incarnation == "i1"
    world.run(check("set", "c2", service_id="s1"), service("set", "s2"), node("delete", "e1"))
    assert "e1" not in world.catalog.nodes
    assert not any(key.startswith("e1/") for key in (*world.catalog.services, *world.catalog.checks))
    assert len(world.catalog.tombstones) == 1


def test_a_service_takes_its_checks_with_it(world):
    """Deleting an instance deletes its checks, and what is not there is deleted already."""
    world.run(node("set", "e1"), service("set", "s1"), check("set", "c1", service_id="s1"), check("set", "c2"))
    world.run(service("delete", "s1"), check("delete", "none"), node("delete", "none"), service("delete", "none"))
    assert "e1/s1" not in world.catalog.services
    assert set(world.catalog.checks) & {"e1/c1", "e1/c2"} == {"e1/c2"}


def test_cas_on_the_catalog_goes_by_the_index(world):
    """Index 0 writes only what is not there; any other only what was last changed then."""
    assert world.run(node("cas", "e1", address="1")).errors == ()
    assert world.problems(node("cas", "e1", address="2"))
    index = world.catalog.nodes["e1"].modify_index
    assert world.run(node("cas", "e1", index=index, address="2")).errors == ()
    assert world.catalog.nodes["e1"].record.address == "2"
    index = world.catalog.nodes["e1"].modify_index
    assert world.run(node("delete-cas", "e1", index=index)).errors == ()
    assert "e1" not in world.catalog.nodes


def test_a_check_that_turns_critical_ends_its_sessions_within_the_transaction(world):
    """A lock that comes after it in the same transaction is refused, and one before it is let go."""
    session = world.session(0, checks=("c",))
    lock = kv("lock", "l", session=session)
    critical = check("set", "c", on=NODE, status="critical")
    assert world.problems(critical, lock) == [(1, f'invalid session "{session}"; create one first')]
    assert world.run(lock, critical).errors == ()
    assert world.record("l").session == ""
    assert world.catalog.sessions.entries == {}


def test_the_servers_own_is_not_to_be_taken(world):
    """The agent's node, service and checks can't be changed or deleted by a transaction."""
    own = Check(node=NODE, id="own", name="own", status="passing", manager="server")
    world.step(lambda draft: draft.put(None, own) or True)
    assert world.problems(check("delete", "own", on=NODE))[0][1].endswith("stop the agent instead")
    assert world.problems(check("set", "own", on=NODE))[0][1].endswith("take another id")


def test_an_identical_transaction_changes_nothing(world):
    """What is all there already makes no transaction, and shows the indexes that there are."""
    index = world.catalog.index
    outcome = world.run(kv("set", "k", b"1"), node("set", NODE))
    assert outcome.errors == ()
    assert world.catalog.index == index
    assert [result.entry.modify_index for result in outcome.results] == [index, 1]


def test_unknown_verbs_for_keys_count_as_reads():
    """A transaction of reads writes nothing; of the catalog's verbs only `get` is one."""
    assert is_read_only([])
    assert is_read_only([kv("get", "a"), kv("check-index", "a"), kv("nonsense", "a"), node("get", "n")])
    assert not is_read_only([kv("get", "a"), kv("delete-cas", "a")])
    assert not is_read_only([node("nonsense", "n")])

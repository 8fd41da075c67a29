"""The TTLs of sessions, on a clock that the test holds."""

import pytest
from tests.unit.health.world import NODE, World, settle

from regista.catalog import LockDelays, acquire_key, create_session, destroy_session, plan_kv, set_check_status
from regista.model import Check, KvEntry, Node, Put, Session, Transaction, node_item_key

IDS = tuple(f"0000000{number}-0000-4000-8000-000000000000" for number in range(1, 5))


class Keys(World):
    """A world with a node, a check and keys."""

    def __init__(self):
        super().__init__()
        check = Check(node=NODE, id="c", name="c", status="passing")
        self.writer.apply(Transaction((Put(Node(name=NODE)), Put(check))))
        self.delays = LockDelays(self.catalog, clock=lambda: self.now_s)

    def session(self, number=0, *, ttl_s=10.0, checks=(), node=NODE):
        session = Session(
            id=IDS[number], node=node, ttl_s=ttl_s, ttl=f"{ttl_s:g}s", node_checks=checks, lock_delay_s=5.0
        )
        self.writer.apply(create_session(self.catalog, session))
        return session.id

    def lock(self, session, key="k"):
        wanted = KvEntry(key=key, session=session)
        is_done, transaction = plan_kv(self.catalog, lambda draft: acquire_key(draft, wanted, self.delays))
        assert is_done
        self.writer.apply(transaction)

    @property
    def ids(self):
        return set(self.catalog.sessions.entries)


@pytest.fixture
def world():
    return Keys()


async def test_a_session_lasts_twice_its_ttl(world):
    """It is there just before twice its TTL, and gone with its lock just after."""
    session = world.session()
    world.lock(session)
    world.begin()
    await world.advance(19.9)
    assert world.ids == {session}
    await world.advance(0.2)
    assert world.ids == set()
    assert world.catalog.kv.entries["k"].record.session == ""
    assert world.delays.is_closed("k")
    assert world.scheduler.counters.expiries["session"] == 1


async def test_a_renewal_gives_a_whole_ttl_and_writes_nothing(world):
    """Renewed again and again it lives on, and no index moves."""
    world.begin()
    session = world.session()
    index = world.catalog.index
    for _ in range(5):
        await world.advance(15)
        world.scheduler.renew_session(session)
    assert world.ids == {session}
    assert world.catalog.index == index
    await world.advance(20.1)
    assert world.ids == set()


async def test_a_session_without_ttl_stays(world):
    """Time alone ends no session that named no TTL, and renewing it does nothing."""
    world.begin()
    session = world.session(ttl_s=0.0)
    world.scheduler.renew_session(session)
    world.scheduler.renew_session("nobody")
    await world.advance(10_000)
    assert world.ids == {session}


async def test_a_renewal_keeps_a_session_whose_end_waits_for_the_store(world):
    """The store was away when the TTL ended; a renewal before it is back is in time."""
    session = world.session()
    world.begin()
    world.writer.is_away = True
    await world.advance(21)
    world.scheduler.renew_session(session)
    world.writer.is_away = False
    await world.advance(15)
    assert world.ids == {session}
    await world.advance(10)
    assert world.ids == set()


async def test_a_restart_gives_a_whole_ttl(world):
    """An agent that takes over counts from its own start."""
    session = world.session()
    world.begin()
    await world.advance(15)
    await world.scheduler.stop()
    world.scheduler = world.new_scheduler()
    world.begin()
    await world.advance(19)
    assert world.ids == {session}
    await world.advance(2)
    assert world.ids == set()


async def test_a_stall_of_the_agent_counts_for_nobody(world):
    """While the agent could not listen no TTL passed."""
    session = world.session()
    world.begin()
    await world.advance(10)
    await world.stall(60)
    await world.advance(9)
    assert world.ids == {session}


async def test_sessions_of_other_nodes_end_too(world):
    """A session on a node that no agent keeps has its TTL watched as well."""
    world.writer.apply(Transaction((Put(Node(name="far")),)))
    world.begin()
    world.session(node="far")
    await world.advance(20.1)
    assert world.ids == set()


async def test_an_ended_session_is_not_ended_again(world):
    """Who is destroyed before its TTL ends leaves no deadline."""
    world.begin()
    session = world.session()
    world.writer.apply(destroy_session(world.catalog, session))
    writes = world.writer.writes
    await world.advance(60)
    assert world.writer.writes == writes


# ---- writers at the same moment ----


async def test_a_session_that_began_while_its_check_turned_critical_is_ended(world):
    """The check's transaction knew nothing of the session, and the session's found the check well."""
    world.begin()
    critical = set_check_status(world.catalog, node_item_key(NODE, "c"), "critical", "")
    world.session(checks=("c",))
    world.writer.apply(critical)
    await settle()
    assert world.ids == set()


async def test_a_key_that_was_locked_while_its_session_ended_is_let_go(world):
    """Its lock has no holder any more, so it is taken away."""
    world.begin()
    session = world.session()
    end = destroy_session(world.catalog, session)
    world.lock(session)
    world.writer.apply(end)
    await settle()
    assert world.catalog.kv.held == {}
    assert world.delays.is_closed("k")


async def test_what_an_earlier_agent_left_is_settled(world):
    """An agent that ended between the two transactions has its successor make the second."""
    session, other = world.session(0), world.session(1, checks=("c",))
    end = destroy_session(world.catalog, session)
    world.lock(session)
    world.writer.apply(end)
    critical = Put(Check(node=NODE, id="c", name="c", status="critical"))
    world.writer.apply(Transaction((critical,)))
    assert world.catalog.kv.held == {session: {"k": None}}
    assert world.ids == {other}
    world.begin()
    await settle()
    assert world.catalog.kv.held == {}
    assert world.ids == set()

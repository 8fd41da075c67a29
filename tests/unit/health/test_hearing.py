"""The clocks: stalls, rows of stalls, and a store that takes no writes."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.health.fleet import Fleet
from tests.unit.health.world import NODE, WEB, World, settle

from regista.health.hearing import HearingClock
from regista.health.listening import ListeningClock
from regista.model import CRITICAL, PASSING, CheckDefinition, Session, node_item_key


class Ticker:
    """A hearing clock over a monotonic one that the test holds."""

    def __init__(self):
        self.now_s = 100.0
        self.hearing = HearingClock(lambda: self.now_s)


# ---- the hearing clock ----


def test_time_stands_still_while_writes_fail():
    """From the first failure to the next success no time passes; before and after it does."""
    ticker = Ticker()
    ticker.now_s += 10
    for _ in range(60):
        ticker.hearing.note_write(has_failed=True)
        assert ticker.hearing.now_s() == 110
        assert ticker.hearing.is_still
        ticker.now_s += 1
    ticker.hearing.note_write(has_failed=False)
    assert not ticker.hearing.is_still
    ticker.now_s += 5
    assert ticker.hearing.now_s() == 115
    assert ticker.hearing.away_s == 60
    assert ticker.hearing.outages == 1


def test_a_failure_stands_for_seconds_only():
    """When nobody tries to write any more, time goes on three seconds after the last failure."""
    ticker = Ticker()
    ticker.hearing.note_write(has_failed=True)
    ticker.now_s += 10
    assert ticker.hearing.now_s() == 107


@given(st.lists(st.tuples(st.floats(0, 10), st.sampled_from(["ok", "failed", "look"])), max_size=60))
def test_hearing_time_never_goes_back(steps):
    """It never goes back, never faster than the clock below, and what falls due is foretold truly."""
    ticker = Ticker()
    last_s = ticker.hearing.now_s()
    for seconds, what in steps:
        before_s = ticker.now_s
        ticker.now_s += seconds
        now_s = ticker.hearing.now_s()
        assert last_s - 1e-9 <= now_s <= last_s + (ticker.now_s - before_s) + 1e-9
        if what != "look":
            ticker.hearing.note_write(has_failed=what == "failed")
        assert ticker.hearing.now_s() == pytest.approx(now_s)
        last_s = now_s
        due_s = ticker.hearing.listening_at_s(last_s + 1.0)
        assert due_s >= ticker.now_s + 1.0 - 1e-6
    ticker.now_s = ticker.hearing.listening_at_s(last_s + 1.0)
    assert ticker.hearing.now_s() == pytest.approx(last_s + 1.0)


# ---- deadlines in an outage of the store ----


async def test_deadlines_stand_still_in_an_outage():
    """While registrations are refused leases, TTL checks, sessions and times in critical wait, and then go on."""
    world = World().begin()
    world.service(ttl_s=30)
    world.service(service_id="sick")
    world.check(CheckDefinition(ttl_s=1e6, deregister_critical_service_after_s=30), service_id="sick")
    world.check(CheckDefinition(ttl_s=30), check_id="t", status=PASSING)
    await world.advance(20)
    world.writer.is_away = True
    for _ in range(300):
        world.scheduler.note_write(True)
        await world.advance(1)
    assert world.scheduler.lease_left_s(WEB) == pytest.approx(10, abs=0.1)
    assert not world.scheduler.counters.expiries
    world.writer.is_away = False
    world.scheduler.note_write(False)
    await world.advance(9)
    assert len(world.catalog.services) == 2
    assert world.status(node_item_key(NODE, "t")) == PASSING
    await world.advance(2)
    assert not world.catalog.services
    assert world.status(node_item_key(NODE, "t")) == CRITICAL


async def test_sessions_stand_still_in_an_outage():
    """A session's TTL waits for the store too."""
    world = World().begin()
    world.scheduler._silence.sessions._follow(Session(id="s", node=NODE, ttl_s=10.0), world.now_s)
    for _ in range(100):
        world.scheduler.note_write(True)
        await world.advance(1)
    assert not world.scheduler.counters.expiries
    world.scheduler.note_write(False)
    await world.advance(21)
    assert world.scheduler.counters.expiries == {"session": 1}


async def test_store_that_hangs_is_an_outage_too():
    """While the agent says that the store is away deadlines stand still, though no write of the scheduler's failed."""
    world = World().begin()
    world.service(ttl_s=30)
    await world.advance(20)
    is_away = True
    world.scheduler._silence._is_store_away = lambda: is_away
    await world.advance(100)
    is_away = False
    await world.advance(8)
    assert WEB in world.catalog.services
    assert world.scheduler.hearing.away_s == pytest.approx(100, abs=2)
    await world.advance(4)
    assert WEB not in world.catalog.services


async def test_probes_go_on_in_an_outage():
    """The cadence of probes is none of the store's business."""
    world = World().begin()
    world.check(CheckDefinition(http="a", interval_s=10.0))
    world.writer.is_away = True
    await world.advance(100)
    assert world.probe.calls["a"] == 10


async def test_outage_that_nobody_else_notices_is_found_by_the_first_to_expire():
    """The first lease that ends finds the store away; the others wait for it to come back, and may renew."""
    fleet = Fleet().begin()
    fleet.add(5)
    fleet.writer.is_away = True
    for key in fleet.keys:
        await fleet.advance(1)
        fleet.scheduler.renew_service(key)
    await fleet.advance(120)
    assert fleet.scheduler.counters.expiries == {"service": 1}
    assert fleet.scheduler.hearing.outages == 1
    fleet.scheduler.renew_service(fleet.keys[0])
    fleet.writer.is_away = False
    await fleet.advance(2)
    for key in fleet.keys[2:]:
        fleet.scheduler.renew_service(key)
    await fleet.advance(5)
    assert fleet.there == set(fleet.keys) - {fleet.keys[1]}


# ---- stalls ----


def test_single_stall_counts_in_full(caplog):
    """A freeze is credited to the second, however long it is."""
    now_s = 0.0
    clock = ListeningClock(lambda: now_s, tolerance_s=1.0)
    clock.expect(clock.tick_s() + 1.0)
    now_s = 3600.0
    with caplog.at_level(logging.WARNING):
        assert clock.tick_s() == 0.0
    assert clock.stalled_s == 3600.0


@given(st.floats(1.1, 30.0), st.integers(2, 60))
def test_agent_that_is_always_late_hears_a_second_each_round(late_s, rounds):
    """In a row of stalls time goes on by a second a round, so no deadline is out of reach."""
    now_s = 0.0
    clock = ListeningClock(lambda: now_s, tolerance_s=1.0)
    begun_s = clock.tick_s()
    for _ in range(rounds):
        due_s = clock.expect(clock.now_s() + 0.005)
        now_s = due_s + late_s
        heard_s = clock.tick_s()
    assert heard_s - begun_s == pytest.approx(rounds - 1)


async def test_fifty_stalls_within_a_ttl_keep_no_dead_instance():
    """With fifty stalls of three seconds in the meantime a dead instance goes within twice its TTL of hearing."""
    fleet = Fleet().begin()
    dead, living = fleet.add(2)
    begun_s, stalled_s = fleet.now_s, 0.0
    for _ in range(50):
        if dead not in fleet.there:
            break
        await fleet.advance(0.6)
        await fleet.stall(3.0)
        stalled_s += 3.0
        fleet.scheduler.renew_service(living)
    await settle()
    assert fleet.there == {living}
    assert fleet.now_s - begun_s - stalled_s < 30
    assert fleet.now_s - begun_s < 2 * 60

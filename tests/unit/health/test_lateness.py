"""How late probes start, what is counted as left out, and how long endings wait, on a clock that the test holds."""

import asyncio

import pytest
from tests.unit.health.fleet import Fleet
from tests.unit.health.world import World, settle

from regista.model import CheckDefinition


def http(target, interval_s=10.0):
    return CheckDefinition(http=target, interval_s=interval_s)


async def test_a_probe_on_time_is_late_by_the_tick_at_most():
    """Without anything in its way every probe starts with the tick that it is due at."""
    world = World().begin()
    world.check(http("a"))
    await world.advance(200)
    counters = world.scheduler.counters
    assert counters.lateness.count == world.probe.calls["a"] >= 19
    assert counters.lateness.most < 0.01
    assert counters.slots_missed == 0


async def test_lateness_counts_from_the_planned_moment():
    """A probe that waits for a place is as late as it waited, whenever the agent noticed that it was due."""
    world = World(probes_at_once_max=1).begin()
    slow = world.probe.answers["slow"] = asyncio.get_running_loop().create_future()
    world.check(http("slow", 1.0), check_id="slow")
    await world.advance(1)
    world.check(http("a"))
    await world.advance(30)
    slow.set_result("passing")
    await settle()
    assert world.probe.calls["a"] == 1
    assert 20 < world.scheduler.counters.lateness.most <= 30


async def test_probes_that_take_too_long_lose_slots_that_are_counted():
    """What the interval wanted is what was probed and what was left out, together."""
    world = World().begin()
    slow = world.probe.answers["slow"] = asyncio.get_running_loop().create_future()
    world.check(http("slow"), check_id="slow")
    await world.advance(100)
    counters = world.scheduler.counters
    assert world.probe.calls["slow"] == 1
    assert counters.slots_missed == pytest.approx(9, abs=1)
    slow.set_result("passing")
    await world.advance(100)
    assert counters.slots_missed + world.probe.calls["slow"] == pytest.approx(20, abs=1)


async def test_the_wait_for_the_expiry_rates_is_measured():
    """Where more is to end than the rates allow, the waits show by how much; where not, there are none."""
    fleet = Fleet(
        protection_share=1.0, expiries_per_s=1.0, expiries_burst=1.0, expiries_service_per_s_min=100.0
    ).begin()
    fleet.add(40)
    await fleet.live(60)
    fleet.silent.update(fleet.keys)
    await fleet.live(100)
    waits = fleet.scheduler.counters.ending_waits
    assert waits.count == 40
    assert waits.least < 0.5
    assert 20 < waits.most < 40

"""The end of drains, on a clock that the test holds."""

import pytest
from tests.unit.health.world import WEB, World

from regista.catalog import cancel_drain, drain_service


@pytest.fixture
def world():
    return World(deregister_after_s_min=60.0).begin()


def drain(world, for_s):
    world.writer.apply(
        drain_service(world.catalog, "n1", "web", for_s=for_s, asked_by="a test", now_s=1.7e9 + world.now_s)
    )


def is_there(world):
    return WEB in world.catalog.services


async def test_a_drain_ends_in_deregistration(world):
    """After just its own time, whatever is the minimum for failing checks; the tombstone says why."""
    world.service()
    drain(world, 30)
    assert world.scheduler.drains_count == 1
    await world.advance(29.9)
    assert is_there(world)
    await world.advance(0.2)
    assert not is_there(world)
    assert world.scheduler.drains_count == 0
    assert world.scheduler.counters.deregistrations == {"drain": 1}
    (tombstone,) = world.catalog.tombstones.values()
    assert tombstone.record.reason == "was drained for 30s"


@pytest.mark.parametrize(("again_s", "end_s"), [(60, 80), (5, 25)])
async def test_draining_again_moves_the_end(world, again_s, end_s):
    """The time counts from the last time that somebody asked: later or earlier."""
    world.service()
    drain(world, 30)
    await world.advance(20)
    drain(world, again_s)
    await world.advance(end_s - 20 - 0.1)
    assert is_there(world)
    await world.advance(0.2)
    assert not is_there(world)


async def test_a_cancelled_drain_ends_nothing(world):
    """Nor does what it had intended come about later."""
    world.service()
    drain(world, 30)
    await world.advance(29)
    world.writer.apply(cancel_drain(world.catalog, "n1", "web"))
    await world.advance(120)
    assert is_there(world)
    assert world.scheduler.drains_count == 0


async def test_a_drain_survives_a_restart(world):
    """The agent that starts again gives it its whole time anew, for nobody watched in between."""
    world.service()
    drain(world, 30)
    await world.advance(20)
    await world.scheduler.stop()
    world.scheduler = world.new_scheduler()
    world.begin()
    await world.advance(29.9)
    assert is_there(world)
    await world.advance(0.2)
    assert not is_there(world)


async def test_a_stall_gives_a_drain_that_much_more(world):
    """Callers could not hear of it either while the agent stood still."""
    world.service()
    drain(world, 30)
    await world.stall(100)
    assert is_there(world)
    await world.advance(31)
    assert not is_there(world)

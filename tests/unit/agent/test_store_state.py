"""What writes tell of the store, and how long others get to register again."""

import pytest

from regista.agent.store_state import SLOW_S, StoreState, settling_left_s
from regista.model import Batch


class World:
    def __init__(self):
        self.now_s = 50.0
        self.state = StoreState(lambda: self.now_s)

    def after(self, seconds):
        self.now_s += seconds
        return self.state.stale_s()


@pytest.fixture
def world():
    return World()


def test_all_is_well_while_writes_are_made(world):
    """An idle store, one that is written and one that refuses for its own reasons are no trouble."""
    assert world.after(1000) is None
    for is_made in (True, False):
        world.state.begin()
        assert world.after(1) is None
        world.state.end(is_made=is_made)
        assert world.after(1000) is None


def test_a_failed_write_makes_answers_stale_until_one_is_made(world):
    """The age counts from the first failure; refusals and further failures change nothing, a success ends it."""
    world.state.begin()
    world.state.fail()
    assert (world.after(3), world.state.has_failed, world.state.outages) == (3, True, 1)
    for settle in (world.state.fail, lambda: world.state.end(is_made=False)):
        world.state.begin()
        settle()
    assert (world.after(4), world.state.outages) == (7, 1)
    world.state.begin()
    world.state.end(is_made=True)
    assert (world.after(0), world.state.has_failed) == (None, False)
    world.state.begin()
    world.state.fail()
    assert world.state.outages == 2


def test_a_write_that_hangs_makes_answers_stale(world):
    """A store that does not answer is noticed without a failure; one that is busy but gets on is not stale."""
    for _ in range(3):
        world.state.begin()
    assert world.after(SLOW_S) is None
    world.state.end(is_made=True)
    assert world.after(SLOW_S) is None
    assert world.after(1) == SLOW_S + 1
    world.state.end(is_made=True)
    world.state.end(is_made=True)
    assert world.after(100) is None


class Log:
    def __init__(self, *times, floor_index=0):
        self.floor_index = floor_index
        self.batches = [Batch(index + 1, at_s, ()) for index, at_s in enumerate(times)]

    async def changes(self, after_index, *, batches_max=-1):
        return self.batches[after_index:][: batches_max if batches_max >= 0 else None]


@pytest.mark.parametrize(
    ("log", "left_s"),
    [
        (Log(), 90),
        (Log(1000.0), 90),
        (Log(970.0, 999.0), 60),
        (Log(900.0), 0),
        (Log(2000.0), 90),
        (Log(999.0, floor_index=7), 0),
    ],
    ids=[
        "no log",
        "just now",
        "half a minute ago",
        "long ago",
        "by a clock that was set back",
        "a log that was cut",
    ],
)
async def test_a_young_store_still_settles(log, left_s):
    """The settling time counts from the first thing in the log, whenever the agent was restarted."""
    assert await settling_left_s(log, 90.0, now_s=1000.0) == left_s

"""The virtual loop and the agenda, on which all else rests."""

import asyncio

import pytest
from tests.simulation.agenda import Agenda
from tests.simulation.loop import NothingLeft, VirtualLoop


def test_time_jumps_to_the_next_timer():
    """A day passes at once, and each timer comes at its very moment."""
    loop, moments = VirtualLoop(), []

    async def main():
        for seconds in (0.25, 86400.0, 3.0):
            await asyncio.sleep(seconds)
            moments.append(loop.time())

    loop.finish(main())
    assert moments == [0.25, 86400.25, 86403.25]


def test_what_is_ready_comes_before_time_passes():
    """Time stands still while anything can run."""
    loop = VirtualLoop()

    async def main():
        for _ in range(100):
            await asyncio.sleep(0)
        return loop.time()

    assert loop.finish(main()) == 0.0


def test_a_stall_makes_timers_late():
    """What was due during a stall comes after it, in the order in which it was due."""
    loop, came = VirtualLoop(), []

    async def main():
        for due_s in (2.0, 1.0, 30.0):
            loop.call_at(due_s, lambda due_s=due_s: came.append((due_s, loop.time())))
        loop.call_soon(loop.stall, 10.0)
        await asyncio.sleep(40.0)

    loop.finish(main())
    assert came == [(1.0, 10.0), (2.0, 10.0), (30.0, 30.0)]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_a_run_that_waits_for_ever_says_so():
    """When nothing can ever happen again, the run ends with an error instead of hanging."""
    loop = VirtualLoop()

    async def main():
        await asyncio.Event().wait()

    with pytest.raises(NothingLeft):
        loop.finish(main())


def test_the_agenda_keeps_its_order():
    """Acts come by moment, those of one moment by when they were asked for, also those that an act asks for."""
    loop, came = VirtualLoop(), []
    agenda = Agenda(loop)

    def first():
        came.append(("first", loop.time()))
        agenda.after(0.0, came.append, ("at once", loop.time()))
        agenda.at(1.5, came.append, ("between", 1.5))

    async def main():
        agenda.at(2.0, came.append, ("last", 2.0))
        agenda.at(1.0, first)
        agenda.at(1.0, came.append, ("second", 1.0))
        await asyncio.sleep(3.0)

    loop.finish(main())
    assert came == [("first", 1.0), ("second", 1.0), ("at once", 1.0), ("between", 1.5), ("last", 2.0)]

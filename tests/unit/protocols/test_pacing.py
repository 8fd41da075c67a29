"""Serving many in turns."""

import asyncio

import pytest

from regista.protocols.native.pacing import Pacer


class Clock:
    """Seconds that pass only when something takes time."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s


class Served:
    """One that is served, which takes a while."""

    def __init__(self, clock, order, took_s):
        self._clock = clock
        self._order = order
        self._took_s = took_s

    def wake(self):
        self._clock.now_s += self._took_s
        self._order.append(self)


def make(count, took_s):
    clock, order = Clock(), []
    pacer = Pacer(clock=clock, refill=lambda: None)
    turns = [Served(clock, order, took_s) for _ in range(count)]
    for turn in turns:
        pacer.join(turn)
    return clock, order, pacer, turns


async def test_an_idle_loop_serves_everybody_at_once():
    """Nobody waits for the clock while there is nothing else to do."""
    _, order, _, turns = make(1000, 0.0)
    for _ in range(200):
        await asyncio.sleep(0)
    assert order == turns


async def test_a_busy_loop_has_nine_tenths_for_itself():
    """With other work in each turn of the loop, slices are followed by rests nine times as long, and get smaller."""
    clock, order, _, turns = make(64, 0.001)
    loop = asyncio.get_running_loop()
    rests, call_later = [], loop.call_later
    loop.call_later = lambda delay_s, *rest: (rests.append(delay_s), call_later(0, *rest))[1]
    try:
        for _ in range(1000):
            clock.now_s += 0.0005  # the other work
            await asyncio.sleep(0)
    finally:
        loop.call_later = call_later
    assert order == turns
    assert max(rests) <= 0.25
    assert sum(rests) >= 9 * 0.001 * 32
    assert 0.009 <= rests[-1] <= 0.015, "one at a time in the end"


async def test_one_who_leaves_is_not_served_and_one_who_joins_twice_is_once():
    """The queue holds each once, for as long as it wants."""
    _, order, pacer, (first, second, third) = make(3, 0.0)
    pacer.leave(second)
    pacer.join(first)
    for _ in range(10):
        await asyncio.sleep(0)
    assert order == [first, third]


async def test_an_empty_queue_is_filled_again():
    """Whoever has something new joins when the others are served; with nobody left it rests until it is started."""
    clock, order = Clock(), []
    waiting = [Served(clock, order, 0.0)]
    pacer = Pacer(clock=clock, refill=lambda: [pacer.join(waiting.pop()) for _ in waiting[:]])
    pacer.start()
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(order) == 1
    waiting.append(Served(clock, order, 0.0))
    pacer.start()
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(order) == 2


class Rests:
    """Has the loop's timers run at once, and notes how long they should have waited."""

    def __init__(self):
        self.delays_s = []
        self._loop = asyncio.get_running_loop()

    def __enter__(self):
        call_later = self._loop.call_later
        self._loop.call_later = lambda delay_s, *rest: (self.delays_s.append(delay_s), call_later(0, *rest))[1]
        return self.delays_s

    def __exit__(self, *_):
        del self._loop.call_later


async def settle():
    """Lets the pacer come to its end; timers that are due run in between."""
    for _ in range(200):
        await asyncio.sleep(0)


async def test_the_next_round_of_an_idle_loop_comes_after_a_pause():
    """A round is followed at once by nothing but a pause as long as it took, in which news gather; a short one by none."""
    for took_s, pauses_s in ((0.0001, [0.0064]), (0.00001, [])):
        clock, order = Clock(), []
        pacer = Pacer(clock=clock, refill=lambda: None)
        for _ in range(64):
            pacer.join(Served(clock, order, took_s))
        with Rests() as delays_s:
            await settle()
        assert len(order) == 64
        assert delays_s == pytest.approx(pauses_s)


@pytest.mark.parametrize(("awaited", "times"), [(0, None), (1, 3), (2, 6), (100, 14)])
async def test_an_idle_loop_rests_while_others_work(awaited, times):
    """The more the agent waits for, the longer are the rests, up to those of a busy loop; for nothing there are none."""
    clock, order = Clock(), []
    pacer = Pacer(clock=clock, refill=lambda: None, awaited_count=lambda: awaited)
    with Rests() as delays_s:
        pacer.join(Served(clock, order, 0.0002))
        await settle()
    assert len(order) == 1
    assert delays_s == ([] if times is None else pytest.approx([0.0002 * times]))


async def test_what_writers_did_makes_the_next_rest_longer():
    """Work that was done for the pacer is paid for once, within a bound, so that listeners still have their turns."""
    for owed_s, longer_s in ((0.0001, 0.0014), (1.0, 0.01)):
        clock, order = Clock(), []
        pacer = Pacer(clock=clock, refill=lambda: None, awaited_count=lambda: 100)
        pacer.owe(owed_s)
        with Rests() as delays_s:
            for _ in range(2):
                pacer.join(Served(clock, order, 0.0001))
                await settle()
        assert delays_s == pytest.approx([0.0014 + longer_s, 0.0014])


async def test_only_the_work_of_those_who_are_woken_is_counted():
    """A request that is answered between a slice's beginning and its work makes no rest longer."""
    clock, order, loop = Clock(), [], asyncio.get_running_loop()

    class Woken:
        def wake(self):
            loop.call_soon(Served(clock, order, 0.0002).wake)

    def request():
        clock.now_s += 0.05

    pacer = Pacer(clock=clock, refill=lambda: None, awaited_count=lambda: 100)
    pacer.join(Woken())
    loop.call_soon(loop.call_soon, request)  # comes between the two
    with Rests() as delays_s:
        await settle()
    assert len(order) == 1
    assert delays_s == pytest.approx([0.0002 * 14])


async def test_a_refill_may_take_several_slices():
    """One that asks to be called again is, after a rest if the loop is busy; listeners are served when it is done."""
    clock, order, calls = Clock(), [], []

    def refill():
        calls.append(clock.now_s)
        clock.now_s += 0.0005
        if len(calls) < 3:
            pacer.start()
        elif len(calls) == 3:
            pacer.join(Served(clock, order, 0.0))

    pacer = Pacer(clock=clock, refill=refill, awaited_count=lambda: 100)
    with Rests() as delays_s:
        pacer.start()
        await settle()
    assert len(calls) == 4, "and once more, in case that there is news"
    assert len(order) == 1
    assert delays_s == pytest.approx([0.007] * 3)


async def test_a_turn_with_one_request_is_not_idle():
    """The next slice does not follow at once where the loop answered something in between, however little it was."""
    clock, order = Clock(), []
    pacer = Pacer(clock=clock, refill=lambda: None)
    with Rests() as delays_s:
        for _ in range(100):
            pacer.join(Served(clock, order, 0.0001))
        for _ in range(200):
            clock.now_s += 0.00001  # the cheapest look-up
            await asyncio.sleep(0)
    assert len(order) == 100
    assert len(delays_s) > 100 // 16

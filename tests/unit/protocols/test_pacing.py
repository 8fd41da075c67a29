"""Serving many in turns."""

import asyncio

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

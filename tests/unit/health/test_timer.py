"""The timer for everything that is due."""

import asyncio

from regista.health.timer import Timer


async def test_what_fails_is_tried_again(caplog):
    """A mistake in what is done when it is due is logged, and is not the last that is done."""
    loop = asyncio.get_running_loop()
    calls, has_come = [], asyncio.Event()

    def tick():
        calls.append(loop.time())
        if len(calls) == 1:
            raise RuntimeError("a mistake")
        has_come.set()
        return loop.time() + 3600

    timer = Timer(loop.time, tick=tick, next_s=lambda: loop.time() + 3600)
    timer.start()
    await asyncio.wait_for(has_come.wait(), 10)
    timer.stop()
    assert "a mistake" in caplog.text
    assert len(calls) == 2

"""Telling many in turns, so that those who tell something new never wait for those who listen.

Theory of operation. Whoever has something coming stands in a queue. They are served in slices of half a
millisecond. If the loop had nothing else to do meanwhile, the next slice follows at once; if it had, the next one
comes after a rest, so that serving takes no more than a tenth of the time. So an idle agent tells a thousand
listeners in some milliseconds, and a busy one tells them a moment later, many changes at once.

    idle ──somebody joins──▶ serving ──the loop is idle──▶ serving … ──nobody is left──▶ idle
                             serving ──the loop is busy──▶ resting ──▶ serving
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

_REST = 9
"""How many times as long as a slice took the rest after it takes: serving gets a tenth of the time at the most."""

_REST_S_MAX = 0.25
"""Nobody waits longer for their turn than it takes to notice."""

_SLICE_S = 0.0005
"""What a request may have to wait for a slice that has just begun; their size is found by trying. A group of
commits takes some milliseconds, and whoever waits for one is not to wait noticeably longer."""

_SLICE_MAX = 128

_IDLE_S = 0.0001
"""A turn of the loop in which there was less to do than this had nothing in it but this module's own question."""


class Turn(Protocol):
    """Somebody who is served."""

    def wake(self) -> None:
        """Has its work done in the next turn of the loop."""


class Pacer:
    """The queue, and when the next in it are served.

    Args:
        clock: monotonic seconds, finer than a millisecond.
        refill: called when nobody is left in the queue, to have those join for whom there is something new.
    """

    def __init__(self, *, clock: Callable[[], float], refill: Callable[[], None]) -> None:
        self._clock = clock
        self._refill = refill
        self._queue: dict[Turn, None] = {}
        self._slice_size = 16
        self._is_under_way = False

    def join(self, turn: Turn) -> None:
        """Stands in the queue, unless it does already."""
        self._queue[turn] = None
        self.start()

    def leave(self, turn: Turn) -> None:
        """Stands there no longer."""
        self._queue.pop(turn, None)

    def start(self) -> None:
        """Has the queue looked at, and filled again if it is empty."""
        if not self._is_under_way:
            self._is_under_way = True
            asyncio.get_running_loop().call_soon(self._serve)

    def _serve(self) -> None:
        began_s = self._clock()
        if not self._queue:
            self._refill()
        if not self._queue:
            self._is_under_way = False
            return
        for _ in range(min(self._slice_size, len(self._queue))):
            turn = next(iter(self._queue))
            del self._queue[turn]
            turn.wake()
        # Behind the work of those who were woken.
        asyncio.get_running_loop().call_soon(self._served, began_s)

    def _served(self, began_s: float) -> None:
        now_s = self._clock()
        took_s = now_s - began_s
        if took_s > _SLICE_S:
            self._slice_size = max(1, self._slice_size // 2)
        elif took_s < _SLICE_S / 2:
            self._slice_size = min(_SLICE_MAX, self._slice_size * 2)
        asyncio.get_running_loop().call_soon(self._go_on, now_s, took_s)

    def _go_on(self, asked_s: float, took_s: float) -> None:
        if self._clock() - asked_s < _IDLE_S:
            self._serve()
        else:
            asyncio.get_running_loop().call_later(min(took_s * _REST, _REST_S_MAX), self._serve)

"""Telling many in turns, so that those who tell something new never wait for those who listen.

Theory of operation. Whoever has something coming stands in a queue. They are served in slices of half a
millisecond. If the loop had nothing else to do meanwhile and nobody waits for the store, the next slice follows at
once. Otherwise it comes after a rest, so that serving takes no more than a fifteenth of the time. When all in the
queue have had their turn, that was a *round*. Before the next one is a pause as long as the round took of an idle
loop. So an idle agent tells a thousand listeners in some milliseconds, and a busy one tells them a moment later,
many changes at once: how often each is told depends on what a round takes, not on how much happens.

    idle ──somebody joins──▶ serving ──the loop is idle──▶ serving … ──a round has ended──▶ pausing ──▶ idle
                             serving ──the loop is busy──▶ resting ──▶ serving
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

_REST = 14
"""How many times as long as a slice took the rest after it takes: a fifteenth of the time is for serving, which
with what can't be measured of it (timers, the processor's caches) is less than a tenth."""

_REST_AWAITED = 3
"""The same for each that the agent waits for while the loop is idle, up to `_REST`. Who writes to the disk wants
the interpreter's lock several times for each commit, and gets it only when the loop waits."""

_REST_OTHERS = 30
"""A rest is at most so many times as long as what else the loop did in the turn before: who looks up a thing now
and then has room enough within a millisecond, and listeners need not wait longer for that."""

_REST_S_MAX = 0.25
"""Nobody waits longer for their turn than it takes to notice."""

_OWED_S_MAX = 0.01
"""How much longer a rest gets because writers did work of this kind: so that listeners still get a fortieth of
the time, and a thousand of them hear something about every second."""

_PAUSE_S_MIN = 0.001
"""A shorter pause is shorter than a timer's step, and whoever is told in less is no burden."""

SLICE_S = 0.0005
"""What a request may have to wait for a slice that has just begun; their size is found by trying. A group of
commits takes some milliseconds, and whoever waits for one is not to wait noticeably longer."""

_SLICE_MAX = 128

_IDLE_S = 0.000008
"""A turn of the loop in which there was less to do than this had nothing in it but this module's own question,
which takes one or two microseconds. The cheapest look-up takes ten; overlooked, each would wait for a slice."""


class Turn(Protocol):
    """Somebody who is served."""

    def wake(self) -> None:
        """Has its work done in the next turn of the loop."""


def _nobody() -> int:
    return 0


class Pacer:
    """The queue, and when the next in it are served.

    Args:
        clock: how many seconds this thread has worked, finer than a millisecond.
        refill: called when nobody is left in the queue, to have those join for whom there is something new. It
            takes no longer than a slice; if that is not enough, it calls `start` to be called again.
        awaited_count: how many things others work on that the agent waits for.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        refill: Callable[[], None],
        awaited_count: Callable[[], int] = _nobody,
    ) -> None:
        self._clock = clock
        self._refill = refill
        self._awaited_count = awaited_count
        self._queue: dict[Turn, None] = {}
        self._slice_size = 16
        self._is_under_way = False
        # Since the last refill was asked for what is new.
        self._is_asked = False
        # When the work of those who were woken began.
        self._began_s = 0.0
        # What slices took since the last pause that no rest followed.
        self._restless_s = 0.0
        # By how much the next rest is longer.
        self._owed_s = 0.0

    def join(self, turn: Turn) -> None:
        """Stands in the queue, unless it does already."""
        self._queue[turn] = None
        self.start()

    def leave(self, turn: Turn) -> None:
        """Stands there no longer."""
        self._queue.pop(turn, None)

    def start(self) -> None:
        """Has the queue looked at, and filled again if it is empty."""
        self._is_asked = True
        if not self._is_under_way:
            self._is_under_way = True
            asyncio.get_running_loop().call_soon(self._serve)

    def owe(self, took_s: float) -> None:
        """Notes that somebody else did work of a refill, so that the next rest is longer."""
        self._owed_s = min(self._owed_s + took_s * _REST, _OWED_S_MAX)

    def _serve(self) -> None:
        if not self._queue and self._restless_s >= _PAUSE_S_MIN:
            pause_s, self._restless_s = self._restless_s, 0.0
            asyncio.get_running_loop().call_later(min(pause_s, _REST_S_MAX), self._serve)
            return
        loop = asyncio.get_running_loop()
        began_s = self._clock()
        if not self._queue:
            self._is_asked = False
            self._refill()
        if self._queue:
            # Around the work of those who are woken, and nothing else: requests that arrive meanwhile come before.
            loop.call_soon(self._note_begin)
            for _ in range(min(self._slice_size, len(self._queue))):
                turn = next(iter(self._queue))
                del self._queue[turn]
                turn.wake()
            loop.call_soon(self._served, self._clock() - began_s)
        elif self._is_asked:
            now_s = self._clock()
            loop.call_soon(self._go_on, now_s, now_s - began_s)
        else:
            self._is_under_way = False

    def _note_begin(self) -> None:
        self._began_s = self._clock()

    def _served(self, woke_s: float) -> None:
        now_s = self._clock()
        took_s = woke_s + now_s - self._began_s
        if took_s > SLICE_S:
            self._slice_size = max(1, self._slice_size // 2)
        elif took_s < SLICE_S / 2:
            self._slice_size = min(_SLICE_MAX, self._slice_size * 2)
        asyncio.get_running_loop().call_soon(self._go_on, now_s, took_s)

    def _go_on(self, asked_s: float, took_s: float) -> None:
        loop = asyncio.get_running_loop()
        others_s = self._clock() - asked_s
        if others_s >= _IDLE_S:
            rest_s = min(took_s * _REST, others_s * _REST_OTHERS, _REST_S_MAX)
        else:
            rest_s = min(took_s * min(_REST, _REST_AWAITED * self._awaited_count()), _REST_S_MAX)
        if rest_s:
            loop.call_later(rest_s + self._owed_s, self._serve)
            self._owed_s = 0.0
        else:
            self._restless_s += took_s
            self._serve()

"""The clock of an agent that doubts itself: it stands still while the agent could not listen.

Who judges others by their silence must not count the time in which it was deaf itself: its process was stopped,
its event loop was busy or starved. So every deadline of a heartbeat is in *listening time*: the monotonic clock
less all stalls. (A suspended machine's monotonic clock stands still on Linux, and then there is nothing to do.)

A stall is noticed when the tick that was due comes too late, or when anybody asks for the time before that late
tick has come: a heartbeat that waited in the socket may well be read first, and must not get the stall on top.
The stall counts from the last tick, at most a second before it really began.

An agent that is late every time still reads its sockets each time round, so it is not as deaf as the sum of its
stalls: in a row of stalls each but the first counts a second less. So time goes on by a second at least each time
round, and whoever is dead is found dead after as many rounds as its TTL has seconds, however long they take.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable

logger = logging.getLogger(__name__)

_HEARD_S = 1.0
"""What an agent that is late again and again is taken to have heard between two late ticks: as much as between two
that are on time."""

_ROW_S = 10.0
"""A stall that begins after less listening than this belongs to the same row as the one before."""


class ListeningClock:
    """Seconds in which the agent could listen.

    Attributes:
        stalls: how many stalls there were; who remembers it can tell whether one came between.
        stalled_s: how long they took in all.
    """

    def __init__(self, clock: Callable[[], float], *, tolerance_s: float) -> None:
        self.stalls = 0
        self.stalled_s = 0.0
        self._clock = clock
        self._tolerance_s = tolerance_s
        self._ticked_s = clock()
        self._due_s = math.inf
        self._stall_end_s = -math.inf

    def now_s(self) -> float:
        """The present moment in listening time."""
        now_s = self._clock()
        if now_s - self._due_s > self._tolerance_s:
            self._note_stall(now_s)
        return now_s - self.stalled_s

    def tick_s(self) -> float:
        """Says that the agent is at work; the present moment in listening time."""
        listening_s = self.now_s()
        self._ticked_s = listening_s + self.stalled_s
        self._due_s = math.inf
        return listening_s

    def expect(self, listening_s: float) -> float:
        """Says when the next tick is due; the same moment on the clock."""
        self._due_s = listening_s + self.stalled_s
        return self._due_s

    def _note_stall(self, now_s: float) -> None:
        stall_s = now_s - self._ticked_s
        if self._ticked_s - self._stall_end_s < _ROW_S:
            stall_s = max(0.0, stall_s - _HEARD_S)
        self.stalls += 1
        self._stall_end_s = now_s
        self.stalled_s += stall_s
        self._ticked_s = self._due_s = now_s
        logger.warning(
            "the agent did not get to its work for %.1fs; it gives every service that much more time, and the "
            "failures of probes under way do not count",
            stall_s,
        )

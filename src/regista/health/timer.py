"""One timer of the event loop for everything that is due."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable

logger = logging.getLogger(__name__)

_AGAIN_S = 1.0
"""After a mistake of ours. Nothing else would have what is due be done, until something changes."""


class Timer:
    """Calls `tick` at the moment that it gave the last time, or earlier if `next_s` says so by then.

    Args:
        clock: monotonic seconds; all moments are of it.
        tick: does what is due; when it wants to be called next.
        next_s: when something is due as things are now.

    Attributes:
        at_s: when it calls next; infinite while it is not started.
    """

    def __init__(
        self, clock: Callable[[], float], *, tick: Callable[[], float], next_s: Callable[[], float]
    ) -> None:
        self.at_s = math.inf
        self._clock = clock
        self._tick = tick
        self._next_s = next_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._is_look_due = False

    def start(self) -> None:
        """Calls `tick` now, and again and again until `stop`; from the running loop."""
        self._loop = asyncio.get_running_loop()
        self._call()

    def stop(self) -> None:
        """Calls no more."""
        self._loop = None
        if self._handle is not None:
            self._handle.cancel()

    def look_soon(self) -> None:
        """Asks `next_s` once for all that changes together."""
        if self._loop is not None and not self._is_look_due:
            self._is_look_due = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._is_look_due = False
        self._set(self._next_s())

    def _call(self) -> None:
        self.at_s = math.inf
        try:
            at_s = self._tick()
        except Exception:
            logger.exception("what was due for checks could not be done; it is tried again")
            at_s = self._clock() + _AGAIN_S
        self._set(at_s)

    def _set(self, at_s: float) -> None:
        if self._loop is None or at_s >= self.at_s:
            return
        if self._handle is not None:
            self._handle.cancel()
        self.at_s = at_s
        self._handle = self._loop.call_later(max(0.0, at_s - self._clock()), self._call)

"""An event loop whose time is virtual: when nothing is ready, it jumps to the next timer.

Everything runs in one thread, in the order in which it was asked for; there are no sockets, no signals and no
sleeping. So a run depends on nothing but what was put into it, and a day takes as long as what happens in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class NothingLeft(AssertionError):
    """Everything waits for something that will never happen."""


class _Jump:
    """What the loop takes for its selector: instead of waiting, it moves the time on."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise NothingLeft("nothing is ready, and no timer is set: this run would wait for ever")
        if timeout > 0:
            self._loop.now_s = self._loop._scheduled[0]._when
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """See above.

    Attributes:
        now_s: the virtual moment; 0 at the start.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self._selector = _Jump(self)

    def time(self) -> float:
        return self.now_s

    def stall(self, seconds: float) -> None:
        """Lets time pass in which nothing runs, as in a stopped or starved process; for callbacks only."""
        assert self.is_running()
        self.now_s += seconds

    def finish(self, main: Coroutine[Any, Any, T]) -> T:
        """Runs `main` to its end, and closes the loop."""
        try:
            return self.run_until_complete(main)
        finally:
            self.close()

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none: nothing comes from outside."""

    def _write_to_self(self) -> None:
        """There is no other thread that could have to wake this one."""

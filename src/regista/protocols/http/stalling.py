"""A client that does not take what it is sent is cut off, so that what is left for it does not fill the memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Stalling:
    """Looks at a client that has fallen behind, until it has caught up or taken nothing for a whole while.

    Args:
        left_bytes: gives how much of what it was sent has not arrived. What its connection holds would not do: the
            system takes more of that only once a third of its own buffer, megabytes, is free again.
        stall_s: how long it may take nothing.
        on_stalled: is called once, if it does.
    """

    __slots__ = ("_before_bytes", "_left_bytes", "_loop", "_on_stalled", "_stall_s", "_timer")

    def __init__(
        self,
        left_bytes: Callable[[], int],
        *,
        loop: asyncio.AbstractEventLoop,
        stall_s: float,
        on_stalled: Callable[[], None],
    ) -> None:
        self._left_bytes = left_bytes
        self._loop = loop
        self._stall_s = stall_s
        self._on_stalled = on_stalled
        self._before_bytes = left_bytes()
        self._timer = loop.call_later(stall_s, self._look)

    def stop(self) -> None:
        """Says that it has caught up, or gone."""
        self._timer.cancel()

    def _look(self) -> None:
        left_bytes = self._left_bytes()
        if left_bytes >= self._before_bytes:
            self._on_stalled()
            return
        self._before_bytes = left_bytes
        self._timer = self._loop.call_later(self._stall_s, self._look)

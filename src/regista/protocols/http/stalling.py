"""A client that does not take what it is sent is cut off, so that what is left for it does not fill the memory."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Stalling:
    """Looks at a client that has fallen behind, until it has caught up or taken nothing for a whole while.

    Args:
        stall_s: how long it may take nothing.
        on_stalled: is called once, if it does.
    """

    __slots__ = ("_left_bytes", "_loop", "_on_stalled", "_stall_s", "_timer", "_transport")

    def __init__(
        self,
        transport: asyncio.WriteTransport,
        *,
        loop: asyncio.AbstractEventLoop,
        stall_s: float,
        on_stalled: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._loop = loop
        self._stall_s = stall_s
        self._on_stalled = on_stalled
        self._left_bytes = transport.get_write_buffer_size()
        self._timer = loop.call_later(stall_s, self._look)

    def stop(self) -> None:
        """Says that it has caught up, or gone."""
        self._timer.cancel()

    def _look(self) -> None:
        left_bytes = self._transport.get_write_buffer_size()
        if left_bytes >= self._left_bytes:
            self._on_stalled()
            return
        self._left_bytes = left_bytes
        self._timer = self._loop.call_later(self._stall_s, self._look)

"""Clients that follow the agent's log while it is written.

Lines come from any thread, and each listener has a bounded queue of its own: one that reads too slowly loses the
oldest lines and is told how many, and holds up nobody.
"""

from __future__ import annotations

import asyncio
import collections
import logging
from collections.abc import Callable

from regista.model import Overloaded

NO_LISTENER = logging.CRITICAL + 1
"""Above every level: nothing is worth a line while nobody listens."""


class LogStream:
    """The lines for one client: an iterator that is to be closed, iterated or not. All of it runs on the loop."""

    def __init__(
        self, level: int, formatter: logging.Formatter, lines_max: int, on_close: Callable[[LogStream], None]
    ) -> None:
        self.level = level
        self.formatter = formatter
        self._on_close = on_close
        self._is_open = True
        self._lines: collections.deque[str] = collections.deque(maxlen=lines_max)
        self._lost_count = 0
        self._arrived = asyncio.Event()

    def push(self, line: str) -> None:
        """Queues a line; the oldest goes if there is no room."""
        self._lost_count += len(self._lines) == self._lines.maxlen
        self._lines.append(line)
        self._arrived.set()

    def end(self) -> None:
        """Lets the client have what is queued, and no more."""
        self._is_open = False
        self._arrived.set()

    def __aiter__(self) -> LogStream:
        return self

    async def __anext__(self) -> bytes:
        """All that is queued, once something is."""
        while self._is_open and not self._lines:
            self._arrived.clear()
            await self._arrived.wait()
        if not self._lines:
            raise StopAsyncIteration
        text = "".join(f"{line}\n" for line in self._lines)
        if self._lost_count:
            text = f"({self._lost_count} lines were left out: they came faster than they were read)\n{text}"
        self._lines.clear()
        self._lost_count = 0
        return text.encode()

    async def aclose(self) -> None:
        """Takes no more lines."""
        self._is_open = False
        self._on_close(self)


class LogListeners(logging.Handler):
    """The log's handler that serves them.

    Args:
        formatter: makes the formatter of a listener, by whether it wants JSON.
        listeners_max: how many there may be.
        lines_max: how many lines wait for each.
        on_level: told the lowest level that is worth a line, whenever it changes.
    """

    def __init__(
        self,
        formatter: Callable[[bool], logging.Formatter],
        *,
        listeners_max: int,
        lines_max: int,
        on_level: Callable[[], None],
    ) -> None:
        super().__init__(NO_LISTENER)
        self._formatter_for = formatter
        self._listeners_max = listeners_max
        self._lines_max = lines_max
        self._on_level = on_level
        self._streams: list[LogStream] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._is_open = True

    def __len__(self) -> int:
        return len(self._streams)

    def listen(self, level: int, *, as_json: bool) -> LogStream:
        """The lines from now on, until the caller closes the stream or the agent stops.

        Raises:
            Overloaded: as many listen as may.
        """
        if len(self._streams) >= self._listeners_max:
            raise Overloaded("registry.log_listeners_max", used=len(self._streams), most=self._listeners_max)
        self._loop = asyncio.get_running_loop()
        stream = LogStream(level, self._formatter_for(as_json), self._lines_max, self._drop)
        self._streams.append(stream)
        self._settle_level()
        if not self._is_open:
            stream.end()
        return stream

    def emit(self, record: logging.LogRecord) -> None:
        """Gives a record to those who want it; called on any thread."""
        loop = self._loop
        if loop is None or loop.is_closed():
            return
        for stream in tuple(self._streams):
            if record.levelno >= stream.level:
                loop.call_soon_threadsafe(stream.push, stream.formatter.format(record))

    def end_all(self) -> None:
        """Ends every stream, and lets nobody begin another."""
        self._is_open = False
        for stream in self._streams:
            stream.end()

    def _drop(self, stream: LogStream) -> None:
        if stream in self._streams:
            self._streams.remove(stream)
            self._settle_level()

    def _settle_level(self) -> None:
        self.setLevel(min((stream.level for stream in self._streams), default=NO_LISTENER))
        self._on_level()

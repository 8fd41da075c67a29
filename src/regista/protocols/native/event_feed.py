"""The event stream: change events as server-sent events, encoded once for all who listen.

A listener keeps nothing but how far it has come. It reads on from there: from the latest batches in memory, or,
slower than the log, from the store. So a listener that does not read costs one piece of text, and one that falls
behind what the store keeps is told to read anew what it needs, never left with a gap.

Source: WHATWG HTML, 9.2 (server-sent events).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from regista.catalog import ChangeEvent, EventFilter, EventPlace, change_events, encode_event
from regista.model import Batch, Compacted, Overloaded
from regista.protocols.http import encode_json

_ENCODED_BATCHES_MAX = 512
"""Listeners that keep up read the same few batches within moments; more would only cost memory."""

_PART_BYTES = 64 * 1024
"""What is given to a connection at once, roughly: what a system's buffer takes."""

REREAD = "regista.reread"
"""The type of the event that says: there is a gap behind this, read anew what you need to know."""


class Tail(Protocol):
    """The log from an index on."""

    @property
    def index(self) -> int:
        """Of the last batch."""

    async def after(self, index: int) -> Sequence[Batch]:
        """The next batches, once there is one.

        Raises:
            Compacted: the log does not reach back that far.
        """


Framed = tuple[tuple[ChangeEvent, bytes], ...]
"""The events of a batch, each with its frame."""


class EventFeed:
    """Where all listeners hear the log.

    Args:
        source: which registry it is, for the events.
        streams_max: how many may listen at once.
        heartbeat_s: how long a stream is silent at the most.

    Attributes:
        encoded_count, sent_count: events that were encoded, and that were given to listeners.
        reread_count: how often a listener was told to read anew.
    """

    def __init__(self, tail: Tail, *, source: str, streams_max: int, heartbeat_s: float) -> None:
        self.encoded_count = 0
        self.sent_count = 0
        self.reread_count = 0
        self._tail = tail
        self._source = source
        self._streams_max = streams_max
        self._heartbeat_s = heartbeat_s
        self._encoded: OrderedDict[int, Framed] = OrderedDict()
        self._streams: set[EventStream] = set()
        self._is_open = True

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def index(self) -> int:
        """Of the last batch."""
        return self._tail.index

    def listen(self, wanted: EventFilter, place: EventPlace | None) -> EventStream:
        """The events after a place, or from now on.

        Raises:
            Overloaded: as many listen as may.
        """
        if len(self._streams) >= self._streams_max:
            raise Overloaded("streams.listeners_max", used=len(self._streams), most=self._streams_max)
        stream = EventStream(self, wanted, place, heartbeat_s=self._heartbeat_s, on_close=self._streams.discard)
        self._streams.add(stream)
        if not self._is_open:
            stream.end()
        return stream

    def close(self) -> None:
        """Ends every stream; listeners come back to whoever is there then, and resume."""
        self._is_open = False
        for stream in tuple(self._streams):
            stream.end()

    async def after(self, index: int) -> Sequence[Batch]:
        """See `Tail`."""
        return await self._tail.after(index)

    def framed(self, batch: Batch) -> Framed:
        """The events of a batch with their frames, made once."""
        found = self._encoded.get(batch.index)
        if found is None:
            found = tuple((event, _frame(event, self._source)) for event in change_events(batch))
            self.encoded_count += len(found)
            self._encoded[batch.index] = found
            if len(self._encoded) > _ENCODED_BATCHES_MAX:
                self._encoded.popitem(last=False)
        return found


class EventStream:
    """The frames for one listener: an iterator that is to be closed, iterated or not."""

    def __init__(
        self,
        feed: EventFeed,
        wanted: EventFilter,
        place: EventPlace | None,
        *,
        heartbeat_s: float,
        on_close: Callable[[EventStream], None],
    ) -> None:
        self._feed = feed
        self._wanted = wanted
        self._place = place or EventPlace(feed.index)
        self._heartbeat_s = heartbeat_s
        self._on_close = on_close
        self._parts: list[bytes] = [b"retry: 1000\n" + _bookmark(self._place)]
        self._reading: asyncio.Task[Sequence[Batch]] | None = None
        self._is_open = True

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> bytes:
        """The next frames, or a heartbeat; ends when the agent does."""
        while not self._parts:
            if not self._is_open:
                raise StopAsyncIteration
            self._parts = list(_joined(await self._read()))
        return self._parts.pop(0)

    def end(self) -> None:
        """Ends the stream after what was read."""
        self._is_open = False
        if self._reading is not None:
            self._reading.cancel()

    async def aclose(self) -> None:
        """Ends the stream."""
        self.end()
        self._on_close(self)

    async def _read(self) -> list[bytes]:
        if self._place.index > self._feed.index:
            return [self._reread()]
        self._reading = asyncio.ensure_future(self._feed.after(self._place.read_from))
        try:
            async with asyncio.timeout(self._heartbeat_s):
                batches = await self._reading
        except TimeoutError:
            return [_bookmark(self._place)]
        except Compacted:
            return [self._reread()]
        except asyncio.CancelledError:
            if self._is_open:
                raise
            return []
        finally:
            self._reading = None
        frames = [
            frame
            for batch in batches
            for event, frame in self._feed.framed(batch)
            if self._wanted.admits(event) and not self._place.is_past(event)
        ]
        self._place = EventPlace(batches[-1].index)
        self._feed.sent_count += len(frames)
        return frames

    def _reread(self) -> bytes:
        """Says that there is a gap, and goes on from now."""
        self._feed.reread_count += 1
        missed = self._place
        self._place = EventPlace(self._feed.index)
        data = {"after": missed.index, "index": self._place.index}
        return b"event: %b\nid: %d\ndata: %b\n\n" % (REREAD.encode(), self._place.index, encode_json(data))


def _frame(event: ChangeEvent, source: str) -> bytes:
    return b"event: %b\nid: %b\ndata: %b\n\n" % (
        event.type.encode(),
        event.id.encode(),
        encode_event(event, source=source),
    )


def _bookmark(place: EventPlace) -> bytes:
    """A heartbeat: no event, but the place from which a listener who comes back goes on."""
    place_text = f"{place.index}" if place.position is None else f"{place.index}.{place.position}"
    return b"id: %b\n: still here\n\n" % place_text.encode()


def _joined(frames: Iterable[bytes]) -> Iterable[bytes]:
    """The frames together, in parts that a connection takes at once."""
    part: list[bytes] = []
    size = 0
    for frame in frames:
        part.append(frame)
        size += len(frame)
        if size >= _PART_BYTES:
            yield b"".join(part)
            part, size = [], 0
    if part:
        yield b"".join(part)

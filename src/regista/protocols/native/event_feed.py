"""The event stream: change events as server-sent events, encoded once for all who listen.

A listener keeps nothing but how far it has come. Those who keep up share what comes, by their filter, see
`event_channels`; those who come back, or read more slowly, read the log from where they are, see `event_stream`.
So a listener that does not read costs one piece of text, and one that falls behind what the store keeps is told to
read anew what it needs, never left with a gap. And as all are served in turns, within a share of the agent's time,
nobody who writes or reads the registry waits for those who listen, see `pacing`.

Source: WHATWG HTML, 9.2 (server-sent events).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

from regista.catalog import ChangeEvent, EventFilter, EventPlace, change_events, cloud_event, encode_event
from regista.model import Batch, Overloaded
from regista.protocols.native.event_channels import Channel, Channels
from regista.protocols.native.event_stream import EventStream
from regista.protocols.native.pacing import Pacer

_ENCODED_BATCHES_MAX = 512
"""Those who come back read the same few batches within moments; more would only cost memory."""

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


class _Framed:
    """An event, with its frame once somebody wants it."""

    __slots__ = ("event", "frame")

    def __init__(self, event: ChangeEvent) -> None:
        self.event = event
        self.frame = b""


class EventFeed:
    """Where all listeners hear the log.

    Args:
        source: which registry it is, for the events.
        streams_max: how many may listen at once.
        heartbeat_s: how long a stream is silent at the most.
        backlog_bytes_max: how much is kept for listeners that read slowly, before they must read the log.
        clock: monotonic seconds.
        wall_clock: seconds since the epoch.

    Attributes:
        encoded_count, sent_count: events that were encoded, and that were given to listeners.
        reread_count: how often a listener was told to read anew.
    """

    def __init__(
        self,
        tail: Tail,
        *,
        source: str,
        streams_max: int,
        heartbeat_s: float,
        backlog_bytes_max: int,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
    ) -> None:
        self.encoded_count = 0
        self.sent_count = 0
        self.reread_count = 0
        self._tail = tail
        self._source = source
        self._streams_max = streams_max
        self._heartbeat_s = heartbeat_s
        self._backlog_bytes_max = backlog_bytes_max
        self._wall_clock = wall_clock
        self._encoded: OrderedDict[int, tuple[_Framed, ...]] = OrderedDict()
        self._streams: set[EventStream] = set()
        self._channels = Channels()
        # Batches that the channels have not heard, and what they have come to.
        self._fresh: list[Batch] = []
        # Of all segments.
        self._backlog_bytes = 0
        self._pacer = Pacer(clock=clock, refill=self._refill)
        self._beating: asyncio.TimerHandle | None = None
        self._is_open = True

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def index(self) -> int:
        """Of the last batch."""
        return self._tail.index

    def push(self, batch: Batch) -> None:
        """Takes the next batch; to be called for each, in order, after the tail has it."""
        if self._channels:
            self._fresh.append(batch)
            self._pacer.start()

    def listen(self, wanted: EventFilter, place: EventPlace | None) -> EventStream:
        """The events after a place, or from now on.

        Raises:
            Overloaded: as many listen as may.
        """
        if len(self._streams) >= self._streams_max:
            raise Overloaded("streams.listeners_max", used=len(self._streams), most=self._streams_max)
        stream = EventStream(self, wanted, place)
        self._streams.add(stream)
        if self._beating is None:
            self._beat()
        if not self._is_open:
            stream.end()
        return stream

    def close(self) -> None:
        """Ends every stream; listeners come back to whoever is there then, and resume."""
        self._is_open = False
        for stream in tuple(self._streams):
            stream.end()

    # ---- for streams ----

    async def after(self, index: int) -> Sequence[Batch]:
        """See `Tail`."""
        return await self._tail.after(index)

    def wanted(self, batch: Batch, wanted: EventFilter, place: EventPlace) -> list[tuple[ChangeEvent, bytes]]:
        """The events of a batch that a listener wants and has not heard, with their frames."""
        return [
            (framed.event, self._frame(framed))
            for framed in self._framed(batch)
            if wanted.admits(framed.event) and not place.is_past(framed.event)
        ]

    def reread(self, missed: EventPlace, kept_after: int | None) -> bytes:
        """See `event_stream.Feed`."""
        self.reread_count += 1
        index = self.index
        # The rest of a transaction whose beginning was heard is in the gap too.
        data = {"after": missed.read_from, "index": index, "kept_after": kept_after}
        event = cloud_event(f"{index}", REREAD, data, at_s=self._wall_clock(), source=self._source)
        return b"event: %b\nid: %d\ndata: %b\n\n" % (REREAD.encode(), index, event)

    def join(self, stream: EventStream) -> Channel:
        """See `event_stream.Feed`."""
        self._distribute()
        channel = self._channels.of(stream.wanted)
        # What is pending is older than its place.
        self._backlog_bytes += channel.cut()
        stream.next_number = channel.next_number
        channel.listeners.add(stream)
        return channel

    def queue(self, stream: EventStream) -> None:
        """See `event_stream.Feed`."""
        self._pacer.join(stream)

    def leave(self, stream: EventStream) -> None:
        """Has it no longer among those who share a channel; or at all, if it has ended."""
        self._pacer.leave(stream)
        if not stream.is_open:
            self._streams.discard(stream)
        channel = self._channels.get(stream.wanted)
        if channel is not None and stream in channel.listeners:
            channel.listeners.remove(stream)
            if not channel.listeners:
                self._backlog_bytes -= channel.drop_read()
                self._channels.forget(channel)
                if not self._channels:
                    self._fresh.clear()

    # ---- distributing ----

    def _refill(self) -> None:
        """Has everybody join the queue for whom there is something new."""
        self._distribute()
        if self._backlog_bytes > self._backlog_bytes_max:
            # Those who wait have read it all.
            for channel in self._channels:
                channel.drop_all()
            self._backlog_bytes = 0
        for channel in self._channels:
            if channel.is_news:
                channel.is_news = False
                self._backlog_bytes += channel.cut() - channel.drop_read()
                for stream in channel.waiting:
                    self._pacer.join(stream)

    def _distribute(self) -> None:
        """Gives the channels what is new."""
        fresh, self._fresh = self._fresh, []
        for batch in fresh:
            for framed in self._framed(batch):
                for channel in self._channels.interested(framed.event):
                    channel.add(framed.event, self._frame(framed))

    def _framed(self, batch: Batch) -> tuple[_Framed, ...]:
        found = self._encoded.get(batch.index)
        if found is None:
            found = self._encoded[batch.index] = tuple(_Framed(event) for event in change_events(batch))
            if len(self._encoded) > _ENCODED_BATCHES_MAX:
                self._encoded.popitem(last=False)
        return found

    def _frame(self, framed: _Framed) -> bytes:
        if not framed.frame:
            event = framed.event
            framed.frame = b"event: %b\nid: %b\ndata: %b\n\n" % (
                event.type.encode(),
                event.id.encode(),
                encode_event(event, source=self._source),
            )
            self.encoded_count += 1
        return framed.frame

    # ---- heartbeats ----

    def _beat(self) -> None:
        """Has those say that they are alive who were silent; for as long as there are listeners."""
        self._beating = None
        if not self._streams:
            return
        loop = asyncio.get_running_loop()
        every_s = self._heartbeat_s / 4
        self._distribute()
        for stream in self._streams:
            stream.beat(self.index, before_s=loop.time() - 3 * every_s)
        self._beating = loop.call_later(every_s, self._beat)

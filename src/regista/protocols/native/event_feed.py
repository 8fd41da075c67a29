"""The event stream: change events as server-sent events, encoded once for all who listen.

A listener keeps nothing but how far it has come. Those who keep up share what comes, by their filter, see
`event_channels`; those who come back, or read more slowly, read the log from where they are, see `event_stream`.
So a listener that does not read costs one piece of text, and one that falls behind what the store keeps is told to
read anew what it needs, never left with a gap. And as all are served in turns, within a share of the agent's time,
nobody who writes or reads the registry waits for those who listen, see `pacing`.

A batch is *fresh* until it is distributed to the channels that want its events. That is done in slices too, at the
beginning of each round; so what comes close together is given to a listener in one piece. Where more is written
than that keeps up with, whoever writes distributes what is too much.

Source: WHATWG HTML, 9.2 (server-sent events).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

from regista.catalog import ChangeEvent, EventFilter, EventPlace
from regista.model import Batch, Overloaded
from regista.protocols.native.event_channels import Channel, Channels
from regista.protocols.native.event_frames import Frames
from regista.protocols.native.event_stream import EventStream
from regista.protocols.native.pacing import SLICE_S, Pacer

_FRESH_BATCHES_MAX = 1024
"""So many the tail remembers anyway, so that they take no memory of their own."""

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


def _nobody() -> int:
    return 0


class EventFeed:
    """Where all listeners hear the log.

    Args:
        source: which registry it is, for the events.
        streams_max: how many may listen at once.
        heartbeat_s: how long a stream is silent at the most.
        backlog_bytes_max: how much is kept for listeners that read slowly, before they must read the log.
        clock: what work is measured with, see `Pacer`.
        wall_clock: seconds since the epoch.
        awaited_count: how many writes wait for the store, see `Pacer`.

    Attributes:
        sent_count: events that were given to listeners.
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
        awaited_count: Callable[[], int] = _nobody,
    ) -> None:
        self.sent_count = 0
        self.reread_count = 0
        self._tail = tail
        self._streams_max = streams_max
        self._heartbeat_s = heartbeat_s
        self._backlog_bytes_max = backlog_bytes_max
        self._clock = clock
        self._wall_clock = wall_clock
        self._frames = Frames(source)
        self._streams: set[EventStream] = set()
        self._channels = Channels()
        # Batches that the channels have not heard, and the index up to which they hear them in this round.
        self._fresh: deque[Batch] = deque()
        self._round_index = 0
        # Those who came while some were fresh, with the index that they have heard everything up to; ascending.
        self._joining: deque[tuple[int, EventStream]] = deque()
        # What all channels hold.
        self._backlog_bytes = 0
        self._pacer = Pacer(clock=clock, refill=self._refill, awaited_count=awaited_count)
        self._beating: asyncio.TimerHandle | None = None
        self._is_open = True

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def index(self) -> int:
        """Of the last batch."""
        return self._tail.index

    @property
    def encoded_count(self) -> int:
        """Events that were encoded."""
        return self._frames.encoded_count

    def push(self, batch: Batch) -> None:
        """Takes the next batch; to be called for each, in order, after the tail has it."""
        if self._channels or self._joining:
            self._fresh.append(batch)
            if len(self._fresh) > _FRESH_BATCHES_MAX:
                began_s = self._clock()
                self._distribute(batch.index)
                self._relieve()
                self._pacer.owe(self._clock() - began_s)
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
        frames = self._frames
        return [
            (framed.event, frames.frame(framed))
            for framed in frames.events(batch)
            if wanted.admits(framed.event) and not place.is_past(framed.event)
        ]

    def reread(self, missed: EventPlace, kept_after: int | None) -> bytes:
        """See `event_stream.Feed`."""
        self.reread_count += 1
        index = self.index
        # The rest of a transaction whose beginning was heard is in the gap too.
        data = {"after": missed.read_from, "index": index, "kept_after": kept_after}
        return self._frames.own(REREAD, index, data, at_s=self._wall_clock())

    def join(self, stream: EventStream) -> None:
        """See `event_stream.Feed`."""
        if self._fresh:
            self._joining.append((self.index, stream))
        else:
            self._admit(stream)

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
                self._backlog_bytes -= channel.drop_segments() + channel.drop_pending()
                self._channels.forget(channel)
                if not self._channels and not self._joining:
                    self._fresh.clear()

    # ---- distributing ----

    def _refill(self) -> None:
        """Gives the channels what is new, a slice of it; then has everybody join the queue whom it concerns."""
        fresh = self._fresh
        if fresh and fresh[0].index > self._round_index:
            # What comes meanwhile is for the next round, for else this one might never end.
            self._round_index = fresh[-1].index
        is_whole = self._distribute(self._round_index)
        if fresh:
            self._pacer.start()
        if not is_whole:
            return
        self._let_go()
        for channel in self._channels:
            if channel.is_news:
                channel.is_news = False
                channel.cut()
                for stream in channel.waiting:
                    self._pacer.join(stream)

    def _distribute(self, through_index: int) -> bool:
        """Gives the channels what is fresh, for as long as a slice takes; whether that was all up to an index."""
        fresh = self._fresh
        until_s = self._clock() + SLICE_S
        while fresh and fresh[0].index <= through_index:
            self._distribute_next()
            if self._clock() >= until_s:
                break
        return not fresh or fresh[0].index > through_index

    def _distribute_next(self) -> None:
        """Gives the channels the batch that has been fresh for longest."""
        batch = self._fresh.popleft()
        self._admit_joining(before_index=batch.index)
        frames = self._frames
        for framed in frames.events(batch):
            for channel in self._channels.interested(framed.event):
                frame = frames.frame(framed)
                channel.add(framed.event, frame)
                self._backlog_bytes += len(frame)
        if not self._fresh:
            self._admit_joining(before_index=self.index + 1)

    def _admit_joining(self, *, before_index: int) -> None:
        """Has those enter their channels who have heard everything that these have heard."""
        while self._joining and self._joining[0][0] < before_index:
            _, stream = self._joining.popleft()
            if stream.is_open:
                self._admit(stream)

    def _admit(self, stream: EventStream) -> None:
        channel = self._channels.of(stream.wanted)
        # What is pending is older than its place.
        channel.cut()
        channel.listeners.add(stream)
        stream.enter(channel)

    def _let_go(self) -> None:
        """At the end of a round: drops what all have read, and what is kept for the slow if it is too much."""
        self._backlog_bytes -= sum(channel.drop_read() for channel in self._channels)
        if self._backlog_bytes > self._backlog_bytes_max:
            # Nobody who keeps up needs it: all others have had their turn.
            self._backlog_bytes -= sum(channel.drop_segments() for channel in self._channels)
        self._relieve()

    def _relieve(self) -> None:
        """Drops even what those who keep up need, once what came in this round is as much again as may be kept."""
        for drop in (Channel.drop_segments, Channel.drop_pending):
            if self._backlog_bytes > 2 * self._backlog_bytes_max:
                self._backlog_bytes -= sum(drop(channel) for channel in self._channels)

    # ---- heartbeats ----

    def _beat(self) -> None:
        """Has those say that they are alive who were silent; for as long as there are listeners."""
        self._beating = None
        if not self._streams:
            return
        loop = asyncio.get_running_loop()
        every_s = self._heartbeat_s / 4
        # What the channels have come to.
        index = self._fresh[0].index - 1 if self._fresh else self.index
        for stream in self._streams:
            stream.beat(index, before_s=loop.time() - 3 * every_s)
        self._beating = loop.call_later(every_s, self._beat)

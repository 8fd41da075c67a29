"""One listener of the event stream: an iterator over what it is sent. Knows no HTTP.

Theory of operation:

    catching up ──it has come to the log's end──▶ live
    catching up ──the log does not reach back that far──▶ told so, and live from now on
    live ──it read more slowly than there was room for──▶ catching up
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from regista.catalog import ChangeEvent, EventFilter, EventPlace
from regista.model import Batch, Compacted
from regista.protocols.native.event_channels import Channel, joined

_ALIVE = b"still here"
_CAUGHT_UP = b"caught up"
"""The comments beside a place: nothing was sent for a while; all is told that had happened at its begin."""


class Feed(Protocol):
    """Where a listener hears the log.

    Attributes:
        sent_count: events that were given to listeners.
    """

    sent_count: int

    @property
    def index(self) -> int:
        """Of the last batch."""

    async def after(self, index: int) -> Sequence[Batch]:
        """The next batches.

        Raises:
            Compacted: the log does not reach back that far.
        """

    def wanted(self, batch: Batch, wanted: EventFilter, place: EventPlace) -> list[tuple[ChangeEvent, bytes]]:
        """The events of a batch that a listener wants and has not heard, with their frames."""

    def reread(self, missed: EventPlace, kept_after: int | None) -> bytes:
        """The frame that tells of a gap from a place to now.

        Args:
            kept_after: the index after which the log still has everything, if it has what is behind the place.
        """

    def join(self, stream: EventStream) -> None:
        """Has it `enter` its channel: at once, or when the channel has come to the log's end as it is now."""

    def queue(self, stream: EventStream) -> None:
        """Has it woken when it is its turn to do work that takes its time."""

    def leave(self, stream: EventStream) -> None:
        """Forgets it."""


class EventStream:
    """The frames for one listener: an iterator that is to be closed, iterated or not.

    Attributes:
        wanted: what it listens to.
        next_number: of the segment of its channel that it reads next.
        is_open: whether there is more to come.
    """

    def __init__(self, feed: Feed, wanted: EventFilter, place: EventPlace | None) -> None:
        self.wanted = wanted
        self.next_number = 0
        self._feed = feed
        self._place = place or EventPlace(feed.index)
        self._channel: Channel | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._has_turn = False
        self.is_open = True
        # What had happened when this began; told once that the listener has heard it.
        self._began_index = feed.index
        self._is_behind = True
        self._parts: deque[bytes] = deque((b"retry: 1000\n" + _bookmark(self._place, _ALIVE),))
        self._told_s = 0.0
        self._mention_caught_up()

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> bytes:
        """The next frames, or a heartbeat; ends when the agent does."""
        while not self._parts:
            if not self.is_open:
                raise StopAsyncIteration
            if self._channel is None:
                await self._catch_up()
            elif self.next_number == self._channel.next_number:
                await self._wait_in(self._channel)
            elif not self._has_turn:
                # One segment a turn, so that nobody's takes long.
                await self._wait_turn()
            else:
                self._take_segment(self._channel)
        self._told_s = asyncio.get_running_loop().time()
        return self._parts.popleft()

    def wake(self) -> None:
        """Has it look for what is new."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def enter(self, channel: Channel) -> None:
        """Has it read a channel from the segment on that is cut next."""
        self._channel = channel
        self.next_number = channel.next_number
        self.wake()

    def end(self) -> None:
        """Ends the stream after what was read."""
        self.is_open = False
        self.wake()

    async def aclose(self) -> None:
        """Ends the stream."""
        self.end()
        self._feed.leave(self)

    def beat(self, index: int, *, before_s: float) -> None:
        """Says that it is alive if it said nothing since then.

        Args:
            index: what the channels have come to.
            before_s: by the loop's clock.
        """
        channel = self._channel
        if channel is None or self._told_s > before_s or self not in channel.waiting or self._parts:
            return
        if channel.is_news or channel.next_number != self.next_number:
            return  # what it is to be told is before that place
        self._place = EventPlace(index)
        self._parts.append(_bookmark(self._place, _ALIVE))
        self._feed.queue(self)

    def _take_segment(self, channel: Channel) -> None:
        """Takes the next segment; leaves the channel if it is gone."""
        segment = channel.segment(self.next_number)
        if segment is None:
            self._channel = None
            self._feed.leave(self)
            return
        self._has_turn = False
        self.next_number += 1
        self._place = segment.end
        self._feed.sent_count += segment.events_count
        self._parts.append(segment.frames)

    async def _wait_in(self, channel: Channel) -> None:
        channel.waiting[self] = None
        try:
            await self._wait()
        finally:
            channel.waiting.pop(self, None)
        self._has_turn = True

    async def _wait_turn(self) -> None:
        """Returns when it may do work that takes its time."""
        self._feed.queue(self)
        await self._wait()
        self._has_turn = True

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def _catch_up(self) -> None:
        """Reads a piece of the log, or joins those who have come to its end."""
        feed = self._feed
        if self._place.index > feed.index:
            self._tell_gap(None)
        elif self._place.read_from < feed.index:
            await self._wait_turn()
            await self._read_piece()
        else:
            feed.join(self)
            if self._channel is None:
                await self._wait()
            return
        self._mention_caught_up()

    async def _read_piece(self) -> None:
        feed = self._feed
        try:
            batches = await feed.after(self._place.read_from)
        except Compacted as error:
            self._tell_gap(error.floor_index)
            return
        place = self._place
        frames = [each for batch in batches for each in feed.wanted(batch, self.wanted, place)]
        self._parts.extend(segment.frames for segment in joined(frames))
        self._place = EventPlace(batches[-1].index)
        feed.sent_count += len(frames)

    def _tell_gap(self, kept_after: int | None) -> None:
        """Says that there is a gap, and goes on from now."""
        self._parts.append(self._feed.reread(self._place, kept_after))
        self._place = EventPlace(self._feed.index)

    def _mention_caught_up(self) -> None:
        """Says that the listener has heard what had happened when it came; once."""
        if self._is_behind and self._began_index <= self._place.read_from <= self._feed.index:
            self._is_behind = False
            self._parts.append(_bookmark(self._place, _CAUGHT_UP))


def _bookmark(place: EventPlace, comment: bytes) -> bytes:
    """No event, but the place from which a listener who comes back goes on."""
    place_text = f"{place.index}" if place.position is None else f"{place.index}.{place.position}"
    return b"id: %b\n: %b\n\n" % (place_text.encode(), comment)

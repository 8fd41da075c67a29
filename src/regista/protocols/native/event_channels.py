"""What listeners with the same filter are told: made once, and read by each at its own pace. No I/O.

Frames that came together are joined to segments, which have numbers; a listener knows the number of the next one.
Segments go when all have read them, or when all channels together hold too much. Whoever was slower reads what it
missed from the log instead; those who keep up notice nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from regista.catalog import ChangeEvent, EventFilter, EventPlace

_SEGMENT_BYTES = 64 * 1024
"""What is given to a connection at once, roughly: what a system's buffer takes."""


class Segment(NamedTuple):
    """Frames that follow each other.

    Attributes:
        end: the place of the last event in it.
        events_count: how many there are.
    """

    frames: bytes
    end: EventPlace
    events_count: int


class Listener(Protocol):
    """What a channel needs of its listeners.

    Attributes:
        next_number: of the segment that it reads next.
    """

    next_number: int

    def wake(self) -> None:
        """Has it look for what is new."""


class Channel:
    """One filter, and who listens with it.

    Attributes:
        listeners: all of them.
        waiting: those who have read everything.
        next_number: of the segment that is cut next.
        is_news: whether some of those who wait have something to read, or will.
    """

    def __init__(self, wanted: EventFilter) -> None:
        self.wanted = wanted
        self.listeners: set[Listener] = set()
        self.waiting: dict[Listener, None] = {}
        self.next_number = 0
        self.is_news = False
        self._segments: deque[Segment] = deque()
        self._pending: list[tuple[ChangeEvent, bytes]] = []

    def add(self, event: ChangeEvent, frame: bytes) -> None:
        """Takes the next event."""
        self._pending.append((event, frame))
        self.is_news = True

    def cut(self) -> None:
        """Makes segments of what was taken."""
        for segment in joined(self._pending):
            self._segments.append(segment)
            self.next_number += 1
        self._pending = []

    def segment(self, number: int) -> Segment | None:
        """The segment with this number, which was cut; None if it is gone."""
        position = number - self.next_number + len(self._segments)
        return self._segments[position] if position >= 0 else None

    def drop_read(self) -> int:
        """Drops what all have read; how many bytes that were."""
        least = min((listener.next_number for listener in self.listeners), default=self.next_number)
        dropped_bytes = 0
        while self._segments and self.next_number - len(self._segments) < least:
            dropped_bytes += len(self._segments.popleft().frames)
        return dropped_bytes

    def drop_segments(self) -> int:
        """Drops all segments, read or not; how many bytes that were."""
        dropped_bytes = sum(len(segment.frames) for segment in self._segments)
        self._segments.clear()
        return dropped_bytes

    def drop_pending(self) -> int:
        """Drops what was taken since the last cut, so that nobody reads it here; how many bytes that were."""
        assert not self._segments, "what is older is dropped first"
        if not self._pending:
            return 0
        dropped_bytes = sum(len(frame) for _, frame in self._pending)
        self._pending = []
        # The number of a segment that is gone, for those to find who have read all before it.
        self.next_number += 1
        return dropped_bytes


class Channels:
    """All channels, by filter, and found by what they want.

    A channel is noted under the narrowest of the things that its filter names, so that an event is held against
    few filters: those that name its service, or else its node, or else its type, or none of these.
    """

    def __init__(self) -> None:
        self._by_filter: dict[EventFilter, Channel] = {}
        # By what is named, and by the name.
        self._by_word: dict[str, dict[str, dict[Channel, None]]] = {}

    def __len__(self) -> int:
        return len(self._by_filter)

    def __iter__(self) -> Iterator[Channel]:
        return iter(self._by_filter.values())

    def get(self, wanted: EventFilter) -> Channel | None:
        """The channel of a filter, if somebody listens with it."""
        return self._by_filter.get(wanted)

    def of(self, wanted: EventFilter) -> Channel:
        """The channel of a filter; made if there is none yet."""
        found = self._by_filter.get(wanted)
        if found is None:
            found = self._by_filter[wanted] = Channel(wanted)
            kind, words = _words_of(wanted)
            by_word = self._by_word.setdefault(kind, {})
            for word in words:
                by_word.setdefault(word, {})[found] = None
        return found

    def forget(self, channel: Channel) -> None:
        """Drops a channel that nobody listens to any more."""
        del self._by_filter[channel.wanted]
        kind, words = _words_of(channel.wanted)
        by_word = self._by_word[kind]
        for word in words:
            del by_word[word][channel]
            if not by_word[word]:
                del by_word[word]

    def interested(self, event: ChangeEvent) -> list[Channel]:
        """Those that want the event."""
        # A dict, for a filter may name both services of an instance that changed its service.
        found = {
            channel: None
            for kind, by_word in self._by_word.items()
            for word in _words_by(event, kind)
            for channel in by_word.get(word, ())
            if channel.wanted.admits(event)
        }
        return list(found)


def _words_of(wanted: EventFilter) -> tuple[str, Iterable[str]]:
    """What a filter names, and which of them."""
    for kind, words in (("service", wanted.services), ("node", wanted.nodes), ("type", wanted.types)):
        if words:
            return kind, words
    return "", ("",)


def _words_by(event: ChangeEvent, kind: str) -> tuple[str, ...]:
    """What an event is called among what filters name: one thing, but for a service that was changed."""
    if kind == "type":
        return (event.type,)
    name: str = getattr(event.data, kind, "") if kind else ""
    was = getattr(event.data, "was_service", None) if kind == "service" else None
    return (name.lower(),) if was is None else (name.lower(), was.lower())


def joined(frames: Iterable[tuple[ChangeEvent, bytes]]) -> Iterator[Segment]:
    """The frames together, in segments that a connection takes at once."""
    parts: list[bytes] = []
    size = 0
    for event, frame in frames:
        parts.append(frame)
        size += len(frame)
        if size >= _SEGMENT_BYTES:
            yield Segment(b"".join(parts), EventPlace(event.index, event.position), len(parts))
            parts, size = [], 0
    if parts:
        yield Segment(b"".join(parts), EventPlace(event.index, event.position), len(parts))

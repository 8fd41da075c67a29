"""One reader of the stream of instances, see `instance_feed`."""

from __future__ import annotations

import asyncio
import functools
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from regista.protocols.http import Request, Watcher, Watchers
from regista.protocols.native.followed import Counts, Followed, FullList

_JOINED_BYTES_MAX = 16 * 1024
"""Up to which size copying costs less than writing twice."""


class Feed(Protocol):
    """What a reader needs of the feed."""

    counts: Counts
    life: str

    def now_index(self, question: Question, /) -> int:
        """The index of the answer to a question as of now."""

    def whole_index(self, questions: Iterable[Question], /) -> int:
        """The index of what a reader knows that has come to the end of its changes."""

    def await_proof(self, reader: InstanceStream, /) -> None:
        """Has `prove` called a moment later."""

    def leave(self, reader: InstanceStream, questions: Iterable[Question], /) -> None:
        """Forgets a reader."""


class Question:
    """What is followed, and by whom.

    Attributes:
        left_s: when the last reader left, by the loop's clock.
        stop: ends the watch over the settings that the answer depends on.
    """

    __slots__ = ("followed", "left_s", "readers", "stop")

    def __init__(self, followed: Followed) -> None:
        self.followed = followed
        self.left_s = 0.0
        self.readers: dict[InstanceStream, None] = {}
        self.stop: Callable[[], None] = lambda: None


class InstanceStream:
    """The frames for one reader: an iterator that is to be closed, iterated or not.

    Args:
        after: the index of what the reader knows; None if it knows nothing.
        request: what it was asked for with.
        watchers: where it is noted as a follower, once it is read.
    """

    def __init__(
        self,
        feed: Feed,
        questions: tuple[Question, ...],
        after: int | None,
        *,
        request: Request,
        watchers: Watchers,
    ) -> None:
        self._feed = feed
        self._request = request
        self._watchers = watchers
        self._questions = questions
        self._after = after or 0
        # The number of the last change given, or None for one that must have a full list.
        self._places: dict[Question, int | None] = {
            each: None if after is None else each.followed.number_after(after) for each in questions
        }
        self._parts: deque[bytes] = deque((b"retry: 1000\n",))
        self._lists: deque[FullList] = deque()
        self._position = 0
        self._is_whole = False
        self._is_open = True
        self._sent_s = asyncio.get_running_loop().time()
        self._waker: asyncio.Future[None] | None = None
        # What was touched before this began, and must be looked at before the reader is whole: it may have been
        # told of by who sent the reader here.
        self._unseen = {each for each in questions if each.followed.is_dirty}
        self._followers: list[Watcher] | None = None
        self._sent_bytes = 0
        self._whole_index = 0
        # Where it was whole and what had been sent then: the first since it was proven, and the last.
        self._marks: deque[tuple[int, int]] = deque(maxlen=2)
        for question in questions:
            self._start(question)
            if after is not None and self._places[question] is None:
                feed.counts.gaps += 1

    # ---- the feed's ----

    def looked(self, question: Question) -> None:
        """Is told that what was touched of a question was looked at."""
        self._unseen.discard(question)
        self._start(question)
        self._wake()

    def beat(self, before_s: float) -> None:
        """Says that the stream is alive, if it was silent since then."""
        if self._waker is not None and self._sent_s <= before_s and self._is_whole and self._has_all():
            self._parts.append(self._bookmark(b"still here"))
            self._wake()

    def prove(self) -> None:
        """Looks whether the reader's machine has acknowledged what was sent, and says so of what it has."""
        peer = self._request.peer
        if peer is None or not self._marks or not self._is_open:
            return
        unproven_bytes = peer.unacknowledged_bytes
        proven = None
        while self._marks and unproven_bytes <= self._sent_bytes - self._marks[0][1]:
            proven, _ = self._marks.popleft()
        if proven is not None:
            for watcher in self._followers or ():
                self._watchers.proved(watcher, proven)
        if self._marks:
            self._feed.await_proof(self)

    def end(self) -> None:
        """Ends the stream after what is under way."""
        self._is_open = False
        self._wake()

    # ---- the connection's ----

    def __aiter__(self) -> InstanceStream:
        return self

    async def __anext__(self) -> bytes:
        """The next frames, or a heartbeat; ends when the agent does."""
        if self._followers is None:
            self._followers = self._note_followers()
        if self._marks:
            self.prove()
        while (part := self._next_part()) is None:
            if not self._is_open:
                raise StopAsyncIteration
            self._waker = asyncio.get_running_loop().create_future()
            try:
                await self._waker
            finally:
                self._waker = None
        self._sent_s = asyncio.get_running_loop().time()
        self._sent_bytes += len(part)
        if self._followers and self._is_whole and not self._parts:
            self._mark()
        return part

    async def aclose(self) -> None:
        """Ends the stream."""
        self.end()
        self._feed.leave(self, self._questions)
        for watcher in self._followers or ():
            # Its connection may live on, but nobody is told anything there any more.
            self._watchers.answered(watcher, self._whole_index)

    # ---- what is next ----

    def _start(self, question: Question) -> None:
        """Begins with the full list of a question, unless the reader knows it, or some of it is not looked at."""
        if self._places[question] is None and not question.followed.is_dirty:
            full = question.followed.full()
            self._places[question] = full.number
            self._lists.append(full)

    def _next_part(self) -> bytes | None:
        if self._parts:
            return self._parts.popleft()
        return self._next_of_list() or self._next_changes() or self._word_of_whole()

    def _next_of_list(self) -> bytes | None:
        while self._lists:
            self._is_whole = False
            part = self._lists[0].part(self._position)
            if part is not None:
                self._position += 1
                return part
            self._lists.popleft()
            self._position = 0
        return None

    def _next_changes(self) -> bytes | None:
        for question, place in self._places.items():
            if place is None:
                continue
            found = question.followed.changes_after(place)
            if found is None:
                self._feed.counts.gaps += 1
                self._places[question] = None
                self._start(question)
                return self._next_of_list()
            frames, reached = found
            if frames:
                self._places[question] = reached
                self._is_whole = False
                word = self._word_of_whole()
                if word is not None and len(frames) > _JOINED_BYTES_MAX:
                    self._parts.append(word)
                    word = None
                return frames + word if word is not None else frames
        return None

    def _word_of_whole(self) -> bytes | None:
        """The word that the reader has all that there is; None if it has not, or knows."""
        if self._is_whole or self._lists or not self._has_all():
            return None
        self._is_whole = True
        return self._bookmark(b"whole")

    def _has_all(self) -> bool:
        return not self._unseen and all(place == each.followed.number for each, place in self._places.items())

    def _bookmark(self, comment: bytes) -> bytes:
        self._whole_index = self._feed.whole_index(self._questions)
        return b"id: %d.%b\n: %b\n\n" % (self._whole_index, self._feed.life.encode(), comment)

    # ---- waiting and proof ----

    def _note_followers(self) -> list[Watcher]:
        """Notes the reader among those that follow something, for each question."""
        noted = (
            self._watchers.ask(
                self._request,
                question.followed.key,
                question.followed.topics,
                functools.partial(self._feed.now_index, question),
                known_index=self._after,
                current_index=question.followed.index,
            )
            for question in self._questions
        )
        return [watcher for watcher in noted if watcher is not None]

    def _wake(self) -> None:
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)

    def _mark(self) -> None:
        """Notes that what has been sent up to here makes the reader whole."""
        mark = (self._whole_index, self._sent_bytes)
        if len(self._marks) == 2:
            self._marks[1] = mark
        else:
            self._marks.append(mark)

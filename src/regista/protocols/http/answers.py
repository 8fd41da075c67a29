"""Answers as bytes, shared by all who ask the same, and waiting for them to change.

A *view* is a question: which topics its answer depends on and how to encode it. The encoded answer is kept with
the version of its topics, and is good for as long as they stay at it. Its index is that of the transaction after
which its **bytes** changed: a change of the topic that leaves this answer as it was does not move it. So a caller
who waits is never woken for nothing, and one change that wakes a thousand callers encodes their answer once.
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import NamedTuple, Protocol

import msgspec

from regista.model import Overloaded
from regista.protocols.http.messages import Headers, Request, Response
from regista.protocols.http.watchers import Watchers

_REVISIONS_EACH = 4
"""A caller who asks again has missed one change or two; more would only cost memory."""


class Topics(Protocol):
    """What this module needs of the replica's topics."""

    def index(self, names: tuple[str, ...], /) -> int:
        """The highest index of the topics."""

    def touched_index(self, names: tuple[str, ...], /) -> int:
        """The highest index at which any of the topics may have been touched; 0 where none can have been."""

    def version(self, names: tuple[str, ...], /) -> tuple[int, ...]:
        """Differs whenever anything about the topics may have changed."""

    def has_all(self, names: tuple[str, ...], /) -> bool:
        """Whether each topic is kept, so that its version tells of every change."""

    def watch(self, names: tuple[str, ...], wake_up: Callable[[], None], /) -> Callable[[], None]:
        """Calls `wake_up` after each change until the returned function is called."""


class Encoded(NamedTuple):
    """An answer's bytes, and the headers that belong to them alone.

    Attributes:
        fingerprint: differs when the body does, and not otherwise, among the answers of one view; b"" to have one
            made.
    """

    body: bytes
    headers: Headers = ()
    fingerprint: bytes = b""


class View(msgspec.Struct, frozen=True):
    """A question.

    Attributes:
        key: the same for the same question; everything that `encode` depends on but the replica is in it.
        topics: what must change before the answer can.
        quiet_topics: those among them that most answers of the kind have nothing behind, such as settings that
            few services have. They count for the index once they were touched; until then the others make it.
        encode: the answer now. Must not wait. Its headers change with the body or after `Topics.refresh`, and wake
            nobody.
        index: the answer's index, where its topics alone don't tell it: an answer whose topics nobody has watched
            before (any prefix of a key can be asked for). Such an answer is made anew for each who asks, unless
            somebody waits for it to change.
    """

    key: str
    topics: tuple[str, ...]
    encode: Callable[[], bytes | Encoded]
    index: Callable[[], int] | None = None
    quiet_topics: tuple[str, ...] = ()


class Answer:
    """An encoded answer.

    Attributes:
        index: that of the transaction after which its bytes were first these, as far as is remembered.
        digest: a fingerprint of the bytes.
        headers: those that belong to the answer alone.
        version: of the view's topics when it was encoded; () if they don't tell all its changes.
        responses: those that were made of it, by what else they say.
    """

    __slots__ = ("_gzipped", "body", "digest", "headers", "index", "responses", "version")

    def __init__(
        self, body: bytes, index: int, digest: bytes, version: tuple[int, ...], headers: Headers = ()
    ) -> None:
        self.body = body
        self.headers = headers
        self.index = index
        self.digest = digest
        self.version = version
        self.responses: dict[Hashable, Response] = {}
        self._gzipped: bytes | None = None

    def gzipped(self) -> bytes:
        """The body compressed; made at the first call."""
        if self._gzipped is None:
            self._gzipped = gzip.compress(self.body, compresslevel=1, mtime=0)
        return self._gzipped

    @property
    def held_bytes(self) -> int:
        """Roughly what it takes in memory, with its body compressed and one response made of it."""
        return 1000 + 2 * len(self.body) + len(self.body) // 4


class _Waiting:
    """Those who wait for the same view to change from the same answer."""

    __slots__ = ("answer", "callers", "is_due", "stop", "view")

    def __init__(self, view: View, answer: Answer) -> None:
        self.view = view
        self.answer = answer
        self.callers: set[asyncio.Future[bool]] = set()
        self.is_due = False
        self.stop: Callable[[], None] = lambda: None


class Answers:
    """The answers of one replica.

    Args:
        bytes_max: how much of memory the kept answers may take, roughly.
        revisions_max: of how many views the last answer's fingerprint is remembered after its bytes are dropped.
        waiting_max: how many callers may wait at once.
        waiting_setting: the name of that limit in the configuration, for the error.
        watchers: where those who wait are noted; None where nobody asks for them.

    Attributes:
        watchers: those who follow the answers, one way or the other.
    """

    def __init__(
        self,
        topics: Topics,
        *,
        bytes_max: int,
        revisions_max: int,
        waiting_max: int,
        waiting_setting: str,
        watchers: Watchers | None = None,
    ) -> None:
        self.watchers = watchers or Watchers(watchers_max=0, return_s=0, barriers_max=0, forget_refused_s=0)
        self._topics = topics
        self._bytes_max = bytes_max
        self._revisions_max = revisions_max
        self._waiting_max = waiting_max
        self._waiting_setting = waiting_setting
        self._kept: OrderedDict[str, Answer] = OrderedDict()
        self._kept_bytes = 0
        # Of each view the last few indexes, with the fingerprint that its answer had from then on.
        self._revisions: OrderedDict[str, tuple[tuple[int, bytes], ...]] = OrderedDict()
        self._waiting: dict[str, _Waiting] = {}
        self._is_open = True
        self.waiting_count = 0
        self.encoded_count = 0

    def get(self, view: View) -> Answer:
        """The answer as of now."""
        if view.index is not None and not self._topics.has_all(view.topics):
            return self._encoded(view, view.index(), ())
        version = self._topics.version(view.topics)
        kept = self._kept.get(view.key)
        if kept is not None and kept.version == version:
            self._kept.move_to_end(view.key)
            return kept
        answer = self._encoded(view, view.index() if view.index else self._index(view), version)
        before = self._revisions.get(view.key)
        if view.index is None and before and before[-1][1] == answer.digest:
            answer.index = before[-1][0]
        self._keep(view.key, answer)
        return answer

    def _encoded(self, view: View, index: int, version: tuple[int, ...]) -> Answer:
        encoded = view.encode()
        if not isinstance(encoded, Encoded):
            encoded = Encoded(encoded)
        self.encoded_count += 1
        digest = encoded.fingerprint or _digest(encoded.body)
        return Answer(encoded.body, index, digest, version, encoded.headers)

    def _index(self, view: View) -> int:
        """The index that the view's topics tell."""
        quiet = view.quiet_topics
        if not quiet:
            return self._topics.index(view.topics)
        others = tuple(name for name in view.topics if name not in quiet)
        return max(self._topics.index(others), self._topics.touched_index(quiet))

    async def wait(self, view: View, *, after_index: int, wait_s: float, request: Request | None = None) -> Answer:
        """The answer once its index is above `after_index` or its bytes have changed; or as it is after `wait_s`.

        An `after_index` from the future (another server's, or one before a reset) waits for a change of bytes too.

        Args:
            request: whose answer it is; its client is noted among the watchers.

        Raises:
            Overloaded: as many callers wait as may.
        """
        answer = self.get(view)
        is_news = answer.index > after_index and not self._was(view, answer, after_index)
        watcher = None
        if request is not None:
            watcher = self.watchers.ask(
                request,
                view.key,
                view.topics,
                lambda: self.get(view).index,
                # Who waits has these bytes, whatever index they were asked with.
                known_index=after_index if is_news else answer.index,
                current_index=answer.index,
            )
        try:
            if not is_news and self._is_open:
                answer = await self._wait_for_change(view, answer, wait_s)
        finally:
            if watcher is not None:
                self.watchers.answered(watcher, answer.index)
        return answer

    async def _wait_for_change(self, view: View, first: Answer, wait_s: float) -> Answer:
        """The answer once its bytes are others, or as it is after `wait_s`."""
        answer = first
        deadline_s = asyncio.get_running_loop().time() + wait_s
        # A change may be undone before its caller gets to run; then there is nothing new to tell.
        while answer.digest == first.digest and self._is_open:
            if not await self._wait_once(view, answer, deadline_s):
                break
            answer = self.get(view)
        return self.get(view)

    def _was(self, view: View, answer: Answer, index: int) -> bool:
        """Whether the answer had these bytes at `index` too: what changed since was undone.

        Not to be told of a view with an index of its own, of which not every answer is remembered.
        """
        if view.index is not None:
            return False
        known = (digest for at, digest in reversed(self._revisions.get(view.key, ())) if at <= index)
        return next(known, None) == answer.digest

    async def _wait_once(self, view: View, answer: Answer, deadline_s: float) -> bool:
        """Returns at the next change of the view's bytes, or false at the deadline."""
        loop = asyncio.get_running_loop()
        if self.waiting_count >= self._waiting_max:
            raise Overloaded(
                self._waiting_setting, used=self.waiting_count, most=self._waiting_max, retry_after_s=5.0
            )
        waiting = self._join(view, answer)
        caller: asyncio.Future[bool] = loop.create_future()
        waiting.callers.add(caller)
        self.waiting_count += 1
        timer = loop.call_at(deadline_s, _release, caller, False)
        try:
            return await caller
        finally:
            timer.cancel()
            self.waiting_count -= 1
            self._leave(waiting, caller)

    def close(self) -> None:
        """Answers everybody who waits, and lets nobody wait any more."""
        self._is_open = False
        for waiting in list(self._waiting.values()):
            self._release_all(waiting)

    def _join(self, view: View, answer: Answer) -> _Waiting:
        waiting = self._waiting.get(view.key)
        if waiting is not None and waiting.answer.digest != answer.digest:
            # Its wake-up is on the way; those who came before the change must not make newcomers return too.
            self._release_all(waiting)
            waiting = None
        if waiting is None:
            waiting = self._waiting[view.key] = _Waiting(view, answer)
            loop = asyncio.get_running_loop()

            def wake_up(waiting: _Waiting = waiting) -> None:
                # Looked at once for all the batches that arrive together.
                if not waiting.is_due:
                    waiting.is_due = True
                    loop.call_soon(self._look_again, waiting)

            waiting.stop = self._topics.watch(view.topics, wake_up)
        return waiting

    def _look_again(self, waiting: _Waiting) -> None:
        waiting.is_due = False
        if waiting.callers and self.get(waiting.view).digest != waiting.answer.digest:
            self._release_all(waiting)

    def _release_all(self, waiting: _Waiting) -> None:
        waiting.stop()
        if self._waiting.get(waiting.view.key) is waiting:
            del self._waiting[waiting.view.key]
        callers, waiting.callers = waiting.callers, set()
        for caller in callers:
            _release(caller, True)

    def _leave(self, waiting: _Waiting, caller: asyncio.Future[bool]) -> None:
        waiting.callers.discard(caller)
        if not waiting.callers and self._waiting.get(waiting.view.key) is waiting:
            waiting.stop()
            del self._waiting[waiting.view.key]

    def _keep(self, key: str, answer: Answer) -> None:
        old = self._kept.pop(key, None)
        if old is not None:
            self._kept_bytes -= old.held_bytes
        self._kept[key] = answer
        self._kept_bytes += answer.held_bytes
        while self._kept_bytes > self._bytes_max and self._kept:
            _, dropped = self._kept.popitem(last=False)
            self._kept_bytes -= dropped.held_bytes
        before = self._revisions.pop(key, ())
        if not before or before[-1] != (answer.index, answer.digest):
            before = (*before[1 - _REVISIONS_EACH :], (answer.index, answer.digest))
        self._revisions[key] = before
        while len(self._revisions) > self._revisions_max:
            self._revisions.popitem(last=False)


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest()


def _release(caller: asyncio.Future[bool], is_changed: bool) -> None:  # noqa: FBT001 - see call_at above
    if not caller.done():
        caller.set_result(is_changed)

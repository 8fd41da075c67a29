"""Giving a log to those who follow it from other processes: the server's side of the `remote` store.

Theory of operation. A follower is first sent a snapshot, and then every batch in the turn in which the replica
here applies it, before whoever wrote it is answered: the bytes are on their way when the write is known to be
made.

    opening ──snapshot sent──▶ catching up ──has all──▶ live ──takes no more just now──▶ catching up
                 ▲                  │
                 └── its place is no longer in the log

A follower that does not keep up costs no memory: it is live only while its connection takes what it is sent. Then
it reads what it missed from the short memory of the latest batches, or from the log, or is sent a new snapshot.

What is kept beside the log (`Beside`) has no history. A live follower is told of each change. One that catches up
is told what has changed meanwhile as it is by then, once it has all batches: a batch may take back what was said
before it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, cast

import msgspec

from regista.model import (
    BadInput,
    Batch,
    Compacted,
    Entry,
    Overloaded,
    Record,
    RegistaError,
    StoreUnavailable,
)
from regista.store.framed_connection import FramedConnection
from regista.store.tail import LogTail
from regista.store.wire import (
    Aside,
    Ask,
    Begin,
    Commit,
    Entries,
    FromServer,
    News,
    Open,
    Recent,
    Reply,
    Whole,
    decode_commit,
    encode_batch,
    encode_entries,
    encode_error,
    framed,
    from_follower,
)

logger = logging.getLogger(__name__)

Name = tuple[str, str]
"""What is said, and the key of the record that it is said of."""

TAIL_BATCHES = 4096
"""What a follower may miss without a look at the log: a second of writes at full speed, or the pause of a process
that is moved or stopped for a moment. Batches share their records with the replica, so these take a few MB."""

_UNSENT_BYTES_MAX = 1024 * 1024
"""What may wait in a follower's connection before it no longer counts as live."""

_ENTRIES_AT_ONCE = 500
"""Encoded in a millisecond or two; others run in between."""

_ASIDES_AT_ONCE = 200
_BATCHES_AT_ONCE = 256
_RETRY_S = 1.0

_QUESTIONS_MAX = 16_384
"""Of one follower at once; twice what the store lets wait by default."""


class Log(Protocol):
    """What is needed of the store; see `Store`."""

    @property
    def floor_index(self) -> int:
        """As the store's."""

    async def commit(self, transaction: Any) -> int:
        """As the store's."""

    async def changes(self, after_index: int, *, batches_max: int = -1) -> Sequence[Batch]:
        """As the store's."""

    async def index_at(self, at_s: float) -> int:
        """As the store's."""

    async def barrier(self) -> int:
        """As the store's."""

    async def prove(self) -> None:
        """As the store's."""


class Replica(Protocol):
    """What is needed of the replica that snapshots are made of."""

    index: int

    def entries(self) -> list[Entry[Record]]:
        """Every entry, in a list of the caller's."""


class Beside(Protocol):
    """What is kept beside the log, and is to reach the followers too."""

    def names(self) -> Iterable[Name]:
        """All that has something said of it."""

    def text(self, name: Name, /) -> str:
        """What is said now; "" for nothing."""


class LogServer:
    """The followers of one log.

    Args:
        replica: has applied every batch before `push` is called with it.
        beside: what is kept beside the log.
        tail_batches: see `TAIL_BATCHES`.

    Attributes:
        snapshots_count: how many snapshots were sent.
    """

    def __init__(self, log: Log, replica: Replica, beside: Beside, *, tail_batches: int = TAIL_BATCHES) -> None:
        self.log = log
        self.replica = replica
        self.beside = beside
        self.tail = LogTail(log, index=replica.index, batches_max=tail_batches)
        self.snapshots_count = 0
        self._followers: set[_Follower] = set()

    def __call__(self) -> asyncio.Protocol:
        """The other end of a new follower's connection."""
        return _Follower(self)

    def push(self, batch: Batch) -> None:
        """Sends the next batch; to be called for each, in order, on the loop's thread."""
        self.tail.push(batch)
        live = [follower for follower in self._followers if follower.is_live]
        if live:
            news = framed(News(self.log.floor_index, encode_batch(batch)))
            for follower in live:
                follower.send_news(batch.index, news)

    def note(self, what: str, key: str) -> None:
        """Sends what is said beside the log of a record, as it is now."""
        name = what, key
        aside: bytes | None = None
        for follower in self._followers:
            if follower.is_live:
                aside = aside or framed(Aside(what, key, self.beside.text(name)))
                follower.send(aside)
            else:
                follower.missed(name)

    def add(self, follower: _Follower) -> None:
        """Takes a follower on."""
        self._followers.add(follower)

    def remove(self, follower: _Follower) -> None:
        """Lets a follower go."""
        self._followers.discard(follower)

    def close(self) -> None:
        """Ends all connections."""
        for follower in tuple(self._followers):
            follower.close()


class _Follower(FramedConnection[Open | Commit | Ask]):
    """A follower's connection.

    Attributes:
        is_live: whether it has been sent everything, and is to be sent the next at once.
    """

    other = "a follower"

    def __init__(self, server: LogServer) -> None:
        super().__init__(from_follower.decode)
        self._server = server
        self._sent_index = 0
        # What was said beside the log and not sent yet, in order.
        self._asides: dict[Name, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_behind = asyncio.Event()
        self.is_live = False

    # ---- the connection ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Notes that the connection is there."""
        super().connection_made(transport)
        cast("asyncio.Transport", transport).set_write_buffer_limits(high=_UNSENT_BYTES_MAX)

    def connection_lost(self, exc: Exception | None) -> None:
        """Notes that it has ended."""
        super().connection_lost(exc)
        self.is_live = False
        self._server.remove(self)
        for task in self._tasks:
            task.cancel()

    def pause_writing(self) -> None:
        """Sends nothing more for now."""
        super().pause_writing()
        if self.is_live:
            self.is_live = False
            self._is_behind.set()

    def send_news(self, index: int, message: bytes) -> None:
        """Sends the batch of this index, which comes after the last that was sent."""
        self._sent_index = index
        self.send(message)

    def missed(self, name: Name) -> None:
        """Notes that something was said that is to be sent later."""
        self._asides[name] = None

    def take(self, message: Open | Commit | Ask) -> None:
        """Answers a question; or begins to send all that is there, and each batch from then on."""
        if isinstance(message, Open):
            self.other = message.name
            self._server.add(self)
            self._start(self._keep_up())
        elif len(self._tasks) > _QUESTIONS_MAX:
            self._send(
                encode_error(message.number, Overloaded("questions", used=len(self._tasks), most=_QUESTIONS_MAX))
            )
        else:
            self._start(self._answer(message))

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _send(self, message: FromServer) -> None:
        self.send(framed(message))

    # ---- questions ----

    async def _answer(self, question: Commit | Ask) -> None:
        try:
            reply = await self._replied(question)
        except RegistaError as error:
            self._send(encode_error(question.number, error))
        else:
            self._send(reply)

    async def _replied(self, question: Commit | Ask) -> Reply:
        log, number = self._server.log, question.number
        if isinstance(question, Commit):
            try:
                transaction = decode_commit(question)
            except (KeyError, msgspec.MsgspecError) as error:
                raise BadInput(
                    f"the record can't be kept: {error}. Send text in UTF-8 and values of the fields' types."
                ) from error
            return Reply(number, await log.commit(transaction))
        if question.what == "changes":
            after_index, batches_max = question.arguments
            batches = await log.changes(after_index, batches_max=batches_max)
            return Reply(number, 0, [encode_batch(batch) for batch in batches])
        if question.what == "index_at":
            return Reply(number, await log.index_at(question.arguments[0]))
        if question.what == "barrier":
            return Reply(number, await log.barrier())
        if question.what == "prove":
            await log.prove()
            return Reply(number)
        raise BadInput(f"{question.what} is no question to a store", field="what")

    # ---- following ----

    async def _keep_up(self) -> None:
        """Sends everything, and brings the follower up to date each time that it fell behind."""
        await self._send_snapshot()
        while True:
            await self._catch_up()
            self._is_behind.clear()
            await self._is_behind.wait()
            logger.debug("%s does not keep up", self.other)

    async def _catch_up(self) -> None:
        """Returns once it is live."""
        server = self._server
        began_index = self._sent_index
        while True:
            await self._room.wait()
            if self._sent_index < server.replica.index:
                await self._send_missed_batches()
            elif self._asides:
                # No batch comes in between, so what is said now is of the batch sent last.
                for name in tuple(self._asides)[:_ASIDES_AT_ONCE]:
                    del self._asides[name]
                    self._send(Aside(*name, server.beside.text(name)))
                await asyncio.sleep(0)
            else:
                self.is_live = True
                break
        if self._sent_index - began_index > TAIL_BATCHES:
            logger.warning("%s has caught up, from index %d to %d", self.other, began_index, self._sent_index)

    async def _send_missed_batches(self) -> None:
        server = self._server
        try:
            batches = await server.tail.after(self._sent_index)
        except Compacted:
            logger.warning(
                "%s is at index %d, and the log begins after %d: it is sent a new snapshot",
                self.other,
                self._sent_index,
                server.log.floor_index,
            )
            await self._send_snapshot()
            return
        except StoreUnavailable as error:
            logger.warning("%s waits for the log, which can't be read: %s", self.other, error)
            await asyncio.sleep(_RETRY_S)
            return
        for batch in batches:
            await self._room.wait()
            self.send_news(batch.index, framed(News(server.log.floor_index, encode_batch(batch))))

    async def _send_snapshot(self) -> None:
        server = self._server
        # In one go, so that they fit.
        entries, index = server.replica.entries(), server.replica.index
        self._asides = dict.fromkeys(server.beside.names())
        server.snapshots_count += 1
        floor_index, recent = await self._recent(index)
        self._send(Begin(index, floor_index))
        for start in range(0, len(entries), _ENTRIES_AT_ONCE):
            await self._room.wait()
            self._send(Entries(encode_entries(entries[start : start + _ENTRIES_AT_ONCE])))
            await asyncio.sleep(0)
        for start in range(0, len(recent), _BATCHES_AT_ONCE):
            await self._room.wait()
            self._send(Recent([encode_batch(batch) for batch in recent[start : start + _BATCHES_AT_ONCE]]))
            await asyncio.sleep(0)
        self._send(Whole())
        self._sent_index = index

    async def _recent(self, index: int) -> tuple[int, list[Batch]]:
        """Where the log begins, and its batches up to an index."""
        log = self._server.log
        while True:
            after_index = floor_index = min(log.floor_index, index)
            recent: list[Batch] = []
            with contextlib.suppress(Compacted):  # it has dropped some meanwhile: once more, from there
                while after_index < index:
                    batches = await log.changes(after_index, batches_max=_BATCHES_AT_ONCE)
                    recent += [batch for batch in batches if batch.index <= index]
                    if not batches:
                        break
                    after_index = batches[-1].index
                return floor_index, recent
            if log.floor_index >= index:
                return index, []

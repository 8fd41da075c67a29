"""A log that another process keeps: commits go there, and what it commits comes from there.

Its replica has all that the server had when it was last heard of; when the connection ends, what is in memory can
still be read, and nothing can be written. What a follower is sent, and when, see `store/serving.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import msgspec

from regista.model import BadInput, Batch, Conflict, Entry, Record, Snapshot, StoreUnavailable, Transaction
from regista.store.framed_connection import FramedConnection
from regista.store.sharing import Sharing
from regista.store.wire import (
    Aside,
    Ask,
    Begin,
    Entries,
    FromServer,
    News,
    Open,
    Recent,
    Refusal,
    Reply,
    Whole,
    decode_batch,
    decode_entry,
    decode_error,
    encode_commit,
    framed,
    from_server,
)

if TYPE_CHECKING:
    from regista.store import BatchListener

logger = logging.getLogger(__name__)

Connect = Callable[[Callable[[], asyncio.Protocol]], Awaitable[Any]]
"""Opens a connection to the server for the protocol that the given function makes."""

_AWAY = "the server of the log is away; reads go on. Try again when it is back."
_CLOSED = "the store is closed; the agent is stopping. Try again when it is back."

_CLOSE_S_MAX = 10.0
"""How long a store that is closed waits for the answers to what was asked: as an agent that stops does."""


def unix_connection(path: Path) -> Connect:
    """Connects to a server that listens on a Unix socket."""

    async def connect(protocol: Callable[[], asyncio.Protocol]) -> Any:
        return await asyncio.get_running_loop().create_unix_connection(protocol, str(path))

    return connect


class RemoteStore:
    """A `Store` whose log a `LogServer` keeps.

    Args:
        name: of this follower, for the server's log.
        on_aside: is told what is said beside the log: what it is, the record's key, the text.
        on_renewed: is given a whole new snapshot, which replaces all there was, where the log does not reach back
            to the last batch any more. None ends the connection instead.

    Attributes:
        index: of the last batch that was given to the listener.
        lost: set once the connection has ended.
    """

    def __init__(
        self,
        connect: Connect,
        *,
        name: str,
        on_aside: Callable[[str, str, str], None] = lambda *_: None,
        on_renewed: Callable[[Snapshot], None] | None = None,
    ) -> None:
        self.index = 0
        self.lost = asyncio.Event()
        self._connect = connect
        self._name = name
        self._on_aside = on_aside
        self._on_renewed = on_renewed
        self._on_batch: BatchListener | None = None
        self._floor_index = 0
        self._transport: asyncio.Transport | None = None
        self._is_closing = False
        self._arriving: _Arriving | None = None
        self._opened: asyncio.Future[Snapshot] | None = None
        # What came before whoever opens it had the snapshot; None from then on.
        self._held: list[FromServer] | None = None
        self._numbers = 0
        self._questions: dict[int, asyncio.Future[Reply]] = {}
        # Who waits for the replica to come to an index.
        self._coming: dict[asyncio.Future[None], int] = {}

    # ---- the store ----

    async def open(self, on_batch: BatchListener) -> Snapshot:
        """See `Store.open`."""
        assert self._on_batch is None, "open was called twice"
        self._on_batch = on_batch
        loop = asyncio.get_running_loop()
        self._opened = loop.create_future()
        try:
            await self._connect(lambda: _Connection(self))
        except OSError as error:
            raise StoreUnavailable(f"the server of the log can't be reached: {error}. Start it first.") from error
        self._send(framed(Open(self._name)))
        snapshot = await self._opened
        # The caller goes on with the snapshot in this turn of the loop.
        loop.call_soon(self._release)
        return snapshot

    async def commit(self, transaction: Transaction) -> int:
        """See `Store.commit`."""
        assert transaction.changes, "a transaction without changes has no place in the log"
        self._numbers += 1
        try:
            message = framed(encode_commit(self._numbers, transaction))
        except (msgspec.MsgspecError, UnicodeEncodeError, OverflowError, TypeError) as error:
            raise BadInput(
                f"the record can't be kept: {error}. Send text in UTF-8 and values of the fields' types."
            ) from error
        try:
            reply = await self._asked(self._numbers, message)
        except Conflict as error:
            await self.reached(error.index)
            raise
        await self.reached(reply.index)
        return reply.index

    async def changes(self, after_index: int, *, batches_max: int = -1) -> Sequence[Batch]:
        """See `Store.changes`."""
        reply = await self._ask("changes", after_index, batches_max)
        return [decode_batch(batch) for batch in reply.batches]

    async def index_at(self, at_s: float) -> int:
        """See `Store.index_at`."""
        return (await self._ask("index_at", at_s)).index

    @property
    def floor_index(self) -> int:
        """See `Store.floor_index`; as it was at the last batch."""
        return self._floor_index

    async def barrier(self) -> int:
        """See `Store.barrier`."""
        index = (await self._ask("barrier")).index
        await self.reached(index)
        return index

    async def prove(self) -> None:
        """See `Store.prove`."""
        await self._ask("prove")

    async def close(self) -> None:
        """See `Store.close`; waits for the answers to what was asked."""
        self._is_closing = True
        if self._transport is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S_MAX):
                while self._questions or self._coming:
                    waited: list[asyncio.Future[Any]] = [*self._questions.values(), *self._coming]
                    await asyncio.wait(waited)
                    # Those who were answered have yet to wait for their batch.
                    await asyncio.sleep(0)
        if self._transport is not None:
            self._transport.close()
            await self.lost.wait()

    async def reached(self, index: int) -> None:
        """Returns once the listener was given the batch of this index.

        Raises:
            StoreUnavailable: the connection has ended before.
        """
        if self.index >= index:
            return
        if self._transport is None:
            raise StoreUnavailable(_AWAY)
        coming: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._coming[coming] = index
        try:
            await coming
        finally:
            self._coming.pop(coming, None)

    # ---- the connection ----

    async def _ask(self, what: str, *arguments: Any) -> Reply:
        self._numbers += 1
        return await self._asked(self._numbers, framed(Ask(self._numbers, what, list(arguments))))

    async def _asked(self, number: int, message: bytes) -> Reply:
        if self._is_closing:
            raise StoreUnavailable(_CLOSED)
        if self._transport is None or self._transport.is_closing():
            raise StoreUnavailable(_AWAY)
        question: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._questions[number] = question
        self._send(message)
        # A caller that goes takes nothing back, and the answer is waited for at the end.
        return await asyncio.shield(question)

    def _send(self, message: bytes) -> None:
        assert self._transport is not None
        self._transport.write(message)

    def connected(self, transport: asyncio.Transport) -> None:
        """Notes that the connection is there."""
        self._transport = transport

    def disconnected(self) -> None:
        """Notes that the connection has ended."""
        self._transport = None
        self.lost.set()
        waiting: list[asyncio.Future[Any]] = [*self._questions.values(), *self._coming]
        if self._opened is not None:
            waiting.append(self._opened)
        self._questions.clear()
        for each in waiting:
            if not each.done():
                each.set_exception(StoreUnavailable(_AWAY))
                each.exception()  # Whoever waits is told; nobody need.

    def take(self, message: FromServer) -> None:
        """Does what a message says."""
        if self._held is not None:
            self._held.append(message)
        elif isinstance(message, News):
            self._floor_index = message.floor_index
            self._advance(decode_batch(message.batch))
        elif isinstance(message, Reply):
            self._settle(message.number, message)
        elif isinstance(message, Refusal):
            self._settle(message.number, decode_error(message))
        elif isinstance(message, Aside):
            self._on_aside(message.what, message.key, message.text)
        elif isinstance(message, Begin):
            self._arriving = _Arriving(message)
        else:
            assert self._arriving is not None
            if isinstance(message, Whole):
                self._begin(self._arriving.snapshot())
                self._arriving = None
            else:
                self._arriving.take(message)

    def _begin(self, snapshot: Snapshot) -> None:
        """Starts with a snapshot, or starts again."""
        assert self._opened is not None
        if not self._opened.done():
            self.index, self._floor_index = snapshot.index, snapshot.floor_index
            self._held = []
            self._opened.set_result(snapshot)
        elif self._on_renewed is not None:
            logger.warning(
                "the log no longer has what comes after index %d: starting from %d", self.index, snapshot.index
            )
            self._on_renewed(snapshot)
            self._floor_index = snapshot.floor_index
            self._arrive(snapshot.index)
        elif self._transport is not None:
            self._transport.close()

    def _release(self) -> None:
        held, self._held = self._held, None
        for message in held or ():
            self.take(message)

    def _advance(self, batch: Batch) -> None:
        assert self._on_batch is not None
        self._on_batch(batch)
        self._arrive(batch.index)

    def _arrive(self, index: int) -> None:
        self.index = index
        if self._coming:
            for coming, wanted_index in tuple(self._coming.items()):
                if wanted_index <= index and not coming.done():
                    coming.set_result(None)

    def _settle(self, number: int, outcome: Reply | Exception) -> None:
        question = self._questions.pop(number, None)
        if question is None or question.done():
            return
        if isinstance(outcome, Reply):
            question.set_result(outcome)
        else:
            question.set_exception(outcome)
            question.exception()  # Its caller may have gone.


class _Arriving:
    """A snapshot of which some has come."""

    def __init__(self, begin: Begin) -> None:
        self._begin = begin
        self._entries: list[Entry[Record]] = []
        self._recent: list[Batch] = []
        self._sharing = Sharing()

    def take(self, message: Entries | Recent) -> None:
        if isinstance(message, Entries):
            self._entries += [self._sharing.share(decode_entry(entry)) for entry in message.entries]
        else:
            self._recent += [decode_batch(batch) for batch in message.batches]

    def snapshot(self) -> Snapshot:
        return Snapshot(self._begin.index, self._begin.floor_index, self._entries, self._recent)


class _Connection(FramedConnection[FromServer]):
    """The connection to the server."""

    other = "the server of the log"

    def __init__(self, store: RemoteStore) -> None:
        super().__init__(from_server.decode)
        self._store = store

    def take(self, message: FromServer) -> None:
        """Gives it to the store."""
        self._store.take(message)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Tells the store."""
        super().connection_made(transport)
        self._store.connected(cast("asyncio.Transport", transport))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells the store."""
        super().connection_lost(exc)
        self._store.disconnected()

"""Passing on what only the main process can answer: a worker's side of its calls."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path

from regista.agent.worker_wire import (
    PART_BYTES,
    Answer,
    AnswerMessage,
    Body,
    Call,
    End,
    Part,
    WantBody,
    answers,
    framed,
    to_bytes,
)
from regista.model import StoreUnavailable
from regista.protocols.http import ByteStream, Request, Response
from regista.store import FramedConnection

logger = logging.getLogger(__name__)

_BODY_AT_ONCE_BYTES = 64 * 1024
"""A body up to this size goes with its request; a longer one is fetched when its handler wants it."""

_IDLE_LINKS_MAX = 256
"""Connections that are kept for the next calls; more are made where more calls are under way."""

_HELD_PARTS_MAX = 8
"""Parts of a stream that wait for the client, before no more are read."""

_AWAY = "the main process of this agent does not answer; nothing was changed. Try again in a moment."


class _LinkLostError(Exception):
    """The connection to the main process has ended."""


class Forwarder:
    """Passes requests on to the main process.

    Args:
        path: of the socket that it takes calls at.
        catch_up: returns once the replica here has what was written until now.

    Attributes:
        calls_count: how many requests were passed on.
    """

    def __init__(self, path: Path, catch_up: Callable[[], Awaitable[object]]) -> None:
        self.calls_count = 0
        self._path = path
        self._catch_up = catch_up
        self._idle: list[_Link] = []

    async def forward(self, request: Request) -> Response:
        """The main process's answer; what it wrote, the replica here has too.

        Raises:
            StoreUnavailable: the main process is away.
            CancelledError: it went before it answered.
            TooLarge, TooSlow, BadInput: the body can't be read.
        """
        self.calls_count += 1
        body, has_more = await _small_body(request)
        link = await self._link()
        try:
            link.send(framed(_call(request, body, has_more=has_more)))
            while isinstance(message := await link.receive(), WantBody):
                await _send_body(link, await request.body(message.bytes_max))
            assert isinstance(message, Answer)
        except _LinkLostError:
            # Nobody knows whether it was carried out, and any answer would say too much. The client's connection
            # ends, as it would have with the main process.
            raise asyncio.CancelledError from None
        except BaseException:
            # Whatever it was, the main process is to stop answering a client that is gone.
            link.abort()
            raise
        if message.is_stream:
            return _response(message, _Stream(link, self._give_back))
        self._give_back(link)
        if request.method not in ("GET", "HEAD"):
            await self._catch_up()
        return _response(message, None)

    def close(self) -> None:
        """Ends the connections on which nothing is under way."""
        for link in self._idle:
            link.abort()
        self._idle.clear()

    async def _link(self) -> _Link:
        while self._idle:
            link = self._idle.pop()
            if not link.is_lost:
                return link
        try:
            _, link = await asyncio.get_running_loop().create_unix_connection(_Link, str(self._path))
        except OSError as error:
            raise StoreUnavailable(_AWAY) from error
        return link

    def _give_back(self, link: _Link) -> None:
        if len(self._idle) < _IDLE_LINKS_MAX and not link.is_lost:
            self._idle.append(link)
        else:
            link.abort()


class _Link(FramedConnection[AnswerMessage]):
    """A connection to the main process, which carries one call at a time."""

    other = "the main process"

    def __init__(self) -> None:
        super().__init__(answers.decode)
        self._arrived: deque[AnswerMessage] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_paused = False
        self.is_lost = False

    def connection_lost(self, exc: Exception | None) -> None:
        """Notes that it has ended."""
        super().connection_lost(exc)
        self.is_lost = True
        self._wake_up()

    def take(self, message: AnswerMessage) -> None:
        """Keeps a message for whoever receives it."""
        self._arrived.append(message)
        if len(self._arrived) > _HELD_PARTS_MAX and not self._is_paused and self._transport is not None:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake_up()

    async def wait_room(self) -> None:
        """Returns once the main process takes more."""
        await self._room.wait()

    async def receive(self) -> AnswerMessage:
        """The next message.

        Raises:
            _LinkLostError: the connection has ended.
        """
        while not self._arrived:
            if self.is_lost:
                raise _LinkLostError
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        message = self._arrived.popleft()
        if self._is_paused and not self._arrived and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()
        return message

    def abort(self) -> None:
        """Ends the connection, and with it what is under way on it."""
        self.is_lost = True
        super().abort()

    def _wake_up(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class _Stream:
    """A body that the main process makes while it is sent."""

    def __init__(self, link: _Link, give_back: Callable[[_Link], None]) -> None:
        self._link: _Link | None = link
        self._give_back = give_back

    def __aiter__(self) -> ByteStream:
        return self

    async def __anext__(self) -> bytes:
        if self._link is None:
            raise StopAsyncIteration
        try:
            message = await self._link.receive()
        except _LinkLostError:
            raise StopAsyncIteration from None
        if isinstance(message, Part):
            return message.content
        assert isinstance(message, End)
        self._give_back(self._link)
        self._link = None
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """See `ByteStream`."""
        if self._link is not None:
            self._link.abort()
            self._link = None


async def _small_body(request: Request) -> tuple[bytes, bool]:
    """The body if it is small; and whether there is one that is not, or may not be."""
    headers = request.headers
    length = headers.get("Content-Length", "0")
    if "Transfer-Encoding" in headers or "Expect" in headers or not length.isdigit():
        return b"", True
    if length == "0":
        return b"", False
    if int(length) > _BODY_AT_ONCE_BYTES:
        return b"", True
    return await request.body(_BODY_AT_ONCE_BYTES), False


async def _send_body(link: _Link, body: bytes) -> None:
    for start in range(0, len(body) or 1, PART_BYTES):
        await link.wait_room()
        part = Body(body[start : start + PART_BYTES], is_last=start + PART_BYTES >= len(body))
        link.send(framed(part))


def _call(request: Request, body: bytes, *, has_more: bool) -> Call:
    peer = request.peer
    client, program = peer.client if peer is not None else (request.client, "")
    return Call(
        request.method,
        request.path,
        to_bytes(request.parameters.text),
        # In small letters, for names may be of a kind of text of the parser's own.
        [(name.lower(), to_bytes(value)) for name, value in request.headers.items()],
        body,
        has_more,
        request.client or client,
        to_bytes(program),
        peer.remote if peer is not None else "",
    )


def _response(answer: Answer, stream: ByteStream | None) -> Response:
    return Response(
        answer.status,
        answer.body,
        answer.content_type,
        answer.headers,
        is_packed=answer.is_packed,
        stream=stream,
        is_last=answer.is_last,
    )

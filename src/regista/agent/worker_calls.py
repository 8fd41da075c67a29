"""Answering what workers pass on: the main process's side of their calls.

A call is a client's request as far as handlers can tell: with its address, its body when it is wanted, and its end
when the client goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import Awaitable
from urllib.parse import quote

from multidict import CIMultiDict, CIMultiDictProxy

from regista.agent.worker_wire import (
    PART_BYTES,
    Answer,
    Body,
    Call,
    CallMessage,
    End,
    Part,
    WantBody,
    calls,
    framed,
    to_text,
)
from regista.model import BadInput
from regista.protocols.http import (
    ByteStream,
    Dispatcher,
    Response,
    Watching,
    body_too_large,
    failure_response,
)
from regista.store import FramedConnection

logger = logging.getLogger(__name__)

_PATH_SAFE = "/:@!$&'()*+,;=-._~"


class CallServer:
    """Takes calls.

    Attributes:
        calls_count: how many.
    """

    def __init__(self, dispatcher: Dispatcher) -> None:
        self.dispatcher = dispatcher
        self.calls_count = 0
        self._callers: set[_Caller] = set()

    def __call__(self) -> asyncio.Protocol:
        """The other end of a new connection."""
        return _Caller(self)

    def add(self, caller: _Caller) -> None:
        """Takes a connection on."""
        self._callers.add(caller)

    def remove(self, caller: _Caller) -> None:
        """Lets a connection go."""
        self._callers.discard(caller)

    def close(self) -> None:
        """Ends all connections."""
        for caller in tuple(self._callers):
            caller.close()


class _Caller(FramedConnection[CallMessage]):
    """A connection of a worker's; and, to the handlers, the client's whose call is on it."""

    unacknowledged_bytes = sys.maxsize
    """What the client has taken is not known here."""

    other = "a worker"

    def __init__(self, server: CallServer) -> None:
        super().__init__(calls.decode)
        self._server = server
        self._task: asyncio.Task[None] | None = None
        self._body: asyncio.Queue[Body] | None = None
        self.watching: Watching | None = None
        self.client = ("", "")
        self.remote = ""

    # ---- the connection ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Notes that the connection is there."""
        super().connection_made(transport)
        self._server.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Notes that it has ended."""
        super().connection_lost(exc)
        self._server.remove(self)
        if self._task is not None:
            self._task.cancel()
        self._release()

    # ---- calls ----

    def take(self, message: CallMessage) -> None:
        """Begins a call, or goes on with its body."""
        if isinstance(message, Call):
            self._begin(message)
        elif self._body is not None:
            self._body.put_nowait(message)

    def _begin(self, call: Call) -> None:
        server = self._server
        server.calls_count += 1
        self.client, self.remote = (call.client, to_text(call.program)), call.remote
        headers = CIMultiDictProxy(CIMultiDict((name, to_text(value)) for name, value in call.headers))
        target = quote(call.path, safe=_PATH_SAFE) + (f"?{to_text(call.query)}" if call.query else "")
        try:
            head = server.dispatcher.understand(call.method, target, headers, len(call.body))
        except BadInput as error:
            head = failure_response(error)
        if isinstance(head, Response):
            self._answer(head)
            return
        outcome = server.dispatcher.call(head, self._reader(call), call.client, self)
        if isinstance(outcome, Response):
            if outcome.stream is None:
                self._answer(outcome)
                return
            self._start(self._send(outcome, outcome.stream))
        else:
            self._start(self._settle(server.dispatcher.settled(outcome, head)))

    def _start(self, work: Awaitable[None]) -> None:
        self._task = asyncio.ensure_future(work)

    async def _settle(self, outcome: Awaitable[Response]) -> None:
        response = await outcome
        if response.stream is None:
            self._answer(response)
        else:
            await self._send(response, response.stream)

    async def _send(self, response: Response, stream: ByteStream) -> None:
        async with contextlib.aclosing(stream):
            self.send(framed(_answer(response, is_stream=True)))
            async for content in stream:
                for start in range(0, len(content), PART_BYTES):
                    await self._room.wait()
                    self.send(framed(Part(content[start : start + PART_BYTES])))
            self.send(framed(End()))
        self._end()

    def _answer(self, response: Response) -> None:
        self.send(framed(_answer(response, is_stream=False)))
        self._end()

    def _end(self) -> None:
        """Makes ready for the next call, which may be another client's."""
        self._task = None
        self._body = None
        self._release()

    def _release(self) -> None:
        watching, self.watching = self.watching, None
        if watching is not None:
            watching.release()

    def _reader(self, call: Call) -> _BodyReader:
        return _BodyReader(self, call)

    async def fetch_body(self, bytes_max: int) -> bytes:
        """The body that the worker has kept back."""
        self._body = asyncio.Queue()
        self.send(framed(WantBody(bytes_max)))
        parts: list[bytes] = []
        while True:
            body = await self._body.get()
            parts.append(body.content)
            if body.is_last:
                return b"".join(parts)


class _BodyReader:
    """Reads a call's body."""

    def __init__(self, caller: _Caller, call: Call) -> None:
        self._caller = caller
        self._call = call

    async def __call__(self, bytes_max: int) -> bytes:
        if self._call.has_more:
            return await self._caller.fetch_body(bytes_max)
        if len(self._call.body) > bytes_max:
            raise body_too_large(bytes_max, len(self._call.body))
        return self._call.body


def _answer(response: Response, *, is_stream: bool) -> Answer:
    return Answer(
        response.status,
        response.body,
        response.content_type,
        response.headers,
        response.is_packed,
        response.is_last,
        is_stream,
    )

"""One client's connection: aiohttp's protocol, with a short way for requests whose head is known.

Theory of operation. aiohttp parses, orders and limits whatever comes; that is the long way. Programs send the same
few heads again and again, though. After the long way has understood a head that came alone in its packet, its
bytes are remembered with their meaning (`Dispatcher.known`). When a whole request arrives in one packet, its head
is known, and nothing is under way on the connection, the handler is called at once and the response written
without aiohttp. So the short way never parses: it only recognises what aiohttp's parser has accepted before.

    idle ──a known request, answered at once──▶ idle
    idle ──a known request, answered later────▶ busy ──answered──▶ idle; what arrived meanwhile is taken up then
    idle ──anything else──▶ long way ──if exactly one request has gone in──▶ idle
                                     ──otherwise──▶ long way, for the rest of the connection
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from regista.model import TooLarge
from regista.protocols.http.dispatch import Dispatcher, Head, no_body
from regista.protocols.http.messages import Response
from regista.protocols.http.settings import HttpSettings
from regista.protocols.http.wire import DateHeader, encode_response

logger = logging.getLogger(__name__)

_HEADERS_MAX = 128
_HEAD_END = b"\r\n\r\n"

_HELD_BYTES_MAX = 64 * 1024
"""What a client may send ahead while it is being answered, before it is no longer read."""

_BUSY_S = 86400.0
"""Longer than any wait: a connection that is being answered is not idle."""

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 5\r\n"
    b"X-Regista-Limit: http.connections_max\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
)


class Connection(RequestHandler):
    """A client's connection; see the page above."""

    __slots__ = ("_answering", "_fed_bytes", "_held", "_is_between", "_peer", "_raw_head", "_server")

    def __init__(self, server: ConnectionServer, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        self._answering: asyncio.Task[None] | None = None
        self._held = b""
        # Whether aiohttp's parser stands between two requests, so that the next byte begins one.
        self._is_between = True
        self._fed_bytes = 0
        self._raw_head = b""
        self._peer = ""

    # ---- life ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the client on, or refuses one too many."""
        server = self._server
        if len(server.connections) >= server.settings.connections_max:
            # An assertion would not do: uvloop's transports are no subclass of asyncio's.
            _refuse(cast("asyncio.Transport", transport), server.settings.connections_max)
            self._manager = None  # makes connection_lost, which will follow, do nothing
            self._force_close = True
            return
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        self._peer = peer[0] if isinstance(peer, tuple) else ""

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stops answering a client that has gone."""
        if self._answering is not None:
            self._answering.cancel()
        super().connection_lost(exc)

    def close(self) -> None:
        """Ends the connection after what is being answered."""
        if self._answering is None:
            super().close()
        else:
            self._close = True

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's signature
        """Ends the connection; waits so long for what is being answered."""
        if self._answering is not None:
            await asyncio.wait((self._answering,), timeout=timeout)
        await super().shutdown(timeout)

    # ---- requests ----

    def data_received(self, data: bytes) -> None:
        """Takes what the client sent the short way or the long."""
        if self._answering is not None or self._held:
            self._hold(data)
        elif not self._is_between:
            self._fed_bytes += len(data)
            super().data_received(data)
        elif self._waiter is None and data:
            # aiohttp has answered and comes back to wait for more in the next turn of the loop.
            self._hold(data)
            self._loop.call_soon(self._take_up_held)
        else:
            self._take(data)

    def _take(self, data: bytes) -> None:
        if not self._is_idle() or not self._take_short_way(data):
            self._begin_long_way(data)
            super().data_received(data)

    def _take_up_held(self) -> None:
        held, self._held = self._held, b""
        if len(held) >= _HELD_BYTES_MAX:
            self._resume_transport_reading()
        if held and self.transport is not None:
            self._take(held)

    def _is_idle(self) -> bool:
        """Whether nothing is under way: aiohttp waits for a request, and the client takes what it is sent."""
        return self._waiter is not None and not (
            self._waiter.done() or self._messages or self._paused or self._close or self._force_close
        )

    def _take_short_way(self, data: bytes) -> bool:
        """Answers a whole request whose head is known; false for anything else."""
        known = self._server.dispatcher.known
        head = known.get(data)
        body = b""
        if head is None:
            end = data.find(_HEAD_END) + len(_HEAD_END)
            if end < len(_HEAD_END) or end == len(data):
                return False
            head = known.get(data[:end])
            body = data[end:]
        if head is None or head.content_length != len(body):
            return False
        self._server.requests_count += 1
        outcome = self._server.dispatcher.call(head, _Body(body) if body else no_body, self._peer)
        if isinstance(outcome, Response):
            self._write(outcome, head)
        else:
            self._next_keepalive_close_time = self._loop.time() + _BUSY_S
            self._answering = self._loop.create_task(self._answer(outcome, head))
        return True

    async def _answer(self, outcome: Awaitable[Response], head: Head) -> None:
        try:
            response = await self._server.dispatcher.settled(outcome, head)
        except ConnectionError:
            self.force_close()
            return
        finally:
            self._answering = None
        if self.transport is None:
            return
        self._write(response, head)
        if self._close:
            super().close()
        else:
            self._take_up_held()

    def _write(self, response: Response, head: Head) -> None:
        assert self.transport is not None
        self.transport.write(
            encode_response(
                response,
                accepts_gzip=head.accepts_gzip,
                is_head=head.method == "HEAD",
                date=self._server.date.text(),
            )
        )
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout

    def _hold(self, data: bytes) -> None:
        """Keeps what a client sends before it has its answer (pipelining)."""
        was_below = len(self._held) < _HELD_BYTES_MAX
        self._held += data
        if was_below and len(self._held) >= _HELD_BYTES_MAX:
            self._pause_transport_reading()

    def _begin_long_way(self, data: bytes) -> None:
        end = data.find(_HEAD_END)
        self._raw_head = data[: end + len(_HEAD_END)] if end >= 0 else b""
        self._fed_bytes = len(data)
        self._is_between = False

    def finish_long_way(self, head: Head, *, is_repeatable: bool) -> None:
        """Says that aiohttp has understood `head`, and that its response is ready.

        Args:
            is_repeatable: whether the same bytes would mean the same once more (nothing about the connection).
        """
        raw = self._raw_head
        if raw and self._fed_bytes == len(raw) + head.content_length and is_repeatable:
            self._is_between = True
            self._raw_head = b""
            self._server.dispatcher.learn(raw, head)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Tells a client what is wrong with a head that can't be read; the connection ends."""
        if not isinstance(exc, HttpProcessingError):
            return super().handle_error(request, status, exc, message)
        why = " ".join((message or str(exc)).split())
        logger.debug("a client sent what is not HTTP: %s", why)
        response = web.Response(
            status=400,
            text=f"The request's head can't be read: {why}. A line may have {self.max_line_size} bytes "
            f"(http.head_bytes_max in the agent's configuration), a head {_HEADERS_MAX} headers.",
            headers={"Server": "Regista"},
        )
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Keeps broken bodies from filling the log with tracebacks."""
        error = kw.get("exc_info")
        if isinstance(error, web.RequestPayloadError):
            logger.debug("a client sent a body that is not HTTP: %s", " ".join(str(error).split()))
        else:
            super().log_exception(*args, **kw)


class ConnectionServer(web.Server):
    """Makes a `Connection` for each client, and holds what they share."""

    def __init__(self, handler: Any, dispatcher: Dispatcher, settings: HttpSettings, date: DateHeader) -> None:
        super().__init__(handler, handler_cancellation=True)
        self.dispatcher = dispatcher
        self.settings = settings
        self.date = date

    def __call__(self) -> RequestHandler:
        """The connection for a new client."""
        return Connection(
            self,
            loop=self._loop,
            access_log=None,
            keepalive_timeout=self.settings.keep_alive_s,
            max_line_size=self.settings.head_bytes_max,
            max_field_size=self.settings.head_bytes_max,
            max_headers=_HEADERS_MAX,
        )


class _Body:
    """A body that came with its head."""

    __slots__ = ("_body",)

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __call__(self, bytes_max: int) -> bytes:
        if len(self._body) > bytes_max:
            raise body_too_large(bytes_max)
        return self._body


def body_too_large(bytes_max: int) -> TooLarge:
    """The error for a body over the limit."""
    return TooLarge(
        f"the body is larger than {bytes_max} bytes; http.body_bytes_max in the agent's configuration "
        "is the limit",
        limit_bytes=bytes_max,
    )


def _refuse(transport: asyncio.Transport, connections_max: int) -> None:
    text = (
        f"http.connections_max is reached: {connections_max} connections are open. Try again in 5s, close idle "
        "ones, or raise http.connections_max in the agent's configuration.\n"
    ).encode()
    transport.write(_FULL % (len(text), text))
    transport.close()

"""One client's connection: aiohttp's protocol, with a short way for requests whose head is known.

Theory of operation. aiohttp parses, orders and limits whatever comes; that is the long way. Programs send the same
few heads again and again, though. After the long way has understood a head that came alone in its packet, its
bytes are remembered with their meaning (`Dispatcher.known`). When a whole request arrives in one packet, its head
is known, and nothing is under way on the connection, the handler is called at once and the response written
without aiohttp. So the short way never parses: it only recognises what aiohttp's parser has accepted before.

    idle ──a known request, answered at once──▶ idle
    idle ──a known request, answered later────▶ busy ──answered──▶ idle; what arrived meanwhile is taken up then
    idle ──anything else──▶ long way ──if exactly one request has gone in, to its end──▶ idle
                                     ──otherwise──▶ long way, for the rest of the connection
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from regista.model import TooLarge
from regista.protocols.http.dispatch import Dispatcher, Head, failure_response, no_body
from regista.protocols.http.messages import Response
from regista.protocols.http.settings import HttpSettings
from regista.protocols.http.traffic import USER_AGENT_CHARACTERS_MAX, Clients, ClientTraffic
from regista.protocols.http.wire import DateHeader, encode_response

logger = logging.getLogger(__name__)

_HEADERS_MAX = 128
_HEAD_END = b"\r\n\r\n"

_HELD_BYTES_MAX = 64 * 1024
"""What a client may send ahead while it is being answered, before it is no longer read."""

_END_S = 0.05
"""What aiohttp gets to end a connection that has had its time, or has nothing under way."""

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 5\r\n"
    b"X-Regista-Limit: http.connections_max\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
)


class Connection(RequestHandler):
    """A client's connection; see the page above."""

    __slots__ = (
        "_agent",
        "_answering",
        "_before_count",
        "_counts",
        "_fed_bytes",
        "_held",
        "_is_between",
        "_peer",
        "_raw_head",
        "_server",
        "_under_way",
    )

    def __init__(self, server: ConnectionServer, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        self._answering: asyncio.Task[None] | None = None
        self._held = b""
        # Whether aiohttp's parser stands between two requests, so that the next byte begins one.
        self._is_between = True
        # Since it last did: how many bytes it got, and how many requests it had seen before them.
        self._fed_bytes = 0
        self._before_count = 0
        self._raw_head = b""
        self._peer = ""
        # Since they were taken last: requests, bytes of answers, answers that were waited for.
        self._counts = [0, 0, 0]
        self._agent: str | None = None
        self._under_way: Head | None = None

    # ---- life ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the client on, or refuses one too many."""
        server = self._server
        if server.connection_count >= server.settings.connections_max:
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
        if self._agent is not None:
            self._server.clients.add(self.take_traffic())
        super().connection_lost(exc)

    def close(self) -> None:
        """Ends the connection after what is being answered."""
        if self._answering is None:
            super().close()
        else:
            self._close = True

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - aiohttp's signature
        """Ends the connection; waits so long for what is being answered."""
        self.close()
        self._force_close = True
        under_way = self._task_handler if self._request_in_progress else self._answering
        if under_way is not None:
            await asyncio.wait((under_way,), timeout=timeout)
            under_way.cancel()
        # It would wait as long again, twice.
        await super().shutdown(_END_S)

    def _process_keepalive(self) -> None:
        """Ends an idle connection; one that waits for its answer, or takes long to read it, is not idle."""
        if self._answering is None and not self._paused:
            super()._process_keepalive()
        else:
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
            self._keepalive_handle = self._loop.call_at(self._next_keepalive_close_time, self._process_keepalive)

    # ---- requests ----

    def data_received(self, data: bytes) -> None:
        """Takes what the client sent the short way or the long."""
        if not data:
            super().data_received(data)  # aiohttp asks itself to go on with what it has
        elif self._answering is not None or self._held:
            self._hold(data)
        elif not self._is_between:
            self._fed_bytes += len(data)
            super().data_received(data)
        elif self._waiter is None:
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
        self.begin(head)
        outcome = self._server.dispatcher.call(head, _Body(body) if body else no_body, self._peer)
        if isinstance(outcome, Response):
            self._write(outcome, head)
        else:
            self._answering = self._loop.create_task(self._answer(outcome, head))
        return True

    async def _answer(self, outcome: Awaitable[Response], head: Head) -> None:
        try:
            response = await self._server.dispatcher.settled(outcome, head)
        except asyncio.CancelledError:
            # The client has gone; or the handler gave up, which ends the connection on the long way too.
            self.force_close()
            raise
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
        try:
            encoded = self._encoded(response, head)
        except ValueError as error:
            encoded = self._encoded(failure_response(error, head), head)
        self.end(head, len(encoded))
        self.transport.write(encoded)
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout

    def _encoded(self, response: Response, head: Head) -> bytes:
        return encode_response(
            response,
            accepts_gzip=head.accepts_gzip,
            is_head=head.method == "HEAD",
            date=self._server.date.text(),
        )

    # ---- counting ----

    def begin(self, head: Head) -> None:
        """Notes that a request is being answered."""
        self._under_way = head
        if self._agent is None:
            self._agent = head.headers.get("User-Agent", "")[:USER_AGENT_CHARACTERS_MAX]

    def end(self, head: Head, sent_bytes: int) -> None:
        """Notes that a request has its answer."""
        counts = self._counts
        counts[0] += 1
        counts[1] += sent_bytes
        if head.waits:
            counts[2] += 1
        self._under_way = None

    def take_traffic(self) -> ClientTraffic:
        """What happened since the last call, see `traffic`."""
        (requests, sent_bytes, wake_ups), self._counts = self._counts, [0, 0, 0]
        waiting = int(self._under_way is not None and self._under_way.waits)
        return ClientTraffic(self._peer, self._agent or "", requests, sent_bytes, wake_ups, waiting)

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
        self._before_count = self._request_count
        self._is_between = False

    def finish_long_way(self, head: Head | None, *, content_length: int) -> None:
        """Says that the response to a request is ready whose body has arrived to its end.

        Only for a request of which the same bytes would mean the same once more: nothing about this connection.

        Args:
            head: how the request was understood; None if it need not be remembered.
        """
        raw = self._raw_head
        # The lengths alone would not do: other requests and parts of them may add up to the same.
        is_only_one = self._request_count == self._before_count + 1
        if is_only_one and raw and self._fed_bytes == len(raw) + content_length:
            self._is_between = True
            if head is not None:
                self._server.dispatcher.learn(raw, head)
        self._raw_head = b""

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
        self.clients = Clients(settings.clients_max)

    def busiest(self, by: Callable[[ClientTraffic], int], count: int) -> list[ClientTraffic]:
        """The first clients by a figure, those whose connections are open included."""
        return self.clients.report(
            (each for each in self._connections if isinstance(each, Connection)), by=by, count=count
        )

    @property
    def connection_count(self) -> int:
        """How many connections are open; unlike `connections`, this makes no list of them."""
        return len(self._connections)

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

"""The HTTP server: aiohttp's low-level one, without its router and application.

Why it is this one, see `docs/decisions/0003-http-stack.md`. It reads heads and bodies within limits, keeps
pipelined requests in order, and cancels a handler whose client has gone; what a request means is the doors'.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Mapping

from aiohttp import HttpVersion11, web

from regista.model import BadInput
from regista.protocols.http.bodies import body_reader
from regista.protocols.http.connection import Connection, ConnectionServer
from regista.protocols.http.dispatch import Dispatcher, failure_response
from regista.protocols.http.messages import ByteStream, Headers, Response, text_response
from regista.protocols.http.overload import Overload
from regista.protocols.http.responses import ResponseCache, no_responses
from regista.protocols.http.routes import RouteTable
from regista.protocols.http.settings import HttpSettings
from regista.protocols.http.traffic import ClientTraffic
from regista.protocols.http.wire import DateHeader, accepts_gzip, all_headers, header_lines

logger = logging.getLogger(__name__)

_BACKLOG = 2048

_ABOUT_ONE_REQUEST = ("Content-Encoding", "Expect", "Transfer-Encoding", "Upgrade")
"""A head with one of these is understood anew each time: it is about the connection, or how the body is packed."""


class HttpServer:
    """Serves the routes on any number of addresses.

    Args:
        wall_clock: seconds since the epoch, for the `Date` header.
        responses: where responses are kept that last; None to keep none.
        response_headers: those that every response has besides its own.
    """

    def __init__(
        self,
        routes: RouteTable,
        settings: HttpSettings,
        *,
        wall_clock: Callable[[], float],
        responses: ResponseCache | None = None,
        response_headers: Headers = (),
    ) -> None:
        self.responses = no_responses() if responses is None else responses
        self._dispatcher = Dispatcher(routes, response_headers)
        self._settings = settings
        self._date = DateHeader(wall_clock)
        self._server: ConnectionServer | None = None
        self._sockets: list[socket.socket] = []
        self._listeners: list[asyncio.Server] = []

    def bind(self, address: str, port: int, *, is_shared: bool = False) -> str:
        """Takes an address without answering on it yet; the real one as `host:port`.

        Args:
            is_shared: whether others of this user's processes may listen at it too, see `listening_socket`.

        Raises:
            OSError: it can't be had.
        """
        if is_shared and port:
            # Another agent that shares its address with its own must not get half of this one's clients.
            listening_socket(address, port).close()
        listening = listening_socket(address, port, is_shared=is_shared)
        self._sockets.append(listening)
        host, bound_port = listening.getsockname()[:2]
        return f"[{host}]:{bound_port}" if ":" in address else f"{host}:{bound_port}"

    def adopt(self, listening: socket.socket) -> None:
        """Takes a socket that is bound, and will answer on it."""
        self._sockets.append(listening)

    async def stand_in(self, listening: socket.socket) -> Callable[[], None]:
        """Answers on a socket that is bound for as long as the returned function is not called."""
        assert self._server is not None
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(self._server, sock=listening.dup(), backlog=_BACKLOG)
        self._listeners.append(listener)

        def stop() -> None:
            self._listeners.remove(listener)
            listener.close()

        return stop

    async def start(self) -> None:
        """Begins to answer on every address that was bound."""
        self._server = ConnectionServer(self._handle, self._dispatcher, self._settings, self._date, self.responses)
        loop = asyncio.get_running_loop()
        for listening in self._sockets:
            self._listeners.append(await loop.create_server(self._server, sock=listening, backlog=_BACKLOG))

    def stop_accepting(self) -> None:
        """Takes no new connection; open ones go on."""
        for listener in self._listeners:
            listener.close()

    async def close(self, grace_s: float) -> None:
        """Answers what is in flight, for `grace_s` at the most, then closes every connection."""
        self.stop_accepting()
        if self._server is not None:
            self._server.pre_shutdown()
            await self._server.shutdown(grace_s)
            if unanswered := self._server.unanswered_count:
                logger.warning(
                    "requests not answered within %gs of the stop, and cut off: %d", grace_s, unanswered
                )

    def also_dispatching(self, table: RouteTable) -> Dispatcher:
        """A dispatcher for requests that come another way, whose refusals are counted with this server's."""
        dispatcher = Dispatcher(table)
        dispatcher.refused = self._dispatcher.refused
        return dispatcher

    def shed(self, overload: Overload) -> None:
        """Refuses from now on what this says is too much."""
        self._dispatcher.overload = overload

    def busiest(self, by: Callable[[ClientTraffic], int], count: int) -> tuple[list[ClientTraffic], int]:
        """The first clients by a figure; and how many requests each that is not known may have made."""
        if self._server is None:
            return [], 0
        return self._server.busiest(by, count), self._server.clients.unlisted_requests_max

    @property
    def connection_count(self) -> int:
        """How many connections are open."""
        return self._server.connection_count if self._server else 0

    @property
    def refused(self) -> Mapping[str, int]:
        """How often a limit was the reason to refuse a request, by the limit's name."""
        return self._dispatcher.refused

    @property
    def stalled_count(self) -> int:
        """How many clients took nothing of what they were sent for too long, and lost their connection."""
        return self._server.stalled_count if self._server else 0

    @property
    def requests_count(self) -> int:
        """How many requests were begun since the start."""
        return self._server.requests_count if self._server else 0

    async def _handle(self, carried: web.BaseRequest) -> web.StreamResponse:
        """The long way: a request that aiohttp has parsed."""
        if carried._version.major != 1:  # noqa: SLF001 - see `_other_version`
            response = _other_version(carried)
        else:
            try:
                response = await self._respond(carried)
            except BadInput as error:
                response = failure_response(error)
        date = self._date.text()
        if response.stream is not None:
            return await _carry_stream(carried, response, response.stream, date)
        try:
            return _carry(carried, response, date)
        except ValueError as error:
            return _carry(carried, failure_response(error), date)

    async def _respond(self, carried: web.BaseRequest) -> Response:
        target = carried.raw_path
        if not target.startswith("/"):
            # Absolute form, as sent to proxies (RFC 9112, 3.2.2).
            target = carried.rel_url.raw_path_qs
        content_length = carried.content_length or 0
        connection = carried.protocol
        assert isinstance(connection, Connection)
        found = self._dispatcher.understand(carried.method, target, carried.headers, content_length)
        if isinstance(found, Response):
            head, response = None, found
        else:
            head = found
            connection.begin(head)
            refusal = connection.refusal(head)
            body = body_reader(carried, connection, self._settings)
            outcome = refusal or self._dispatcher.call(head, body, carried.remote or "", connection)
            response = outcome if isinstance(outcome, Response) else await self._dispatcher.settled(outcome, head)
            connection.end(head, len(response.body))
        if response.stream is None and _is_repeatable(carried) and carried.content.is_eof():
            connection.finish_long_way(head, content_length=content_length)
        return response


def listening_socket(address: str, port: int, *, is_shared: bool = False) -> socket.socket:
    """A socket that has an address, and does not listen yet.

    Args:
        is_shared: whether other sockets of this user's may have it too, each a share of the clients.

    Raises:
        OSError: it can't be had.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listening.bind((address, port))
    except OSError:
        listening.close()
        raise
    return listening


def _other_version(carried: web.BaseRequest) -> Response:
    """The response to a request in a version of HTTP that is not spoken here.

    Source: RFC 9110, 2.5 and 15.6.6.
    """
    version = carried._version  # noqa: SLF001 - asked in public, it would stay what it is
    carried._version = HttpVersion11  # noqa: SLF001 - or aiohttp would answer as if it spoke the other one
    return text_response(
        505,
        f"The request can't be answered: this port speaks HTTP/1.1 and HTTP/1.0, not HTTP/{version.major}."
        f"{version.minor}; send one of these as the version.",
        (("Connection", "close"),),
        is_last=True,
    )


def _is_repeatable(carried: web.BaseRequest) -> bool:
    """Whether the same bytes would mean the same at any other time and on any other connection."""
    return (
        carried.version == HttpVersion11
        and carried.keep_alive
        and all(value.lower() == "keep-alive" for value in carried.headers.getall("Connection", ()))
        and not any(name in carried.headers for name in _ABOUT_ONE_REQUEST)
    )


async def _carry_stream(
    carried: web.BaseRequest, response: Response, stream: ByteStream, date: str
) -> web.StreamResponse:
    """Sends the head at once, and each part as it comes, until the stream ends or the client has gone."""
    headers, _ = all_headers(response, accepts_gzip=False, date=date)
    sent = web.StreamResponse(status=response.status)
    sent.headers.clear()
    sent.headers.extend((name, value) for name, value in headers if name != "Content-Length")
    async with contextlib.aclosing(stream):
        with contextlib.suppress(ConnectionError):
            await sent.prepare(carried)
            if carried.method != "HEAD":
                async for part in stream:
                    await sent.write(part)
            await sent.write_eof()
    return sent


def _carry(carried: web.BaseRequest, response: Response, date: str) -> web.Response:
    """The response in aiohttp's form.

    Raises:
        ValueError: it has a header that can't be sent.
    """
    takes_gzip = accepts_gzip(carried.headers.get("Accept-Encoding", ""))
    headers, body = all_headers(response, accepts_gzip=takes_gzip, date=date)
    header_lines(headers)  # only to raise: aiohttp would end the connection without a word
    sent = web.Response(body=body, status=response.status)
    # aiohttp would call a body without a type application/octet-stream.
    sent.headers.clear()
    sent.headers.extend(headers)
    if response.is_last:
        sent.force_close()
    return sent

"""The HTTP server: aiohttp's low-level one, without its router and application.

Why it is this one, see `docs/decisions/0003-http-stack.md`. It reads heads and bodies within limits, keeps
pipelined requests in order, and cancels a handler whose client has gone; what a request means is the doors'.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable

from aiohttp import HttpVersion11, web

from regista.model import BadInput
from regista.protocols.http.connection import Connection, ConnectionServer, body_too_large
from regista.protocols.http.dispatch import Dispatcher, failure_response
from regista.protocols.http.messages import BodyReader, Response
from regista.protocols.http.routes import RouteTable
from regista.protocols.http.settings import HttpSettings
from regista.protocols.http.wire import DateHeader, accepts_gzip, all_headers

_BACKLOG = 2048

_ABOUT_THE_CONNECTION = ("Expect", "Upgrade", "Transfer-Encoding")
"""A head with one of these is understood anew each time."""


class HttpServer:
    """Serves the routes on any number of addresses.

    Args:
        wall_clock: seconds since the epoch, for the `Date` header.
    """

    def __init__(self, routes: RouteTable, settings: HttpSettings, *, wall_clock: Callable[[], float]) -> None:
        self._dispatcher = Dispatcher(routes)
        self._settings = settings
        self._date = DateHeader(wall_clock)
        self._server: ConnectionServer | None = None
        self._sockets: list[socket.socket] = []
        self._listeners: list[asyncio.Server] = []

    def bind(self, address: str, port: int) -> str:
        """Takes an address without answering on it yet; the real one as `host:port`.

        Raises:
            OSError: it can't be had.
        """
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind((address, port))
        except OSError:
            listening.close()
            raise
        self._sockets.append(listening)
        host, bound_port = listening.getsockname()[:2]
        return f"[{host}]:{bound_port}" if family == socket.AF_INET6 else f"{host}:{bound_port}"

    async def start(self) -> None:
        """Begins to answer on every address that was bound."""
        self._server = ConnectionServer(self._handle, self._dispatcher, self._settings, self._date)
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

    @property
    def connection_count(self) -> int:
        """How many connections are open."""
        return len(self._server.connections) if self._server else 0

    async def _handle(self, carried: web.BaseRequest) -> web.StreamResponse:
        """The long way: a request that aiohttp has parsed."""
        try:
            response = await self._respond(carried)
        except BadInput as error:
            response = failure_response(error)
        return _carry(carried, response)

    async def _respond(self, carried: web.BaseRequest) -> Response:
        target = carried.raw_path
        if not target.startswith("/"):
            # Absolute form, as sent to proxies (RFC 9112, 3.2.2).
            target = carried.rel_url.raw_path_qs
        content_length = carried.content_length or 0
        head = self._dispatcher.understand(carried.method, target, carried.headers, content_length)
        if isinstance(head, Response):
            return head
        outcome = self._dispatcher.call(head, _reader(carried), carried.remote or "")
        response = outcome if isinstance(outcome, Response) else await self._dispatcher.settled(outcome, head)
        connection = carried.protocol
        assert isinstance(connection, Connection)
        is_repeatable = (
            carried.version == HttpVersion11
            and carried.keep_alive
            and carried.headers.get("Connection", "keep-alive").lower() == "keep-alive"
            and not any(name in carried.headers for name in _ABOUT_THE_CONNECTION)
        )
        connection.finish_long_way(head, is_repeatable=is_repeatable)
        return response


def _reader(carried: web.BaseRequest) -> BodyReader:
    """Reads a body as it arrives."""

    async def read(bytes_max: int) -> bytes:
        declared = carried.content_length
        if declared is not None and declared > bytes_max:
            raise body_too_large(bytes_max)
        parts: list[bytes] = []
        size = 0
        try:
            async for part in carried.content.iter_any():
                size += len(part)
                if size > bytes_max:
                    raise body_too_large(bytes_max)
                parts.append(part)
        except web.RequestPayloadError as error:
            raise BadInput(f"the body can't be read: {error}") from error
        return b"".join(parts)

    return read


def _carry(carried: web.BaseRequest, response: Response) -> web.Response:
    """The response in aiohttp's form."""
    headers, body = all_headers(response, accepts_gzip=accepts_gzip(carried.headers.get("Accept-Encoding", "")))
    sent = web.Response(body=body, status=response.status)
    if not response.content_type:
        # aiohttp would call it application/octet-stream.
        with contextlib.suppress(KeyError):
            del sent.headers["Content-Type"]
    for name, value in headers:
        sent.headers[name] = value
    return sent

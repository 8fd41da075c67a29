"""The HTTP server: aiohttp's low-level one, without its router and application.

Why it is this one, see `docs/decisions/0003-http-stack.md`. It reads heads and bodies within limits, keeps
pipelined requests in order, and cancels a handler whose client has gone; what a request means is the doors'.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import logging
import socket
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from regista.model import BadInput, RegistaError, TooLarge
from regista.protocols.http.errors import error_response
from regista.protocols.http.messages import Parameters, Request, Response, text_response
from regista.protocols.http.routes import RouteTable
from regista.protocols.http.settings import HttpSettings

logger = logging.getLogger(__name__)

GZIP_BYTES_MIN = 1400
"""Below one packet there is nothing to win. Source: Consul 1.9 (behaviour)."""

_HEADERS_MAX = 128
_BACKLOG = 2048

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 5\r\n"
    b"X-Regista-Limit: http.connections_max\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b"
)


class _Connection(RequestHandler):
    """aiohttp's protocol, refusing one connection too many."""

    __slots__ = ()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        server = self._manager
        assert isinstance(server, _Server)
        if len(server.connections) >= server.connections_max:
            # An assertion would not do: uvloop's transports are no subclass of asyncio's.
            transport = cast("asyncio.Transport", transport)
            text = (
                f"http.connections_max is reached: {server.connections_max} connections are open. Try again in "
                "5s, close idle ones, or raise http.connections_max in the agent's configuration.\n"
            ).encode()
            transport.write(_FULL % (len(text), text))
            transport.close()
            self._manager = None  # makes connection_lost, which will follow, do nothing
            self._force_close = True
            return
        super().connection_made(transport)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Keeps what a client sent that is no HTTP from filling the log with tracebacks."""
        error = kw.get("exc_info")
        if isinstance(error, HttpProcessingError | web.RequestPayloadError):
            logger.debug("a client sent what is not HTTP: %s", " ".join(str(error).split()))
        else:
            super().log_exception(*args, **kw)


class _Server(web.Server):
    """Makes a `_Connection` for each client."""

    connections_max = 0
    protocol_options: dict[str, float | int]

    def __call__(self) -> RequestHandler:
        return _Connection(self, loop=self._loop, access_log=None, **self.protocol_options)  # type: ignore[arg-type]  # plain numbers, by name


class HttpServer:
    """Serves the routes on any number of addresses."""

    def __init__(self, routes: RouteTable, settings: HttpSettings) -> None:
        self._routes = routes
        self._settings = settings
        self._server: _Server | None = None
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
        settings = self._settings
        self._server = _Server(self._handle, handler_cancellation=True)
        self._server.connections_max = settings.connections_max
        self._server.protocol_options = {
            "keepalive_timeout": settings.keep_alive_s,
            "max_line_size": settings.head_bytes_max,
            "max_field_size": settings.head_bytes_max,
            "max_headers": _HEADERS_MAX,
        }
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
        try:
            response = await self._respond(carried)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except RegistaError as error:
            response = error_response(error)
        except Exception:
            logger.exception("%s %s failed", carried.method, carried.path)
            response = text_response(
                500, "Internal error: the agent's log has the details. Please report it; trying again may help."
            )
        return _carry(carried, response)

    async def _respond(self, carried: web.BaseRequest) -> Response:
        request = self._decode(carried)
        found = self._routes.find(request)
        if isinstance(found, Response):
            return found
        outcome = found(request)
        return outcome if isinstance(outcome, Response) else await outcome

    def _decode(self, carried: web.BaseRequest) -> Request:
        target = carried.raw_path
        if not target.startswith("/"):
            # Absolute form, as sent to proxies (RFC 9112, 3.2.2).
            target = carried.rel_url.raw_path_qs
        raw_path, _, query = target.partition("?")
        try:
            path = unquote_to_bytes(raw_path).decode() if "%" in raw_path else raw_path
        except UnicodeDecodeError as error:
            raise BadInput("the path is not UTF-8 once its escapes are undone") from error
        if not path.isprintable():
            raise BadInput("the path has characters that can't be printed")

        async def body(bytes_max: int) -> bytes:
            return await _read(carried, bytes_max)

        return Request(carried.method, path, Parameters(query), carried.headers, body, client=carried.remote or "")


async def _read(carried: web.BaseRequest, bytes_max: int) -> bytes:
    declared = carried.content_length
    too_large = TooLarge(
        f"the body is larger than {bytes_max} bytes; http.body_bytes_max in the agent's configuration "
        "is the limit",
        limit_bytes=bytes_max,
    )
    if declared is not None and declared > bytes_max:
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async for part in carried.content.iter_any():
            size += len(part)
            if size > bytes_max:
                raise too_large
            parts.append(part)
    except web.RequestPayloadError as error:
        raise BadInput(f"the body can't be read: {error}") from error
    return b"".join(parts)


def _carry(carried: web.BaseRequest, response: Response) -> web.Response:
    """The response in aiohttp's form, compressed if that is wanted and worth it."""
    body = response.body
    headers = [("Vary", "Accept-Encoding"), ("Server", "Regista"), *response.headers]
    if response.content_type:
        headers.append(("Content-Type", response.content_type))
    if len(body) >= GZIP_BYTES_MIN and _accepts_gzip(carried.headers.get("Accept-Encoding", "")):
        body = response.gzipped() if response.gzipped else gzip.compress(body, compresslevel=1, mtime=0)
        headers.append(("Content-Encoding", "gzip"))
    sent = web.Response(body=body, status=response.status)
    if not response.content_type:
        # aiohttp would call it application/octet-stream.
        with contextlib.suppress(KeyError):
            del sent.headers["Content-Type"]
    for name, value in headers:
        sent.headers[name] = value
    return sent


def _accepts_gzip(header: str) -> bool:
    """Whether the client takes gzip (RFC 9110, 12.5.3); `gzip;q=0` is a refusal."""
    for part in header.split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            weight = parameters.replace(" ", "").lower()
            return not (weight.startswith("q=0") and not weight.strip("q=0."))
    return False

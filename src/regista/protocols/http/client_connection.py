"""What a client's connection is to the rest of the server: whose it is, what it counts, whether it is read.

How requests come to their answers is `connection`'s.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import sys
import termios
from typing import Any, Protocol

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from regista.protocols.http.dispatch import Dispatcher, Head
from regista.protocols.http.messages import Watching
from regista.protocols.http.settings import HttpSettings
from regista.protocols.http.stalling import Stalling
from regista.protocols.http.traffic import USER_AGENT_CHARACTERS_MAX, ClientTraffic
from regista.protocols.http.unreadable import explain

logger = logging.getLogger(__name__)

HEADERS_MAX = 128


class Shared(Protocol):
    """What all connections of a server have in common, as far as it is used here."""

    dispatcher: Dispatcher
    settings: HttpSettings
    stalled_count: int
    unanswered_count: int


class ClientConnection(RequestHandler):
    """A client's connection, for whoever asks who it is and what it does."""

    __slots__ = (
        "_agent",
        "_answering",
        "_counts",
        "_peer",
        "_port",
        "_shared",
        "_stalling",
        "_under_way",
        "watching",
    )

    def __init__(self, server: Any, **options: Any) -> None:
        super().__init__(server, **options)
        self._shared: Shared = server
        self._answering: asyncio.Task[None] | None = None
        self._peer = ""
        self._port = 0
        # Since they were taken last: requests, bytes of answers, answers that were waited for.
        self._counts = [0, 0, 0]
        self._agent: str | None = None
        self._under_way: Head | None = None
        # While the client does not keep up with what it is sent.
        self._stalling: Stalling | None = None
        self.watching: Watching | None = None

    def note_peer(self, transport: asyncio.BaseTransport) -> None:
        """Takes notice of who is at the other end."""
        peer = transport.get_extra_info("peername")
        self._peer, self._port = peer[:2] if isinstance(peer, tuple) else ("", 0)

    def pause_writing(self) -> None:
        """Notes that the client does not keep up with what it is sent."""
        super().pause_writing()
        if self._stalling is None and self.transport is not None:
            stall_s = self._shared.settings.stream_stall_s
            self._stalling = Stalling(self._left_bytes, loop=self._loop, stall_s=stall_s, on_stalled=self._cut_off)

    def resume_writing(self) -> None:
        """Notes that the client has caught up."""
        super().resume_writing()
        self._stop_stalling()

    def _stop_stalling(self) -> None:
        if self._stalling is not None:
            self._stalling.stop()
            self._stalling = None

    def _cut_off(self) -> None:
        """Ends the connection of a client that takes nothing."""
        what = "answer" if self._answering is None else "stream"
        self._shared.stalled_count += 1
        logger.info(
            "a client took nothing of its %s for %gs: %s", what, self._shared.settings.stream_stall_s, self.remote
        )
        if self.transport is not None:
            self.transport.abort()

    def end_without_rest(self) -> None:
        """See `Carrying`."""
        # aiohttp would read on for a while, so that the response is not lost: here all that came has been read.
        self._lingering_time = 0.0

    # ---- counting ----

    def begin(self, head: Head) -> None:
        """Notes that a request is being answered."""
        self._under_way = head
        if self._agent is None:
            self._agent = agent_of(head)

    def end(self, head: Head, sent_bytes: int) -> None:
        """Notes that a request has its answer."""
        counts = self._counts
        counts[0] += 1
        counts[1] += sent_bytes
        if head.waits:
            counts[2] += 1
        self._under_way = None

    @property
    def client(self) -> tuple[str, str]:
        """Address and program."""
        return self._peer, self._agent or ""

    @property
    def remote(self) -> str:
        """Address and port."""
        return f"[{self._peer}]:{self._port}" if ":" in self._peer else f"{self._peer}:{self._port}"

    @property
    def unacknowledged_bytes(self) -> int:
        """See `Peer`; where the system does not tell, what it has taken counts as acknowledged."""
        if self.transport is None or self.transport.is_closing():
            return sys.maxsize
        return self._left_bytes()

    def _left_bytes(self) -> int:
        """How much of what was sent has not arrived; only while there is a transport."""
        assert self.transport is not None
        descriptor = self.transport.get_extra_info("socket").fileno()
        return self.transport.get_write_buffer_size() + _unacknowledged(descriptor)

    def take_traffic(self) -> ClientTraffic:
        """What happened since the last call, see `traffic`."""
        (requests, sent_bytes, wake_ups), self._counts = self._counts, [0, 0, 0]
        waiting = int(self._under_way is not None and self._under_way.waits)
        return ClientTraffic(self._peer, self._agent or "", requests, sent_bytes, wake_ups, waiting)

    # ---- what is no HTTP ----

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
        logger.debug("a client sent what is not HTTP: %s", " ".join((message or str(exc)).split()))
        told = explain(exc, line_bytes_max=self.max_line_size, headers_max=HEADERS_MAX)
        headers = {"Server": "Regista"}
        if told.is_too_long:
            self._shared.dispatcher.refused["http.head_bytes_max"] += 1
            headers |= {
                "X-Regista-Limit": "http.head_bytes_max",
                "X-Regista-Limit-Max": str(self.max_line_size),
            }
        response = web.Response(status=told.status, text=told.text, headers=headers)
        response.force_close()
        return response

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """Keeps broken bodies from filling the log with tracebacks."""
        error = kw.get("exc_info")
        if isinstance(error, web.RequestPayloadError):
            logger.debug("a client sent a body that is not HTTP: %s", " ".join(str(error).split()))
        else:
            super().log_exception(*args, **kw)


def agent_of(head: Head) -> str:
    """The program that sent a head, as it calls itself."""
    return head.headers.get("User-Agent", "")[:USER_AGENT_CHARACTERS_MAX]


def _unacknowledged(descriptor: int) -> int:
    """How many bytes a socket has taken that its peer has not acknowledged."""
    try:
        return int.from_bytes(fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:
        return 0

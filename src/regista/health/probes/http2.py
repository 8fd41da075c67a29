"""The HTTP/2 client of the gRPC check and of the ping: one connection, one conversation, and nothing kept.

The `h2` library knows the protocol and does no I/O; here are the connection, and the limits on what a target may
do to the agent. What is said, and when enough was heard, is up to a `Conversation`.
"""

from __future__ import annotations

import asyncio
import os
import re
from typing import Protocol, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, Event
from h2.exceptions import H2Error, NoSuchStreamError, StreamIDTooLowError

from regista.health.probes.dial import Tls, dialled
from regista.health.probes.faults import ProbeFailed, is_own_fault

ALPN = "h2"

_CONFIGURATION = H2Configuration(client_side=True, header_encoding=None)

_BYTES_MAX = 32 * 1024
"""A health answer or a ping has some 200 bytes with all around it; the longest error texts have 8 KiB."""

_EVENTS_MAX = 256
"""An answer has about ten; a flood of small frames costs the agent some 20 µs for each."""

_SLICE_BYTES = 1024
"""Read at a time, so that a flood is noticed after about a hundred frames."""

_DEBUG_BYTES_MAX = 200
"""A server's reason to go is a few words."""

_MEMORY = re.compile(r":? *<memory at 0x[0-9a-f]+>")
"""What hpack's errors show of the bytes, another address each time."""

_HEADER_BYTES = 9
_SETTINGS = 4
"""RFC 9113, section 4.1 and 6.5: a frame's header, and the type of the frame that a server begins with."""

_OTHER_VERSION = "http2: server gave HTTP/1.x response to HTTP/2 client"
_OTHER_PROTOCOL = "http2: server does not speak HTTP/2, which begins with a SETTINGS frame"


class BrokenOff(ProbeFailed):
    """A conversation ended before all was heard."""


class Conversation(Protocol):
    """What is said to a target, and heard from it."""

    def begin(self, connection: H2Connection) -> None:
        """Says what there is to say; sent together with the connection's preface."""

    def note(self, event: Event) -> bool:
        """Takes what was heard, except for the end of the connection; True when that is all.

        Raises:
            BrokenOff: the target said that it won't go on.
        """


async def converse(
    conversation: Conversation,
    address: str,
    *,
    tls: Tls | None,
    timeout_s: float,
    is_alpn_required: bool = False,
) -> None:
    """Holds a conversation with `host:port` to its end.

    Args:
        is_alpn_required: over TLS, whether the target must have agreed to speak HTTP/2 before it is spoken to.

    Raises:
        Unreachable, HandshakeFailed: no connection came about.
        TimedOut: it took too long.
        BrokenOff: it ended before all was heard.
    """
    client = Client(conversation)
    async with dialled(client, address, tls=tls, timeout_s=timeout_s) as transport:
        if tls and is_alpn_required:
            chosen = transport.get_extra_info("ssl_object").selected_alpn_protocol() or ""
            if chosen != ALPN:
                raise BrokenOff(f'http2: unexpected ALPN protocol "{chosen}"; want "{ALPN}"')
        failure = await client.ended
    if failure is not None:
        raise failure


class Client(asyncio.Protocol):
    """The client's side of one connection.

    Attributes:
        ended: None when all was heard, else why not. A result in both cases, because nobody may be there to take
            an exception.

    Raises:
        BrokenOff: what is to be said can't be said over HTTP/2.
    """

    def __init__(self, conversation: Conversation) -> None:
        self.ended: asyncio.Future[BrokenOff | None] = asyncio.get_running_loop().create_future()
        self._conversation = conversation
        self._connection = H2Connection(_CONFIGURATION)
        self._transport: asyncio.Transport | None = None
        self._bytes = 0
        self._events = 0
        self._first = b""
        try:
            self._connection.initiate_connection()
            conversation.begin(self._connection)
        except H2Error as problem:
            raise BrokenOff(f"http2: {problem}") from problem

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Says all at once: a target need not be asked whether it listens."""
        # uvloop's transports are none by inheritance.
        self._transport = cast("asyncio.Transport", transport)
        self._transport.write(self._connection.data_to_send())

    def data_received(self, data: bytes) -> None:
        """Listens as long as it is worth it."""
        self._first += data[: _HEADER_BYTES - len(self._first)]
        if len(self._first) == _HEADER_BYTES and self._first[3] != _SETTINGS:
            # `h2` would wait for the end of the frame for which it takes what is none.
            is_http1 = self._first.startswith(b"HTTP/")
            self._end(BrokenOff(_OTHER_VERSION if is_http1 else _OTHER_PROTOCOL))
        for start in range(0, len(data), _SLICE_BYTES):
            if self.ended.done():
                return
            try:
                self._hear(data[start : start + _SLICE_BYTES])
            except BrokenOff as failure:
                self._end(failure)

    def connection_lost(self, exc: Exception | None) -> None:
        """Ends a conversation that has not come to its end."""
        self._transport = None
        if isinstance(exc, OSError) and exc.errno:
            self._end(BrokenOff(f"read: {os.strerror(exc.errno)}".lower(), is_own_fault=is_own_fault(exc)))
        else:
            self._end(BrokenOff(str(exc or "EOF")))

    def _hear(self, data: bytes) -> None:
        try:
            events = self._connection.receive_data(data)
        except (NoSuchStreamError, StreamIDTooLowError) as problem:
            raise BrokenOff(f"http2: a frame for stream {problem.stream_id}, which is not open") from problem
        except H2Error as problem:
            raise BrokenOff(f"http2: {_MEMORY.sub('', str(problem))}") from problem
        for event in events:
            if isinstance(event, ConnectionTerminated):
                raise BrokenOff(_goodbye(event))
            if self._conversation.note(event):
                self._end(None)
                return
        self._bytes += len(data)
        self._events += len(events)
        if self._bytes > _BYTES_MAX or self._events > _EVENTS_MAX:
            raise BrokenOff(f"http2: no answer within {self._events} frames and {self._bytes} bytes")
        # What the protocol wants to be said in return: acknowledgements of settings and pings.
        if self._transport is not None and (reply := self._connection.data_to_send()):
            self._transport.write(reply)

    def _end(self, failure: BrokenOff | None) -> None:
        if not self.ended.done():
            self.ended.set_result(failure)


def _goodbye(event: ConnectionTerminated) -> str:
    code = getattr(event.error_code, "name", event.error_code)
    debug = (event.additional_data or b"")[:_DEBUG_BYTES_MAX].decode("utf-8", "replace")
    return f'http2: server sent GOAWAY and closed the connection; ErrCode={code}, debug="{debug}"'

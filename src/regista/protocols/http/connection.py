"""One client's connection: aiohttp's protocol, with short ways for what clients send most.

Theory of operation. aiohttp parses, orders and limits whatever comes; that is the long way. Programs send the same
few heads again and again, though, and most heads are of one plain form. So when a whole request arrives in one
packet, and nothing is under way on the connection, it is looked for in this order:

1. Its bytes are in the response cache: the response is written, and nobody is asked (`responses`).
2. Its head's bytes were understood before (`Dispatcher.known`): the handler is called at once. Of requests that
   change something it is enough that all but the target is known (`Dispatcher.kindred`).
3. Its head is of the plain form (`plain_heads`): the same, and it is known from now on.

    idle ──such a request, answered at once──▶ idle
    idle ──such a request, answered later────▶ busy ──answered──▶ idle; what arrived meanwhile is taken up then
    idle ──anything else──▶ long way ──if exactly one request has gone in, to its end──▶ idle
                                     ──otherwise──▶ long way, for the rest of the connection

A client that takes nothing of what it is sent for too long is cut off, whichever way it was answered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, cast

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from regista.model import TooLarge
from regista.protocols.http.client_connection import HEADERS_MAX, ClientConnection, agent_of
from regista.protocols.http.crowding import Crowd, Extra
from regista.protocols.http.dispatch import KNOWN_HEAD_BYTES_MAX, Dispatcher, Head, failure_response, no_body
from regista.protocols.http.messages import ByteStream, Response
from regista.protocols.http.responses import ResponseCache
from regista.protocols.http.settings import HttpSettings
from regista.protocols.http.streaming import send_stream
from regista.protocols.http.traffic import Clients, ClientTraffic
from regista.protocols.http.wire import DateHeader, encode_response, response_form

logger = logging.getLogger(__name__)

_HEAD_END = b"\r\n\r\n"

_HELD_BYTES_MAX = 64 * 1024
"""What a client may send ahead while it is being answered, before it is no longer read."""

_END_S = 0.05
"""What aiohttp gets to end a connection that has had its time, or has nothing under way."""


class Encode(Protocol):
    """Makes the bytes of a response, see `encode_response`."""

    def __call__(self, response: Response, /, *, accepts_gzip: bool, is_head: bool, date: str) -> bytes:
        """The bytes."""


class Connection(ClientConnection):
    """A client's connection; see the page above."""

    __slots__ = (
        "_before_count",
        "_extra",
        "_fed_bytes",
        "_held",
        "_is_between",
        "_raw_head",
        "_server",
    )

    def __init__(self, server: ConnectionServer, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        self._held = b""
        # Whether aiohttp's parser stands between two requests, so that the next byte begins one.
        self._is_between = True
        # Since it last did: how many bytes it got, and how many requests it had seen before them.
        self._fed_bytes = 0
        self._before_count = 0
        self._raw_head = b""
        # While it is one too many.
        self._extra: Extra | None = None

    # ---- life ----

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Takes the client on, or refuses one too many; some more may say what they want first."""
        server = self._server
        others = server.connection_count
        if server.crowd.is_full(others):
            self._manager = None  # makes connection_lost, which will follow, do nothing
            self._force_close = True
            # An assertion would not do: uvloop's transports are no subclass of asyncio's.
            server.crowd.refuse(cast("asyncio.Transport", transport))
            return
        super().connection_made(transport)
        self.note_peer(transport)
        if not server.crowd.has_room(others):
            self._extra = Extra(server.crowd, self)

    def refusal(self, head: Head) -> Response | None:
        """Why a request is refused because its connection is one too many; None if it is to be answered."""
        if self._extra is None:
            return None
        if self._extra.is_over():
            self._extra.cancel()
            self._extra = None
            return None
        return self._extra.refusal(head.load)

    def is_under_way(self) -> bool:
        """See `Ending`."""
        return self._answering is not None or self._request_in_progress

    def has_asked(self) -> bool:
        """See `Ending`."""
        return self._agent is not None or not self._is_between

    def end_now(self, word: bytes = b"") -> None:
        """See `Ending`."""
        if word and self.transport is not None:
            self.transport.write(word)
        self._server.uncount(self)
        self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stops answering a client that has gone."""
        if self._extra is not None:
            self._extra.cancel()
        if self._answering is not None:
            # Not before it has begun: then it would not end what it was given to send.
            self._loop.call_soon(self._answering.cancel)
        self._stop_stalling()
        if self._agent is not None:
            self._server.clients.add(self.take_traffic())
        watching, self.watching = self.watching, None
        if watching is not None:
            watching.release()
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
            _, late = await asyncio.wait((under_way,), timeout=timeout)
            under_way.cancel()
            self._shared.unanswered_count += len(late)
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
        """Takes what the client sent one of the short ways or the long one."""
        if not data:
            super().data_received(data)  # aiohttp asks itself to go on with what it has
        elif self._answering is not None or self._held:
            self._hold(data)
        elif not self._is_between:
            self._fed_bytes += len(data)
            ending = self._close, self._force_close
            if self._request_in_progress and self.transport is not None:
                # aiohttp passes over all that comes once it is to end, the rest of the body too that it waits for.
                self._close = self._force_close = False
            super().data_received(data)
            self._close, self._force_close = ending[0] or self._close, ending[1] or self._force_close
        elif self._manager is None:
            pass  # it was refused
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
        server = self._server
        # A head that may be known; whatever is longer is not even looked at in the tables, which costs its length.
        if self._extra is None and len(data) <= KNOWN_HEAD_BYTES_MAX and self._take_from_cache(data):
            return True
        end = data.find(_HEAD_END, 0, KNOWN_HEAD_BYTES_MAX) + len(_HEAD_END)
        if end < len(_HEAD_END):
            return False
        raw, body = data[:end], data[end:]
        dispatcher = server.dispatcher
        head = dispatcher.known.get(raw) or server.responses.head(raw)
        is_known = head is not None
        if head is None:
            head = dispatcher.kindred(raw) or dispatcher.understand_plain(
                raw, line_bytes_max=server.settings.head_bytes_max
            )
        if head is None or head.content_length != len(body):
            return False
        server.requests_count += 1
        self.begin(head)
        refusal = self.refusal(head)
        outcome = refusal or dispatcher.call(head, _Body(body) if body else no_body, self._peer, self)
        if not isinstance(outcome, Response) or outcome.stream is not None:
            self._answering = self._loop.create_task(self._answer(outcome, head))
            return True
        self._write(outcome, head, is_new=not is_known)
        if outcome.lasting is not None and not head.waits and not body:
            server.keep(raw, head, outcome, is_known=is_known)
        return True

    def _take_from_cache(self, data: bytes) -> bool:
        """Answers a request whose response is ready; this is what look-ups do all day."""
        server = self._server
        entry = server.responses.find(data)
        if entry is None:
            return False
        server.requests_count += 1
        counts = self._counts
        counts[0] += 1
        counts[1] += len(entry.form)
        if self._agent is None:
            self._agent = agent_of(entry.head)
        assert self.transport is not None
        self.transport.write(entry.form.at(server.date.text()))
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        return True

    async def _answer(self, outcome: Response | Awaitable[Response], head: Head) -> None:
        try:
            dispatcher = self._server.dispatcher
            response = outcome if isinstance(outcome, Response) else await dispatcher.settled(outcome, head)
            if response.stream is not None:
                await self._send_stream(response, response.stream, head)
        except asyncio.CancelledError:
            # The client has gone; or the handler gave up, which ends the connection on the long way too.
            self.force_close()
            raise
        finally:
            self._answering = None
        if self.transport is None:
            return
        if response.stream is None:
            self._write(response, head)
        if self._close:
            super().close()
        else:
            self._take_up_held()

    async def _send_stream(self, response: Response, stream: ByteStream, head: Head) -> None:
        """Sends a body while it is made; what goes wrong then can only end the connection."""
        assert self.transport is not None
        sent_bytes = None
        if not self.transport.is_closing():
            # Each part goes to the system when it is written, so that whoever paces streams knows what that took,
            # and nothing is kept for a client but what the system did not take.
            self.transport.set_write_buffer_limits(high=0)
        write, date = self.transport.write, self._server.date.text()
        try:
            sent_bytes = await send_stream(
                response, stream, head, date=date, write=write, drain=self._drain_helper
            )
        finally:
            if sent_bytes is None:
                self.force_close()
            self.end(head, sent_bytes or 0)

    def _write(self, response: Response, head: Head, *, is_new: bool = False) -> None:
        """Sends the response.

        Args:
            is_new: whether nobody sent this head before, so that its bytes are hardly wanted a second time.
        """
        assert self.transport is not None
        encode = encode_response if is_new or response.forms is None else _encode_once
        try:
            encoded = self._encoded(response, head, encode)
        except ValueError as error:
            encoded = self._encoded(failure_response(error, head), head, encode_response)
        self.end(head, len(encoded))
        self.transport.write(encoded)
        if response.is_last:
            self.end_now()
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout

    def _encoded(self, response: Response, head: Head, encode: Encode) -> bytes:
        return encode(
            response,
            accepts_gzip=head.accepts_gzip,
            is_head=head.method == "HEAD",
            date=self._server.date.text(),
        )

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


class ConnectionServer(web.Server):
    """Makes a `Connection` for each client, and holds what they share."""

    def __init__(
        self,
        handler: Any,
        dispatcher: Dispatcher,
        settings: HttpSettings,
        date: DateHeader,
        responses: ResponseCache,
    ) -> None:
        super().__init__(handler, handler_cancellation=True)
        self.dispatcher = dispatcher
        self.responses = responses
        self.settings = settings
        self.date = date
        self.clients = Clients(settings.clients_max)
        self.stalled_count = 0
        self.unanswered_count = 0
        self.crowd = Crowd(settings, dispatcher.refused, connection_count=lambda: self.connection_count)

    def keep(self, raw: bytes, head: Head, response: Response, *, is_known: bool) -> None:
        """Keeps a response that lasts for the next who sends these bytes.

        Args:
            is_known: whether they were sent before.
        """
        responses = self.responses
        responses.misses_count += 1
        if is_known and response.lasting is not None:
            form = response_form(
                response,
                accepts_gzip=head.accepts_gzip,
                is_head=head.method == "HEAD",
                date=self.date.text(),
            )
            responses.keep(raw, head, form, response.lasting)

    def busiest(self, by: Callable[[ClientTraffic], int], count: int) -> list[ClientTraffic]:
        """The first clients by a figure, those whose connections are open included."""
        return self.clients.report(
            (each for each in self._connections if isinstance(each, Connection)), by=by, count=count
        )

    def uncount(self, connection: Connection) -> None:
        """No longer counts a connection, which is ending."""
        self._connections.pop(connection, None)

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
            max_headers=HEADERS_MAX,
            # See `packing`.
            auto_decompress=False,
        )


class _Body:
    """A body that came with its head."""

    __slots__ = ("_body",)

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def __call__(self, bytes_max: int) -> bytes:
        if len(self._body) > bytes_max:
            raise body_too_large(bytes_max, len(self._body))
        return self._body


def _encode_once(response: Response, *, accepts_gzip: bool, is_head: bool, date: str) -> bytes:
    """As `encode_response`, for a response that is given more than once."""
    return response_form(response, accepts_gzip=accepts_gzip, is_head=is_head, date=date).at(date)


def body_too_large(bytes_max: int, body_bytes: int) -> TooLarge:
    """The error for a body over the limit, of which so much was seen."""
    return TooLarge(
        f"the body is larger than {bytes_max} bytes; http.body_bytes_max in the agent's configuration "
        "is the limit",
        limit_bytes=bytes_max,
        limit="http.body_bytes_max",
        used=body_bytes,
    )

"""What becomes of a connection when as many are open as may be.

Some more are let in for a moment, each for one request, since only its head says what it is: a renewal, a
registration or an operator is answered, anything else is told why not. Those beyond these are told so at once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from regista.protocols.http.admission import SHED_ORDER, LoadClass
from regista.protocols.http.messages import Response, text_response
from regista.protocols.http.settings import HttpSettings

_CONNECTIONS_MAX = "http.connections_max"

_EXTRA_S = 1.0
"""How long a connection too many may be open: time for one request, over any distance."""

_REFUSAL_S = 1.0
"""How long a client that is refused at once may take to read why: one whose request arrives at a closed socket may
see a reset instead."""

_SERVED = SHED_ORDER[-1]
"""Of what may be refused for the load, this is let in all the same."""

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\nRetry-After: 5\r\n"
    b"X-Regista-Limit: http.connections_max\r\nX-Regista-Limit-Used: %d\r\nX-Regista-Limit-Max: %d\r\n"
    b"Connection: close\r\nContent-Length: %d\r\n\r\n%b"
)


class Ending(Protocol):
    """What this module needs of a connection."""

    def is_under_way(self) -> bool:
        """Whether a request is being answered."""

    def has_asked(self) -> bool:
        """Whether it has sent anything."""

    def end_now(self, word: bytes = b"", /) -> None:
        """Ends it once this was sent; from now on there is room for another."""


class Crowd:
    """Those for whom there is no room; one for all connections.

    Args:
        refused: where refusals are counted, by the limit's name.
        connection_count: how many are open.
        refusal_s: how long a client that is refused at once may take to read why.
    """

    def __init__(
        self,
        settings: HttpSettings,
        refused: Counter[str],
        *,
        connection_count: Callable[[], int],
        refusal_s: float = _REFUSAL_S,
    ) -> None:
        self.most = settings.connections_max
        self._reserve = settings.connections_reserve
        self._refusals_max = settings.refusals_max
        self._refused = refused
        self._connection_count = connection_count
        self._refusal_s = refusal_s
        self._lingering_count = 0

    def has_room(self, others: int) -> bool:
        """Whether there is room besides so many others."""
        return others < self.most

    def is_full(self, others: int) -> bool:
        """Whether there is not even room for a moment."""
        return others >= self.most + self._reserve

    def others(self) -> int:
        """How many connections are open besides one that is counted."""
        return self._connection_count() - 1

    def count_refusal(self) -> None:
        """Notes that somebody was refused."""
        self._refused[_CONNECTIONS_MAX] += 1

    def refuse(self, transport: asyncio.Transport) -> None:
        """Tells a client at once why it is not served; what it sends is for nobody."""
        self.count_refusal()
        transport.write(_full_response(self._connection_count(), self.most))
        if self._lingering_count >= self._refusals_max or not transport.can_write_eof():
            transport.close()
            return
        self._lingering_count += 1
        transport.write_eof()
        asyncio.get_running_loop().call_later(self._refusal_s, self._end_refused, transport)

    def _end_refused(self, transport: asyncio.Transport) -> None:
        self._lingering_count -= 1
        transport.abort()


class Extra:
    """A connection too many, as long as it is one."""

    def __init__(self, crowd: Crowd, connection: Ending) -> None:
        self._crowd = crowd
        self._connection = connection
        self._timer = asyncio.get_running_loop().call_later(_EXTRA_S, self._end)

    def cancel(self) -> None:
        """Lets it be."""
        self._timer.cancel()

    def is_over(self) -> bool:
        """Whether there is room for it by now."""
        return self._crowd.has_room(self._crowd.others())

    def refusal(self, load: LoadClass) -> Response | None:
        """The response to a request of this class; None if it is to be answered."""
        if load not in SHED_ORDER or load == _SERVED:
            return None
        self._crowd.count_refusal()
        used, most = self._crowd.others(), self._crowd.most
        headers = (
            ("Retry-After", "5"),
            ("X-Regista-Limit", _CONNECTIONS_MAX),
            ("X-Regista-Limit-Used", str(used)),
            ("X-Regista-Limit-Max", str(most)),
            ("Connection", "close"),
        )
        return text_response(503, _text(used, most), headers, is_last=True)

    def _end(self) -> None:
        """Ends it, unless there is room; if it has asked nothing, it is told why."""
        if self._connection.is_under_way():
            self._timer = asyncio.get_running_loop().call_later(_EXTRA_S, self._end)
        elif not self.is_over():
            word = b""
            if not self._connection.has_asked():
                self._crowd.count_refusal()
                word = _full_response(self._crowd.others(), self._crowd.most)
            self._connection.end_now(word)


def _full_response(used: int, most: int) -> bytes:
    """The whole response to a client of which it is not known what it wants."""
    text = _text(used, most).encode()
    return _FULL % (used, most, len(text), text)


def _text(used: int, most: int) -> str:
    return (
        f"http.connections_max is reached: {used} connections are open, of {most}. Try again in 5s, close idle "
        "ones, or raise http.connections_max in the agent's configuration (and ulimit -n, if its log asks for "
        "it).\n"
    )

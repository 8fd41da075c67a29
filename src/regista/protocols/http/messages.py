"""A request and a response as the HTTP doors see them, whatever server carries them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol
from urllib.parse import parse_qsl

import msgspec

from regista.model import BadInput
from regista.protocols.http.lasting import Form, Lasting

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_QUERY_FIELDS_MAX = 256
"""More parameters than any client of these protocols sends; bounds the work for one request."""


class BodyReader(Protocol):
    """Where a request's body comes from."""

    async def __call__(self, bytes_max: int) -> bytes:
        """The whole body.

        Raises:
            TooLarge: it is larger than `bytes_max`.
            TooSlow: it does not arrive in time.
        """


class ByteStream(Protocol):
    """A body that is made while it is sent."""

    def __aiter__(self) -> ByteStream:
        """Itself."""

    async def __anext__(self) -> bytes:
        """The next part.

        Raises:
            StopAsyncIteration: there is no more.
        """

    async def aclose(self) -> None:
        """Makes no more of it; called once, whether it was begun or not."""


class Watching(Protocol):
    """What is noted of a connection whose client follows something, see `watchers`."""

    def release(self) -> None:
        """Says that the connection is closed."""


class Peer(Protocol):
    """A client's connection.

    Attributes:
        watching: what is noted of it; to be released when the connection is closed.
    """

    watching: Watching | None

    @property
    def client(self) -> tuple[str, str]:
        """Address and program."""

    @property
    def remote(self) -> str:
        """Address and port."""

    @property
    def unacknowledged_bytes(self) -> int:
        """How much of what was written its machine has not acknowledged; more than ever is if it is closed."""


class Parameters:
    """The query string's parameters, in order; names may repeat.

    Attributes:
        text: the query string as it was sent.
    """

    __slots__ = ("_values", "text")

    def __init__(self, text: str = "") -> None:
        self.text = text
        self._values: dict[str, list[str]] = {}
        if not text:
            return
        for name, value in _escaped_pairs(text) if "%" in text or "+" in text else _plain_pairs(text):
            self._values.setdefault(name, []).append(value)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def first(self, name: str, default: str = "") -> str:
        """The first value of that name."""
        values = self._values.get(name)
        return values[0] if values else default

    def all(self, name: str) -> list[str]:
        """Every value of that name."""
        return self._values.get(name, [])


def _escaped_pairs(text: str) -> list[tuple[str, str]]:
    if _BROKEN_ESCAPE.search(text):
        raise BadInput(f'invalid URL escape in the query string "{text[:100]}"; write a percent sign as %25')
    try:
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_QUERY_FIELDS_MAX)
    except UnicodeDecodeError as error:
        raise BadInput("the query string is not UTF-8 once its escapes are undone") from error
    except ValueError as error:
        raise _too_many() from error


def _plain_pairs(text: str) -> Iterator[tuple[str, str]]:
    """The same where nothing is escaped, as is usual, in a third of the time."""
    fields = text.split("&")
    if len(fields) > _QUERY_FIELDS_MAX:
        raise _too_many()
    for field in fields:
        if field:
            name, _, value = field.partition("=")
            yield name, value


def _too_many() -> BadInput:
    return BadInput(f"the query string has more than {_QUERY_FIELDS_MAX} parameters")


@dataclasses.dataclass(slots=True)
class Request:
    """One request.

    Attributes:
        path: decoded, without the query string.
        argument: what follows a prefix route's path; "" for an exact route.
        headers: names without regard to case.
        body: reads the body, once.
        client: the peer's address, for logs.
        peer: the connection that it came on; None for one that nobody is to be told of again.
    """

    method: str
    path: str
    parameters: Parameters
    headers: Mapping[str, str]
    body: BodyReader
    argument: str = ""
    client: str = ""
    peer: Peer | None = None


Headers = tuple[tuple[str, str], ...]


class Response(msgspec.Struct, frozen=True):
    """One response.

    Attributes:
        content_type: "" for a response without a body.
        gzipped: gives the same body compressed, where somebody keeps it for the next caller.
        stream: gives the parts of a body that has no end yet, instead of `body`; closed when the client has gone.
        is_packed: whether the body is compressed already, and would gain nothing by it.
        forms: its bytes as far as they were made, where it is given more than once; None for a single response.
        lasting: what it depends on, where that is known; not to be copied into another response.
        is_last: whether the connection ends with it; its headers say so too.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = ""
    headers: Headers = ()
    gzipped: Callable[[], bytes] | None = None
    is_packed: bool = False
    stream: ByteStream | None = None
    forms: dict[int, Form] | None = None
    lasting: Lasting | None = None
    is_last: bool = False


def text_response(status: int, text: str, headers: Headers = (), *, is_last: bool = False) -> Response:
    """A response for a person, or a client that looks for words in it."""
    content_type = "text/plain; charset=utf-8" if text else ""
    return Response(status, text.encode(), content_type, headers, is_last=is_last)

"""A request and a response as the HTTP doors see them, whatever server carries them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Protocol
from urllib.parse import parse_qsl

from regista.model import BadInput

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_QUERY_FIELDS_MAX = 256
"""More parameters than any client of these protocols sends; bounds the work for one request."""


class BodyReader(Protocol):
    """Where a request's body comes from."""

    async def __call__(self, bytes_max: int) -> bytes:
        """The whole body.

        Raises:
            TooLarge: it is larger than `bytes_max`.
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
        if _BROKEN_ESCAPE.search(text):
            raise BadInput(f'invalid URL escape in the query string "{text[:100]}"; write a percent sign as %25')
        try:
            pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=_QUERY_FIELDS_MAX)
        except UnicodeDecodeError as error:
            raise BadInput("the query string is not UTF-8 once its escapes are undone") from error
        except ValueError as error:
            raise BadInput(f"the query string has more than {_QUERY_FIELDS_MAX} parameters") from error
        for name, value in pairs:
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


@dataclasses.dataclass(slots=True)
class Request:
    """One request.

    Attributes:
        path: decoded, without the query string.
        argument: what follows a prefix route's path; "" for an exact route.
        headers: names without regard to case.
        body: reads the body, once.
        client: the peer's address, for logs.
    """

    method: str
    path: str
    parameters: Parameters
    headers: Mapping[str, str]
    body: BodyReader
    argument: str = ""
    client: str = ""


Headers = tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Response:
    """One response.

    Attributes:
        content_type: "" for a response without a body.
        gzipped: gives the same body compressed, where somebody keeps it for the next caller.
        stream: gives the parts of a body that has no end yet, instead of `body`; closed when the client has gone.
        is_packed: whether the body is compressed already, and would gain nothing by it.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = ""
    headers: Headers = ()
    gzipped: Callable[[], bytes] | None = None
    is_packed: bool = False
    stream: ByteStream | None = None


def text_response(status: int, text: str, headers: Headers = ()) -> Response:
    """A response for a person, or a client that looks for words in it."""
    return Response(status, text.encode(), "text/plain; charset=utf-8" if text else "", headers)

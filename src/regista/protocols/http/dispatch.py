"""From a request's head to the handler that answers it, and from whatever that raises to a response."""

from __future__ import annotations

import collections
import dataclasses
import logging
import re
from collections import OrderedDict
from collections.abc import Awaitable, Mapping
from urllib.parse import unquote_to_bytes

import msgspec

from regista.model import BadInput, Overloaded, RegistaError, TooLarge, TooSlow
from regista.protocols.http.admission import LoadClass
from regista.protocols.http.errors import error_response
from regista.protocols.http.messages import (
    BodyReader,
    Headers,
    Parameters,
    Peer,
    Request,
    Response,
    text_response,
)
from regista.protocols.http.overload import Overload
from regista.protocols.http.plain_heads import read_plain_head
from regista.protocols.http.routes import Handler, RouteTable
from regista.protocols.http.wire import accepts_gzip

logger = logging.getLogger(__name__)

KNOWN_HEADS_MAX = 4096
KNOWN_HEAD_BYTES_MAX = 2048
KNOWN_HEAD_FIELDS_MAX = 32
"""Headers and parameters together. Heads of programs are a few hundred bytes with a dozen of them, and take 1.5 KB
in memory. One at both limits takes 13 KB, so what is known takes 55 MB at the most; without this limit it would be
200 MB, for short fields take far more than their bytes."""

KNOWN_TAILS_MAX = 512
"""Programs that write number their targets, not their headers. At the limits above it comes to 7 MB."""

_ESCAPED_SLASH = re.compile("%2f", re.IGNORECASE)

_CHANGING_METHODS = frozenset((b"PUT", b"POST", b"DELETE"))
"""Their targets are many, for they name what is changed, and no answer to them is a stream."""

_READING_METHODS = frozenset(("GET", "HEAD"))

_PLAIN_TARGET = re.compile(rb"/[A-Za-z0-9/?&=%:@,;+~._-]*")
"""What every parser takes for a target, and as it stands."""


@dataclasses.dataclass(frozen=True, slots=True)
class Head:
    """A request's head, understood.

    Attributes:
        content_length: of the body; 0 for none.
        waits: whether it may be a query that waits for its answer to change.
        load: its route's class of load.
    """

    method: str
    path: str
    parameters: Parameters
    headers: Mapping[str, str]
    handler: Handler
    argument: str
    content_length: int
    accepts_gzip: bool
    waits: bool
    load: LoadClass = "read"

    def request(self, body: BodyReader, client: str, peer: Peer | None = None) -> Request:
        """The request with this head."""
        return Request(self.method, self.path, self.parameters, self.headers, body, self.argument, client, peer)


class Dispatcher:
    """Understands heads, remembers some, and calls handlers.

    Args:
        response_headers: those that every response has besides its own.

    Attributes:
        known: heads whose bytes were seen before, so that they need not be parsed again; the oldest goes first.
        known_tails: of heads of requests that change something, what their method and all after the target mean.
        overload: who says what is refused for the load; None for nobody.
        refused: how often a limit was the reason to refuse a request, by the limit's name.
    """

    def __init__(self, routes: RouteTable, response_headers: Headers = ()) -> None:
        self.overload: Overload | None = None
        self.refused: collections.Counter[str] = collections.Counter()
        self._routes = routes
        self._response_headers = response_headers
        self.known: OrderedDict[bytes, Head] = OrderedDict()
        self.known_tails: OrderedDict[tuple[bytes, bytes], Head] = OrderedDict()

    def understand(
        self, method: str, target: str, headers: Mapping[str, str], content_length: int
    ) -> Head | Response:
        """The head of a request for `target` (path and query string); or the response where nobody handles it.

        Raises:
            BadInput: the target can't be decoded.
        """
        raw_path, _, query = target.partition("?")
        try:
            path = unquote_to_bytes(raw_path).decode() if "%" in raw_path else raw_path
        except UnicodeDecodeError as error:
            raise BadInput("the path is not UTF-8 once its escapes are undone") from error
        if not path.isprintable():
            raise BadInput("the path has characters that can't be printed")
        request = Request(method, path, Parameters(query), headers, no_body)
        found = self._routes.find(request, _with_escaped_slashes(raw_path))
        if isinstance(found, Response):
            return self._labelled(found)
        return Head(
            method,
            path,
            request.parameters,
            headers,
            found,
            request.argument,
            content_length,
            accepts_gzip(headers.get("Accept-Encoding", "")),
            request.parameters.first("index", "0") not in ("", "0") or "hash" in request.parameters,
            self._routes.load_of(method, found),
        )

    def understand_plain(self, raw: bytes, *, line_bytes_max: int) -> Head | None:
        """The head that these bytes are, which is remembered; None if it takes the server's parser to say.

        Args:
            line_bytes_max: how long each line may be.
        """
        plain = read_plain_head(raw, line_bytes_max=line_bytes_max)
        if plain is None:
            return None
        try:
            head = self.understand(plain.method, plain.target, plain.headers, plain.content_length)
        except BadInput:
            return None
        if isinstance(head, Response):
            return None
        self.learn(raw, head)
        return head

    def learn(self, raw: bytes, head: Head) -> None:
        """Remembers what these bytes mean."""
        fields_count = len(head.headers) + head.parameters.text.count("&") + 1
        if len(raw) > KNOWN_HEAD_BYTES_MAX or fields_count > KNOWN_HEAD_FIELDS_MAX:
            return
        self.known[raw] = head
        if len(self.known) > KNOWN_HEADS_MAX:
            self.known.popitem(last=False)
        if head.method in _READING_METHODS:
            return
        method, _, tail = _split(raw)
        if method in _CHANGING_METHODS:
            self.known_tails[method, tail] = head
            if len(self.known_tails) > KNOWN_TAILS_MAX:
                self.known_tails.popitem(last=False)

    def kindred(self, raw: bytes) -> Head | None:
        """The head that these bytes are, if all but the target was seen before; None if they must be parsed.

        Ten thousand services that renew their TTLs each name another target, with the same headers.
        """
        method, target, tail = _split(raw)
        seen = self.known_tails.get((method, tail))
        if seen is None or not _PLAIN_TARGET.fullmatch(target) or len(raw) > KNOWN_HEAD_BYTES_MAX:
            return None
        try:
            found = self.understand(seen.method, target.decode("ascii"), seen.headers, seen.content_length)
        except BadInput:
            return None
        return found if isinstance(found, Head) else None

    def call(
        self, head: Head, body: BodyReader, client: str, peer: Peer | None = None
    ) -> Response | Awaitable[Response]:
        """The response, or what is to be awaited with `settled`; does not raise what a handler raises."""
        try:
            overload = self.overload
            if overload is not None and (head.waits or overload.level.count):
                overload.check(head.load, waits=head.waits)
            outcome = head.handler(head.request(body, client, peer))
        except Exception as error:  # noqa: BLE001 - the door's outermost handler, with the one below
            outcome = self._failed(error, head)
        return self._labelled(outcome) if isinstance(outcome, Response) else outcome

    async def settled(self, outcome: Awaitable[Response], head: Head) -> Response:
        """The response that a handler takes time for, or the one for what it raises."""
        try:
            response = await outcome
        except Exception as error:  # noqa: BLE001 - the door's outermost handler
            response = self._failed(error, head)
        return self._labelled(response)

    def _failed(self, error: Exception, head: Head) -> Response:
        if isinstance(error, Overloaded | TooLarge | TooSlow) and error.limit:
            self.refused[error.limit] += 1
        return failure_response(error, head)

    def _labelled(self, response: Response) -> Response:
        """The response with the headers that all have."""
        if not self._response_headers:
            return response
        return msgspec.structs.replace(response, headers=(*response.headers, *self._response_headers))


def _split(raw: bytes) -> tuple[bytes, bytes, bytes]:
    """Method, target, and the rest of a head's bytes."""
    method, _, rest = raw.partition(b" ")
    target, _, tail = rest.partition(b" ")
    return method, target, tail


def _with_escaped_slashes(raw_path: str) -> str:
    """The path with all escapes undone but those of slashes; "" if it has none of these."""
    parts = _ESCAPED_SLASH.split(raw_path) if "%2" in raw_path else ()
    return "%2F".join(unquote_to_bytes(part).decode() for part in parts) if len(parts) > 1 else ""


def failure_response(error: Exception, head: Head | None = None) -> Response:
    """What the caller is told of an error, ours or not."""
    if isinstance(error, RegistaError):
        return error_response(error)
    where = f"{head.method} {head.path}" if head else "a request"
    logger.error("%s failed", where, exc_info=error)
    return text_response(
        500, "Internal error: the agent's log has the details. Please report it; trying again may help."
    )


async def no_body(bytes_max: int) -> bytes:  # noqa: ARG001 - reads nothing, within any limit
    """The body of a request without one."""
    return b""

"""From a request's head to the handler that answers it, and from whatever that raises to a response."""

from __future__ import annotations

import dataclasses
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Mapping
from urllib.parse import unquote_to_bytes

from regista.model import BadInput, RegistaError
from regista.protocols.http.errors import error_response
from regista.protocols.http.messages import BodyReader, Parameters, Request, Response, text_response
from regista.protocols.http.routes import Handler, RouteTable
from regista.protocols.http.wire import accepts_gzip

logger = logging.getLogger(__name__)

KNOWN_HEADS_MAX = 4096
KNOWN_HEAD_BYTES_MAX = 2048
KNOWN_HEAD_FIELDS_MAX = 32
"""Headers and parameters together. Heads of programs are a few hundred bytes with a dozen of them, and take 1.5 KB
in memory. One at both limits takes 13 KB, so what is known takes 55 MB at the most; without this limit it would be
200 MB, for short fields take far more than their bytes."""


@dataclasses.dataclass(frozen=True, slots=True)
class Head:
    """A request's head, understood.

    Attributes:
        content_length: of the body; 0 for none.
        waits: whether it may be a query that waits for its answer to change.
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

    def request(self, body: BodyReader, client: str) -> Request:
        """The request with this head."""
        return Request(self.method, self.path, self.parameters, self.headers, body, self.argument, client)


class Dispatcher:
    """Understands heads, remembers some, and calls handlers.

    Attributes:
        known: heads whose bytes were seen before, so that they need not be parsed again; the oldest goes first.
    """

    def __init__(self, routes: RouteTable) -> None:
        self._routes = routes
        self.known: OrderedDict[bytes, Head] = OrderedDict()

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
        found = self._routes.find(request)
        if isinstance(found, Response):
            return found
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
        )

    def learn(self, raw: bytes, head: Head) -> None:
        """Remembers what these bytes mean."""
        fields_count = len(head.headers) + head.parameters.text.count("&") + 1
        if len(raw) > KNOWN_HEAD_BYTES_MAX or fields_count > KNOWN_HEAD_FIELDS_MAX:
            return
        self.known[raw] = head
        if len(self.known) > KNOWN_HEADS_MAX:
            self.known.popitem(last=False)

    def call(self, head: Head, body: BodyReader, client: str) -> Response | Awaitable[Response]:
        """The response, or what is to be awaited with `settled`; does not raise what a handler raises."""
        try:
            return head.handler(head.request(body, client))
        except Exception as error:  # noqa: BLE001 - the door's outermost handler, with the one below
            return failure_response(error, head)

    async def settled(self, outcome: Awaitable[Response], head: Head) -> Response:
        """The response that a handler takes time for, or the one for what it raises."""
        try:
            return await outcome
        except Exception as error:  # noqa: BLE001 - the door's outermost handler
            return failure_response(error, head)


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

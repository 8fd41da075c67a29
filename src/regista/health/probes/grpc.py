"""The gRPC check: what does the service answer to `grpc.health.v1.Health/Check`?"""

from __future__ import annotations

import http
import urllib.parse

from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset, TrailersReceived

from regista.health.decide import cut_head, decide_output_bytes_max
from regista.health.observation import Observation
from regista.health.probes.dial import HandshakeFailed, TimedOut, Unreachable, tls_of
from regista.health.probes.faults import ProbeFailed
from regista.health.probes.grpc_health import SERVING, Malformed, decode_response, encode_request
from regista.health.probes.http2 import ALPN, BrokenOff, converse
from regista.health.settings import HealthSettings
from regista.model import CRITICAL, PASSING, CheckDefinition

_CODES = (
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
)
"""The names of `grpc-status`, as Go's programs print them."""

_CODES_BY_HTTP_STATUS = {
    400: "Internal",
    401: "Unauthenticated",
    403: "PermissionDenied",
    404: "Unimplemented",
    429: "Unavailable",
    502: "Unavailable",
    503: "Unavailable",
    504: "Unavailable",
}
"""What an answer means that is not one of gRPC.

Source: gRPC, "HTTP to gRPC Status Code Mapping".
"""

_TIMEOUT_MS_MAX = 99_999_999
"""A `grpc-timeout` has at most eight digits."""

_SERVICE_BYTES_MAX = 4096
"""A request fits in the first window and the first frame of any server, so it can be sent unasked."""


class GrpcProbe:
    """Calls the standard health service, over a connection of its own."""

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings

    async def observe(self, definition: CheckDefinition) -> Observation:
        """Passing if the server, or the named service of it, is SERVING in time; else critical.

        Source: Consul 1.9, gRPC checks (behaviour); the texts of errors are those of grpc-go.
        """
        try:
            status = await _ask(definition, definition.timeout_s or self._settings.grpc_timeout_s)
        except ProbeFailed as problem:
            bytes_max = decide_output_bytes_max(definition, self._settings.output_bytes_max)
            return problem.seen_as(cut_head(_error(problem), bytes_max))
        if status == SERVING:
            return Observation(PASSING, f"gRPC check {definition.grpc}: success")
        return Observation(CRITICAL, f"gRPC {definition.grpc} serving status: {status}")

    async def close(self) -> None:
        """Has nothing to let go of."""


class CallFailed(ProbeFailed):
    """The call came back with an error.

    Attributes:
        code: its name.
    """

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code


def _error(problem: ProbeFailed) -> str:
    """A failed call in the words of grpc-go."""
    code, words = "Unavailable", problem.words
    match problem:
        case CallFailed(code=code):
            pass
        case TimedOut():
            code = "DeadlineExceeded"
        case Unreachable():
            words = f'connection error: desc = "transport: Error while dialing: {words}"'
        case HandshakeFailed():
            words = f'connection error: desc = "transport: authentication handshake failed: {words}"'
        case _:
            words = f"error reading from server: {words}"
    return f"rpc error: code = {code} desc = {words}"


async def _ask(definition: CheckDefinition, timeout_s: float) -> str:
    address, _, service = definition.grpc.partition("/")
    tls = tls_of(definition, ALPN) if definition.grpc_use_tls else None
    if len(service.encode("utf-8", "replace")) > _SERVICE_BYTES_MAX:
        raise CallFailed("InvalidArgument", f"a service's name has at most {_SERVICE_BYTES_MAX} bytes")
    authority = (tls and tls.server_name) or address
    call = Call(
        authority=authority.encode("utf-8", "replace"),
        scheme=b"https" if tls else b"http",
        service=service,
        timeout_ms=max(1, min(round(timeout_s * 1000), _TIMEOUT_MS_MAX)),
    )
    await converse(call, address, tls=tls, timeout_s=timeout_s)
    return call.status()


class Call:
    """One call of `Health/Check`: a conversation over HTTP/2, without I/O."""

    def __init__(self, *, authority: bytes, scheme: bytes, service: str, timeout_ms: int) -> None:
        self._headers = [
            (b":method", b"POST"),
            (b":scheme", scheme),
            (b":path", b"/grpc.health.v1.Health/Check"),
            (b":authority", authority),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            (b"user-agent", b"Consul Health Check"),
            (b"grpc-timeout", b"%dm" % timeout_ms),
        ]
        self._service = service
        self._stream_id = 0
        self._answered: dict[bytes, bytes] = {}
        self._body = bytearray()

    def begin(self, connection: H2Connection) -> None:
        """Sends the request."""
        self._stream_id = connection.get_next_available_stream_id()
        connection.send_headers(self._stream_id, self._headers)
        connection.send_data(self._stream_id, encode_request(self._service), end_stream=True)

    def note(self, event: Event) -> bool:
        """Collects the answer, until its end."""
        if getattr(event, "stream_id", None) != self._stream_id:
            return False
        match event:
            case ResponseReceived(headers=headers):
                self._answered.update(headers or ())
            case DataReceived(data=data):
                # Windows are never enlarged: an answer ends long before the first one does.
                self._body += data or b""
            case TrailersReceived(headers=headers):
                self._answered.update(headers or ())
            case StreamReset(error_code=code):
                name = code.name if isinstance(code, ErrorCodes) else code
                raise BrokenOff(f"stream terminated by RST_STREAM with error code: {name}")
        return isinstance(event, StreamEnded)

    def status(self) -> str:
        """The serving status, when all was heard.

        Raises:
            CallFailed: the answer is an error, or none.
        """
        code = self._answered.get(b"grpc-status")
        if code is None:
            raise self._http_error()
        number = int(code) if code.isdigit() and len(code) <= 3 else 2
        if number:
            name = _CODES[number] if number < len(_CODES) else f"Code({number})"
            told = urllib.parse.unquote_to_bytes(self._answered.get(b"grpc-message", b"")).decode(
                "utf-8", "replace"
            )
            raise CallFailed(name, told or f'(no words, asked for service "{self._service}")')
        try:
            return decode_response(bytes(self._body))
        except Malformed as problem:
            raise CallFailed("Internal", str(problem)) from problem

    def _http_error(self) -> CallFailed:
        """What an answer means that says nothing in gRPC's way."""
        text = self._answered.get(b":status", b"").decode("ascii", "replace")
        status = int(text) if text.isdecimal() else 0
        try:
            phrase = f" ({http.HTTPStatus(status).phrase})"
        except ValueError:
            phrase = ""
        kind = self._answered.get(b"content-type", b"").decode("utf-8", "replace")
        words = f'unexpected HTTP status code received from server: {text}{phrase}; content-type "{kind}"'
        return CallFailed(_CODES_BY_HTTP_STATUS.get(status, "Unknown"), words)

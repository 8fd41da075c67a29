"""The HTTP check: what does the service answer?"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import ssl
from typing import cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from aiohttp.streams import StreamReader
from aiohttp.tracing import Trace

from regista.health.decide import decide_output_bytes_max, decode_tail
from regista.health.observation import Observation
from regista.health.probes import faults
from regista.health.probes.tls import certificate_problem
from regista.health.probes.words import TIMED_OUT, dial_problem, join_address
from regista.health.settings import HealthSettings
from regista.model import CRITICAL, PASSING, WARNING, CheckDefinition, Status

_BODY_BYTES_MAX = 1024 * 1024
"""A check's answer is a few lines; whoever sends more is listened to so far, and judged by the status line."""

_REDIRECTS_MAX = 10
"""As many as Go's client follows."""

_INTERIM_MAX = 5
"""Answers with 1xx before the answer itself; as many as Go's client takes."""

_MALFORMED_CHARACTERS_MAX = 200
"""What shows of an answer that is none."""

_HEADERS = (
    ("User-Agent", "Consul Health Check"),
    ("Accept", "text/plain, text/*, */*"),
    ("Accept-Encoding", "gzip"),
    ("Connection", "close"),
)

_reached: contextvars.ContextVar[list[bool]] = contextvars.ContextVar("reached")
"""Takes a mark when the request under way has a connection; aiohttp's session is shared by them all."""


class HttpProbe:
    """Sends a request as Consul's agent would, over a connection of its own."""

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings
        self._session: aiohttp.ClientSession | None = None

    async def observe(self, definition: CheckDefinition) -> Observation:
        """2xx is passing, 429 a warning, everything else critical; the output ends with the end of the body.

        A body that breaks off or takes too long does not count against the service: its status line was there.

        Source: Consul 1.9, HTTP checks (behaviour).
        """
        if self._session is None:
            self._session = _open_session()
        method = definition.method or "GET"
        is_own_fault = is_silent = False
        reached: list[bool] = []
        _reached.set(reached)
        try:
            async with asyncio.timeout(definition.timeout_s or self._settings.http_timeout_s) as timeout:
                return await self._exchange(self._session, method, definition, timeout)
        except TimeoutError as problem:
            # The system's own, shorter timeout for connections comes as a TimeoutError too.
            words = TIMED_OUT if timeout.expired() else str(problem).lower()
            is_silent = not reached
        except aiohttp.ClientError as problem:
            words = _words(problem)
            cause = problem.os_error if isinstance(problem, aiohttp.ClientConnectorError) else problem
            if isinstance(cause, OSError):
                is_own_fault, is_silent = faults.is_own_fault(cause), faults.is_silence(cause)
        except (OSError, ValueError) as problem:
            words = str(problem)
            is_own_fault = isinstance(problem, OSError) and faults.is_own_fault(problem)
        output = f'{method.capitalize()} "{definition.http}": {words}'
        return Observation(CRITICAL, output, is_own_fault=is_own_fault, is_silent=is_silent)

    async def close(self) -> None:
        """Closes the session."""
        if self._session is not None:
            await self._session.close()

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        method: str,
        definition: CheckDefinition,
        until: asyncio.Timeout,
    ) -> Observation:
        # Names that can't be asked for are refused here: later on, asyncio would leave the open socket behind.
        definition.tls_server_name.encode("idna")
        async with session.request(
            method,
            definition.http,
            headers=_headers(definition),
            data=definition.body.encode("utf-8", "replace") or None,
            allow_redirects=not definition.disable_redirects,
            max_redirects=_REDIRECTS_MAX,
            ssl=not definition.tls_skip_verify,
            server_hostname=definition.tls_server_name or None,
        ) as response:
            bytes_max = decide_output_bytes_max(definition, self._settings.output_bytes_max)
            # From here on the body's reader keeps the deadline, because missing it is no failure any more.
            deadline_s = until.when()
            until.reschedule(None)
            body = await _read_tail(response, bytes_max, deadline_s)
            output = f"HTTP {method} {definition.http}: {response.status} {response.reason} Output: {body}"
            return Observation(_status(response.status), output)


class _Listener(ResponseHandler):
    """Hears one connection, and ends it when all that comes are answers before the answer.

    aiohttp would listen to them until the timeout, busy all the while.
    """

    _interim = 0

    def feed_data(self, data: tuple[RawResponseMessage, StreamReader], size: int = 0) -> None:
        """Takes the next answer from the parser."""
        self._interim += data[0].code < 200
        if self._interim <= _INTERIM_MAX:
            super().feed_data(data, size)
        elif self.transport is not None and not self.transport.is_closing():
            self.set_exception(aiohttp.ClientConnectionError("net/http: too many 1xx informational responses"))
            self.transport.abort()


class _Connector(aiohttp.TCPConnector):
    """Connections that are cut off when they are let go of.

    Closed politely, one to a target that reads nothing, or does not answer the end of TLS, would stay open long
    after its probe.
    """

    def __init__(self) -> None:
        super().__init__(force_close=True, limit=0)
        factory = functools.partial(_Listener, loop=asyncio.get_running_loop())
        self._factory = cast("functools.partial[ResponseHandler]", factory)

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 aiohttp's own name
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        _reached.get().append(True)
        if connection.transport is not None:
            connection.add_callback(connection.transport.abort)
        return connection


def _open_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=_Connector(),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        trust_env=False,
        skip_auto_headers=("Content-Type",),
    )


def _headers(definition: CheckDefinition) -> list[tuple[str, str]]:
    """The definition's headers, and those of Consul's agent that it does not name."""
    own = [(name, value) for name, values in (definition.header or {}).items() for value in values]
    named = {name.lower() for name, _ in own}
    return own + [(name, value) for name, value in _HEADERS if name.lower() not in named]


async def _read_tail(response: aiohttp.ClientResponse, bytes_max: int, deadline_s: float | None) -> str:
    """The last `bytes_max` bytes of the body, or of so much of it as came and is listened to, as text."""
    tail = bytearray()
    total_bytes = 0
    try:
        async with asyncio.timeout_at(deadline_s):
            async for chunk in response.content.iter_any():
                total_bytes += len(chunk)
                tail += chunk
                del tail[:-bytes_max]
                if total_bytes >= _BODY_BYTES_MAX:
                    response.close()
                    break
    except (aiohttp.ClientError, TimeoutError):
        response.close()
    return decode_tail(bytes(tail), is_cut=total_bytes > len(tail))


def _status(code: int) -> Status:
    if 200 <= code < 300:
        return PASSING
    return WARNING if code == 429 else CRITICAL


def _words(problem: aiohttp.ClientError) -> str:
    """What went wrong, in Go's words where it has any; the more special errors come first."""
    match problem:
        case aiohttp.ClientConnectorCertificateError(certificate_error=ssl.SSLCertVerificationError() as error):
            return certificate_problem(error)
        case aiohttp.ClientConnectorSSLError() if "WRONG_VERSION" in str(problem):
            return "http: server gave HTTP response to HTTPS client"
        case aiohttp.ClientConnectorSSLError():
            return f"tls: handshake failure: {problem.os_error}"
        case aiohttp.ClientConnectorDNSError():
            return f"dial tcp: lookup {problem.host}: no such host"
        case aiohttp.ClientConnectorError():
            return dial_problem(join_address(problem.host, problem.port), problem.os_error)
        case aiohttp.ServerDisconnectedError():
            return "EOF"
        case aiohttp.ClientConnectionResetError():
            return "write: connection reset by peer"
        case aiohttp.NonHttpUrlClientError():
            return f'unsupported protocol scheme "{str(problem).partition(":")[0]}"'
        case aiohttp.InvalidURL():
            return f"invalid URL: {problem}"
        case aiohttp.TooManyRedirects():
            return f"stopped after {_REDIRECTS_MAX} redirects"
        case aiohttp.ClientResponseError():
            told = " ".join(problem.message.split())[:_MALFORMED_CHARACTERS_MAX]
            return f"net/http: malformed HTTP response: {told}"
        case OSError(errno=int(errno)) if errno > 0:
            return f"read: {problem.strerror}".lower()
        case _:
            return str(problem) or type(problem).__name__

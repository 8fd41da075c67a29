"""The HTTP check: what does the service answer?"""

from __future__ import annotations

import asyncio
import ssl

import aiohttp

from regista.health.decide import decide_output_bytes_max, decode_tail
from regista.health.observation import Observation
from regista.health.probes.words import TIMED_OUT, dial_problem, join_address
from regista.health.settings import HealthSettings
from regista.model import CRITICAL, PASSING, WARNING, CheckDefinition, Status

_BODY_BYTES_MAX = 1024 * 1024
"""A check's answer is a few lines; whoever sends more is listened to so far, and judged by the status line."""

_REDIRECTS_MAX = 10
"""As many as Go's client follows."""

_HEADERS = (
    ("User-Agent", "Consul Health Check"),
    ("Accept", "text/plain, text/*, */*"),
    ("Accept-Encoding", "gzip"),
    ("Connection", "close"),
)

_CERTIFICATE_WORDS = {
    10: "x509: certificate has expired or is not yet valid",
    18: "x509: certificate signed by unknown authority",
    19: "x509: certificate signed by unknown authority",
    20: "x509: certificate signed by unknown authority",
    21: "x509: certificate signed by unknown authority",
}
"""By OpenSSL's verification codes: expired, self-signed, self-signed in the chain, issuer unknown (twice)."""


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
        try:
            async with asyncio.timeout(definition.timeout_s or self._settings.http_timeout_s) as timeout:
                return await self._exchange(self._session, method, definition, timeout)
        except TimeoutError as problem:
            # The system's own, shorter timeout for connections comes as a TimeoutError too.
            words = TIMED_OUT if timeout.expired() else str(problem).lower()
        except aiohttp.ClientError as problem:
            words = _words(problem)
        except (OSError, ValueError) as problem:
            words = str(problem)
        return Observation(CRITICAL, f'{method.capitalize()} "{definition.http}": {words}')

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


def _open_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(force_close=True, limit=0),
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
            words = _CERTIFICATE_WORDS.get(error.verify_code, f"x509: {error.verify_message}")
            return f"tls: failed to verify certificate: {words}"
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
        case aiohttp.NonHttpUrlClientError():
            return f'unsupported protocol scheme "{str(problem).partition(":")[0]}"'
        case aiohttp.InvalidURL():
            return f"invalid URL: {problem}"
        case aiohttp.TooManyRedirects():
            return f"stopped after {_REDIRECTS_MAX} redirects"
        case aiohttp.ClientResponseError():
            return f"net/http: malformed HTTP response: {problem.message}"
        case OSError(errno=int(errno)) if errno > 0:
            return f"read: {problem.strerror}".lower()
        case _:
            return str(problem) or type(problem).__name__

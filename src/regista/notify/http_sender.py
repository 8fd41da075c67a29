"""Sending one message over HTTP, signed, to an address that may be sent to. Knows no events, no subscriptions.

What is sent to is checked on the address that is dialled, and no redirect is followed: so neither a name that
resolves to another address a moment later, nor a receiver, can lead us where nothing may be sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import http
import os
import re
import socket
from collections.abc import AsyncIterator, Callable, Mapping

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType

from regista.notify.addresses import AddressForbidden, AddressRule
from regista.notify.retries import Outcome, parse_retry_after_s
from regista.notify.signatures import SIGNATURE_HEADER, sign

_ANSWER_BYTES_MAX = 64 * 1024
"""How much of an answer is listened to, so that its connection can be used again."""

_KEEP_ALIVE_S = 1.0
"""Shorter than any server's patience, so that a message is not lost to a connection that is just being closed;
long enough for one message after the other."""

_RETRY_AFTER_STATUSES = (429, 503)

_PHRASES = {each.value: each.phrase for each in http.HTTPStatus}


@dataclasses.dataclass(frozen=True, slots=True)
class Message:
    """What is to be sent.

    Attributes:
        id: the same each time that it is sent.
        type: what it is about, in a word.
        content_type: of the body.
        headers: those of the receiver's own.
        secrets: each makes a signature; none for a message that is not signed.
        attempt: how often it will have been sent then.
    """

    url: str
    id: str
    type: str
    body: bytes
    content_type: str
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    attempt: int = 1


class HttpSender:
    """Sends messages; any number at once.

    Args:
        clock: monotonic seconds.
        wall_clock: seconds since the epoch.
        user_agent: who we are to receivers.

    Attributes:
        in_flight: how many messages are being sent.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        rule: AddressRule,
        *,
        timeout_s: float,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        user_agent: str,
    ) -> None:
        self.in_flight = 0
        self._session = session
        self._rule = rule
        self._timeout_s = timeout_s
        self._clock = clock
        self._wall_clock = wall_clock
        self._user_agent = user_agent

    def host_problem(self, host: str) -> str:
        """See `AddressRule`."""
        return self._rule.host_problem(host)

    async def send(self, message: Message) -> Outcome:
        """What came of sending it once; whatever goes wrong there is part of it, and raises nothing."""
        began_s = self._clock()
        self.in_flight += 1
        status, problem, retry_after_s = 0, "", None
        try:
            async with asyncio.timeout(self._timeout_s):
                status, retry_after = await self._exchange(message)
                problem = _told_status(status)
                if retry_after and status in _RETRY_AFTER_STATUSES:
                    retry_after_s = parse_retry_after_s(retry_after, now_s=self._wall_clock())
        except TimeoutError:
            problem = f"it did not answer within {self._timeout_s:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as error:
            problem = _told_error(error)
        finally:
            self.in_flight -= 1
        return Outcome(status, problem, retry_after_s, self._clock() - began_s)

    async def _exchange(self, message: Message) -> tuple[int, str]:
        """The status of the answer, and when to ask again."""
        async with self._session.post(
            message.url, data=message.body, headers=self._headers(message), allow_redirects=False
        ) as answer:
            left = _ANSWER_BYTES_MAX
            while left > 0 and (part := await answer.content.read(left)):
                left -= len(part)
            return answer.status, answer.headers.get("Retry-After", "")

    def _headers(self, message: Message) -> dict[str, str]:
        headers = {
            **message.headers,
            "Content-Type": message.content_type,
            "User-Agent": self._user_agent,
            "X-Regista-Event": message.type,
            "X-Regista-Delivery": message.id,
            "X-Regista-Attempt": str(message.attempt),
        }
        if message.secrets:
            headers[SIGNATURE_HEADER] = sign(
                message.secrets, event=message.id, body=message.body, at_s=int(self._wall_clock())
            )
        return headers


@contextlib.asynccontextmanager
async def open_sender(
    rule: AddressRule,
    *,
    timeout_s: float,
    clock: Callable[[], float],
    wall_clock: Callable[[], float],
    user_agent: str,
) -> AsyncIterator[HttpSender]:
    """A sender until the end of the block."""
    connector = aiohttp.TCPConnector(
        resolver=_GuardedResolver(rule),
        socket_factory=functools.partial(_open_socket, rule),
        limit=0,
        keepalive_timeout=_KEEP_ALIVE_S,
        use_dns_cache=False,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        trust_env=False,
        auto_decompress=False,
    ) as session:
        yield HttpSender(
            session, rule, timeout_s=timeout_s, clock=clock, wall_clock=wall_clock, user_agent=user_agent
        )


def _open_socket(rule: AddressRule, info: AddrInfoType) -> socket.socket:
    """A socket for an address that is about to be dialled.

    Raises:
        AddressForbidden: nothing may be sent there.
    """
    family, socket_type, protocol, _, address = info
    problem = rule.problem(str(address[0]))
    if problem:
        raise AddressForbidden(problem)
    return socket.socket(family, socket_type, protocol)


class _GuardedResolver(AbstractResolver):
    """Finds the addresses of names, but for those that may not be sent to: so that the others are tried."""

    def __init__(self, rule: AddressRule) -> None:
        self._rule = rule
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The addresses that may be dialled.

        Raises:
            AddressForbidden: there are none but others.
        """
        found = await self._resolver.resolve(host, port, family)
        problems = [self._rule.problem(each["host"]) for each in found]
        allowed = [each for each, problem in zip(found, problems, strict=True) if not problem]
        if found and not allowed:
            raise AddressForbidden(problems[0])
        return allowed

    async def close(self) -> None:
        """Closes the resolver."""
        await self._resolver.close()


def _told_status(status: int) -> str:
    """What is wrong with an answer; its own words are left out, for they may repeat what is secret."""
    if 200 <= status < 300:
        return ""
    phrase = _PHRASES.get(status, "a status that is not known")
    if 300 <= status < 400:
        return f"it answered {status} ({phrase}), and redirects are not followed; subscribe the URL it leads to"
    return f"it answered {status} ({phrase})"


def _told_error(error: Exception) -> str:
    """What went wrong, in words that repeat neither URL nor headers; the more special errors come first."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return f"its certificate can't be trusted ({_certificate_words(error.certificate_error)})"
        case aiohttp.ClientConnectorSSLError():
            return "TLS with it failed"
        case aiohttp.ClientConnectorError(os_error=AddressForbidden() as forbidden):
            return f"nothing is sent there: {forbidden}"
        case aiohttp.ClientConnectorDNSError():
            return "its name can't be resolved"
        case aiohttp.ClientConnectorError():
            return f"it can't be reached ({_system_words(error.os_error)})"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return "it closed the connection before its answer was whole"
        case aiohttp.InvalidURL() | aiohttp.NonHttpUrlClientError():
            return "its URL is none that can be sent to"
        case aiohttp.ClientResponseError():
            return "its answer is not HTTP"
        case OSError():
            return f"the connection failed ({_system_words(error)})"
        case _:
            return f"sending failed ({type(error).__name__})"


def _system_words(error: OSError) -> str:
    """The system's words; those for one address where several were tried."""
    number = int(error.errno or next(iter(re.findall(r"\[Errno (\d+)\]", str(error))), 0))
    return os.strerror(number).lower() if number > 0 else "it was cut off"


def _certificate_words(error: Exception) -> str:
    return str(getattr(error, "verify_message", "") or "it is not valid").lower().rstrip(".")

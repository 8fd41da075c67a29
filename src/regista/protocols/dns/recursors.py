"""Asking others about names that are not ours, one after the other, over the transport of the question.

Source: Consul 1.9 (behaviour): any answer but NOERROR and NXDOMAIN moves on to the next recursor.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import random
from collections.abc import Sequence

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode

from regista.model import ConfigError

logger = logging.getLogger(__name__)

_PORT = 53
_PORT_MOST = 65535
_FINAL = (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)

Upstream = tuple[str, int]


def read_recursors(texts: Sequence[str]) -> tuple[Upstream, ...]:
    """Host and port of each `host`, `host:port`, `v6` or `[v6]:port`.

    Raises:
        ConfigError: one is none of these.
    """
    return tuple(_read(text) for text in texts)


def _read(text: str) -> Upstream:
    host, port = text, str(_PORT)
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":") or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    is_port = port.isascii() and port.isdigit() and 0 < int(port) <= _PORT_MOST
    if not is_port or not _is_address(host):
        raise ConfigError(
            f'recursors: Invalid recursor address "{text}"; write an address, with its port if that is not 53'
        )
    return host, int(port)


def _is_address(host: str) -> bool:
    """Whether it can be asked without asking anybody what it means."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class UpstreamRecursors:
    """The recursors, in the order in which they are asked.

    Attributes:
        error_count: failures of single recursors.
        refused_count: questions beyond the number that may be under way.
    """

    def __init__(
        self,
        upstreams: Sequence[Upstream],
        *,
        timeout_s: float,
        is_random: bool,
        under_way_max: int,
        rng: random.Random,
    ) -> None:
        self.error_count = 0
        self.refused_count = 0
        self._upstreams = tuple(upstreams)
        self._timeout_s = timeout_s
        self._is_random = is_random
        self._under_way_max = under_way_max
        self._under_way = 0
        self._rng = rng
        # By the bytes of their packets, those that are under way, and for a while those that nobody answered.
        self._asked: dict[tuple[bytes, bool], asyncio.Future[bytes | None]] = {}

    def __bool__(self) -> bool:
        return bool(self._upstreams)

    @property
    def under_way_count(self) -> int:
        """How many questions are with recursors."""
        return self._under_way

    async def ask(self, data: bytes, *, is_tcp: bool) -> bytes | None:
        """The first good answer to a packet, with its id and as it came; None if nobody has one."""
        if self._under_way >= self._under_way_max:
            self.refused_count += 1
            return None
        self._under_way += 1
        try:
            asked = self._asked.get((data, is_tcp))
            return await (self._ask_first(data, is_tcp=is_tcp) if asked is None else asyncio.shield(asked))
        finally:
            self._under_way -= 1

    async def _ask_first(self, data: bytes, *, is_tcp: bool) -> bytes | None:
        """As `ask`; whoever comes with the same bytes meanwhile, and a while later if nobody answers, shares it.

        A client that asks once more does, and so does the question itself where recursors ask each other in a
        circle: it would go round and multiply for ever. Another question has another id, so it is asked anew.
        """
        key = data, is_tcp
        loop = asyncio.get_running_loop()
        told = self._asked[key] = loop.create_future()
        found = None
        try:
            found = await self._ask_all(data, is_tcp=is_tcp)
        finally:
            told.set_result(found)
            if found is None and len(self._asked) <= 2 * self._under_way_max:
                loop.call_later(self._timeout_s * (len(self._upstreams) + 1), self._asked.pop, key)
            else:
                del self._asked[key]
        return found

    async def _ask_all(self, data: bytes, *, is_tcp: bool) -> bytes | None:
        upstreams = list(self._upstreams)
        if self._is_random:
            self._rng.shuffle(upstreams)
        for upstream in upstreams:
            found = await self._ask_one(data, upstream, is_tcp=is_tcp)
            if found is not None:
                return found
        return None

    async def _ask_one(self, data: bytes, upstream: Upstream, *, is_tcp: bool) -> bytes | None:
        host, port = upstream
        try:
            question = dns.message.from_wire(data, ignore_trailing=True)
            async with asyncio.timeout(self._timeout_s):
                answer = await self._exchange(question, host, port, is_tcp=is_tcp)
        except (dns.exception.DNSException, OSError, EOFError, TimeoutError, ValueError) as problem:
            self.error_count += 1
            logger.debug("recursor %s:%d does not answer: %s", host, port, problem)
            return None
        if answer.rcode() not in _FINAL:
            self.error_count += 1
            return None
        return answer.wire if isinstance(answer.wire, bytes) else answer.to_wire()

    async def _exchange(
        self, question: dns.message.Message, host: str, port: int, *, is_tcp: bool
    ) -> dns.message.Message:
        if is_tcp:
            return await dns.asyncquery.tcp(question, host, timeout=self._timeout_s, port=port)
        # Whatever others send to the socket meanwhile is passed over.
        return await dns.asyncquery.udp(
            question, host, timeout=self._timeout_s, port=port, ignore_unexpected=True, ignore_errors=True
        )

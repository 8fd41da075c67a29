"""The UDP check: does nobody say that nobody is there?"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import Any

from regista.health.observation import Observation
from regista.health.probes.dial import Unreachable, parse_target, unreachable
from regista.health.probes.faults import is_own_fault, is_silence
from regista.health.settings import HealthSettings
from regista.model import CRITICAL, PASSING, CheckDefinition


class UdpProbe:
    """Sends an empty datagram, and waits for an answer of any kind."""

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings

    async def observe(self, definition: CheckDefinition) -> Observation:
        """Critical if the target's machine or network refuses, else passing: also where nobody answers in time.

        Most services say nothing to what they don't understand, so that silence is no sign against them.

        Source: Consul 1.13, UDP checks (behaviour).
        """
        address = definition.udp
        success = f"UDP connect {address}: Success"
        addresses: list[tuple[int, Any]] | None = None
        try:
            async with asyncio.timeout(definition.timeout_s or self._settings.udp_timeout_s):
                addresses = await _look_up(address)
                await _ask(address, addresses)
        except TimeoutError:
            if addresses is None:
                return Observation(CRITICAL, f"dial udp {address}: i/o timeout", is_silent=True)
            return Observation(PASSING, success, is_silent=True)
        except Unreachable as problem:
            return problem.seen_as(problem.words)
        return Observation(PASSING, success)

    async def close(self) -> None:
        """Has nothing to let go of."""


async def _look_up(address: str) -> list[tuple[int, Any]]:
    """The families and socket addresses of a target."""
    host, port = parse_target(address, "udp")
    try:
        try:
            # An address needs no resolver, and does not wait behind the names that hang there.
            found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
        except socket.gaierror:
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except OSError as problem:
        raise unreachable(address, problem, "udp") from problem
    except UnicodeError as problem:
        raise Unreachable(f"dial udp: lookup {host}: no such host") from problem
    return [(family, where) for family, _, _, _, where in found]


async def _ask(address: str, addresses: list[tuple[int, Any]]) -> None:
    """Waits until one of the addresses has answered; those that refuse are passed over, until none is left."""
    refusal: Unreachable | None = None
    for family, where in addresses:
        try:
            with contextlib.closing(socket.socket(family, socket.SOCK_DGRAM)) as sender:
                sender.setblocking(False)
                sender.connect(where)
                # Not `sock_sendall`, which leaves an empty datagram out.
                sender.send(b"")
                await asyncio.get_running_loop().sock_recv(sender, 1)
                return
        except OSError as problem:
            refusal = Unreachable(
                f"read udp {address}: read: {os.strerror(problem.errno or 0).lower()}",
                is_own_fault=is_own_fault(problem),
                is_silent=is_silence(problem),
            )
    assert refusal is not None, addresses
    raise refusal

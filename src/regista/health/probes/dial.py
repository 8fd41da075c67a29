"""Connections of the probes: to `host:port`, with or without TLS, gone without a trace once they were seen."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import ssl
from collections.abc import AsyncIterator
from typing import Any

from regista.health.probes.faults import ProbeFailed, is_own_fault, is_silence
from regista.health.probes.tls import tls_context, tls_problem
from regista.health.probes.words import dial_problem, split_address
from regista.model import CheckDefinition

_PORT_MOST = 65535


class Unreachable(ProbeFailed):
    """No connection came about."""


class HandshakeFailed(ProbeFailed):
    """The target was there, and did not come to terms about TLS."""


class TimedOut(ProbeFailed):
    """The target took too long."""


@dataclasses.dataclass(frozen=True, slots=True)
class Tls:
    """How to speak TLS with a target.

    Attributes:
        server_name: whom to ask for, and whose certificate to expect; "" for the host of the address.
        protocols: those that are offered by ALPN.
    """

    server_name: str = ""
    is_verified: bool = True
    protocols: tuple[str, ...] = ()


def tls_of(definition: CheckDefinition, *protocols: str) -> Tls:
    """TLS as a check's definition wants it."""
    return Tls(definition.tls_server_name, not definition.tls_skip_verify, protocols)


def parse_target(address: str, network: str = "tcp") -> tuple[str, int]:
    """Host and port of `host:port`; this machine if there is no host.

    Raises:
        Unreachable: nobody can be reached under such an address.
    """
    host, port = split_address(address)
    if not port:
        raise Unreachable(f"dial {network}: address {address}: missing port in address")
    if not (port.isascii() and port.isdecimal()) or int(port) > _PORT_MOST:
        raise Unreachable(f"dial {network}: address {port}: invalid port")
    return host or "localhost", int(port)


@contextlib.asynccontextmanager
async def dialled(
    protocol: asyncio.BaseProtocol, address: str, *, tls: Tls | None, timeout_s: float
) -> AsyncIterator[asyncio.Transport]:
    """A connection for `protocol`, until the end of the block, which must come within the timeout.

    It is cut off at the end instead of being closed politely: a target that reads nothing, or does not answer the
    end of TLS, would keep the socket open long after its probe.

    Raises:
        Unreachable, HandshakeFailed: no connection came about.
        TimedOut: no connection, or no end of the block.
    """
    transport: asyncio.Transport | None = None
    try:
        async with asyncio.timeout(timeout_s):
            transport = await _connect(protocol, address, tls)
            yield transport
    except TimeoutError as problem:
        raise TimedOut("context deadline exceeded", is_silent=transport is None) from problem
    finally:
        if transport is not None:
            transport.abort()


async def _connect(protocol: asyncio.BaseProtocol, address: str, tls: Tls | None) -> asyncio.Transport:
    host, port = parse_target(address)
    arguments = _tls_arguments(host, tls) if tls else {}
    try:
        # The addresses of a name are tried one after the other: uvloop has no `happy_eyeballs_delay`.
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: protocol, host, port, **arguments
        )
    except ssl.SSLError as problem:
        raise HandshakeFailed(tls_problem(problem)) from problem
    except OSError as problem:
        raise unreachable(address, problem) from problem
    except UnicodeError as problem:
        # A host that the IDNA codec refuses, such as one with an empty or overlong label.
        raise Unreachable(f"dial tcp: lookup {host}: no such host") from problem
    return transport


def unreachable(address: str, problem: OSError, network: str = "tcp") -> Unreachable:
    """What the system's error means for a probe."""
    return Unreachable(
        dial_problem(address, problem, network),
        is_own_fault=is_own_fault(problem),
        is_silent=is_silence(problem),
    )


def _tls_arguments(host: str, tls: Tls) -> dict[str, Any]:
    name = tls.server_name or host
    try:
        # Refused here: later on, asyncio would leave the open socket behind.
        name.encode("idna")
    except UnicodeError as problem:
        if not tls.server_name:
            raise Unreachable(f"dial tcp: lookup {host}: no such host") from problem
        raise HandshakeFailed(f'tls: "{name}" is no name that a server can be asked for') from problem
    context = tls_context(is_verified=tls.is_verified, protocols=tls.protocols)
    return {"ssl": context, "server_hostname": name}

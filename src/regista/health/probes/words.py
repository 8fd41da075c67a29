"""What failed, in the words that Go's programs use, which people who know Consul search their logs for."""

from __future__ import annotations

import os
import socket

from regista.health.probes.faults import error_numbers

TIMED_OUT = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"


def dial_problem(address: str, problem: OSError, network: str = "tcp") -> str:
    """Why no connection to `address` (`host:port`) came about; of several addresses, why not to the first.

    Source: Go 1.x, `net.OpError` and `net.DNSError`.
    """
    if isinstance(problem, socket.gaierror):
        return f"dial {network}: lookup {split_address(address)[0]}: no such host"
    if (numbers := error_numbers(problem)) and numbers[0] > 0:
        return f"dial {network} {address}: connect: {os.strerror(numbers[0]).lower()}"
    if isinstance(problem, ConnectionResetError) and not str(problem):
        # uvloop, when the target goes in the middle of a handshake.
        return f"dial {network} {address}: connect: connection reset by peer"
    return f"dial {network} {address}: {problem.strerror or str(problem) or type(problem).__name__}"


def join_address(host: str, port: int | str | None) -> str:
    """`host:port`, with brackets around an IPv6 address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_address(address: str) -> tuple[str, str]:
    """Host and port of `host:port` or `[v6]:port`; the port is "" if there is none."""
    if address.startswith("["):
        host, _, port = address[1:].partition("]")
        return host, port.removeprefix(":")
    host, _, port = address.rpartition(":")
    return (host, port) if host or port != address else (address, "")

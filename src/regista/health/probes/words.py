"""What failed, in the words that Go's programs use, which people who know Consul search their logs for."""

from __future__ import annotations

import os
import socket

TIMED_OUT = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"


def dial_problem(address: str, problem: OSError) -> str:
    """Why no connection to `address` (`host:port`) came about.

    Source: Go 1.x, `net.OpError` and `net.DNSError`.
    """
    if isinstance(problem, socket.gaierror):
        return f"dial tcp: lookup {split_address(address)[0]}: no such host"
    if problem.errno and problem.errno > 0:
        return f"dial tcp {address}: connect: {os.strerror(problem.errno).lower()}"
    return f"dial tcp {address}: {problem.strerror or problem}"


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

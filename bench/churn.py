"""A million clients that connect, wait for a change, and are gone: what of it stays in memory.

Each opens a connection, asks a question that waits, and resets the connection a moment later, as a program that is
killed or a phone that leaves a network. Memory is looked at after a warm-up and in the end, open files as soon as
the last one has gone, and so is what the agent says of its watchers.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import socket
import struct
import time
from collections.abc import Iterator

import lab

_AT_ONCE = 200
_STAY_S = 0.002
_PATHS = (
    "/v1/health/service/web?index=999999999&wait=60s",
    "/v1/kv/a/key?index=999999999&wait=60s",
    "/v1/regista/stream?service=web",
    "/v1/regista/events",
)

_RESET = struct.pack("ii", 1, 0)


async def cycle(port: int, head: bytes) -> None:
    """One client's life."""
    loop = asyncio.get_running_loop()
    with socket.socket() as opened:
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        await loop.sock_connect(opened, ("127.0.0.1", port))
        await loop.sock_sendall(opened, head)
        await asyncio.sleep(_STAY_S)


async def churn(port: int, count: int) -> None:
    """So many lives, some at once."""
    heads = itertools.cycle([f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for path in _PATHS])
    turns: Iterator[int] = iter(range(count))

    async def work() -> None:
        for _ in turns:
            await cycle(port, next(heads))

    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))


def files(server: lab.Server) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))  # noqa: PTH208 - only their number


def left(server: lab.Server) -> dict[str, int]:
    """What the agent says is in use, of what those who come and go may take."""
    found = json.loads(server.get("/v1/regista/limits")[2])["limits"]
    names = ("http.connections_max", "http.waiting_max", "http.watchers_max", "streams.readers_max")
    return {each["name"]: each["used"] for each in found if each["name"] in (*names, "streams.listeners_max")}


def settle(server: lab.Server, files_before: int) -> float:
    """Seconds until all connections of those who have gone are closed, once the agent has taken on the last."""
    server.get("/v1/status/leader")
    began_s = time.monotonic()
    while files(server) > files_before:
        if time.monotonic() - began_s > 30:
            raise SystemExit(f"{files(server) - files_before} files stay open")
        time.sleep(0.005)
    return time.monotonic() - began_s


async def measure(server: lab.Server, cycles: int, steps: int) -> None:
    server.request("PUT", "/v1/agent/service/register", b'{"Name":"web","ID":"web-1","Port":80}')
    files_before = files(server)
    await churn(server.port, min(20_000, cycles))
    settle(server, files_before)
    await asyncio.sleep(3)  # until watchers that may come back are forgotten
    baseline = server.memory_mb()
    rows = [["0", f"{baseline:.1f}", "", ""]]
    slowest_s = 0.0
    for step in range(1, steps + 1):
        began_s, cpu_s = time.perf_counter(), server.cpu_s()
        await churn(server.port, cycles // steps)
        rate = cycles // steps / (time.perf_counter() - began_s)
        freed_s = settle(server, files_before)
        slowest_s = max(slowest_s, freed_s)
        await asyncio.sleep(3)
        cost = (server.cpu_s() - cpu_s) / (cycles // steps)
        done = f"{cycles // steps * step:,}"
        rows.append([done, f"{server.memory_mb():.1f}", f"{rate:,.0f}", f"{cost * 1e6:.0f}"])
    lab.table(["cycles", "resident MB", "a second", "CPU µs each"], rows)
    print(f"  left in use: {left(server)}; the one connection is this question's")
    lab.verdict("memory in the end / at the beginning", server.memory_mb() / baseline, at_most=1.05)
    lab.verdict("seconds until everything was freed", slowest_s, at_most=1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--cycles", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=5)
    wanted = parser.parse_args()
    print(f"churn: {wanted.cycles:,} clients that connect, wait and are gone")
    with lab.agent() as server:
        lab.run(measure(server, wanted.cycles, wanted.steps))


if __name__ == "__main__":
    main()

"""What the benchmark of health looks at: a responder that costs little, and a process to be killed.

Run as a program, with the agent's port and a TTL in seconds, it is that process.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from typing import cast

import uvloop

RENEWALS_EACH_TTL = 5
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Seen:
    """When each target was asked."""

    def __init__(self) -> None:
        self.moments_s: dict[bytes, list[float]] = {}

    def note(self, path: bytes) -> None:
        """Notes that a target is asked now."""
        self.moments_s.setdefault(path, []).append(time.monotonic())

    def clear(self) -> None:
        """Forgets all but who the targets are."""
        self.moments_s = {path: [] for path in self.moments_s}

    def gaps_s(self) -> list[float]:
        """The time between one question and the next, of every target."""
        return [
            later - earlier
            for moments in self.moments_s.values()
            for earlier, later in itertools.pairwise(moments)
        ]


class _Responder(asyncio.Protocol):
    def __init__(self, seen: Seen) -> None:
        self._seen = seen
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._buffer.endswith(b"\r\n\r\n"):
            self._seen.note(self._buffer.split(b" ", 2)[1])
            self._transport.write(_ANSWER)
            self._transport.close()


@contextlib.asynccontextmanager
async def responder(seen: Seen) -> AsyncIterator[int]:
    """Answers every request with `ok` on the port that it gives."""
    server = await asyncio.get_running_loop().create_server(lambda: _Responder(seen), "127.0.0.1", 0, backlog=4096)
    async with server:
        yield server.sockets[0].getsockname()[1]


# ---- a bare loop in place of the agent ----


class _Asker(asyncio.Protocol):
    def __init__(self, request: bytes, done: asyncio.Future[None]) -> None:
        self._request = request
        self._done = done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)

    def connection_lost(self, _exc: Exception | None) -> None:
        self._done.set_result(None)


async def _ask_bare(port: int, count: int) -> None:
    """Asks one after the other, a millisecond apart, as a scheduler would; prints the processor time of each."""
    loop = asyncio.get_running_loop()
    before_s = time.process_time()
    asked: set[asyncio.Task[None]] = set()

    async def ask(number: int) -> None:
        done: asyncio.Future[None] = loop.create_future()
        request = b"GET /bare-%d HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n" % number
        await loop.create_connection(lambda: _Asker(request, done), "127.0.0.1", port)
        await done

    for number in range(count):
        task = loop.create_task(ask(number))
        asked.add(task)
        task.add_done_callback(asked.discard)
        await asyncio.sleep(0.001)
    await asyncio.gather(*asked)
    print((time.process_time() - before_s) / count)


async def bare_cost_s(port: int, count: int) -> float:
    """Processor seconds that a loop takes for each question, on the core of the servers."""
    core = os.environ.get("BENCH_SERVER_CPU", "")
    pinned = ["taskset", "-c", core] if core and shutil.which("taskset") else []
    process = await asyncio.create_subprocess_exec(
        *pinned, sys.executable, __file__, "bare", str(port), str(count), stdout=subprocess.PIPE
    )
    told, _ = await process.communicate()
    return float(told)


# ---- the process that is killed ----


async def live(agent_port: int, ttl_s: float) -> None:
    """Answers HTTP checks, passes `beat`, renews `react-lease`; prints its port, then the moment of each."""

    class Telling(Seen):
        def note(self, _path: bytes) -> None:
            print("http", time.monotonic(), flush=True)

    async with responder(Telling()) as port:
        print(port, flush=True)
        reader, writer = await asyncio.open_connection("127.0.0.1", agent_port)
        while True:
            for kind, path in (("ttl", b"check/pass/beat"), ("lease", b"service/renew/react-lease")):
                writer.write(b"PUT /v1/agent/%b HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n" % path)
                sent_s = time.monotonic()
                head = await reader.readuntil(b"\r\n\r\n")
                length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
                await reader.readexactly(int(length or 0))
                if head.startswith(b"HTTP/1.1 200"):
                    print(kind, sent_s, flush=True)
            await asyncio.sleep(ttl_s / RENEWALS_EACH_TTL)


if __name__ == "__main__":
    if sys.argv[1] == "bare":
        uvloop.run(_ask_bare(int(sys.argv[2]), int(sys.argv[3])))
    else:
        uvloop.run(live(int(sys.argv[1]), float(sys.argv[2])))

"""A thousand listeners to the event stream, of whom a hundred never read: do writes and look-ups notice?

Rounds without and with listeners alternate on one durable agent. Writes are registrations over 64 connections, as
many as it takes. Look-ups are reads of one service over 64 connections while a hundred registrations a second go
on, so that there is something to tell. It is done twice: with listeners of whom each wants one service of a
hundred, and with listeners who want everything. They run in a process of their own, which gives way to the load.

The second is for information: a thousand times each event is as much as one machine copies from one process to
another, so listeners and load take each other's time, which on machines of their own they would not.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import multiprocessing
import os
import re
import socket
import time
from collections.abc import AsyncIterator, Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import lab
from wake import get_request

SERVICES = 100
_WRITES_A_SECOND = 100
"""While look-ups are measured."""

_STALL_S = 10.0
"""After so long without taking anything a listener is dropped."""

_SILENCE_S = 0.5
"""After so long without an event all were heard."""


def registration(number: int) -> bytes:
    """The request of an instance that changes each time."""
    name = f"service-{number % SERVICES}"
    body = json.dumps(
        {
            "ID": f"{name}-{number // SERVICES % 10}",
            "Name": name,
            "Tags": ["v2", "eu-west"],
            "Address": "10.0.0.1",
            "Port": 1024 + number % 60000,
            "Meta": {"version": "2.14.3", "build": str(number)},
        }
    ).encode()
    head = b"PUT /v1/agent/service/register HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


# ---- the listeners, in a process of their own ----


class Listener(asyncio.Protocol):
    """Reads a stream, and counts what it is told."""

    def __init__(self, began: asyncio.Queue[None]) -> None:
        self.events = 0
        self.last_s = 0.0
        self._began = began

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if not self.last_s:
            self._began.put_nowait(None)
        self.last_s = time.perf_counter()
        self.events += data.count(b"event: ")


def listen(port: int, reading: int, deaf: int, is_filtered: bool, pipe: Connection) -> None:  # noqa: FBT001 - of a process
    """Says when all listen; when it is told to stop, says how many events were heard, and when the last was."""
    os.nice(19)
    lab.run(_listen(port, reading, deaf, is_filtered=is_filtered, pipe=pipe))


async def _listen(port: int, reading: int, deaf: int, *, is_filtered: bool, pipe: Connection) -> None:
    loop = asyncio.get_running_loop()
    began: asyncio.Queue[None] = asyncio.Queue()
    listeners, sockets = [], []
    for number in range(reading + deaf):
        query = f"?service=service-{number % SERVICES}" if is_filtered else ""
        request = get_request(f"/v1/regista/events{query}")
        if number < reading:
            transport, listener = await loop.create_connection(lambda: Listener(began), "127.0.0.1", port)
            transport.write(request)
            listeners.append(listener)
        else:
            client = socket.socket()
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", port))
            client.sendall(request)
            sockets.append(client)
    for _ in listeners:
        await began.get()
    pipe.send(None)
    await loop.run_in_executor(None, pipe.recv)
    asked_s = time.perf_counter()
    latest_s = None
    # What is awaited is that nothing comes, which has no event of its own.
    while latest_s != (latest_s := max(each.last_s for each in listeners)):  # noqa: ASYNC110 - see above
        await asyncio.sleep(_SILENCE_S)
    late_s = latest_s - asked_s
    pipe.send((sum(listener.events for listener in listeners), max(0.0, late_s)))
    await loop.run_in_executor(None, pipe.recv)
    for client in sockets:
        client.close()


class Listeners:
    """Those of one round."""

    def __init__(self, server: lab.Server, wanted: argparse.Namespace, *, is_filtered: bool) -> None:
        spawning = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawning.Pipe()
        arguments = (server.port, wanted.reading, wanted.deaf, is_filtered, theirs)
        self._process = spawning.Process(target=listen, args=arguments)
        self._process.start()
        self._pipe.recv()

    def stop(self) -> tuple[int, float]:
        """How many events they heard, once they have heard all, and how long after this was asked the last was."""
        self._pipe.send(None)
        heard: tuple[int, float] = self._pipe.recv()
        return heard

    def close(self) -> None:
        """Hangs up."""
        self._pipe.send(None)
        self._process.join()


# ---- the load ----


def metric(server: lab.Server, name: str) -> float:
    """A metric of the agent's."""
    text = server.get("/v1/agent/metrics?format=prometheus")[2].decode()
    found = re.search(rf"^regista_{name} (\S+)$", text, re.MULTILINE)
    assert found, name
    return float(found[1])


@contextlib.asynccontextmanager
async def steady_writes(server: lab.Server, numbers: Iterator[int]) -> AsyncIterator[None]:
    """So many registrations a second, for as long as the block runs."""
    (connection,) = await lab.connect(server.port, 1)
    answered = asyncio.Event()
    connection.answered = lambda _connection, _answer: answered.set()

    async def write() -> None:
        while True:
            answered.clear()
            connection.send(registration(next(numbers)))
            await asyncio.gather(answered.wait(), asyncio.sleep(1 / _WRITES_A_SECOND))

    task = asyncio.create_task(write())
    try:
        yield
    finally:
        task.cancel()
        lab.disconnect([connection])


Round = tuple[lab.Load, lab.Load]
"""Registrations, and look-ups."""


async def measure(server: lab.Server, numbers: Iterator[int], *, writes: int, reads: int) -> Round:
    """One round."""
    written = await lab.send_all(server, [registration(next(numbers)) for _ in range(writes)], connections=64)
    async with steady_writes(server, numbers):
        requests = [get_request(f"/v1/health/service/service-{number % SERVICES}") for number in range(reads)]
        looked_up = await lab.send_all(server, requests, connections=64)
    return written, looked_up


async def compare(server: lab.Server, wanted: argparse.Namespace, *, is_filtered: bool) -> None:
    """Alternates rounds without and with listeners, and prints what they come to."""
    numbers = iter(range(10**9))
    await measure(server, numbers, writes=wanted.writes, reads=wanted.reads)  # warms up
    without, with_them = [], []
    before_mb, during_mb = server.memory_mb(), 0.0
    heard, late_s = 0, 0.0
    dropped = metric(server, "streams_dropped_total")
    for _ in range(wanted.rounds):
        without.append(await measure(server, numbers, writes=wanted.writes, reads=wanted.reads))
        listeners = Listeners(server, wanted, is_filtered=is_filtered)
        with_them.append(await measure(server, numbers, writes=wanted.writes, reads=wanted.reads))
        count, last_s = listeners.stop()
        heard, late_s = heard + count, max(late_s, last_s)
        await asyncio.sleep(_STALL_S + 1)
        during_mb = max(during_mb, server.memory_mb())
        listeners.close()
    dropped = metric(server, "streams_dropped_total") - dropped
    rows = [
        row(f"{what}, {words} listeners", [each[position] for each in rounds])
        for position, what in enumerate(("registrations", "look-ups"))
        for words, rounds in (("without", without), ("with", with_them))
    ]
    lab.table(["", "req/s", "req/s of CPU", "p99 ms", "load's core", "spread"], rows)
    print(f"  {heard:,} events heard, the last of them {late_s:.1f} s after the load's end")
    print(f"  memory: {before_mb:.0f} MB before, {during_mb:.0f} MB with listeners")
    print(f"  dropped for taking nothing: {dropped:.0f} of {wanted.deaf * wanted.rounds}")
    for position, what in enumerate(("registrations", "look-ups")):
        ratio = median_rate(with_them, position) / median_rate(without, position)
        if is_filtered:
            lab.verdict(f"{what}, with / without", ratio, at_least=0.9)
        else:
            print(f"  {what}, with / without: {ratio:.2f}")
    print(flush=True)


def median_rate(rounds: list[Round], position: int) -> float:
    return lab.median([each[position].rate for each in rounds])


def row(what: str, loads: list[lab.Load]) -> list[str]:
    """A line of the table."""
    return [
        what,
        f"{lab.median([load.rate for load in loads]):,.0f}",
        f"{lab.median([load.rate_per_cpu_s for load in loads]):,.0f}",
        f"{lab.median([lab.percentile(load.latencies_s, 0.99) for load in loads]) * 1000:.1f}",
        f"{lab.median([load.cpu_share for load in loads]):.0%}",
        lab.spread([load.rate for load in loads]),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--reading", type=int, default=900)
    parser.add_argument("--deaf", type=int, default=100)
    parser.add_argument("--writes", type=int, default=10_000)
    parser.add_argument("--reads", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=3)
    wanted = parser.parse_args()
    for is_filtered in (True, False):
        what = f"one service of {SERVICES} each" if is_filtered else "everything"
        print(f"events: {wanted.reading + wanted.deaf} listeners for {what}, {wanted.deaf} of them never read")
        with lab.scratch("events") as directory:
            config = Path(directory) / "agent.json"
            config.write_text(json.dumps({"http": {"stream_stall": f"{_STALL_S:g}s"}}))
            with lab.agent(directory / "data", "--config-file", str(config)) as server:
                lab.run(compare(server, wanted, is_filtered=is_filtered))


if __name__ == "__main__":
    main()

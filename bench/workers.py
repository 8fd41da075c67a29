"""Read workers: what an answer costs with one and with two, and how soon one shows what was written at another.

Costs are seconds of processor time of all processes of the agent, from /proc, for the processes share their cores
with whatever else runs. Rounds with one and with two workers take turns.

Seen: a key is written through a connection to one worker, and once that is acknowledged, read through a connection
to another; the reads are timed. The round trip beside it is the same read after a request through the first worker
that writes nothing, so that the second has been idle for as long: a process that sleeps takes longer to answer.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

import lab

NAME = "web"
INSTANCES = 10
_PATH = f"/v1/health/service/{NAME}?passing"
_TICKS_S = os.sysconf("SC_CLK_TCK")
_PROBES = 8
_CONNECTIONS_MAX = 60


def processes(server: lab.Server) -> list[int]:
    """The main process and its workers."""
    pid = server.process.pid
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def cpu_s(pid: int) -> float:
    """Seconds of processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_S


@contextlib.contextmanager
def agents() -> Iterator[dict[int, lab.Server]]:
    """Agents with one worker and with two, which hold the same service."""
    with contextlib.ExitStack() as ending:
        found = {count: ending.enter_context(lab.agent(None, "--workers", str(count))) for count in (1, 2)}
        for server in found.values():
            for number in range(INSTANCES):
                body = b'{"ID":"%b-%d","Name":"%b","Port":%d}' % (
                    NAME.encode(),
                    number,
                    NAME.encode(),
                    8000 + number,
                )
                status, _, answer = server.request("PUT", "/v1/agent/service/register", body)
                assert status == 200, answer
        yield found


def measure_costs(servers: dict[int, lab.Server], *, rounds: int, seconds: int) -> None:
    """Requests for each second of processor time, and how the processes share them."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    shares: dict[int, list[str]] = {1: [], 2: []}
    for turn in range(rounds + 1):
        for count, server in servers.items():
            pids = processes(server)
            before = [cpu_s(pid) for pid in pids]
            load = lab.wrk(server, _PATH, seconds=seconds)
            taken_s = [cpu_s(pid) - first_s for pid, first_s in zip(pids, before, strict=True)]
            if turn:  # the first warms up
                rates[count].append(load.requests / sum(taken_s))
                shares[count].append(" + ".join(f"{each / sum(taken_s):.0%}" for each in taken_s))
    rows = [
        [f"{count}", f"{lab.median(each):,.0f}", lab.spread(each), shares[count][-1]]
        for count, each in rates.items()
    ]
    lab.table(["workers", "req/s of CPU", "spread", "main process + workers"], rows)
    lab.verdict("two workers / one", lab.median(rates[2]) / lab.median(rates[1]), at_least=0.85)


async def connections_of_two(server: lab.Server) -> tuple[lab.Connection, lab.Connection]:
    """A connection to each worker: told by whose requests grow."""
    found: dict[int, lab.Connection] = {}
    for connection in await lab.connect(server.port, _CONNECTIONS_MAX):
        before = worker_requests(server)
        for _ in range(_PROBES):
            await ask(connection, b"GET /v1/status/leader HTTP/1.1\r\nHost: a\r\n\r\n")
        for number, count in worker_requests(server).items():
            if count - before[number] >= _PROBES:
                found.setdefault(number, connection)
    return found[1], found[2]


def worker_requests(server: lab.Server) -> dict[int, int]:
    """How many requests each worker has begun."""
    lines = server.get("/v1/agent/metrics?format=prometheus")[2].decode().splitlines()
    name = "regista_worker_requests_total"
    return {
        int(line.split('"')[1]): int(float(line.rpartition(" ")[2])) for line in lines if line.startswith(name)
    }


async def ask(connection: lab.Connection, request: bytes) -> bytes:
    """The answer to one request."""
    done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    connection.answered = lambda _connection, answer: done.set_result(answer)
    connection.send(request)
    return await done


async def measure_seen(server: lab.Server, *, writes: int) -> None:
    """How long a read through one worker takes right after a write through the other."""
    first, second = await connections_of_two(server)
    read = b"GET /v1/kv/seen?raw HTTP/1.1\r\nHost: a\r\n\r\n"
    nothing = b"PUT /v1/kv/seen?cas=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n"
    seen_s: list[float] = []
    plain_s: list[float] = []
    writes_s: list[float] = []
    for number in range(writes):
        value = b"%08d" % number
        began_s = time.perf_counter()
        await ask(first, b"PUT /v1/kv/seen HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n" + value)
        written_s = time.perf_counter()
        if value not in await ask(second, read):
            raise SystemExit("a write that was acknowledged was not seen")
        answered_s = time.perf_counter()
        seen_s.append(answered_s - written_s)
        await ask(first, nothing + b"x" * 8)
        began_again_s = time.perf_counter()
        await ask(second, read)
        plain_s.append(time.perf_counter() - began_again_s)
        writes_s.append(written_s - began_s)
    rows = [
        [name, f"{lab.median(each) * 1e6:.0f}", f"{lab.percentile(each, 0.99) * 1e6:.0f}"]
        for name, each in (
            ("write through one worker", writes_s),
            ("seen through the other, after that", seen_s),
            ("a loopback round trip: the same read", plain_s),
        )
    ]
    lab.table(["", "median µs", "p99 µs"], rows)
    lab.verdict("seen / round trip", lab.median(seen_s) / lab.median(plain_s), at_most=2.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3)
    parser.add_argument("--writes", type=int, default=2000)
    wanted = parser.parse_args()
    print(f"workers: look-ups of a service of {INSTANCES}, {wanted.rounds} rounds; {wanted.writes} writes")
    with agents() as servers:
        measure_costs(servers, rounds=wanted.rounds, seconds=wanted.seconds)
        lab.run(measure_seen(servers[2], writes=wanted.writes))


if __name__ == "__main__":
    main()

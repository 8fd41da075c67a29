"""One registration wakes a thousand blocked queries, beside a thousand plain reads of the same answer.

Both go over the same thousand open connections. A wake-up is timed from the first byte of the registration to the
last byte of the last answer; the reads from the first request's first byte to the last answer's last.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time

import lab

NAME = "web"
INSTANCES = 10
_PARK_S = 1.0
"""Long enough for every query to be waiting; the server's processor time stands still by then."""


def registration(number: int, port: int) -> bytes:
    """One of the instances."""
    return json.dumps(
        {
            "ID": f"{NAME}-{number}",
            "Name": NAME,
            "Tags": ["v2", "eu-west"],
            "Address": f"10.0.0.{number + 1}",
            "Port": port,
            "Meta": {"version": "2.14.3"},
            "Check": {"TTL": "1h", "Status": "passing"},
        }
    ).encode()


def get_request(path: str) -> bytes:
    return b"GET %b HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n\r\n" % path.encode()


async def ask_all(
    connections: list[lab.Connection], request: bytes, *, then: tuple[lab.Connection, bytes] | None, marker: bytes
) -> tuple[float, int]:
    """Sends the request on every connection, and `then` once all wait; seconds to the last answer, its size."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    left = len(connections)
    size = 0

    def answered(_connection: lab.Connection, answer: bytes) -> None:
        nonlocal left, size
        if marker not in answer:
            raise SystemExit("an answer is older than the registration that it was to tell of")
        left -= 1
        size = len(answer)
        if not left:
            done.set_result(None)

    for connection in connections:
        connection.answered = answered
    start_s = time.perf_counter()
    for connection in connections:
        connection.send(request)
    if then is not None:
        await asyncio.sleep(_PARK_S)
        if left != len(connections):
            raise SystemExit(f"{len(connections) - left} queries did not wait")
        writer, write = then
        writer.answered = lambda _connection, _answer: None
        start_s = time.perf_counter()
        writer.send(write)
    await asyncio.wait_for(done, 30)
    return time.perf_counter() - start_s, size


async def measure(server: lab.Server, *, waiting: int, rounds: int) -> None:
    path = f"/v1/health/service/{NAME}"
    connections = await lab.connect(server.port, waiting)
    (writer,) = await lab.connect(server.port, 1)
    waits_s: list[float] = []
    reads_s: list[float] = []
    waits_cpu_s: list[float] = []
    reads_cpu_s: list[float] = []
    size = 0
    for turn in range(rounds + 1):
        port = 9000 + turn
        index = server.get(path)[1]["x-consul-index"]
        body = registration(0, port)
        write = b"PUT /v1/agent/service/register HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%b" % (
            len(body),
            body,
        )
        marker = b'"Port":%d' % port
        blocked = get_request(f"{path}?index={index}&wait=60s")
        before_s = server.cpu_s()
        wait_s, size = await ask_all(connections, blocked, then=(writer, write), marker=marker)
        wait_cpu_s = server.cpu_s() - before_s
        await asyncio.sleep(0.1)
        before_s = server.cpu_s()
        read_s, _ = await ask_all(connections, get_request(path), then=None, marker=marker)
        read_cpu_s = server.cpu_s() - before_s
        if turn:  # the first warms up
            waits_s.append(wait_s)
            reads_s.append(read_s)
            waits_cpu_s.append(wait_cpu_s)
            reads_cpu_s.append(read_cpu_s)
    lab.disconnect([*connections, writer])
    rows = [
        [
            name,
            f"{lab.median(each) * 1000:.1f}",
            f"{min(each) * 1000:.1f}",
            f"{max(each) * 1000:.1f}",
            f"{waiting / lab.median(each):,.0f}",
            f"{lab.median(cpu) * 1000:.0f}",
        ]
        for name, each, cpu in (
            ("woken by a registration", waits_s, waits_cpu_s),
            ("plain reads", reads_s, reads_cpu_s),
        )
    ]
    lab.table(["", "median ms", "min ms", "max ms", "answers/s", "CPU ms (asking too)"], rows)
    print(f"  an answer has {size:,} bytes, head included")
    lab.verdict("woken / plain", lab.median(waits_s) / lab.median(reads_s), at_most=3.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--waiting", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=7)
    wanted = parser.parse_args()
    print(f"wake: {wanted.waiting} blocked queries of a service of {INSTANCES}, {wanted.rounds} rounds")
    with lab.scratch("wake") as directory, lab.agent(directory) as server:
        for number in range(INSTANCES):
            status, _, answer = server.request("PUT", "/v1/agent/service/register", registration(number, 8000))
            assert status == 200, answer
        lab.run(measure(server, waiting=wanted.waiting, rounds=wanted.rounds))


if __name__ == "__main__":
    main()

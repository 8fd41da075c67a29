"""One change in a service of twenty thousand, told to a thousand followers: bytes sent, and processor time each.

The followers begin with the index of a list, as a program does that has one, so no full lists are counted. A
change is a registration with another port; the next comes when all followers have the one before. The processor
time is compared with that for services of other sizes, in turn.

Then a rolling update: instances of the largest service get another port one after the other, so many a second,
whether the followers have heard of the one before or not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time

import lab

NAME = "web"
_ROLLED_PORT = 20_000
_TRANSACTION_OPERATIONS = 64


class Follower(asyncio.Protocol):
    """Counts what it is sent."""

    def __init__(self) -> None:
        self.bytes = 0
        self.transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self.bytes += len(data)


def service(name: str, number: int, port: int) -> dict[str, object]:
    """One of the instances."""
    return {
        "ID": f"{name}-{number}",
        "Service": name,
        "Tags": ["v2", "eu-west"],
        "Address": f"10.0.{number // 250}.{number % 250}",
        "Port": port,
        "Meta": {"version": "2.14.3"},
    }


def put(server: lab.Server, path: str, content: object) -> None:
    status, _, answer = server.request("PUT", path, json.dumps(content).encode())
    assert status == 200, answer


def fill(server: lab.Server, name: str, count: int) -> None:
    """Registers the instances, each with a check."""
    for first in range(0, count, _TRANSACTION_OPERATIONS):
        numbers = range(first, min(count, first + _TRANSACTION_OPERATIONS))
        operations = [
            {"Service": {"Verb": "set", "Node": "n1", "Service": service(name, each, 8000)}} for each in numbers
        ]
        put(server, "/v1/txn", operations)


async def follow(server: lab.Server, name: str, count: int) -> list[Follower]:
    """So many followers that know the list."""
    loop = asyncio.get_running_loop()
    index = server.get(f"/v1/health/service/{name}?index=0&tag=none")[1]["x-consul-index"]
    head = f"GET /v1/regista/stream?service={name}&after={index} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    followers = []
    for _ in range(count):
        transport, follower = await loop.create_connection(Follower, "127.0.0.1", server.port)
        transport.write(head)
        followers.append(follower)
    await settled(followers, [0] * count)
    return followers


async def settled(followers: list[Follower], before: list[int]) -> None:
    """Returns once each has got something, and nobody gets more."""
    last = -1
    give_up_s = time.monotonic() + 60
    while True:
        now = [each.bytes for each in followers]
        if sum(now) == last and all(new > old for new, old in zip(now, before, strict=True)):
            return
        last = sum(now)
        if time.monotonic() > give_up_s:
            raise SystemExit("not all followers have heard of a change")
        await asyncio.sleep(0.05)


async def change(server: lab.Server, name: str, followers: list[Follower], ports: range) -> tuple[int, float]:
    """Gives one instance after the other another port; the bytes that this brought, and the processor time."""
    connection = (await lab.connect(server.port, 1))[0]
    began = sum(each.bytes for each in followers)
    cpu_s = server.cpu_s()
    for number, port in enumerate(ports):
        before = [each.bytes for each in followers]
        await register(connection, service(name, number, port))
        await settled(followers, before)
    lab.disconnect([connection])
    return sum(each.bytes for each in followers) - began, server.cpu_s() - cpu_s


async def register(connection: lab.Connection, shape: dict[str, object]) -> None:
    """Registers an instance, as an agent of Consul's would."""
    body = json.dumps({"Node": "n1", "Address": "127.0.0.1", "SkipNodeUpdate": True, "Service": shape}).encode()
    answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    connection.answered = lambda _connection, answer: answered.set_result(answer)
    connection.send(
        b"PUT /v1/catalog/register HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    )
    await answered


def entries_bytes(server: lab.Server, name: str, port_min: int) -> tuple[int, int]:
    """How many instances have such a port or a higher one, and the bytes of their entries in health/service."""
    entries = json.loads(server.get(f"/v1/health/service/{name}")[2])
    changed = [each for each in entries if each["Service"]["Port"] >= port_min]
    return len(changed), sum(len(json.dumps(each, separators=(",", ":"))) for each in changed)


async def roll(server: lab.Server, name: str, *, followers: int, instances: int, a_second: float) -> None:
    """Updates so many instances at this pace, and prints what was sent."""
    following = await follow(server, name, followers)
    began = [each.bytes for each in following]
    connection = (await lab.connect(server.port, 1))[0]
    start_s, cpu_s = time.monotonic(), server.cpu_s()
    for number in range(instances):
        await asyncio.sleep(max(0.0, start_s + number / a_second - time.monotonic()))
        await register(connection, service(name, number, _ROLLED_PORT))
    took_s = time.monotonic() - start_s
    await settled(following, began)
    cpu_s = server.cpu_s() - cpu_s
    lab.disconnect([connection])
    count, own = entries_bytes(server, name, _ROLLED_PORT)
    assert count == instances, count
    sent = sum(each.bytes for each in following) - sum(began)
    row = [f"{instances}", f"{instances / took_s:.0f}", f"{sent / 1e6:.0f}", f"{cpu_s / took_s:.0%}"]
    lab.table(["instances updated", "a second", "MB sent", "of a core"], [row])
    lab.verdict("rolling update: sent / (changed instances x followers)", sent / (own * followers), at_most=1.2)


async def measure(server: lab.Server, sizes: list[int], *, followers: int, changes: int, rounds: int) -> None:
    names = {size: f"{NAME}-{size}" for size in sizes}
    for size, name in names.items():
        fill(server, name, size)
    costs: dict[int, list[float]] = {size: [] for size in sizes}
    ratios: dict[int, float] = {}
    for turn in range(rounds + 1):
        for size, name in names.items():
            following = await follow(server, name, followers)
            ports = range(9000 + turn * changes, 9000 + (turn + 1) * changes)
            sent, cpu_s = await change(server, name, following, ports)
            for each in following:
                assert each.transport is not None
                each.transport.close()
            count, own = entries_bytes(server, name, 9000)
            assert count == changes, count
            ratios[size] = sent / (own * followers)
            if turn:  # the first warms up
                costs[size].append(cpu_s / (changes * followers))
    rows = [
        [
            f"{size:,}",
            f"{lab.median(costs[size]) * 1e6:.1f}",
            lab.spread(costs[size]),
            f"{ratios[size]:.3f}",
        ]
        for size in sizes
    ]
    lab.table(["instances", "CPU µs a follower", "spread", "sent / changed"], rows)
    middle = [lab.median(costs[size]) for size in sizes]
    lab.verdict("sent / (changed instances x followers)", max(ratios.values()), at_most=1.2)
    lab.verdict("CPU, dearest size / cheapest", max(middle) / min(middle), at_most=1.4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--sizes", type=int, nargs="+", default=[200, 2_000, 20_000])
    parser.add_argument("--followers", type=int, default=1000)
    parser.add_argument("--changes", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rolled", type=int, default=500, help="instances in the rolling update")
    parser.add_argument("--pace", type=float, default=25.0, help="of which so many a second")
    wanted = parser.parse_args()
    print(f"stream: {wanted.followers} followers, {wanted.changes} changes, services of {wanted.sizes}")
    with lab.scratch("stream") as directory, lab.agent(directory) as server:
        lab.run(
            measure(
                server,
                wanted.sizes,
                followers=wanted.followers,
                changes=wanted.changes,
                rounds=wanted.rounds,
            )
        )
        name = f"{NAME}-{max(wanted.sizes)}"
        lab.run(roll(server, name, followers=wanted.followers, instances=wanted.rolled, a_second=wanted.pace))


if __name__ == "__main__":
    main()

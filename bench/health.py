"""Health at scale: five thousand HTTP checks, ten thousand renewals a second, and how soon the dead are out.

*Probes.* HTTP checks with an interval of ten seconds against a responder here that does as good as nothing. How
late probes start is the agent's own figure (`regista_probe_lateness_seconds`); that each target is really
looked at once an interval is seen here. Beside the agent's processor time stands that of a bare loop that opens
the same connections, asks the same question, and does nothing else.

*Renewals.* TTL checks passed and instances renewed in turn over 64 connections, at a fixed pace and then as
fast as it goes. A latency counts from the moment at which the pace wanted the request to be sent. Beside the
agent's processor time stands that of its cheapest answer, whose request is always the same.

*Reaction.* A process is killed that answers an HTTP check, passes a TTL check, and renews an instance; three
queries wait for what comes of each. Beside the time until each is answered stands the least that it could be:
for a probe the rest of the interval since the last one, for the others the rest of the TTL.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import itertools
import json
import random
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence

import health_targets as targets
import lab
from wake import get_request

CONNECTIONS = 64
INTERVAL_S = 10.0
LATENESS = "regista_probe_lateness_seconds"


def put_request(path: str, content: bytes = b"") -> bytes:
    head = b"PUT %b HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nContent-Length: %d\r\n\r\n"
    return head % (path.encode(), len(content)) + content


def register_request(**fields: object) -> bytes:
    return put_request("/v1/agent/service/register", json.dumps(fields).encode())


def metrics(server: lab.Server) -> dict[str, float]:
    """Every sample by its name and labels."""
    text = server.get("/v1/agent/metrics?format=prometheus")[2].decode()
    samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def change(before: dict[str, float], after: dict[str, float], name: str) -> float:
    """By how much a metric has grown, all its labels together."""
    return sum(
        value - before.get(key, 0.0) for key, value in after.items() if key == name or key.startswith(name + "{")
    )


# ---- probes ----


def buckets(before: dict[str, float], after: dict[str, float]) -> list[tuple[float, float]]:
    """The upper bounds of a histogram's buckets, and how many observations more are below each."""
    found = []
    for key, count in after.items():
        bound = re.fullmatch(rf'{LATENESS}_bucket{{le="(.+)"}}', key)
        if bound:
            found.append((float(bound[1].replace("+Inf", "inf")), count - before.get(key, 0.0)))
    return sorted(found)


def quantile_at_most(counts: Sequence[tuple[float, float]], share: float) -> float:
    """The bound below which this share of the observations lies: the real quantile is not above it."""
    wanted = share * counts[-1][1]
    return next(bound for bound, count in counts if count >= wanted)


async def probes(server: lab.Server, *, count: int, seconds: float, rounds: int) -> None:
    """Registers the checks, waits for a whole interval, and looks at the following ones."""
    seen = targets.Seen()
    async with targets.responder(seen) as port:
        registrations = [
            register_request(
                ID=f"probed-{number}",
                Name=f"probed-{number // 10}",
                Port=port,
                Check={
                    "HTTP": f"http://127.0.0.1:{port}/{number}",
                    "Interval": f"{INTERVAL_S:g}s",
                    "Timeout": "5s",
                    "Status": "passing",
                },
            )
            for number in range(count)
        ]
        await lab.send_all(server, registrations, connections=CONNECTIONS)
        await asyncio.sleep(INTERVAL_S + 1)
        rows, lates, costs = [], [], []
        for turn in range(rounds):
            seen.clear()
            before, cpu_s, start_s = metrics(server), server.cpu_s(), time.monotonic()
            await asyncio.sleep(seconds)
            wall_s, cpu_s, after = time.monotonic() - start_s, server.cpu_s() - cpu_s, metrics(server)
            probed = change(before, after, "regista_probes_total")
            counts = buckets(before, after)
            gaps = seen.gaps_s()
            late = quantile_at_most(counts, 0.99) / INTERVAL_S
            lates.append(late)
            costs.append(cpu_s / probed)
            rows.append(
                [
                    f"round {turn + 1}",
                    f"{probed / wall_s:,.0f}",
                    f"{quantile_at_most(counts, 0.5) / INTERVAL_S:.2%}",
                    f"{late:.2%}",
                    f"{lab.percentile(gaps, 0.01):.2f}",
                    f"{lab.percentile(gaps, 0.99):.2f}",
                    f"{max(gaps):.2f}",
                    f"{cpu_s / wall_s:.0%}",
                    f"{cpu_s / probed * 1e6:.0f}",
                ]
            )
            if not all(seen.moments_s.values()) or len(seen.moments_s) != count:
                raise SystemExit("some targets were not looked at")
        columns = ["", "probes/s", "late p50 ≤", "p99 ≤", "gap p1 s", "p99 s", "max s", "agent's core", "µs each"]
        lab.table(columns, rows)
        bare_s = await targets.bare_cost_s(port, count)
    times = lab.median(costs) / bare_s
    print(f"  a bare loop takes {bare_s * 1e6:.0f} µs each; the agent {times:.1f} times as long")
    lab.verdict("late at p99, % of the interval", lab.median(lates) * 100, at_most=10.0)


# ---- renewals ----


@dataclasses.dataclass(slots=True)
class Paced:
    """What a round at a fixed pace came to."""

    requests: int
    wall_s: float
    server_cpu_s: float
    own_share: float
    latencies_s: list[float]


async def send_paced(server: lab.Server, requests: Sequence[bytes], *, per_s: float) -> Paced:
    """Sends each request when its time has come, on whichever connection is free by then."""
    connections = await lab.connect(server.port, CONNECTIONS)
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    idle, due_s, latencies_s = list(connections), dict.fromkeys(connections, 0.0), []
    sent = 0
    cpu_s, own_s, start_s = server.cpu_s(), time.process_time(), time.perf_counter()

    def send_due() -> None:
        nonlocal sent
        wanted = min(len(requests), int((time.perf_counter() - start_s) * per_s))
        while idle and sent < wanted:
            connection = idle.pop()
            due_s[connection] = start_s + sent / per_s
            connection.send(requests[sent])
            sent += 1
        if sent < len(requests):
            loop.call_later(0.002, send_due)

    def answered(connection: lab.Connection, _answer: bytes) -> None:
        latencies_s.append(time.perf_counter() - due_s[connection])
        idle.append(connection)
        if len(latencies_s) == len(requests):
            done.set_result(None)

    for connection in connections:
        connection.answered = answered
    send_due()
    await done
    wall_s = time.perf_counter() - start_s
    result = Paced(
        len(requests), wall_s, server.cpu_s() - cpu_s, (time.process_time() - own_s) / wall_s, latencies_s
    )
    lab.disconnect(connections)
    return result


async def renewals(server: lab.Server, *, count: int, seconds: float, per_s: float, rounds: int) -> None:
    """Registers the checks, then passes and renews them all again and again."""
    registrations = [
        register_request(
            ID=f"ttl-{number}",
            Name=f"ttl-{number // 10}",
            Port=80,
            TTL="300s",
            Check={"CheckID": f"beat-{number}", "TTL": "300s", "Status": "passing"},
        )
        for number in range(count)
    ]
    await lab.send_all(server, registrations, connections=CONNECTIONS)
    paths = itertools.cycle(
        f"/v1/agent/{verb}-{number}"
        for number in range(count)
        for verb in ("check/pass/beat", "service/renew/ttl")
    )
    cheapest = [get_request("/v1/status/leader")] * int(4 * per_s)
    rows, rates, costs, commits = [], [], [], 0.0
    for turn in range(rounds):
        paced = [put_request(path) for path in itertools.islice(paths, int(seconds * per_s))]
        before = metrics(server)
        told = await send_paced(server, paced, per_s=per_s)
        flat_out = [put_request(path) for path in itertools.islice(paths, int(4 * per_s))]
        most = await lab.send_all(server, flat_out, connections=CONNECTIONS)
        commits += change(before, metrics(server), "regista_commits_total")
        least = await lab.send_all(server, cheapest, connections=CONNECTIONS)
        each_s = told.server_cpu_s / told.requests
        rates.append(told.requests / told.wall_s)
        costs.append(most.server_cpu_s / most.requests / (least.server_cpu_s / least.requests))
        rows.append(
            [
                f"round {turn + 1}",
                f"{rates[-1]:,.0f}",
                f"{lab.percentile(told.latencies_s, 0.5) * 1000:.1f}",
                f"{lab.percentile(told.latencies_s, 0.99) * 1000:.1f}",
                f"{told.server_cpu_s / told.wall_s:.0%}",
                f"{each_s * 1e6:.0f}",
                f"{told.own_share:.0%}",
                f"{most.rate:,.0f}",
                f"{most.server_cpu_s / most.requests * 1e6:.0f}",
                f"{least.server_cpu_s / least.requests * 1e6:.0f}",
            ]
        )
    paced_columns = ["", "paced/s", "p50 ms", "p99 ms", "agent's core", "µs each", "load's core"]
    lab.table([*paced_columns, "most/s", "µs each", "cheapest µs"], rows)
    print(f"  a renewal takes {lab.median(costs):.1f} times the processor time of the cheapest answer")
    lab.verdict("renewals a second", lab.median(rates), at_least=0.99 * per_s)
    lab.verdict("commits", commits, at_most=0)


# ---- reaction ----


@contextlib.asynccontextmanager
async def victim(server: lab.Server, ttl_s: float) -> AsyncIterator[tuple[asyncio.subprocess.Process, int]]:
    """A process as `health_targets.live` is, and the port that it answers on."""
    command = [sys.executable, targets.__file__, str(server.port), f"{ttl_s:g}"]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        yield process, int(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def ask_until(server: lab.Server, path: str, is_wanted: Callable[[list[object]], bool]) -> float:
    """Asks with the last answer's index until the answer is as wanted; when it was."""
    (connection,) = await lab.connect(server.port, 1)
    index = b"0"
    while True:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        connection.answered = lambda _connection, got, answer=answer: answer.set_result(got)
        connection.send(get_request(f"{path}&wait=60s&index={index.decode()}"))
        head, _, body = (await answer).partition(b"\r\n\r\n")
        now_s = time.monotonic()
        found = re.search(rb"(?i)^x-consul-index: (\d+)", head, re.MULTILINE)
        assert found, head
        if is_wanted(json.loads(body)):
            lab.disconnect([connection])
            return now_s
        index = found[1]


async def react_once(server: lab.Server, ttl_s: float) -> dict[str, tuple[float, float]]:
    """For each kind: seconds from the kill to the changed answer, and the least that they could be."""
    async with victim(server, ttl_s) as (process, port):
        check = {"HTTP": f"http://127.0.0.1:{port}/", "Interval": "1s", "Timeout": "1s"}
        ttl = {"CheckID": "beat", "TTL": f"{ttl_s:g}s"}
        lease = {"TTL": f"{ttl_s:g}s"}
        for name, fields in (("http", {"Check": check}), ("ttl", {"Check": ttl}), ("lease", lease)):
            body = json.dumps({"ID": f"react-{name}", "Name": f"react-{name}", "Port": port, **fields}).encode()
            assert server.request("PUT", "/v1/agent/service/register", body)[0] == 200
        paths = {name: f"/v1/health/service/react-{name}?passing" for name in ("http", "ttl", "lease")}
        await asyncio.gather(*(ask_until(server, path, bool) for path in paths.values()))
        waits = {
            name: asyncio.ensure_future(ask_until(server, path, lambda found: not found))
            for name, path in paths.items()
        }
        await asyncio.sleep(2.0 + random.random())  # any moment of the interval
        killed_s = time.monotonic()
        process.kill()
        assert process.stdout is not None
        last_s = {}
        for line in (await process.stdout.read()).decode().splitlines():
            kind, _, at = line.partition(" ")
            last_s[kind] = float(at)
        least_s = {
            "http": max(0.0, last_s["http"] + 1.0 - killed_s),
            "ttl": last_s["ttl"] + ttl_s - killed_s,
            "lease": last_s["lease"] + ttl_s - killed_s,
        }
        return {name: (await wait - killed_s, least_s[name]) for name, wait in waits.items()}


async def reaction(server: lab.Server, *, rounds: int, ttl_s: float) -> None:
    """Kills a process again and again."""
    found = [await react_once(server, ttl_s) for _ in range(rounds)]
    rows = []
    for name in ("http", "ttl", "lease"):
        took_s = [each[name][0] for each in found]
        over_s = [each[name][0] - each[name][1] for each in found]
        rows.append(
            [
                name,
                f"{lab.median(took_s) * 1000:.0f}",
                f"{max(took_s) * 1000:.0f}",
                f"{lab.median([each[name][1] for each in found]) * 1000:.0f}",
                f"{lab.median(over_s) * 1000:.0f}",
                f"{max(over_s) * 1000:.0f}",
            ]
        )
    lab.table(["", "median ms", "max ms", "least possible ms", "above it, median", "max"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--only", choices=("probes", "renewals", "reaction"))
    parser.add_argument("--checks", type=int, default=5000)
    parser.add_argument("--renewed", type=int, default=20_000, help="TTL checks, and instances with a TTL")
    parser.add_argument("--pace", type=float, default=10_000.0, help="renewals a second")
    parser.add_argument("--seconds", type=float, default=20.0, help="of each round of probes, half of renewals")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--ttl", type=float, default=2.0, help="seconds, of what is killed")
    wanted = parser.parse_args()

    if wanted.only in (None, "probes"):
        print(f"health, probes: {wanted.checks} HTTP checks each {INTERVAL_S:g}s, {wanted.rounds} rounds")
        with lab.scratch("health") as directory, lab.agent(directory) as server:
            lab.run(probes(server, count=wanted.checks, seconds=wanted.seconds, rounds=wanted.rounds))
    if wanted.only in (None, "renewals"):
        print(f"health, renewals: {wanted.renewed} TTL checks and as many instances, {CONNECTIONS} connections")
        with lab.scratch("health") as directory, lab.agent(directory) as server:
            lab.run(
                renewals(
                    server,
                    count=wanted.renewed,
                    seconds=wanted.seconds / 2,
                    per_s=wanted.pace,
                    rounds=wanted.rounds,
                )
            )
    if wanted.only in (None, "reaction"):
        print(f"health, reaction: {wanted.kills} kills; HTTP interval 1s, TTL {wanted.ttl:g}s")
        with lab.scratch("health") as directory, lab.agent(directory) as server:
            lab.run(reaction(server, rounds=wanted.kills, ttl_s=wanted.ttl))


if __name__ == "__main__":
    main()

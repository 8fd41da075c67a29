"""A hundred thousand instances: start-up, memory, and whether look-ups and writes stay as fast as with ten.

The store is filled directly, one transaction for each instance and its check, as if each had registered by itself;
that fills the log to its limit, which is the worst case for a start. Then an agent is started on it beside one
that holds a single service of ten.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import lab
from regista.model import PASSING, Check, CheckDefinition, Put, Service, Transaction
from regista.store import SqliteStore, StoreSettings
from wake import get_request

PER_SERVICE = 10
_AT_ONCE = 4096
"""Transactions in the store's queue at a time; they are one commit."""


def service_name(number: int) -> str:
    return f"service-{number:05d}"


def instance(number: int, position: int) -> tuple[Service, Check]:
    """An instance as a deployment tool would register it, with a TTL check or an HTTP check in turn."""
    name = service_name(number)
    address = f"10.{number >> 8 & 255}.{number & 255}.{position + 1}"
    service = Service(
        node="n1",
        id=f"{name}-{position}-{number * 2654435761 % 2**32:08x}",
        name=name,
        tags=("v2", f"zone-{position % 3}", "primary" if position == 0 else "replica"),
        address=address,
        port=8080,
        meta={"version": "2.14.3", "zone": f"eu-west-1{'abc'[position % 3]}", "team": f"team-{number % 50}"},
        incarnation=str(uuid.UUID(int=number * PER_SERVICE + position, version=4)),
        manager="agent",
    )
    is_ttl = position % 2 == 0
    check = Check(
        node="n1",
        id=f"service:{service.id}",
        name=f"Service '{name}' check",
        status=PASSING,
        service_id=service.id,
        service_name=name,
        service_tags=service.tags,
        type="ttl" if is_ttl else "http",
        # So long that neither expiry nor probes come into the figures.
        definition=CheckDefinition(ttl_s=86400.0)
        if is_ttl
        else CheckDefinition(http=f"http://{address}:8080/health", interval_s=86400.0, timeout_s=2.0),
        manager="agent",
    )
    return service, check


async def fill(directory: Path, services: int) -> None:
    """Makes the data directory."""
    store = SqliteStore(directory, StoreSettings(), wall_clock=time.time)
    await store.open(lambda _batch: None)
    pairs = (instance(number, position) for number in range(services) for position in range(PER_SERVICE))
    is_done = False
    while not is_done:
        group: list[Transaction] = []
        for service, check in pairs:
            group.append(Transaction((Put(service), Put(check))))
            if len(group) == _AT_ONCE:
                break
        is_done = len(group) < _AT_ONCE
        await asyncio.gather(*map(store.commit, group))
    await store.close()


@contextlib.contextmanager
def loaded(directory: Path, services: int) -> Iterator[tuple[lab.Server, float]]:
    """An agent on a filled data directory, and how long it took to be ready."""
    lab.run(fill(directory, services))
    start_s = time.perf_counter()
    with lab.agent(directory) as server:
        yield server, time.perf_counter() - start_s


def lookups(
    servers: dict[lab.Server, int], *, rounds: int, seconds: int
) -> dict[str, dict[lab.Server, list[lab.Load]]]:
    """Rounds of wrk for each kind of look-up, the servers in turn.

    Args:
        servers: each with the number of services that it holds.
    """
    kinds = ("plain", "?passing", "never asked before")
    loads: dict[str, dict[lab.Server, list[lab.Load]]] = {
        kind: {server: [] for server in servers} for kind in kinds
    }
    for _ in range(rounds):
        for kind in kinds:
            for server, services in servers.items():
                path = f"/v1/health/service/{service_name(services // 2)}"
                # `near` names a node that is not there, another each time: a question that nobody asked before, so
                # that the answer is looked up and encoded anew.
                every = (
                    "local n = 0\nrequest = function()\n  n = n + 1\n  return wrk.format('GET', string.format("
                    f"'/v1/health/service/service-%05d?near=x%d', (n * 7919) % {services}, n))\nend\n"
                )
                load = lab.wrk(
                    server,
                    path + ("?passing" if kind == "?passing" else ""),
                    seconds=seconds,
                    script=every if kind == "never asked before" else "",
                )
                loads[kind][server].append(load)
    return loads


async def one_by_one(server: lab.Server, requests: list[bytes]) -> float:
    """The median seconds of a request with nothing else under way."""
    load = await lab.send_all(server, requests, connections=1)
    return lab.median(load.latencies_s)


def put_request(path: str, body: bytes = b"") -> bytes:
    return b"PUT %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%b" % (path.encode(), len(body), body)


def writes(server: lab.Server, count: int = 200) -> dict[str, float]:
    """Milliseconds of one write: a new instance, a TTL pass that changes nothing, one that does."""
    new = [
        put_request(
            "/v1/agent/service/register",
            json.dumps({"Name": f"late-{number}", "Port": 80, "Check": {"TTL": "1h"}}).encode(),
        )
        for number in range(count)
    ]
    same = [put_request(f"/v1/agent/check/pass/service:{instance(0, 0)[0].id}")] * count
    other = [
        put_request(f"/v1/agent/check/{verdict}/service:late-{number}")
        for number in range(count // 2)
        for verdict in ("pass", "fail")
    ]
    look_up = [get_request(f"/v1/health/service/{service_name(0)}")] * count
    return {
        "registration": lab.run(one_by_one(server, new)) * 1000,
        "TTL pass, as before": lab.run(one_by_one(server, same)) * 1000,
        "TTL pass or fail, changed": lab.run(one_by_one(server, other)) * 1000,
        "look-up": lab.run(one_by_one(server, look_up)) * 1000,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--services", type=int, default=10_000, help=f"of {PER_SERVICE} instances each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each round of wrk")
    wanted = parser.parse_args()
    count = wanted.services * PER_SERVICE
    print(f"size: {count:,} instances in {wanted.services:,} services, beside one service of {PER_SERVICE}")
    with (
        lab.scratch("size") as directory,
        loaded(directory / "large", wanted.services) as (large, large_start_s),
        loaded(directory / "small", 1) as (small, small_start_s),
    ):
        disk_mb = sum(each.stat().st_size for each in (directory / "large").iterdir()) / 2**20
        memory_mb, peak_mb = large.memory_mb(), large.memory_mb("VmHWM")
        lab.table(
            ["", "ready after s", "resident MB", "at its highest MB"],
            [
                [f"{count:,}", f"{large_start_s:.2f}", f"{memory_mb:.0f}", f"{peak_mb:.0f}"],
                ["10", f"{small_start_s:.2f}", f"{small.memory_mb():.0f}", f"{small.memory_mb('VmHWM'):.0f}"],
            ],
        )
        each_bytes = (memory_mb - small.memory_mb()) * 2**20 / count
        print(f"  the data directory has {disk_mb:.0f} MB; an instance takes {each_bytes:,.0f} bytes of memory")
        lab.verdict("resident MB", peak_mb, at_most=400)

        loads = lookups({large: wanted.services, small: 1}, rounds=wanted.rounds, seconds=wanted.seconds)
        rows = []
        for kind, of in loads.items():
            many, few = [load.rate for load in of[large]], [load.rate for load in of[small]]
            many_cpu, few_cpu = ([load.rate_per_cpu_s for load in of[each]] for each in (large, small))
            rows.append(
                [
                    kind,
                    f"{lab.median(many):,.0f}",
                    lab.spread(many),
                    f"{lab.median(few):,.0f}",
                    lab.spread(few),
                    f"{lab.median(many) / lab.median(few):.2f}",
                    f"{lab.median(many_cpu) / lab.median(few_cpu):.2f}",
                ]
            )
        lab.table(["look-ups/s", f"{count:,}", "spread", "10", "spread", "ratio", "of CPU"], rows)

        many_ms, few_ms = writes(large), writes(small)
        lab.table(
            ["one at a time, ms", f"{count:,}", "10", "ratio"],
            [[k, f"{many_ms[k]:.2f}", f"{few_ms[k]:.2f}", f"{many_ms[k] / few_ms[k]:.2f}"] for k in many_ms],
        )
        memory_mb, peak_mb = large.memory_mb(), large.memory_mb("VmHWM")
        print(f"  at the end resident {memory_mb:.0f} MB, at its highest {peak_mb:.0f} MB\n")


if __name__ == "__main__":
    main()

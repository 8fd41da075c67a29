"""Look-ups beside nginx: answers that are ready, answers that are made, queries that wait.

*Look-ups.* The health of a service of ten, 64 connections, wrk on the other core; nginx serves the same bytes as a
static file, with `sendfile` and `open_file_cache`. One agent is left alone, one has twenty changes a second to the
same service, one holds a hundred thousand instances besides, one has its response cache off. What is compared is
requests for each second of the server's processor time.

*Misses.* The same answer to requests that were never sent before: `anew` asks a question that nobody asked before,
so that the answer is put together, and `other heads` asks the same in another head each time.

*Waiting.* Thousands of blocked queries: what each takes in memory, and what it takes of the processor to wake them
all with one change, beside as many look-ups.

*One of a thousand.* What one change to a service of a thousand takes until its answer is there again, beside
encoding it whole; in this process, without a server around it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import msgspec

import lab
from http_stacks import nginx
from regista.catalog import Catalog, Lookup, find_instances, service_topic
from regista.model import Batch, Check, Node, Put
from regista.protocols.consul.encode import health_entry
from regista.protocols.consul.health_parts import HealthParts
from regista.protocols.http import Answers, Encoded, View, encode_json
from size import fill, instance, service_name
from wake import INSTANCES, NAME, get_request, registration

PATH = f"/v1/health/service/{NAME}"
CHANGES_A_SECOND = 20

# `near` names a node that is not there: it changes the question and not the answer.
ANEW = f"""local n = 0
request = function()
  n = n + 1
  return wrk.format('GET', '{PATH}?near=x' .. n)
end
"""
OTHER_HEADS = f"""local n = 0
request = function()
  n = n + 1
  wrk.headers['User-Agent'] = 'bench/' .. n
  return wrk.format('GET', '{PATH}')
end
"""


def register(server: lab.Server, number: int, port: int) -> None:
    """Registers one of the instances."""
    status, _, answer = server.request("PUT", "/v1/agent/service/register", registration(number, port))
    if status != 200:
        raise SystemExit(f"not registered: {answer!r}")


@contextlib.contextmanager
def served(*arguments: str, services: int = 0) -> Iterator[lab.Server]:
    """An agent with the service, and so many others of ten instances each."""
    with lab.scratch("reads") as directory:
        if services:
            lab.run(fill(directory, services))
        with lab.agent(directory, *arguments) as server:
            for number in range(INSTANCES):
                register(server, number, 8000)
            yield server


@contextlib.contextmanager
def changing(server: lab.Server, *, a_second: float) -> Iterator[list[int]]:
    """Changes one of the instances so often; gives how many times that was, in the end."""
    is_over = Event()
    count = [0]

    def change() -> None:
        start_s = time.monotonic()
        while not is_over.wait(max(0.0, start_s + count[0] / a_second - time.monotonic())):
            register(server, count[0] % INSTANCES, 9000 + count[0] % 1000)
            count[0] += 1

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(change)
        try:
            yield count
        finally:
            is_over.set()
            done.result()


# ---- look-ups and misses ----


def look_ups(*, services: int, rounds: int, seconds: int) -> None:
    """Runs the servers in turn, and prints their requests for each second of processor time."""
    with (
        served() as alone,
        served() as changed,
        served("--no-response-cache") as without,
        served(services=services) as large,
        lab.scratch("nginx") as directory,
        nginx(directory / "site", PATH, alone.get(PATH)[2]) as static,
    ):
        plain: dict[str, tuple[lab.Server, str]] = {
            "nginx, static file": (static, ""),
            "look-up": (alone, ""),
            f"with {CHANGES_A_SECOND} changes/s": (changed, ""),
            f"beside {services * INSTANCES:,} instances": (large, ""),
            "--no-response-cache": (without, ""),
            "miss: asked anew": (alone, ANEW),
            "miss: other heads": (alone, OTHER_HEADS),
        }
        loads: dict[str, list[lab.Load]] = {name: [] for name in plain}
        for turn in range(rounds + 1):
            for name, (server, script) in plain.items():
                with contextlib.ExitStack() as stack:
                    if server is changed:
                        stack.enter_context(changing(server, a_second=CHANGES_A_SECOND))
                    load = lab.wrk(server, PATH, seconds=seconds if turn else 1, script=script)
                if turn:  # the first warms up
                    loads[name].append(load)
    rates = {name: [load.rate_per_cpu_s for load in each] for name, each in loads.items()}
    base = "nginx, static file"
    # Of each round on its own: what shares the machine changes from one to the next.
    ratios = {
        name: lab.median([own / of for own, of in zip(each, rates[base], strict=True)])
        for name, each in rates.items()
    }
    lab.table(
        ["", "req/s of CPU", "spread", "µs of CPU each", "req/s", "of nginx", "load's core"],
        [
            [
                name,
                f"{lab.median(rates[name]):,.0f}",
                lab.spread(rates[name]),
                f"{1e6 / lab.median(rates[name]):.1f}",
                f"{lab.median([load.rate for load in each]):,.0f}",
                f"{ratios[name]:.2f}",
                f"{lab.median([load.cpu_share for load in each]):.0%}",
            ]
            for name, each in loads.items()
        ],
    )
    lab.verdict("look-up / nginx", ratios["look-up"], at_least=1.0)
    lab.verdict("with changes / nginx", ratios[f"with {CHANGES_A_SECOND} changes/s"], at_least=0.8)
    large_name = f"beside {services * INSTANCES:,} instances"
    lab.verdict("beside many / beside none", ratios[large_name] / ratios["look-up"], at_least=0.95)
    lab.verdict("miss, asked anew / nginx", ratios["miss: asked anew"], at_least=0.15)
    lab.verdict("miss, other heads / nginx", ratios["miss: other heads"], at_least=0.15)


# ---- waiting ----


async def ask_each(connections: list[lab.Connection], request: bytes) -> None:
    """Sends the request on every connection, and returns when all are answered."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left = len(connections)

    def answered(_connection: lab.Connection, _answer: bytes) -> None:
        nonlocal left
        left -= 1
        if not left:
            done.set_result(None)

    for connection in connections:
        connection.answered = answered
    for connection in connections:
        connection.send(request)
    await done


async def settle(server: lab.Server) -> float:
    """The server's processor time, once it stands still."""
    cpu_s = server.cpu_s()
    while True:
        await asyncio.sleep(0.5)
        now_s = server.cpu_s()
        if now_s - cpu_s < 0.02:
            return now_s
        cpu_s = now_s


async def wait_many(server: lab.Server, *, waiting: int, rounds: int) -> None:
    """Measures blocked queries and as many look-ups, over the same connections."""
    before_mb = server.memory_mb()
    connections = []
    for _ in range(0, waiting, 500):
        connections += await lab.connect(server.port, 500)
    await settle(server)
    open_mb = server.memory_mb()
    wakes_s, hits_s, asks_s, waits_mb = [], [], [], []
    for turn in range(rounds + 1):
        index = server.get(PATH)[1]["x-consul-index"]
        start_s = await settle(server)
        asked = asyncio.ensure_future(ask_each(connections, get_request(f"{PATH}?index={index}&wait=300s")))
        blocked_s = await settle(server)
        waits_mb.append(server.memory_mb())
        register(server, 0, 10_000 + turn)
        await asked
        woken_s = await settle(server)
        await ask_each(connections, get_request(PATH))
        hits = await settle(server) - woken_s
        if turn:  # the first warms up
            asks_s.append(blocked_s - start_s)
            wakes_s.append(woken_s - blocked_s)
            hits_s.append(hits)
    lab.disconnect(connections)
    rows = [
        [name, f"{lab.median(each) * 1000:.0f}", lab.spread(each), f"{lab.median(each) / waiting * 1e6:.1f}"]
        for name, each in (("asking", asks_s), ("one change wakes all", wakes_s), ("look-ups", hits_s))
    ]
    lab.table([f"{waiting:,} at once", "CPU ms", "spread", "µs each"], rows)
    each_kb = (waits_mb[0] - before_mb) * 1024 / waiting
    open_kb, last_kb = ((each - before_mb) * 1024 / waiting for each in (open_mb, max(waits_mb)))
    print(
        f"  an open connection takes {open_kb:.1f} KB of memory, one with a blocked query {each_kb:.1f} KB "
        f"({last_kb:.1f} KB after {rounds + 1} changes)"
    )
    lab.verdict("KB of memory each", each_kb, at_most=12)
    lab.verdict("waking / look-ups", lab.median(wakes_s) / lab.median(hits_s), at_most=2.0)


# ---- one of a thousand ----


def one_of(count: int) -> None:
    """Changes one instance of a service again and again, and has its answer made each time."""
    whole_s, _ = _one_of(count, _encode_whole)
    parts_s, size = _one_of(count, _from_parts)
    lab.table(
        [f"one of {count:,}, answer of {size:,} bytes", "µs"],
        [["encoded whole", f"{whole_s * 1e6:,.0f}"], ["put together", f"{parts_s * 1e6:,.0f}"]],
    )
    lab.verdict("whole / put together", whole_s / parts_s, at_least=50)


def _encode_whole(catalog: Catalog) -> Callable[[], Encoded]:
    lookup = Lookup(name=service_name(0))
    return lambda: Encoded(
        encode_json([health_entry(catalog, each, "dc1") for each in find_instances(catalog, lookup)])
    )


def _from_parts(catalog: Catalog) -> Callable[[], Encoded]:
    parts = HealthParts(catalog, "dc1", bytes_max=64 * 2**20)
    return lambda: parts.encode_all(service_name(0), passing_only=False, near="")


def _one_of(
    count: int, encoder: Callable[[Catalog], Callable[[], Encoded]], rounds: int = 50
) -> tuple[float, int]:
    """The median seconds from a change to the answer, and the answer's size."""
    catalog = Catalog()
    pairs = [instance(0, position) for position in range(count)]
    changes = [Put(Node(name="n1", address="127.0.0.1")), *(Put(record) for pair in pairs for record in pair)]
    catalog.apply(Batch(1, 0.0, tuple(changes)))
    answers = Answers(
        catalog.topics, bytes_max=64 * 2**20, revisions_max=100, waiting_max=1, waiting_setting="http.waiting_max"
    )
    view = View("view", (service_topic(service_name(0)),), encoder(catalog))
    answers.get(view)
    took_s = []
    for turn in range(rounds):
        _, check = pairs[turn * 7919 % count]
        catalog.apply(Batch(2 + turn, 0.0, (Put(_with_output(check, f"turn {turn}")),)))
        start_s = time.perf_counter()
        answer = answers.get(view)
        took_s.append(time.perf_counter() - start_s)
        assert f"turn {turn}".encode() in answer.body
    return lab.median(took_s), len(answers.get(view).body)


def _with_output(check: Check, output: str) -> Check:
    return msgspec.structs.replace(check, output=output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=3, help="of each round of wrk")
    parser.add_argument("--services", type=int, default=10_000, help=f"others, of {INSTANCES} instances each")
    parser.add_argument("--waiting", type=int, default=10_000, help="blocked queries")
    parser.add_argument("--only", choices=("look-ups", "waiting", "thousand"))
    wanted = parser.parse_args()
    print(f"reads: health of a service of {INSTANCES}, {wanted.rounds} rounds of {wanted.seconds} s")
    if wanted.only in (None, "look-ups"):
        look_ups(services=wanted.services, rounds=wanted.rounds, seconds=wanted.seconds)
    if wanted.only in (None, "waiting"):
        with served() as server:
            lab.run(wait_many(server, waiting=wanted.waiting, rounds=wanted.rounds))
    if wanted.only in (None, "thousand"):
        one_of(1000)


if __name__ == "__main__":
    main()

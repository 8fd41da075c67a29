"""Keys: durable puts, transactions and gets beside etcd's; lists below a prefix beside more and more other keys.

Values are 200 bytes, keys some 20; a transaction sets ten keys. etcd gets the same bytes through its HTTP gateway,
on the same disk; rounds alternate. The list has 10,000 keys, asked for with 10,000 and with 100,000 others held
beside them. Last, a read of 1,000 instances with a filter that keeps one, beside the same read without it.
"""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Iterable, Sequence

import lab

CONNECTIONS = 64
TRANSACTION_KEYS = 10
INSTANCES = 1_000
VALUE = b"0123456789" * 20
LISTED = 10_000
OTHERS = (10_000, 100_000)

_JSON = b"Host: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"


def regista_put(key: str, value: bytes) -> bytes:
    """The bytes of PUT kv/{key}."""
    head = f"PUT /v1/kv/{key} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(value)}\r\n\r\n"
    return head.encode() + value


def regista_get(key: str) -> bytes:
    """The bytes of GET kv/{key}."""
    return f"GET /v1/kv/{key} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()


def etcd_put(key: str, value: bytes) -> bytes:
    """The bytes of etcd's put."""
    body = json.dumps({"key": _base64(key.encode()), "value": _base64(value)}).encode()
    return b"POST /v3/kv/put HTTP/1.1\r\n" + _JSON % (len(body), body)


def etcd_get(key: str) -> bytes:
    """The bytes of etcd's range of one key."""
    body = json.dumps({"key": _base64(key.encode())}).encode()
    return b"POST /v3/kv/range HTTP/1.1\r\n" + _JSON % (len(body), body)


def regista_txn(key: str, value: bytes) -> bytes:
    """The bytes of PUT txn that sets ten keys."""
    sets = [
        {"KV": {"Verb": "set", "Key": f"{key}/{number}", "Value": _base64(value)}}
        for number in range(TRANSACTION_KEYS)
    ]
    body = json.dumps(sets).encode()
    return b"PUT /v1/txn HTTP/1.1\r\n" + _JSON % (len(body), body)


def etcd_txn(key: str, value: bytes) -> bytes:
    """The bytes of etcd's transaction that puts ten keys."""
    puts = [
        {"requestPut": {"key": _base64(f"{key}/{number}".encode()), "value": _base64(value)}}
        for number in range(TRANSACTION_KEYS)
    ]
    body = json.dumps({"success": puts}).encode()
    return b"POST /v3/kv/txn HTTP/1.1\r\n" + _JSON % (len(body), body)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def measure_beside_etcd(*, rounds: int, count: int) -> None:
    """Puts of new keys, gets of them, and transactions, in turn."""
    builders = {
        "regista": (regista_put, regista_get, regista_txn),
        "etcd": (etcd_put, etcd_get, etcd_txn),
    }
    loads: dict[tuple[str, str], list[lab.Load]] = {}
    with (
        lab.scratch("kv") as directory,
        lab.agent(directory / "regista") as regista,
        lab.etcd(directory / "etcd") as etcd,
    ):
        for turn in range(-1, rounds):
            # The round before the first warms both up, and is not counted.
            keys = [f"config/{turn + 1:02d}/{number:08d}" for number in range(count if turn >= 0 else count // 8)]
            for server in (regista, etcd):
                put, get, txn = builders[server.name]
                for what, requests in (
                    ("put", [put(key, VALUE) for key in keys]),
                    ("get", list(map(get, keys))),
                    ("txn", [txn(key, VALUE) for key in keys[:: TRANSACTION_KEYS // 2]]),
                ):
                    load = lab.run(lab.send_all(server, requests, connections=CONNECTIONS))
                    if turn >= 0:
                        loads.setdefault((what, server.name), []).append(load)
    lab.table(
        ["", "req/s", "spread", "req/s of CPU", "p50 ms", "p99 ms", "load's core"],
        [_row(f"{what} {name}", each) for (what, name), each in sorted(loads.items())],
    )
    for what, least in (("put", 1.0), ("get", 2.0), ("txn", 1.0)):
        pairs = zip(loads[what, "regista"], loads[what, "etcd"], strict=True)
        ratio = lab.median([ours.rate / its.rate for ours, its in pairs])
        lab.verdict(f"{what}: regista / etcd", ratio, at_least=least)


def measure_lists(*, rounds: int) -> None:
    """The same list and names with more and more other keys beside them."""
    found: dict[tuple[str, int], float] = {}
    rows = []
    with lab.agent() as server:
        _fill(server, (f"list/{number:06d}" for number in range(LISTED)))
        held = 0
        for others in OTHERS:
            _fill(server, (f"other/{number:07d}" for number in range(held, others)))
            held = others
            for what, path in (("recurse", "list/?recurse"), ("keys", "list/?keys&separator=/")):
                requests = [regista_get(path)] * 20
                loads = [lab.run(lab.send_all(server, requests, connections=1)) for _ in range(rounds)]
                each_ms = [1000 * load.wall_s / load.requests for load in loads]
                found[what, others] = lab.median(each_ms)
                rows.append([f"{what}, {others:,} others", f"{lab.median(each_ms):.1f}", lab.spread(each_ms)])
    lab.table([f"{LISTED:,} keys", "ms", "spread"], rows)
    for what in ("recurse", "keys"):
        ratio = found[what, OTHERS[-1]] / found[what, OTHERS[0]]
        lab.verdict(f"{what}: ten times as many others / as many", ratio, at_most=1.3)


def measure_filter(*, rounds: int) -> None:
    """A read of many instances, plain and filtered, each made anew (the service changes before each)."""
    paths = {
        "plain": "health/service/web",
        "filter": "health/service/web?filter=Service.Port==1+and+Node.Node==n1",
    }
    found: dict[str, list[float]] = {name: [] for name in paths}
    with lab.agent() as server:
        lab.run(lab.send_all(server, [_register(number) for number in range(INSTANCES)], connections=CONNECTIONS))
        for turn in range(rounds * 5):
            for name, path in paths.items():
                change = _register(0, tag=f"{name}-{turn}")
                lab.run(lab.send_all(server, [change], connections=1))
                read = f"GET /v1/{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
                load = lab.run(lab.send_all(server, [read], connections=1))
                found[name].append(1000 * load.wall_s)
    lab.table(
        [f"{INSTANCES:,} instances, answer made anew", "ms", "spread"],
        [[name, f"{lab.median(each):.1f}", lab.spread(each)] for name, each in found.items()],
    )
    lab.verdict("filter / plain", lab.median(found["filter"]) / lab.median(found["plain"]), at_most=1.3)


def _register(number: int, *, tag: str = "") -> bytes:
    body = json.dumps({"ID": f"web-{number}", "Name": "web", "Port": number + 1, "Tags": [tag]}).encode()
    return b"PUT /v1/agent/service/register HTTP/1.1\r\n" + _JSON % (len(body), body)


def _fill(server: lab.Server, keys: Iterable[str]) -> None:
    requests = [regista_put(key, VALUE) for key in keys]
    lab.run(lab.send_all(server, requests, connections=CONNECTIONS))


def _row(name: str, loads: Sequence[lab.Load]) -> list[str]:
    rates = [load.rate for load in loads]
    latencies_s = [one for load in loads for one in load.latencies_s]
    return [
        name,
        f"{lab.median(rates):,.0f}",
        lab.spread(rates),
        f"{lab.median([load.rate_per_cpu_s for load in loads]):,.0f}",
        f"{lab.percentile(latencies_s, 0.5) * 1000:.1f}",
        f"{lab.percentile(latencies_s, 0.99) * 1000:.1f}",
        f"{lab.median([load.cpu_share for load in loads]):.0%}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=8000, help="in each round")
    parser.add_argument("--only", choices=("etcd", "lists", "filter"), help="one of the parts alone")
    wanted = parser.parse_args()

    print(f"kv: {CONNECTIONS} connections, {wanted.requests} in a round, {wanted.rounds} rounds")
    if wanted.only in (None, "etcd"):
        measure_beside_etcd(rounds=wanted.rounds, count=wanted.requests)
    if wanted.only in (None, "lists"):
        measure_lists(rounds=wanted.rounds)
    if wanted.only in (None, "filter"):
        measure_filter(rounds=wanted.rounds)


if __name__ == "__main__":
    main()

"""Keys: durable puts and gets beside etcd's, and lists below a prefix beside ten times as many other keys.

Values are 200 bytes, keys some 20. etcd gets the same bytes through its HTTP gateway, on the same disk; rounds
alternate. The list has 10,000 keys, asked for with 10,000 and with 100,000 others held beside them.
"""

from __future__ import annotations

import argparse
import base64
import json
from collections.abc import Iterable, Sequence

import lab

CONNECTIONS = 64
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


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def measure_beside_etcd(*, rounds: int, count: int) -> None:
    """Puts of new keys, then gets of them, in turn."""
    builders = {"regista": (regista_put, regista_get), "etcd": (etcd_put, etcd_get)}
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
                put, get = builders[server.name]
                for what, requests in (("put", [put(key, VALUE) for key in keys]), ("get", list(map(get, keys)))):
                    load = lab.run(lab.send_all(server, requests, connections=CONNECTIONS))
                    if turn >= 0:
                        loads.setdefault((what, server.name), []).append(load)
    lab.table(
        ["", "req/s", "spread", "req/s of CPU", "p50 ms", "p99 ms", "load's core"],
        [_row(f"{what} {name}", each) for (what, name), each in sorted(loads.items())],
    )
    for what, least in (("put", 1.0), ("get", 2.0)):
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
    parser.add_argument("--only", choices=("etcd", "lists"), help="one of the two parts alone")
    wanted = parser.parse_args()

    print(f"kv: {CONNECTIONS} connections, {wanted.requests} in a round, {wanted.rounds} rounds")
    if wanted.only != "lists":
        measure_beside_etcd(rounds=wanted.rounds, count=wanted.requests)
    if wanted.only != "etcd":
        measure_lists(rounds=wanted.rounds)


if __name__ == "__main__":
    main()

"""Durable registrations: 64 connections against the agent, and the same bytes put into etcd beside it.

Each registration is a service of its own with one HTTP check. etcd is given the same body as a value under the
service's name, through its HTTP gateway. Both acknowledge after an fsync on the same disk. Rounds alternate.
"""

from __future__ import annotations

import argparse
import base64
import json

import lab

CONNECTIONS = 64


def body(name: str, number: int) -> bytes:
    """A registration as a service would write it, some 300 bytes."""
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    registration = {
        "ID": f"{name}-1",
        "Name": name,
        "Tags": ["v2", "eu-west", "primary"],
        "Address": address,
        "Port": 8080,
        "Meta": {"version": "2.14.3", "zone": "eu-west-1b"},
        "Check": {
            "HTTP": f"http://{address}:8080/health",
            "Interval": "1h",
            "Timeout": "5s",
            "DeregisterCriticalServiceAfter": "72h",
        },
    }
    return json.dumps(registration, separators=(",", ":")).encode()


def register_request(content: bytes) -> bytes:
    """The bytes of PUT agent/service/register."""
    return (
        b"PUT /v1/agent/service/register HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(content), content)
    )


def put_request(key: str, content: bytes) -> bytes:
    """The bytes of etcd's put with the same content."""
    encoded = json.dumps(
        {"key": base64.b64encode(key.encode()).decode(), "value": base64.b64encode(content).decode()}
    ).encode()
    return (
        b"POST /v3/kv/put HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%b" % (len(encoded), encoded)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=8000, help="in each round")
    parser.add_argument("--only", choices=("regista", "etcd"), help="one of the two alone")
    wanted = parser.parse_args()

    print(f"registrations: {CONNECTIONS} connections, {wanted.requests} in a round, {wanted.rounds} rounds")
    loads: dict[str, list[lab.Load]] = {"regista": [], "etcd": []}
    with (
        lab.scratch("registrations") as directory,
        lab.agent(directory / "regista") as regista,
        lab.etcd(directory / "etcd") as etcd,
    ):
        for turn in range(-1, wanted.rounds):
            # The round before the first warms both up, and is not counted.
            count = wanted.requests if turn >= 0 else wanted.requests // 8
            names = [f"svc-{turn + 1}-{number:05d}" for number in range(count)]
            bodies = [body(name, number) for number, name in enumerate(names)]
            for server in (regista, etcd):
                if wanted.only not in (None, server.name):
                    continue
                if server is regista:
                    requests = [register_request(each) for each in bodies]
                else:
                    requests = [put_request(f"services/{n}", b) for n, b in zip(names, bodies, strict=True)]
                load = lab.run(lab.send_all(server, requests, connections=CONNECTIONS))
                if turn >= 0:
                    loads[server.name].append(load)
    rows = []
    for name, each in loads.items():
        if not each:
            continue
        rates = [load.rate for load in each]
        latencies_s = [one for load in each for one in load.latencies_s]
        rows.append(
            [
                name,
                f"{lab.median(rates):,.0f}",
                lab.spread(rates),
                f"{lab.median([load.rate_per_cpu_s for load in each]):,.0f}",
                f"{lab.percentile(latencies_s, 0.5) * 1000:.1f}",
                f"{lab.percentile(latencies_s, 0.99) * 1000:.1f}",
                f"{lab.median([load.cpu_share for load in each]):.0%}",
            ]
        )
    lab.table(["", "req/s", "spread", "req/s of CPU", "p50 ms", "p99 ms", "load's core"], rows)
    if all(loads.values()):
        ratio = lab.median([ours.rate / its.rate for ours, its in zip(*loads.values(), strict=True)])
        lab.verdict("regista / etcd", ratio, at_least=1.0)


if __name__ == "__main__":
    main()

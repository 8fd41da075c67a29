"""Questions over UDP a second, beside dnsmasq answering the same names from its hosts file, one core each.

dnsperf asks both in turn for the same names, from the same file, as fast as they answer. Then the agent is asked
while the services that are asked for change, and with nothing kept ready, so that every answer has to be made.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import re
import resource
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import lab

SERVICES = 100
_OUTSTANDING = 64
"""Questions under way at once, as from 64 callers."""

_CHANGES_PER_S = 20


def name(service: int) -> str:
    """The name that is asked for."""
    return f"svc-{service}.service.consul"


def address(service: int, instance: int) -> str:
    """The address of an instance."""
    return f"10.{instance}.{service // 250}.{service % 250 + 1}"


def target(service: int, instance: int) -> str:
    """The host of an instance in SRV records, as the agent names it."""
    packed = bytes(int(part) for part in address(service, instance).split("."))
    return f"{packed.hex()}.addr.dc1.consul"


def registration(service: int, instance: int) -> bytes:
    """One instance, with a check."""
    return json.dumps(
        {
            "ID": f"svc-{service}-{instance}",
            "Name": f"svc-{service}",
            "Address": address(service, instance),
            "Port": 8080,
            "Check": {"TTL": "1h", "Status": "passing", "CheckID": f"check-{service}-{instance}"},
        }
    ).encode()


@contextlib.contextmanager
def agent(directory: Path, instances: int, **dns_config: object) -> Iterator[tuple[lab.Server, lab.Server]]:
    """An agent that has every service: at its port of HTTP, and at its port of DNS."""
    config = directory / "agent.json"
    config.write_text(json.dumps({"dns_config": dns_config, "degrading": {"settling": "0s"}}))
    port = lab.free_port()
    with lab.agent(None, "--config-file", str(config), "--dns-port", str(port)) as server:
        for service in range(SERVICES):
            for instance in range(instances):
                status, _, body = server.request(
                    "PUT", "/v1/agent/service/register", registration(service, instance)
                )
                if status != 200:
                    raise SystemExit(f"not registered: {body!r}")
        yield server, dataclasses.replace(server, port=port)


@contextlib.contextmanager
def dnsmasq(directory: Path, instances: int) -> Iterator[lab.Server]:
    """A dnsmasq with the same names."""
    pairs = [(service, instance) for service in range(SERVICES) for instance in range(instances)]
    hosts = directory / "hosts"
    hosts.write_text(
        "".join(f"{address(*pair)} {name(pair[0])}\n{address(*pair)} {target(*pair)}\n" for pair in pairs)
    )
    config = directory / "dnsmasq.conf"
    config.write_text("".join(f"srv-host={name(pair[0])},{target(*pair)},8080,1,1\n" for pair in pairs))
    port = lab.free_port()
    command = [
        "dnsmasq", "--no-daemon", f"--conf-file={config}", "--no-hosts", f"--addn-hosts={hosts}", "--no-resolv",
        "--bind-interfaces", "--listen-address=127.0.0.1", f"--port={port}", "--user=", "--group=", "--pid-file=",
        "--local=/consul/",
    ]  # fmt: skip
    with lab.running(lab.spawn("dnsmasq", command, port=port)) as server:
        lab.wait_for_port(port)
        yield server


@dataclasses.dataclass(frozen=True, slots=True)
class Round:
    """What a run of dnsperf came to."""

    load: lab.Load
    bytes_mean: float


def dnsperf(server: lab.Server, questions: Path, *, seconds: float) -> Round:
    """Asks for so long; ends the benchmark where an answer is missing or is no answer."""
    command = [
        "dnsperf", "-s", "127.0.0.1", "-p", str(server.port), "-d", str(questions), "-l", str(seconds), "-q",
        str(_OUTSTANDING), "-c", "1", "-T", "1", "-t", "5",
    ]  # fmt: skip
    cpu_s = server.cpu_s()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start_s = time.perf_counter()
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    wall_s = time.perf_counter() - start_s
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    own_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    completed, ran_s = re.search(r"Queries completed:\s+(\d+)", out), re.search(r"Run time \(s\):\s+([\d.]+)", out)
    size = re.search(r"Average packet size:\s+request \d+, response (\d+)", out)
    lost = re.search(r"Queries lost:\s+(\d+)", out)
    assert completed and ran_s and size and lost, out  # noqa: PT018 - all of them or none
    if int(lost[1]) > int(completed[1]) / 1000 or f"NOERROR {completed[1]}" not in out:
        raise SystemExit(out)
    load = lab.Load(int(completed[1]), float(ran_s[1]), server.cpu_s() - cpu_s, own_s / wall_s)
    return Round(load, float(size[1]))


class Changes:
    """Has the checks of the services fail and pass, so many times a second, until it ends."""

    def __init__(self, http: lab.Server, instances: int) -> None:
        self.count = 0
        self._http = http
        self._instances = instances
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        due_s = time.monotonic()
        while not self._ended.wait(max(0.0, due_s - time.monotonic())):
            service, turn = self.count % SERVICES, self.count // SERVICES
            word = "fail" if turn % 2 == 0 else "pass"
            # Never the only instance: a service without any has no answer.
            self._http.request("PUT", f"/v1/agent/check/{word}/check-{service}-{self._instances - 1}")
            self.count += 1
            due_s += 1 / _CHANGES_PER_S
        for service in range(SERVICES):
            self._http.request("PUT", f"/v1/agent/check/pass/check-{service}-{self._instances - 1}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def row(label: str, rounds: list[Round]) -> list[str]:
    """A line of the table."""
    loads = [each.load for each in rounds]
    return [
        label,
        f"{lab.median([load.rate for load in loads]):,.0f}",
        lab.spread([load.rate for load in loads]),
        f"{lab.median([load.rate_per_cpu_s for load in loads]):,.0f}",
        f"{lab.median([each.bytes_mean for each in rounds]):.0f}",
        f"{lab.median([load.cpu_share for load in loads]):.0%}",
    ]


def ratios(ours: list[Round], its: list[Round]) -> tuple[float, float]:
    """Ours by its, pair by pair: by rate, and by rate for each second of processor time."""
    pairs = [(one.load, other.load) for one, other in zip(ours, its, strict=True)]
    return (
        lab.median([one.rate / other.rate for one, other in pairs]),
        lab.median([one.rate_per_cpu_s / other.rate_per_cpu_s for one, other in pairs]),
    )


def judge(what: str, found: tuple[float, float], **target: float) -> None:
    """Prints both ratios beside the target."""
    lab.verdict(f"{what}, by rate", found[0], **target)
    lab.verdict(f"{what}, by processor time", found[1], **target)


def compare(wanted: argparse.Namespace, directory: Path) -> None:
    """The agent beside dnsmasq, kept answers beside none, and quiet beside changing services."""
    questions = {}
    for qtype in ("A", "SRV"):
        questions[qtype] = directory / f"questions-{qtype}"
        questions[qtype].write_text("".join(f"{name(service)} {qtype}\n" for service in range(SERVICES)))
    rounds: dict[tuple[str, str], list[Round]] = {}
    count = wanted.instances
    for kind in ("kept", "none", "hosts"):
        (directory / kind).mkdir()
    with (
        agent(directory / "kept", count) as (http, kept),
        agent(directory / "none", count, cache_entries_max=0) as (_, none),
        dnsmasq(directory / "hosts", count) as its,
    ):
        asked = (("dnsmasq", its), ("regista", kept), ("changing", kept), ("nothing kept", none))
        for turn in range(-1, wanted.rounds):
            for qtype, file in questions.items():
                for label, server in asked:
                    seconds = wanted.seconds if turn >= 0 else 0.5
                    changes = Changes(http, count) if label == "changing" else contextlib.nullcontext()
                    with changes:
                        found = dnsperf(server, file, seconds=seconds)
                    if turn >= 0:
                        rounds.setdefault((qtype, label), []).append(found)
    head = ["", "questions/s", "spread", "questions/s of CPU", "bytes", "load's core"]
    lab.table(head, [row(f"{qtype}  {label}", each) for (qtype, label), each in rounds.items()])
    for qtype, least in (("A", 1.0), ("SRV", 0.7)):
        ours = rounds[qtype, "regista"]
        judge(f"{qtype}: regista / dnsmasq", ratios(ours, rounds[qtype, "dnsmasq"]), at_least=least)
        changing = ratios(rounds[qtype, "changing"], ours)
        judge(f"{qtype}: {_CHANGES_PER_S} changes a second / none", changing, at_least=0.7)
        judge(f"{qtype}: a miss in hits", ratios(ours, rounds[qtype, "nothing kept"]), at_most=40)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round")
    parser.add_argument("--instances", type=int, default=3, help="of each service")
    wanted = parser.parse_args()
    print(
        f"dns: {SERVICES} services of {wanted.instances} instances, {_OUTSTANDING} questions under way, "
        f"{wanted.rounds} rounds of {wanted.seconds:g} s"
    )
    with lab.scratch("dns") as directory:
        compare(wanted, directory)


if __name__ == "__main__":
    main()

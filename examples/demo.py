"""An agent and two instances of each example service, started and stopped together; see `scripts/demo`."""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from registration import TIMEOUT_S, send

HERE = Path(__file__).resolve().parent
SERVICES = ("user-service", "post-service", "notification-service")
INSTANCES = 2
DEFAULT_PORT = 8500
WAIT_S = 30.0
CALLS = 20


class Failed(Exception):
    """The demo can't go on; the text says why."""


class Demo:
    """The processes, and what the agent says of them. Their words go to files in `logs`."""

    def __init__(self, logs: Path) -> None:
        self.logs = logs
        self.agent = ""
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def start_agent(self, http_port: int) -> None:
        """Starts the agent and waits until it says where it answers."""
        # Beside port 0 for HTTP, DNS takes a free port too.
        ports = [f"--http-port={http_port}", *(["--dns-port=0"] if not http_port else [])]
        regista = str(Path(sys.executable).with_name("regista"))
        process = self._start("agent", [regista, "agent", "--dev", *ports], out=subprocess.PIPE)
        assert process.stdout is not None
        for line in process.stdout:
            name, *value = line.split()
            if name == "http":
                self.agent = f"http://{value[0]}"
            if name == "Try:":
                return
        raise Failed(f"the agent did not start: {(self.logs / 'agent.log').read_text()}")

    def start_service(self, name: str, number: int) -> None:
        """Starts an instance; returns at once."""
        service_id = f"{name}-{number}"
        program = HERE / f"{name.replace('-', '_')}.py"
        self._start(service_id, [sys.executable, str(program), "--agent", self.agent, "--id", service_id])

    def kill(self, service_id: str) -> None:
        """Ends an instance without a word, as a crash or a power cut would."""
        process = self._processes.pop(service_id)
        process.kill()
        process.wait()

    def pid(self, name: str) -> int:
        """The process of the agent or of an instance."""
        return self._processes[name].pid

    def stop_services(self) -> None:
        """Stops the services, which deregister."""
        self._stop([name for name in self._processes if name != "agent"])

    def stop(self) -> None:
        """Stops the services, then the agent."""
        self.stop_services()
        self._stop(list(self._processes))

    def _stop(self, names: list[str]) -> None:
        processes = [self._processes.pop(name) for name in names]
        for process in processes:
            process.terminate()
        for process in processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(WAIT_S)
            process.kill()

    def wait_passing(self, name: str, wanted: set[str]) -> dict[str, str]:
        """Waits until just these instances are passing; where each answers.

        A blocking query does the waiting: the agent answers when something has changed after `index`.
        """
        deadline_s = time.monotonic() + WAIT_S
        index = 0
        while time.monotonic() < deadline_s:
            url = f"{self.agent}/v1/health/service/{name}?passing&index={index}&wait={TIMEOUT_S / 2:g}s"
            found, index = get_with_index(url)
            passing = {item["Service"]["ID"]: f"http://127.0.0.1:{item['Service']['Port']}" for item in found}
            if passing.keys() == wanted:
                return passing
        raise Failed(f"{name}: waited {WAIT_S:g}s for {sorted(wanted)} to be passing; see {self.logs}")

    def wait_all_passing(self) -> dict[str, str]:
        """Waits until two instances of every service are passing; where each answers."""
        found: dict[str, str] = {}
        for name in SERVICES:
            found |= self.wait_passing(name, {f"{name}-{number}" for number in range(1, INSTANCES + 1)})
        return found

    def _start(self, name: str, command: list[str], *, out: int | None = None) -> subprocess.Popen[str]:
        with (self.logs / f"{name}.log").open("a") as log:
            process = subprocess.Popen(  # noqa: S603 - our own programs
                command,
                stdin=subprocess.DEVNULL,
                stdout=out if out is not None else log,
                stderr=log,
                text=True,
                start_new_session=True,  # Ctrl-C is for the demo, which stops the others in order
            )
        self._processes[name] = process
        return process


def get_with_index(url: str) -> tuple[Any, int]:
    """An answer of the agent, and the index that the next query waits after."""
    with urllib.request.urlopen(url, timeout=WAIT_S) as response:
        return json.load(response), int(response.headers["X-Consul-Index"])


def count_callers(post_service: str, calls: int) -> collections.Counter[str]:
    """How often each user-service answered when a post-service was asked so often."""
    counted: collections.Counter[str] = collections.Counter()
    for _ in range(calls):
        counted.update(str(post["author"]["answered_by"]) for post in send("GET", f"{post_service}/posts"))
    return counted


def play(demo: Demo, instances: dict[str, str]) -> None:
    """The story: an instance is killed, its callers stop getting it, it comes back.

    Raises:
        Failed: it went otherwise.
    """
    name, kept, victim = "user-service", "user-service-1", "user-service-2"
    caller = instances["post-service-1"]

    def expect(wanted: set[str], calls: int) -> None:
        counted = count_callers(caller, calls)
        told = ", ".join(f"{count} by {service_id}" for service_id, count in sorted(counted.items()))
        print(f"  post-service-1 was asked {calls} times, and its calls were answered: {told}")
        if counted.keys() != wanted:
            raise Failed(f"{sorted(wanted)} should have answered, but {sorted(counted)} did")

    print("Both instances of user-service are passing.")
    expect({kept, victim}, CALLS)
    print(f"Killing {victim} with SIGKILL.")
    killed_s = time.monotonic()
    demo.kill(victim)
    expect({kept}, CALLS)  # Its check may not have noticed yet; callers pass over who does not answer.
    demo.wait_passing(name, {kept})
    print(f"  after {time.monotonic() - killed_s:.1f}s the registry gives out only {kept}")
    expect({kept}, CALLS)
    print(f"Starting {victim} again.")
    demo.start_service(name, 2)
    demo.wait_passing(name, {kept, victim})
    expect({kept, victim}, CALLS)
    print("Stopping all services with SIGTERM.")
    demo.stop_services()
    left = set(send("GET", f"{demo.agent}/v1/catalog/services")) - {"consul"}
    if left:
        raise Failed(f"{sorted(left)} did not deregister")
    print("  every one has deregistered.")


def tell(demo: Demo, instances: dict[str, str]) -> None:
    """Prints what is running and what to try."""
    victim = "user-service-2"
    print(f"\nRunning, with logs in {demo.logs}:")
    for service_id, url in {"agent": demo.agent, **instances}.items():
        print(f"  {service_id:<24}{url:<28}pid {demo.pid(service_id)}")
    flag = "" if demo.agent.endswith(":8500") else f" --http-addr {demo.agent}"
    regista = f"{os.path.relpath(Path(sys.executable).parent)}/regista"
    told = {
        f"curl -X PUT {instances[victim]}/fail": "its check fails; /recover makes it well again",
        f"kill -9 {demo.pid(victim)}": "it dies without a word",
        f"curl {instances['post-service-1']}/posts": "only the other one answers",
    }
    steps = "\n".join(f"  {command:<48}{what}" for command, what in told.items())
    print(f"""
Try, in another terminal:
  curl {demo.agent}/v1/health/service/user-service?passing
  curl {instances["post-service-1"]}/posts
  curl {instances["notification-service-1"]}/notifications/1
  {regista} watch service user-service{flag}

See an instance go and its callers stop getting it:
{steps}

Ctrl-C stops everything.""")


def main() -> int:
    """Runs the demo; the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--http-port", type=int, help="the agent's port; 0: a free one. Default: 8500")
    parser.add_argument("--check", action="store_true", help="play the story, on a free port, and end")
    options = parser.parse_args()
    port = options.http_port if options.http_port is not None else 0 if options.check else DEFAULT_PORT
    for ending in (signal.SIGTERM, signal.SIGINT):
        signal.signal(ending, signal.default_int_handler)
    demo = Demo(Path(tempfile.mkdtemp(prefix="regista-demo-")))
    try:
        print("Starting an agent and six services …", flush=True)
        demo.start_agent(port)
        for name in SERVICES:
            for number in range(1, INSTANCES + 1):
                demo.start_service(name, number)
        instances = demo.wait_all_passing()
        if options.check:
            play(demo, instances)
        else:
            tell(demo, instances)
            signal.pause()
    except Failed as error:
        print(f"scripts/demo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopping …", flush=True)
    finally:
        demo.stop()
    shutil.rmtree(demo.logs, ignore_errors=True)
    print("All of it went as told." if options.check else "Everything has stopped.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

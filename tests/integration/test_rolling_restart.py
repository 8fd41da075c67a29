"""A rolling restart of real instances behind callers that follow them, without a failed request or a fixed sleep."""

import contextlib
import http.client
import itertools
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.agents import running_agent

PROGRAM = Path(__file__).parents[2] / "examples" / "user_service.py"
INSTANCES = 4
CALLERS = 3
PAUSE_S = 0.004
"""Between two calls of a caller: some 500 calls a second together, which leaves a busy machine time for the rest."""

ASKS = "/v1/health/service/user-service?passing"


class Caller:
    """Calls whichever instance is next in its list, again and again; the list follows the registry.

    An instance is taken from the list and connected to in one step, so that none is taken from an old list any
    more once the new one is there. Only then the registry is asked again, which tells it that the new list is in
    force.
    """

    def __init__(self, agent):
        self.calls = 0
        self.failures = []
        self._agent = agent
        self._instances = []
        self._lock = threading.Lock()
        self._is_ended = threading.Event()
        self._has_list = threading.Event()
        self._threads = [threading.Thread(target=each, daemon=True) for each in (self._follow, self._call)]
        following, calling = self._threads
        following.start()
        assert self._has_list.wait(10)
        calling.start()

    def stop(self):
        self._is_ended.set()
        for thread in self._threads:
            thread.join(15)

    def _follow(self):
        index = 0
        with self._agent.client() as client:
            while not self._is_ended.is_set():
                reply = client.get(f"{ASKS}&index={index}&wait=2s")
                index = reply.index
                with self._lock:
                    self._instances = [item["Service"]["Port"] for item in reply.json]
                self._has_list.set()

    def _call(self):
        for number in itertools.count():
            if self._is_ended.wait(PAUSE_S):
                return
            self.calls += 1
            try:
                with self._lock:
                    port = self._instances[number % len(self._instances)]
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                    connection.connect()
                with contextlib.closing(connection):
                    connection.request("GET", "/users/1")
                    response = connection.getresponse()
                    response.read()
                    if response.status != 200:
                        self.failures.append(f"{port} answers {response.status}")
            except (OSError, http.client.HTTPException, ZeroDivisionError) as error:
                self.failures.append(repr(error))


class Fleet:
    """The instances, each a process."""

    def __init__(self, agent, log):
        self._agent = agent
        self._log = log
        self.processes = {}

    def start(self, number):
        command = [
            sys.executable,
            str(PROGRAM),
            "--agent",
            f"http://{self._agent.http}",
            "--id",
            f"users-{number}",
        ]
        self.processes[number] = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log
        )

    def replace(self, number):
        """Tells the process to end, waits until it has, and starts another."""
        process = self.processes[number]
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        self.start(number)

    def wait_passing(self, count):
        """Returns when so many are passing."""
        index, end_s = 0, time.monotonic() + 30
        with self._agent.client() as client:
            while True:
                reply = client.get(f"{ASKS}&index={index}&wait=5s")
                if len(reply.json) == count:
                    return
                assert time.monotonic() < end_s, reply
                index = reply.index

    def kill(self):
        for process in self.processes.values():
            process.kill()
            process.wait()


def test_a_rolling_restart_fails_no_request(tmp_path):
    """Each instance in turn drains, ends and comes back, while three callers never stop."""
    log_file = tmp_path / "services.log"
    config = {"http": {"watcher_return": "300ms"}}  # for the deployer, who looks in between and goes
    with running_agent(tmp_path / "agent", config=config) as agent, log_file.open("w") as log:
        fleet = Fleet(agent, log)
        callers = []
        try:
            for number in range(INSTANCES):
                fleet.start(number)
            fleet.wait_passing(INSTANCES)
            callers = [Caller(agent) for _ in range(CALLERS)]
            began_s = time.monotonic()
            for number in range(INSTANCES):
                fleet.replace(number)
                fleet.wait_passing(INSTANCES)
            took_s = time.monotonic() - began_s
        finally:
            for caller in callers:
                caller.stop()
            fleet.kill()
            sys.stdout.write(log_file.read_text())
        calls = sum(caller.calls for caller in callers)
        sys.stdout.write(f"{calls} calls in {took_s:.1f}s\n")
        assert [caller.failures for caller in callers] == [[]] * CALLERS
        assert calls > 100 * INSTANCES
        assert "may still call" not in log_file.read_text()

"""The example services against a real agent, as processes that are told to stop, to fail and to recover."""

import contextlib
import http.client
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.agents import eventually, running_agent
from tests.threads import other_threads_that_take

EXAMPLES = Path(__file__).parents[2] / "examples"


@contextlib.contextmanager
def running(program, *, agent, service_id, log_file):
    """An example service as its own process."""
    command = [sys.executable, str(EXAMPLES / program), "--agent", f"http://{agent}", "--id", service_id]
    with log_file.open("w") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        sys.stdout.write(f"---- log of {service_id} ----\n{log_file.read_text()}")


@pytest.fixture
def users(agent, tmp_path):
    """A user-service that is registered with the agent and passing."""
    log_file = tmp_path / "users.log"
    with running("user_service.py", agent=agent.http, service_id="users-1", log_file=log_file) as process:
        eventually(lambda: passing(agent), within_s=15)
        yield process


def passing(agent):
    """The ids of the instances that callers are given."""
    return [item["Service"]["ID"] for item in agent.get("/v1/health/service/user-service?passing").json]


def known(agent):
    return list(agent.get("/v1/agent/services").json)


def tell(agent, path):
    """PUTs to the instance itself; the status that it answers with."""
    port = agent.get("/v1/agent/service/users-1").json["Port"]
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("PUT", path)
        return connection.getresponse().status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_is_told_to_stop_deregisters(agent, users, number):
    """SIGTERM and SIGINT end the instance in the registry before they end the process."""
    assert other_threads_that_take(users.pid, number) == [], "it would not wake the main one"
    users.send_signal(number)
    assert users.wait(15) == 0
    assert known(agent) == []


def test_a_failing_service_is_given_to_nobody_until_it_recovers(agent, users):
    """`/fail` takes the instance away from callers, and `/recover` gives it back."""
    assert tell(agent, "/fail") == 200
    eventually(lambda: not passing(agent), within_s=10)
    assert known(agent) == ["users-1"]
    assert tell(agent, "/recover") == 200
    eventually(lambda: passing(agent) == ["users-1"], within_s=10)


def test_a_service_that_was_forgotten_registers_again(agent, users):
    """The agent lost the registration; the service notices and makes it anew."""
    assert agent.put("/v1/agent/service/deregister/users-1").status == 200
    eventually(lambda: passing(agent) == ["users-1"], within_s=10)


def test_a_service_that_starts_before_its_agent_waits_for_it(tmp_path):
    """Registration is tried until the agent answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = f"127.0.0.1:{port}"
    log_file = tmp_path / "users.log"
    with running("user_service.py", agent=address, service_id="users-1", log_file=log_file):
        eventually(lambda: "trying again" in log_file.read_text(), within_s=15)
        with running_agent(tmp_path / "agent", arguments=("--http-port", str(port))) as agent:
            eventually(lambda: passing(agent) == ["users-1"], within_s=15)


def test_the_demo_plays_its_story():
    """An instance is killed, its callers stop getting it without one failed call, and it comes back."""
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "demo.py"), "--check"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every one has deregistered" in done.stdout

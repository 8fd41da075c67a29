"""`regista events` over an agent that comes and goes."""

import contextlib
import json
import os
import signal
import socket
import subprocess

import pytest
from tests.agents import PROGRAM, Agent, eventually, running_agent


@contextlib.contextmanager
def following(agent, *arguments):
    """The command while it follows; ended by Ctrl-C in the end."""
    command = [PROGRAM, "events", "--follow", "--json", *arguments]
    with subprocess.Popen(
        command,
        env={**os.environ, "REGISTA_HTTP_ADDR": agent.http},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(10)
            process.last_words = process.stderr.read()


@pytest.fixture
def free_port():
    """A port that nobody listens at."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def test_events_are_followed_over_a_power_cut(tmp_path, free_port):
    """The command goes on where it was when the agent is back: nothing is missing, nothing is told twice."""
    arguments = ("--http-port", str(free_port))
    with running_agent(tmp_path, keeps_data=True, arguments=arguments) as agent:
        agent.put("/v1/kv/k0", b"")
        with following(agent, "--type", "kv", "--after", "1") as process:
            heard = [json.loads(process.stdout.readline())]
            for number in range(1, 6):
                agent.put(f"/v1/kv/k{number}", b"")
            heard += [json.loads(process.stdout.readline()) for _ in range(5)]
            agent.kill()
            assert "Trying again." in process.stderr.readline()
            agent.start()
            for number in range(6, 9):
                agent.put(f"/v1/kv/k{number}", b"")
            heard += [json.loads(process.stdout.readline()) for _ in range(3)]
        assert process.returncode == 0
        assert process.last_words == "\n"
    assert [each["data"]["key"] for each in heard] == [f"k{number}" for number in range(9)]


def test_what_happened_is_listed_and_the_command_ends(agent: Agent):
    """Without --follow every event up to now is printed, whatever the filter leaves out."""
    for number in range(3):
        agent.put(f"/v1/kv/k{number}", b"")
    agent.register(Name="web", ID="web-1")

    def listed(*arguments):
        return subprocess.run(
            [PROGRAM, "events", *arguments],
            env={**os.environ, "REGISTA_HTTP_ADDR": agent.http},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout.splitlines()

    assert [line.split(" ")[3] for line in listed("--type", "kv")] == ["k0", "k1", "k2"]
    (line,) = listed("--service", "web")
    assert line.endswith("service.registered web/n1/web-1 (PUT /v1/agent/service/register from 127.0.0.1)")
    assert listed("--service", "nobody") == []


def test_a_log_that_was_cut_says_where_it_begins(tmp_path):
    """What the log has left is listed, with a word on where it begins."""
    config = {"store": {"log_retention": "0s", "log_bytes_min": 65536}, "streams": {"batches_max": 16}}
    with running_agent(tmp_path, config=config) as agent:
        for number in range(200):
            agent.put(f"/v1/kv/k{number}", b"x" * 2000)

        def listed():
            return subprocess.run(
                [PROGRAM, "events"],
                env={**os.environ, "REGISTA_HTTP_ADDR": agent.http},
                capture_output=True,
                text=True,
                timeout=30,
                check=True,
            )

        done = eventually(lambda: found if "The log begins after index" in (found := listed()).stderr else None)
        assert done.stdout.splitlines()[-1].split(" ")[3] == "k199"

"""Too few open files: clients are told so instead of being cut off, and the log says why."""

import contextlib
import re
import resource
import selectors
import socket
import sys

import pytest
from tests.agents import Agent, eventually

FEW = 200
CROWD = 300

_WITH_FEWER = """
import os, resource, sys
files = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_NOFILE, (files // 2, files))
os.execv(sys.argv[2], sys.argv[2:])
"""


class PoorAgent(Agent):
    """An agent that may have few open files; half of them until it asks for more."""

    def __init__(self, folder, files_max, **options):
        super().__init__(folder, **options)
        self._files_max = files_max

    @property
    def command(self):
        return [sys.executable, "-c", _WITH_FEWER, str(self._files_max), *super().command]


@contextlib.contextmanager
def poor_agent(folder, files_max, **options):
    agent = PoorAgent(folder, files_max, **options)
    try:
        yield agent.start()
    finally:
        agent.close()


@contextlib.contextmanager
def crowd(agent, count, request):
    """So many connections that ask this; b"" for nothing."""
    host, _, port = agent.http.rpartition(":")
    with contextlib.ExitStack() as ending:
        opened = []
        for _ in range(count):
            opened.append(ending.enter_context(socket.create_connection((host, int(port)), timeout=20)))
            opened[-1].sendall(request)
        yield opened


def told(connections, *, count, within_s=10.0):
    """What so many of them have been told, to the end of each; those that wait are not waited for."""
    answers = dict.fromkeys(connections, b"")
    ended = []
    with selectors.DefaultSelector() as selector:
        for each in connections:
            selector.register(each, selectors.EVENT_READ)
        while len(ended) < count:
            ready = selector.select(within_s)
            assert ready, f"only {len(ended)} of {count} have been answered"
            for key, _ in ready:
                more = key.fileobj.recv(65536)
                answers[key.fileobj] += more
                if not more:
                    selector.unregister(key.fileobj)
                    ended.append(answers[key.fileobj])
    return ended


WAITING = b"GET /v1/health/service/web?index=999999&wait=60s HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("workers", [0, 1])
def test_a_crowd_is_told_and_renewals_are_answered(tmp_path, workers):
    """Nobody is reset: of more than fit, those who wait are let in or get 503, and an instance renews its life."""
    files_max = FEW + 400 * workers
    count = CROWD + 900 * workers
    arguments = ("--workers", str(workers)) if workers else ()
    with poor_agent(tmp_path, files_max, arguments=arguments) as agent:
        agent.register(Name="web", ID="web-1", Check={"CheckID": "c", "TTL": "60s", "Status": "passing"})
        warning = re.search(r"may have (\d+) open files, and its settings may take (\d+)", agent.log())
        assert int(warning[1]) == files_max
        assert int(warning[2]) > 20_000
        (limit,) = (
            each
            for each in agent.get("/v1/regista/limits").json["limits"]
            if each["name"] == "http.connections_max"
        )
        assert f"http.connections_max is {limit['max']} instead of 20000" in agent.log()
        assert files_max / 4 < limit["max"] < files_max
        too_many = count - limit["max"] * (1 + workers)
        with crowd(agent, count, WAITING) as connections:
            for _ in range(20):
                # A connection each time, which must find room.
                with agent.client() as client:
                    assert client.put("/v1/agent/check/pass/c").status == 200
            for answer in told(connections, count=too_many):
                assert answer.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
                assert b"X-Regista-Limit: http.connections_max" in answer
        assert "no open file is left" not in agent.log()


def test_enough_files_are_no_matter(tmp_path):
    """An agent whose settings fit says nothing."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    small = {
        "http": {"connections_max": 100, "connections_reserve": 10, "refusals_max": 10},
        "health": {"probes_at_once_max": 10},
        "dns_config": {"tcp_connections_max": 10, "recursions_max": 10},
    }
    with poor_agent(tmp_path, min(hard, 500), config=small) as agent:
        assert "open files" not in agent.log()
        found = {each["name"]: each["max"] for each in agent.get("/v1/regista/limits").json["limits"]}
        assert found["http.connections_max"] == 100


def test_running_out_all_the_same_is_in_the_log(tmp_path):
    """Where somebody takes files away from a running agent, clients are cut off, and one line says so."""
    with poor_agent(tmp_path, FEW) as agent:
        before = agent.socket_count()
        resource.prlimit(agent.pid, resource.RLIMIT_NOFILE, (50, FEW))
        with crowd(agent, 60, b""):
            eventually(lambda: "no open file is left (all 200 of this process are in use)" in agent.log())
            agent_log = agent.log()
        assert agent_log.count("no open file is left") == 1
        eventually(lambda: agent.socket_count() <= before)
        assert agent.get("/v1/status/leader").status == 200

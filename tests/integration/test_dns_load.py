"""DNS under load does not keep the agent from anything else, and no source from others."""

import contextlib
import http.client
import select
import socket
import struct

import dns.message
import pytest
from tests.agents import running_agent

INSTANCES = 500
UNDER_WAY = 256
"""Questions that are with the agent at any moment of the flood."""

BETWEEN_MAX = 1000
"""Answers that may come before that of a request: those of the questions before it, and of a few turns of the loop."""


def spelled(name, number):
    """One of the spellings of a name: which of its letters are large, as bits."""
    bits = iter(range(len(name)))
    return "".join(sign.upper() if sign.isalpha() and number >> next(bits) & 1 else sign for sign in name)


def metric(agent, name):
    lines = agent.get("/v1/agent/metrics?format=prometheus").text.splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"regista_{name} "))


def limits(agent):
    """Those of DNS, by the setting's name within its block."""
    found = agent.get("/v1/regista/limits").json["limits"]
    return {each["name"].removeprefix("dns_config."): each for each in found}


def address_of(agent):
    host, _, port = agent.dns.rpartition(":")
    return host, int(port)


class Flood:
    """Questions for one service, each in a spelling of its own, so many under way at any moment."""

    def __init__(self, asking, service):
        self._asking = asking
        self._service = service
        self._sent = 0
        for _ in range(UNDER_WAY):
            self._send()

    def _send(self):
        name = spelled(f"{self._service}.service.consul.", self._sent)
        self._asking.send(dns.message.make_query(name, "SRV").to_wire())
        self._sent += 1

    def step(self):
        """Takes an answer and asks anew."""
        self._asking.recv(65535)
        self._send()


def test_http_is_answered_during_a_flood_of_spellings(tmp_path):
    """Among questions for a large service, no two alike, a request has its answer after some of theirs."""
    with running_agent(tmp_path, config={"degrading": {"settling": "0s"}}) as agent:
        for number in range(INSTANCES):
            address = f"10.0.{number // 250}.{number % 250 + 1}"
            agent.register(Name="big", ID=f"big-{number}", Address=address, Port=80)
        host, port = agent.http.removeprefix("http://").rsplit(":", 1)
        request = http.client.HTTPConnection(host, int(port), timeout=30)
        with contextlib.closing(request), socket.socket(type=socket.SOCK_DGRAM) as asking:
            request.connect()
            asking.settimeout(30)
            asking.connect(address_of(agent))
            flood = Flood(asking, "big")
            for _ in range(5):
                request.request("GET", "/v1/status/leader")
                between = 0
                while not select.select([request.sock], [], [], 0)[0]:
                    flood.step()
                    between += 1
                    assert between < BETWEEN_MAX
                assert request.getresponse().read()
            for _ in range(BETWEEN_MAX):
                flood.step()
        assert metric(agent, "dns_ready_misses_total") >= BETWEEN_MAX
        assert metric(agent, "dns_answers_made_total") <= 2


def test_limits_that_fill_up_are_shown(tmp_path):
    """Connections, recursions and ready answers are among the limits, with how much of them is in use."""
    config = {"dns_config": {"tcp_connections_max": 20}}
    question = dns.message.make_query("consul.", "NS").to_wire()
    with running_agent(tmp_path, config=config) as agent, contextlib.ExitStack() as stack:
        # Where files are few, an agent allows fewer than it is told.
        most = limits(agent)["tcp_connections_max"]["max"]
        for _ in range(most + 1):
            connection = stack.enter_context(socket.create_connection(address_of(agent), timeout=10))
            connection.sendall(struct.pack("!H", len(question)) + question)
            with contextlib.suppress(ConnectionError):
                connection.recv(2)
        found = limits(agent)
        assert (found["tcp_connections_max"]["used"], found["tcp_connections_max"]["refused"]) == (most, 1)
        for name, size in (("tcp_connections_per_source_max", 256), ("cache_entries_max", 20_000)):
            assert found[name] == {"name": f"dns_config.{name}", "max": size, "used": 0, "refused": 0}
        assert (found["recursions_max"]["used"], found["recursions_max"]["refused"]) == (0, 0)
        assert metric(agent, "dns_connections_refused_total") == pytest.approx(1)

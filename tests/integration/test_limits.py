"""Limits: every refusal says which, how much, and what to do; and what is refused first."""

import ast
import json
import socket
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
from tests.agents import Agent, running_agent

from regista.agent.limits import LIMITS
from regista.agent.routes import described_routes
from regista.protocols.http import SHED_ORDER

SOURCES = Path(__file__).parents[2] / "src" / "regista"


def ask(agent, method, path, body=b""):
    """The answer on a connection of its own."""
    return httpx.request(method, f"http://{agent.http}{path}", content=body, trust_env=False, timeout=10)


class Held:
    """Requests that are sent and left unanswered."""

    def __init__(self, agent):
        self._agent = agent
        self._sockets = []

    def open(self, count=1, target="", *, until=b""):
        host, _, port = self._agent.http.rpartition(":")
        for _ in range(count):
            opened = socket.create_connection((host, int(port)))
            self._sockets.append(opened)
            if target:
                opened.sendall(f"{target} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
            heard = b""
            while until and until not in heard:
                heard += opened.recv(65536)
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in self._sockets:
            each.close()


def hold_connections(agent, held):
    held.open(10)


def hold_waiting(agent, held):
    held.open(1, "GET /v1/kv/nothing?index=1&wait=60s")


def hold_events(agent, held):
    held.open(1, "GET /v1/regista/events", until=b"still here")


def hold_stream(agent, held):
    held.open(1, "GET /v1/regista/stream?service=web", until=b"whole")


def hold_log(agent, held):
    held.open(1, "GET /v1/agent/monitor", until=b"200 OK")


def hold_drain(agent, held):
    agent.register(Name="web", ID="web-1")
    index = agent.get("/v1/health/service/web").index
    held.open(1, f"GET /v1/health/service/web?index={index}&wait=60s")
    wait_until(lambda: used(agent, "http.waiting_max") == 1)
    held.open(1, "PUT /v1/agent/service/drain/web-1?wait=60s")


REFUSALS = [
    ("http.connections_max", 10, hold_connections, "GET /v1/kv/x", 503),
    ("http.waiting_max", 1, hold_waiting, "GET /v1/kv/nothing?index=1&wait=60s", 429),
    ("streams.listeners_max", 1, hold_events, "GET /v1/regista/events", 429),
    ("streams.readers_max", 1, hold_stream, "GET /v1/regista/stream?service=web", 429),
    ("streams.questions_max", 1, hold_stream, "GET /v1/regista/stream?service=api", 429),
    ("registry.log_listeners_max", 1, hold_log, "GET /v1/agent/monitor", 429),
    ("drain.waiting_max", 1, hold_drain, "PUT /v1/agent/service/drain/web-1?wait=1s", 429),
]


def used(agent, name):
    return next(each["used"] for each in limits(agent)["limits"] if each["name"] == name)


def limits(agent):
    return agent.get("/v1/regista/limits").json


def wait_until(is_so):
    end_s = time.monotonic() + 10
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.01)


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case[0])
def test_a_refusal_says_all(tmp_path, case):
    """Its status, when to come back, the limit's name, its size and its use, and a sentence that says what to do."""
    name, most, hold, asked, status = case
    block, _, field = name.partition(".")
    with running_agent(tmp_path, config={block: {field: most}}) as agent, Held(agent) as held:
        if name != "http.connections_max":
            agent.get("/v1/kv/warm")
        hold(agent, held)
        if name != "http.connections_max":
            wait_until(lambda: used(agent, name) == most)
        reply = ask(agent, *asked.split())
        assert reply.status_code == status, reply.text
        assert int(reply.headers["Retry-After"]) > 0
        assert reply.headers["X-Regista-Limit"] == name
        assert reply.headers["X-Regista-Limit-Max"] == str(most)
        assert int(reply.headers["X-Regista-Limit-Used"]) >= most
        for part in (name, "Try again in", "in the agent's configuration"):
            assert part in reply.text
        if name != "http.connections_max":
            (told,) = (each for each in limits(agent)["limits"] if each["name"] == name)
            assert told == {"name": name, "max": most, "used": most, "refused": 1}


TOO_LARGE = [
    ("http.body_bytes_max", {"http": {"body_bytes_max": 1024}}, "/v1/agent/service/register", 1024),
    ("kv.value_bytes_max", {"kv": {"value_bytes_max": 1024}}, "/v1/kv/k", 1024),
    (
        "kv.transaction_bytes_max",
        {"kv": {"transaction_bytes_max": 1024, "value_bytes_max": 1024}},
        "/v1/txn",
        1024,
    ),
]


@pytest.mark.parametrize(("name", "config", "path", "most"), TOO_LARGE)
def test_what_is_too_large_is_refused_with_the_limit(tmp_path, name, config, path, most):
    """413 with its name and size, and how much came; the same again would not help, so nothing of when."""
    with running_agent(tmp_path, config=config) as agent:
        reply = ask(agent, "PUT", path, b"x" * (most + 1))
        assert reply.status_code == 413
        assert reply.headers["X-Regista-Limit"] == name
        assert reply.headers["X-Regista-Limit-Max"] == str(most)
        assert int(reply.headers["X-Regista-Limit-Used"]) > most
        assert "Retry-After" not in reply.headers
        (told,) = (each for each in limits(agent)["limits"] if each["name"] == name)
        assert told["refused"] == 1


def test_a_head_that_is_too_long_is_refused_with_the_limit(shared_agent: Agent):
    """It can't be read to its end, so how long it is is not known."""
    reply = ask(shared_agent, "GET", f"/v1/kv/{'x' * 20_000}")
    assert reply.status_code == 400
    assert reply.headers["X-Regista-Limit"] == "http.head_bytes_max"
    assert reply.headers["X-Regista-Limit-Max"] == "16384"


def test_every_limit_is_listed():
    """Whatever is raised as reached anywhere is in the list that `/v1/regista/limits` shows."""
    raised = set()
    for path in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Overloaded", "TooLarge", "Due"):
                names = [*node.args[:2], *(each.value for each in node.keywords if each.arg == "limit")]
                found = {each.value for each in names if isinstance(each, ast.Constant)}
                raised |= {each for each in found if each.count(".") == 1 and " " not in each}
    assert len(raised) > 12
    assert raised <= {name for name, _ in LIMITS}


def test_what_keeps_instances_alive_is_renewal():
    """Exactly these paths are never refused for the load, besides those that an operator needs."""
    renewals = {route.pattern for route in described_routes() if route.load_class == "renewal"}
    assert renewals == {
        "/v1/agent/check/fail/",
        "/v1/agent/check/pass/",
        "/v1/agent/check/update/",
        "/v1/agent/check/warn/",
        "/v1/agent/service/renew/",
        "/v1/session/renew/",
    }
    control = {route.pattern for route in described_routes() if route.load_class == "control"}
    assert {"/v1/agent/metrics", "/v1/regista/limits", "/v1/status/leader"} <= control


def test_an_agent_with_time_refuses_nothing(shared_agent: Agent):
    """And says so."""
    load = limits(shared_agent)["overload"]
    assert load["refused_classes"] == []
    assert load["cause"] is None
    assert load["refused"] == dict.fromkeys(SHED_ORDER, 0)


def test_watchers_beyond_the_limit_do_not_cost_a_life(tmp_path):
    """Three times as many watchers as there are connections come again and again; every renewal is answered.

    None of the instances, whose TTLs are short, expires meanwhile; and whoever is refused is told why.
    """
    config = {"http": {"connections_max": 200, "waiting_max": 150}, "registry": {"shutdown_grace": "1s"}}
    with running_agent(tmp_path, config=config) as agent:
        for number in range(20):
            check = {"CheckID": f"c-{number}", "TTL": "2s", "Status": "passing"}
            agent.register(Name="web", ID=f"web-{number}", Check=check)
        stop = threading.Event()
        refused = []
        crowd = threading.Thread(target=_crowd, args=(agent, 600, stop, refused))
        crowd.start()
        took_s = []
        try:
            end_s = time.monotonic() + 5
            while time.monotonic() < end_s:
                for number in range(20):
                    # A connection each time: there must be room for a client that is not there yet.
                    began_s = time.monotonic()
                    with agent.client() as client:
                        reply = client.put(f"/v1/agent/check/pass/c-{number}")
                    took_s.append(time.monotonic() - began_s)
                    assert reply.status == 200, reply
        finally:
            stop.set()
            crowd.join()
        expired = [each for each in agent.log().splitlines() if "is critical now" in each]
        assert expired == []
        passing = agent.get("/v1/health/service/web?passing").json
        assert len(passing) == 20
        assert refused
        assert all(b"X-Regista-Limit: http." in each and b"Retry-After: " in each for each in refused)
        # Printed beside a failure, and with -rA: how long is measured, and depends on the machine.
        sys.stdout.write(f"{len(took_s)} renewals, p99 {sorted(took_s)[len(took_s) * 99 // 100] * 1000:.1f} ms\n")


def _crowd(agent, count, stop, refused):
    """Watchers that ask, and when they are refused come back a moment later; those that wait stay."""
    head = b"GET /v1/health/service/web?index=999999&wait=60s HTTP/1.1\r\nHost: x\r\n\r\n"
    host, _, port = agent.http.rpartition(":")
    held = []
    while not stop.is_set():
        while len(held) < count and not stop.is_set():
            opened = socket.create_connection((host, int(port)))
            opened.sendall(head)
            opened.setblocking(False)
            held.append(opened)
        left = []
        for each in held:
            try:
                answer = each.recv(65536)
            except BlockingIOError:
                left.append(each)
                continue
            except ConnectionError:
                each.close()
                continue
            if answer:
                refused.append(answer)
            each.close()
        held = left
        stop.wait(0.25)
    for each in held:
        each.close()


def test_the_list_is_json(shared_agent: Agent):
    """Names, sizes, use and refusals; the use of a single thing's size is null."""
    found = {each["name"]: each for each in json.loads(shared_agent.get("/v1/regista/limits").body)["limits"]}
    assert set(found) == {name for name, _ in LIMITS}
    assert found["http.body_bytes_max"]["used"] is None
    assert found["http.connections_max"]["used"] >= 1

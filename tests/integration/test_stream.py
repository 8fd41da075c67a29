"""The stream of instances over real sockets: what is heard, what it costs, and what waits for it."""

import asyncio
import json
import socket
import threading
import time

import httpx
import pytest
from tests.agents import Agent, running_agent
from tests.sse import Listener, take

CHECK = {"TTL": "600s", "Status": "passing"}


def stream(query, **options):
    return Listener(f"/v1/regista/stream?{query}", **options)


def whole(events):
    """All events up to the next moment at which the reader has everything."""
    heard = []
    for each in events:
        if each.type == "bookmark":
            return heard
        heard.append(each)
    raise AssertionError("the stream ended")


def metric(agent, name):
    """The value of one without labels."""
    lines = agent.get("/v1/agent/metrics?format=prometheus").text.splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def wait_until(is_so):
    end_s = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_instances_are_heard_as_they_change(agent: Agent):
    """A list, and then each change, in the very shape of health/service; critical is an end for `passing`."""
    agent.register(Name="web", ID="web-1", Port=80, Check={**CHECK, "CheckID": "alive"})
    with stream("service=web&passing", hears_bookmarks=True).open(agent) as events:
        (full,) = whole(events)
        assert full.type == "full"
        assert full.data["instances"] == agent.get("/v1/health/service/web?passing").json
        agent.register(Name="web", ID="web-2", Port=81)
        (put,) = whole(events)
        assert (put.type, put.data) == ("put", agent.get("/v1/health/service/web?passing").json[1])
        agent.put("/v1/agent/check/fail/alive")
        (delete,) = whole(events)
        assert delete.type == "delete"
        assert (delete.data["node"], delete.data["id"]) == ("n1", "web-1")
        agent.put("/v1/agent/check/pass/alive")
        (put,) = whole(events)
        assert put.data == agent.get("/v1/health/service/web?passing").json[0]


def test_a_reader_comes_back_without_a_list(agent: Agent):
    """It hears what it missed; after a restart of the agent, whose indexes may mean another state, the list."""
    agent.register(Name="web", ID="web-1")
    agent.register(Name="api", ID="api-1")
    reader = stream("service=web,api", hears_bookmarks=True)
    with reader.open(agent) as events:
        assert [each.data["service"] for each in whole(events)] == ["web", "api"]
    agent.register(Name="web", ID="web-2")
    agent.put("/v1/agent/service/deregister/web-1")
    with reader.open(agent) as events:
        heard = whole(events)
    assert sorted(each.type for each in heard) == ["delete", "put"]
    agent.terminate()
    agent.start()
    with reader.open(agent) as events:
        assert [each.type for each in whole(events)] == ["full", "full"]


def test_a_list_read_elsewhere_is_gone_on_from(agent: Agent):
    """With the index of health/service there is no list."""
    agent.register(Name="web", ID="web-1")
    index = agent.get("/v1/health/service/web").index
    with stream(f"service=web&after={index}", hears_bookmarks=True).open(agent) as events:
        assert whole(events) == []
        agent.register(Name="web", ID="web-2")
        assert [each.type for each in whole(events)] == ["put"]


@pytest.mark.parametrize(
    ("query", "field"),
    [("", "service"), ("service=,", "service"), ("service=web&passing=perhaps", "passing"),
     ("service=web&after=x", "after"), ("service=" + ",".join(f"s{n}" for n in range(33)), "service"),
     ("service=web" + "".join(f"&tag=t{n}" for n in range(17)), "tag")],
)  # fmt: skip
def test_a_reader_with_a_bad_wish_is_told(shared_agent: Agent, query, field):
    """400 names the parameter."""
    reply = shared_agent.get(f"/v1/regista/stream?{query}")
    assert reply.status == 400
    assert field in reply.text


def test_a_reader_too_many_is_refused(tmp_path):
    """429 names the limit; a reader that leaves makes room."""
    with running_agent(tmp_path, config={"streams": {"readers_max": 1}}) as agent:
        with stream("service=web").open(agent) as events:
            next(events)
            reply = httpx.get(f"http://{agent.http}/v1/regista/stream?service=web", trust_env=False)
            assert reply.status_code == 429
            assert reply.headers["X-Regista-Limit"] == "streams.readers_max"
        with stream("service=web").open(agent) as events:
            assert next(events).type == "full"


def test_an_agent_that_stops_ends_the_stream(agent: Agent):
    """Readers do not hold up a stop."""
    with stream("service=web").open(agent) as events:
        next(events)
        assert agent.terminate() < 5
        assert list(events) == []


def test_a_drain_waits_for_a_reader(agent: Agent):
    """It names one whose machine has not taken what it was sent; one that takes it lets the drain end at once."""
    agent.register(Name="web", ID="web-1", Check={**CHECK, "CheckID": "alive"})
    agent.register(Name="web", ID="web-2", Meta={f"k{number}": "x" * 500 for number in range(60)})
    with stream("service=web&passing", hears_bookmarks=True).open(agent) as events:
        whole(events)
        started_s = time.monotonic()
        reply = agent.put("/v1/agent/service/drain/web-1?wait=10s")
        assert time.monotonic() - started_s < 2
        assert reply.json["Watchers"] == 1
        assert [each.type for each in whole(events)] == ["delete"]


# ---- what it costs ----


class Watchers:
    """Many readers of the same stream; what each takes is counted, not read."""

    def __init__(self, agent, count, query="service=web"):
        self.bytes = 0
        self._agent = agent
        self._count = count
        self._head = f"GET /v1/regista/stream?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        self._last = b"\x00"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._tails = {}
        self._writers = []

    def __enter__(self):
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(30)
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _open(self):
        host, _, port = self._agent.http.rpartition(":")
        self._tasks = []
        for number in range(self._count):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(self._head)
            self._writers.append(writer)
            self._tails[number] = b""
            self._tasks.append(asyncio.create_task(self._read(number, reader)))

    async def _read(self, number, reader):
        while part := await reader.read(65536):
            self.bytes += len(part)
            self._tails[number] = (self._tails[number] + part)[-40_000:]

    async def _close(self):
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def wait_for(self, marker):
        """Returns once all have read this."""
        end_s = time.monotonic() + 30
        while not all(marker in tail for tail in tuple(self._tails.values())):
            assert time.monotonic() < end_s, "not all readers have heard of it"
            time.sleep(0.01)


def registration(number, port):
    return {"Name": "web", "ID": f"web-{number}", "Port": port, "Tags": ["v2"], "Meta": {"version": "2.14.3"}}


def fill(agent, count):
    operations = [
        {"Service": {"Verb": "set", "Node": "n1", "Service": {"Service": "web", "ID": f"web-{n}", "Port": 80}}}
        for n in range(count)
    ]
    for first in range(0, count, 64):
        reply = agent.put("/v1/txn", operations[first : first + 64])
        assert reply.status == 200, reply


def test_a_change_costs_its_own_size_for_each_reader(agent: Agent):
    """Of 2,000 instances 20 change under 50 readers: no more is sent than 1.2 times these 20, for each reader."""
    fill(agent, 2000)
    index = agent.get("/v1/health/service/web").index
    with Watchers(agent, 50, f"service=web&after={index}") as watchers:
        watchers.wait_for(b": whole")
        before = watchers.bytes
        for number in range(20):
            agent.put("/v1/agent/service/register", registration(number, 9000 + number))
        watchers.wait_for(b'"Port":9019')
        sent = watchers.bytes - before
        entries = agent.get("/v1/health/service/web?tag=v2").json
    assert len(entries) == 20
    changed = sum(len(json.dumps(each, separators=(",", ":"))) for each in entries)
    assert sent <= 1.2 * changed * 50, f"{sent} bytes for {changed} of change and 50 readers"
    assert metric(agent, "regista_followed_encoded_total") == 20


def test_a_thousand_queries_cost_one_encoding(agent: Agent):
    """They ask the same and wait; one change wakes all of them with the same bytes."""
    agent.register(Name="web", ID="web-1", Port=80)
    index = agent.get("/v1/health/service/web").index
    head = f"GET /v1/health/service/web?index={index}&wait=60s HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    host, _, port = agent.http.rpartition(":")
    sockets = [socket.create_connection((host, int(port))) for _ in range(1000)]
    try:
        for each in sockets:
            each.sendall(head)
        wait_until(lambda: metric(agent, "regista_answers_waiting") == 1000)
        before = metric(agent, "regista_answers_encoded_total")
        agent.register(Name="web", ID="web-1", Port=81)
        answers = {each.recv(65536).partition(b"\r\n\r\n")[2] for each in sockets}
        assert len(answers) == 1
        assert metric(agent, "regista_answers_encoded_total") - before == 1
    finally:
        for each in sockets:
            each.close()


def test_no_reader_is_left_without_what_was_sent_to_it(agent: Agent):
    """A stream that is closed by its reader is gone within a second, with all that was noted of it."""
    with stream("service=web").open(agent) as events:
        take(events, 1)
        assert metric(agent, "regista_followers") == 1
    closed_s = time.monotonic()
    wait_until(lambda: metric(agent, "regista_followers") == 0)
    assert time.monotonic() - closed_s < 1

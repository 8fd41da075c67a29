"""The event stream over real sockets: live, filtered, resumed, cut off."""

import itertools
import socket
import struct

import httpx
import pytest
from tests.agents import Agent, eventually, running_agent
from tests.sse import Listener, take


def put_keys(agent, first, last):
    for number in range(first, last + 1):
        assert agent.put(f"/v1/kv/k{number}", b"v").json is True


def test_what_changes_is_heard_as_it_changes(agent: Agent):
    """A registration, its change of health and its end are heard in order, each with who did it."""
    with Listener("/v1/regista/events?type=service").open(agent) as events:
        agent.register(Name="web", ID="web-1", Port=80, Tags=["v2"], Check={"TTL": "60s", "CheckID": "alive"})
        agent.put("/v1/agent/check/pass/alive")
        agent.put("/v1/agent/service/deregister/web-1")
        heard = take(events, 3)
    assert [each.type for each in heard] == [
        "service.registered",
        "service.health_changed",
        "service.deregistered",
    ]
    registered, passed, _ = (each.data for each in heard)
    assert registered["subject"] == "web/n1/web-1"
    assert registered["data"]["checks"] == [{"id": "alive", "status": "critical"}]
    assert (passed["data"]["was"], passed["data"]["status"]) == ("critical", "passing")
    assert passed["data"]["cause"]["path"] == "PUT /v1/agent/check/pass/alive"


def test_a_listener_comes_back_to_where_it_was_after_a_power_cut(kept_agent: Agent):
    """Killed and started again, the agent tells a listener exactly what it has not heard."""
    listener = Listener("/v1/regista/events?type=kv")
    with listener.open(kept_agent) as events:
        put_keys(kept_agent, 1, 10)
        heard = take(events, 6)
    put_keys(kept_agent, 11, 20)
    kept_agent.kill()
    kept_agent.start()
    put_keys(kept_agent, 21, 25)
    with listener.open(kept_agent) as events:
        heard += take(events, 19)
    assert [each.data["data"]["key"] for each in heard] == [f"k{number}" for number in range(1, 26)]
    assert len({each.id for each in heard}) == 25


def test_a_transaction_is_never_split_by_a_resume(agent: Agent):
    """From the id of one of its events on, the others of the same transaction follow."""
    operations = [{"KV": {"Verb": "set", "Key": f"k{number}", "Value": ""}} for number in range(4)]
    listener = Listener("/v1/regista/events?type=kv")
    with listener.open(agent) as events:
        assert agent.put("/v1/txn", operations).status == 200
        first, second = take(events, 2)
    with listener.open(agent) as events:
        third, fourth = take(events, 2)
    heard = [first, second, third, fourth]
    assert [each.data["data"]["key"] for each in heard] == ["k0", "k1", "k2", "k3"]
    assert {each.id.partition(".")[0] for each in heard} == {first.id.partition(".")[0]}


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("service=WEB", ["web-1"]),
        ("service=web,api", ["web-1", "api-1"]),
        ("tag=blue", ["api-1"]),
        ("type=service.registered&node=n1", ["web-1", "api-1"]),
        ("type=service.registered&node=n2", []),
        ("status=passing", []),
        ("type=kv&key=config/", []),
    ],
)
def test_a_listener_hears_only_what_it_wants(agent: Agent, query, wanted):
    """Each filter lets through what it names; the marker after them shows that nothing else came."""
    with (
        Listener(f"/v1/regista/events?after={agent.index()}&{query}").open(agent) as events,
        Listener("/v1/regista/events?type=kv").open(agent) as marker,
    ):
        agent.register(Name="web", ID="web-1", Tags=["red"])
        agent.register(Name="api", ID="api-1", Tags=["Blue"])
        agent.put("/v1/kv/marker", b"")
        (end,) = take(marker, 1)
        heard = []
        while len(heard) < len(wanted):
            heard.append(next(events))
        assert [each.data["data"]["id"] for each in heard] == wanted
        assert all(int(each.id.partition(".")[0]) < int(end.id.partition(".")[0]) for each in heard)


def test_a_silent_stream_keeps_its_place(tmp_path):
    """Heartbeats carry the place, so a listener with a filter does not read again what did not concern it."""
    with running_agent(tmp_path, config={"streams": {"heartbeat": "50ms"}}) as agent:
        listener = Listener("/v1/regista/events?service=nobody", hears_bookmarks=True)
        with listener.open(agent) as events:
            put_keys(agent, 1, 5)
            index = agent.get("/v1/kv/k5").index
            for heard in events:
                assert heard.type == "bookmark"
                if int(heard.id) >= index:
                    break


def test_a_gap_is_told(tmp_path):
    """Who comes back after the log was compacted is told to read anew, and goes on from there."""
    config = {
        "store": {"log_retention": "0s", "log_bytes_min": 65536},
        "streams": {"batches_max": 16},
    }
    with running_agent(tmp_path, config=config) as agent:
        for number in range(200):
            agent.put(f"/v1/kv/k{number}", b"x" * 2000)
        with Listener("/v1/regista/events?after=1").open(agent) as events:
            (gap,) = take(events, 1)
            assert gap.type == "regista.reread"
            assert gap.data["data"]["after"] == 1
            agent.put("/v1/kv/after", b"")
            (event,) = take(events, 1)
        assert event.data["data"]["key"] == "after"
        assert int(event.id.partition(".")[0]) > gap.data["data"]["index"]


def test_a_place_from_another_log_is_a_gap(agent: Agent):
    """An id from the future is that of another registry: read anew."""
    with Listener("/v1/regista/events?after=999999").open(agent) as events:
        (gap,) = take(events, 1)
    assert gap.type == "regista.reread"


def test_an_agent_that_stops_ends_the_streams(agent: Agent):
    """Listeners don't hold up a stop, and see the end of the stream."""
    with Listener().open(agent) as events:
        assert agent.terminate() < 5
        assert list(events) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("type=nonsense", "type"),
        ("after=-1", "after"),
        ("after=1.2.3", "after"),
        ("after=99999999999999999999", "after"),
        (f"service={','.join(f's{number}' for number in range(65))}", "service"),
    ],
)
def test_a_listener_with_a_bad_wish_is_told(shared_agent: Agent, query, field):
    """400 names the parameter."""
    reply = shared_agent.get(f"/v1/regista/events?{query}")
    assert reply.status == 400
    assert field in reply.text


def test_a_listener_too_many_is_refused(tmp_path):
    """429 names the limit, and an ended stream makes room."""
    with running_agent(tmp_path, config={"streams": {"listeners_max": 1}}) as agent:
        with Listener().open(agent):
            reply = httpx.get(f"http://{agent.http}/v1/regista/events", trust_env=False)
            assert reply.status_code == 429
            assert reply.headers["X-Regista-Limit"] == "streams.listeners_max"
        with Listener().open(agent) as events:
            agent.put("/v1/kv/k", b"")
            assert next(events).type.startswith("kv.")


def test_a_listener_that_goes_at_once_leaves_nothing_behind(agent: Agent):
    """However early a client hangs up, it does not go on counting as a listener."""
    host, _, port = agent.http.rpartition(":")
    for _ in range(100):
        with socket.socket() as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.connect((host, int(port)))
            client.sendall(b"GET /v1/regista/events HTTP/1.1\r\nHost: x\r\n\r\n")
    eventually(lambda: "regista_event_listeners 0\n" in agent.get("/v1/agent/metrics?format=prometheus").text)


def test_a_listener_is_told_when_it_has_caught_up(agent: Agent):
    """Behind what had happened when it came a comment says so, even if its filter let nothing through."""
    put_keys(agent, 1, 3)
    for query, count in (("after=0&type=kv", 3), ("after=0&service=nobody", 0), ("type=kv", 0)):
        url = f"http://{agent.http}/v1/regista/events?{query}"
        with httpx.Client(trust_env=False) as client, client.stream("GET", url) as response:
            lines = response.iter_lines()
            before = list(itertools.takewhile(lambda line: line != ": caught up", lines))
        assert sum(line.startswith("data: ") for line in before) == count
        assert before[-1] == f"id: {agent.get('/v1/kv/k3').index}"


def test_the_schemas_are_published(shared_agent: Agent):
    """Every type listed has its schema, and no other has."""
    for event_type in shared_agent.get("/v1/regista/schemas").json:
        assert "$defs" in shared_agent.get(f"/v1/regista/schemas/{event_type}").json
    assert shared_agent.get("/v1/regista/schemas/nothing").status == 404


def test_a_listener_that_never_reads_is_dropped(tmp_path):
    """Its connection ends once it has taken nothing for the time allowed, and makes room for another."""
    config = {"streams": {"listeners_max": 1}, "http": {"stream_stall": "100ms"}}
    with running_agent(tmp_path, config=config) as agent, socket.socket() as deaf:
        host, _, port = agent.http.rpartition(":")
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.connect((host, int(port)))
        deaf.sendall(b"GET /v1/regista/events HTTP/1.1\r\nHost: x\r\n\r\n")
        number = 0
        while "took nothing of its stream" not in agent.log():
            number += 1
            agent.register(Name="web", Meta={f"k{each}": f"{number:0512}" for each in range(60)})
            assert number < 2000
        with Listener().open(agent) as events:
            agent.put("/v1/kv/k", b"")
            assert next(events).type == "kv.created"

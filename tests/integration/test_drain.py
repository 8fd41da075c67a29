"""Drains over real sockets: who is waited for, who is named, and what does not bring an instance back."""

import http.client
import json
import selectors
import socket
import threading

import pytest
from tests.agents import Waiter, eventually, running_agent

ASKS = "/v1/health/service/web?passing"
DRAIN = "/v1/agent/service/drain/web-1"


class Follower:
    """A client that follows the passing instances of web on one kept-alive connection, until it is stopped.

    Attributes:
        ids: what it was told last.
        seen: an event that is set at each answer.
    """

    def __init__(self, agent, *, connection_each=False):
        self.ids = None
        self._agent = agent
        self._connection_each = connection_each
        self._is_stopped = False
        self._is_following = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._is_following.wait(10)

    def stop(self):
        self._is_stopped = True
        self._thread.join(10)

    def _run(self):
        client = self._agent.client()
        index = 0
        while not self._is_stopped:
            if self._connection_each:
                client.close()
            client.send("GET", f"{ASKS}&index={index}&wait=1s")
            if index:
                self._is_following.set()
            reply = client.receive()
            index = reply.index
            self.ids = [item["Service"]["ID"] for item in reply.json]
        client.close()


@pytest.fixture
def web(agent):
    """An agent with two instances of web, both passing; the replies name them."""
    for service_id in ("web-1", "web-2"):
        agent.register(ID=service_id, Name="web", Port=80)
    return agent


def passing(agent):
    return [item["Service"]["ID"] for item in agent.get(ASKS).json]


def watchers(agent):
    """How many are kept, by the metrics."""
    lines = agent.get("/v1/agent/metrics?format=prometheus").text.splitlines()
    return next(int(float(line.split()[1])) for line in lines if line.startswith("regista_watchers "))


def test_a_drain_takes_an_instance_out_and_ends_it(web):
    """Its check shows why; explain says when it ends; it is gone then, and the history says that it was drained."""
    reply = web.put(f"{DRAIN}?for=1s&reason=new+disk")
    assert reply.json["ID"] == "web-1"
    assert reply.json["Service"] == "web"
    assert (reply.json["Watchers"], reply.json["Passed"], reply.json["Laggards"]) == (0, 0, [])
    assert passing(web) == ["web-2"]
    check = web.get("/v1/agent/checks").json["_drain:web-1"]
    assert (check["Name"], check["Type"], check["Status"]) == ("Draining", "drain", "critical")
    assert 'Asked for by 127.0.0.1 ("new disk")' in check["Notes"]
    explained = web.get("/v1/regista/explain/instance/web-1").json
    assert any(sentence.startswith("It is draining") for sentence in explained["chain"])
    assert explained["chain"][-1].endswith("if its drain is not cancelled.")
    judged = web.get(f"/v1/regista/explain/service/web?passing&index={web.index()}").json["instances"]
    assert "it is draining" in json.dumps(judged)
    eventually(lambda: web.get("/v1/agent/service/web-1").status == 404)
    chain = web.get("/v1/regista/explain/instance/web-1").json["chain"]
    (ended,) = [sentence for sentence in chain if "was drained for 1s" in sentence]
    assert ended.endswith(", by the reaper.")


@pytest.mark.parametrize("check_id", ["_drain:web-1", "_Drain:web-1", "_passive:web-1"])
def test_ids_of_the_agents_own_checks_are_refused(web, check_id):
    """Nobody's check can pass for a drain or for callers' word, by whichever way it comes; maintenance's may come."""
    own = {"CheckID": check_id, "Name": "mine", "TTL": "30s"}
    row = {"Node": "n1", "SkipNodeUpdate": True, "Check": {"CheckID": check_id, "ServiceID": "web-1"}}
    step = [{"Check": {"Verb": "set", "Check": {"Node": "n1", "CheckID": check_id, "ServiceID": "web-1"}}}]
    for path, body in (
        ("/v1/agent/check/register", own | {"ServiceID": "web-1"}),
        ("/v1/agent/check/register", {"Name": check_id, "TTL": "30s"}),
        ("/v1/agent/service/register", {"Name": "web", "ID": "web-1", "Check": own}),
        ("/v1/agent/service/register", {"Name": "web", "ID": "web-1", "Checks": [own]}),
        ("/v1/catalog/register", row),
        ("/v1/txn", step),
    ):
        reply = web.put(path, body)
        assert reply.status == 400, path
        assert f'CheckID "{check_id}" is kept for the registry' in reply.text
    assert check_id.lower() not in {each.lower() for each in web.get("/v1/agent/checks").json}
    row["Check"]["CheckID"] = "_service_maintenance:web-1"
    assert web.put("/v1/catalog/register", row).status == 200


def test_a_drain_can_be_read_and_cancelled_as_a_check(web):
    """What the agent made may be looked at and taken away in a transaction, and by the check's own path."""
    step = {"Node": "n1", "CheckID": "_drain:web-1"}
    web.put(DRAIN)
    assert web.put("/v1/txn", [{"Check": {"Verb": "get", "Check": step}}]).status == 200
    assert web.put("/v1/txn", [{"Check": {"Verb": "delete", "Check": step}}]).status == 200
    assert passing(web) == ["web-1", "web-2"]
    web.put(DRAIN)
    assert web.put("/v1/agent/check/deregister/_drain:web-1").status == 200
    assert passing(web) == ["web-1", "web-2"]


@pytest.mark.parametrize("connection_each", [False, True])
def test_the_wait_ends_when_every_follower_has_asked_again(web, connection_each):
    """With kept-alive connections, and with one for each request; each then knows."""
    followers = [Follower(web, connection_each=connection_each) for _ in range(5)]
    reply = web.put(f"{DRAIN}?wait=20s")
    assert reply.json["Laggards"] == []
    assert (reply.json["Watchers"], reply.json["Passed"], reply.json["Complete"]) == (5, 5, True)
    assert [follower.ids for follower in followers] == [["web-2"]] * 5
    assert reply.took_s < 10
    for follower in followers:
        follower.stop()


def test_a_watcher_that_never_asks_again_is_named_at_the_deadline(web):
    """It was told, its connection stands, and whether it has taken that in nobody knows."""
    follower = Follower(web)
    silent = web.client()
    silent.send(
        "GET", f"{ASKS}&index={web.get(ASKS).index}&wait=20s&token=secret", headers={"User-Agent": "cut off"}
    )
    eventually(lambda: watchers(web) == 2)
    reply = web.put(f"{DRAIN}?wait=500ms")
    assert (reply.json["Watchers"], reply.json["Passed"]) == (2, 1)
    (laggard,) = reply.json["Laggards"]
    assert laggard.pop("Address").startswith("127.0.0.1:")
    assert laggard.pop("Since").endswith("Z")
    assert laggard == {
        "UserAgent": "cut off",
        "Asks": ASKS,
        "Index": reply.json["Index"],
        "State": "answered",
    }
    assert reply.took_s < 5
    # Asked again, the drain is the same one, and still waits for it.
    again = web.put(f"{DRAIN}?wait=100ms")
    assert again.json["Index"] == reply.json["Index"]
    assert len(again.json["Laggards"]) == 1
    silent.close()
    follower.stop()


def test_a_watcher_that_goes_during_the_wait_is_let_go(tmp_path):
    """Its connection is closed, and it does not come back in the time that it has for that."""
    with running_agent(tmp_path / "agent", config={"http": {"watcher_return": "50ms"}}) as agent:
        agent.register(ID="web-1", Name="web", Port=80)
        going = agent.client()
        going.send("GET", f"{ASKS}&index={agent.get(ASKS).index}&wait=20s")
        eventually(lambda: watchers(agent) == 1)
        draining = Waiting(agent, f"{DRAIN}?wait=20s")
        eventually(lambda: passing(agent) == [])
        going.close()
        assert draining.reply().json["Laggards"] == []
        eventually(lambda: watchers(agent) == 0)


def test_a_cancelled_drain_gives_the_instance_back(web):
    """By DELETE and by `enable=false`; cancelling nothing is no error."""
    for cancel in (lambda: web.delete(DRAIN), lambda: web.put(f"{DRAIN}?enable=false")):
        assert web.put(DRAIN).status == 200
        assert passing(web) == ["web-2"]
        assert cancel().status == 200
        assert passing(web) == ["web-1", "web-2"]
        assert cancel().status == 200


@pytest.mark.parametrize(
    "query", ["for=0s", "for=-1s", "for=2h", "for=soon", "for=9999999h", "wait=-1s", "wait=soon"]
)
def test_a_time_that_makes_no_sense_is_refused(web, query):
    """The answer names the parameter; nothing is done."""
    reply = web.put(f"{DRAIN}?{query}")
    assert (reply.status, f"Invalid {query.partition('=')[0]}" in reply.text) == (400, True)
    assert passing(web) == ["web-1", "web-2"]


def test_an_unknown_instance_can_not_be_drained(web):
    """404 says where to look."""
    for reply in (web.put("/v1/agent/service/drain/none"), web.delete("/v1/agent/service/drain/none")):
        assert reply.status == 404
        assert "/v1/agent/services lists those that are" in reply.text


def test_what_comes_late_brings_no_instance_back(web):
    """Neither while it drains, nor when it is gone: heartbeats, statuses, renewals, registrations of its life."""
    check = {"CheckID": "beat", "TTL": "10m", "Status": "passing"}
    fields = {"ID": "web-3", "Name": "web", "Port": 80, "Check": check}
    incarnation = web.register(**fields).headers["x-regista-incarnation"]
    assert web.put("/v1/agent/service/drain/web-3?for=1s").status == 200

    def come_late():
        return [
            web.put("/v1/agent/check/pass/beat").status,
            web.put("/v1/agent/check/update/beat", {"Status": "passing"}).status,
            web.put(f"/v1/agent/service/renew/web-3?incarnation={incarnation}").status,
            web.put("/v1/agent/service/register", fields | {"Incarnation": incarnation}).status,
        ]

    assert come_late() == [200, 200, 200, 200]
    web.register(**fields)
    assert web.put("/v1/agent/service/register?replace-existing-checks=true", fields).status == 200
    assert passing(web) == ["web-1", "web-2"]
    eventually(lambda: "web-3" not in web.get("/v1/agent/services").json)
    assert all(status in (404, 409) for status in come_late())
    assert passing(web) == ["web-1", "web-2"]
    web.register(**fields, Incarnation="another-life")
    assert passing(web) == ["web-1", "web-2", "web-3"]


def test_a_drain_survives_the_power_cut(kept_agent):
    """The agent that was killed starts with the instance draining, and ends it."""
    kept_agent.register(ID="web-1", Name="web", Port=80)
    assert kept_agent.put(f"{DRAIN}?for=2s").status == 200
    kept_agent.kill()
    kept_agent.start()
    assert passing(kept_agent) == []
    assert "_drain:web-1" in kept_agent.get("/v1/agent/checks").json
    eventually(lambda: kept_agent.get("/v1/agent/services").json == {})


def test_a_thousand_watchers_are_waited_for_and_forgotten(web):
    """Each on a connection of its own, all of one program; one that is silent is found among them."""
    count = 1000
    index = web.get(ASKS).index
    host, port = web.http.split(":")
    head = "GET {}&index={}&wait=60s HTTP/1.1\r\nHost: x\r\nUser-Agent: many\r\n\r\n"
    sockets = [socket.create_connection((host, int(port))) for _ in range(count)]
    try:
        with selectors.DefaultSelector() as selector:
            for each in sockets:
                each.sendall(head.format(ASKS, index).encode())
                selector.register(each, selectors.EVENT_READ)
            eventually(lambda: watchers(web) == count)
            draining = Waiting(web, f"{DRAIN}?wait=2s")
            _ask_again(selector, head, but=sockets[0], count=count)
            reply = draining.reply()
            assert (reply.json["Watchers"], reply.json["Passed"]) == (count, count - 1)
            (laggard,) = reply.json["Laggards"]
            assert laggard["Address"] == "127.0.0.1:{1}".format(*sockets[0].getsockname())
    finally:
        for each in sockets:
            each.close()
    eventually(lambda: watchers(web) == 0, within_s=10)


def _ask_again(selector, head, *, but, count):
    """Each of them asks with the index of its first answer, but for one."""
    answered = 0
    while answered < count:
        for key, _ in selector.select(timeout=10):
            response = http.client.HTTPResponse(key.fileobj)
            response.begin()
            response.read()
            selector.unregister(key.fileobj)
            answered += 1
            if key.fileobj is not but:
                key.fileobj.sendall(head.format(ASKS, response.headers["X-Consul-Index"]).encode())


class Waiting(Waiter):
    """A PUT in another thread."""

    def _run(self, path):
        try:
            with self._client as client:
                self._reply = client.put(path)
        except Exception as error:  # noqa: BLE001 - raised where the answer is wanted
            self._error = error

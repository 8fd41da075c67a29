"""What Regista promises where others fail: one truth, no zombies, no spurious wake-ups, idempotence, self-healing."""

import random
import threading
import time
from urllib.parse import quote

import pytest
from tests.agents import Waiter, eventually, running_agent

WEB = {"Name": "web", "ID": "web-1", "Port": 80, "Check": {"CheckID": "beat", "TTL": "1h"}}

SOON_S = 1.0
"""Within this a waiting query has returned that something woke."""


def instances(agent, name="web"):
    return {row["ServiceID"]: row for row in agent.get(f"/v1/catalog/service/{name}").json}


# ---- one truth ----


def test_what_the_catalog_paths_write_on_an_agents_node_stays(tmp_path):
    """A row that was written through the catalog on the agent's node survives registrations, restart and reload."""
    config = {"services": [{"name": "defined"}]}
    with running_agent(tmp_path, keeps_data=True, config=config) as agent:
        row = {"Node": "n1", "Address": "127.0.0.1", "Service": {"Service": "web", "ID": "theirs", "Port": 1}}
        row["Check"] = {"CheckID": "their-check", "ServiceID": "theirs", "Status": "passing"}
        assert agent.put("/v1/catalog/register", row).json is True
        before = instances(agent)["theirs"]
        checks = agent.get("/v1/health/checks/web").body
        agent.register(Name="web", ID="mine", Check={"TTL": "1h"})
        agent.put("/v1/agent/service/deregister/mine")
        agent.restart()
        agent.configure({"services": []})
        agent.signal(1)
        eventually(lambda: "reloaded: 0 services" in agent.log())
        assert instances(agent, "defined") == {}, "the reload took away what it manages"
        assert instances(agent) == {"theirs": before}
        assert agent.get("/v1/health/checks/web").body == checks
        assert before["ServiceManager"] == "catalog"


def test_what_the_catalog_paths_deregister_stays_gone(kept_agent):
    """Deregistering an agent's instance through the catalog is for good: its agent does not bring it back."""
    kept_agent.register(**WEB)
    assert kept_agent.put("/v1/catalog/deregister", {"Node": "n1", "ServiceID": "web-1"}).json is True
    assert kept_agent.get("/v1/agent/services").json == {}
    assert kept_agent.get("/v1/agent/checks").json == {}
    kept_agent.restart()
    assert instances(kept_agent) == {}
    assert kept_agent.put("/v1/agent/check/pass/beat").status == 404


def test_both_doors_show_the_same_rows(agent):
    """What one door writes the other shows: an instance, its checks and its status, without delay."""
    agent.register(**WEB)
    agent.put("/v1/agent/check/pass/beat")
    assert instances(agent)["web-1"]["ServicePort"] == 80
    row = {"Node": "n1", "SkipNodeUpdate": True, "Service": {"Service": "web", "ID": "web-1", "Port": 81}}
    assert agent.put("/v1/catalog/register", row).json is True
    assert agent.get("/v1/agent/service/web-1").json["Port"] == 81
    assert agent.get("/v1/agent/service/web-1").json["Manager"] == "agent", (
        "writing beside an agent takes nothing from it"
    )
    assert len(agent.get("/v1/health/service/web?passing").json) == 1


def test_every_row_says_who_manages_it(tmp_path):
    """Nodes, instances and checks name their manager: agent, catalog, config or server."""
    with running_agent(tmp_path, config={"services": [{"name": "defined", "check": {"ttl": "1h"}}]}) as agent:
        agent.register(**WEB)
        row = {"Node": "db-1", "Address": "10.1.0.1", "Service": {"Service": "db"}, "Check": {"CheckID": "ping"}}
        agent.put("/v1/catalog/register", row)
        nodes = {node["Node"]: node["Manager"] for node in agent.get("/v1/catalog/nodes").json}
        assert nodes == {"n1": "server", "db-1": "catalog"}
        managers = {"web": "agent", "defined": "config", "db": "catalog", "consul": "server"}
        for name, manager in managers.items():
            (row,) = agent.get(f"/v1/catalog/service/{name}").json
            assert row["ServiceManager"] == manager
            (entry,) = agent.get(f"/v1/health/service/{name}").json
            assert entry["Service"]["Manager"] == manager
        checks = {check["CheckID"]: check["Manager"] for check in agent.get("/v1/health/state/any").json}
        assert checks == {"beat": "agent", "service:defined": "config", "ping": "catalog", "serfHealth": "server"}
        assert agent.get("/v1/agent/services").json["web-1"]["Manager"] == "agent"


# ---- no zombies ----


def register(agent, **fields):
    return agent.put("/v1/agent/service/register", WEB | fields)


def renew(agent, incarnation):
    return agent.put(f"/v1/agent/service/renew/web-1?incarnation={incarnation}")


@pytest.mark.parametrize("is_restarted", [False, True], ids=["at once", "after a restart"])
def test_a_deregistered_incarnation_cannot_come_back(kept_agent, is_restarted):
    """The renewal and registration of a deregistered incarnation are 409 with the reason; a new one is accepted."""
    incarnation = register(kept_agent).headers["x-regista-incarnation"]
    assert kept_agent.get("/v1/agent/services").json["web-1"]["Incarnation"] == incarnation
    assert renew(kept_agent, incarnation).json["Incarnation"] == incarnation
    kept_agent.put("/v1/agent/service/deregister/web-1")
    if is_restarted:
        kept_agent.restart()
    for late in (renew(kept_agent, incarnation), register(kept_agent, Incarnation=incarnation)):
        assert late.status == 409
        assert (
            f'incarnation {incarnation} of instance "web-1" was deregistered through the agent\'s API' in late.text
        )
        assert "Register with a new incarnation" in late.text
    assert instances(kept_agent) == {}
    fresh = register(kept_agent).headers["x-regista-incarnation"]
    assert fresh != incarnation
    assert renew(kept_agent, fresh).status == 200
    assert renew(kept_agent, incarnation).status == 409


def test_the_end_is_told_whoever_made_it(agent):
    """An instance that an operator took out through the catalog is refused to its old process, with that reason."""
    incarnation = register(agent, Incarnation="life-1").headers["x-regista-incarnation"]
    assert incarnation == "life-1", "the caller may choose its own"
    agent.put("/v1/catalog/deregister", {"Node": "n1", "ServiceID": "web-1"})
    late = register(agent, Incarnation="life-1")
    assert late.status == 409
    assert "was deregistered through the catalog's API" in late.text
    assert register(agent, Incarnation="life-2").status == 200


def test_a_replaced_incarnation_is_refused(agent):
    """When another process takes an id over, the old one can neither renew nor register nor deregister it."""
    assert register(agent, Incarnation="old").status == 200
    assert register(agent, Incarnation="new", Port=81).status == 200
    for late in (renew(agent, "old"), register(agent, Incarnation="old", Port=80)):
        assert late.status == 409
        assert "was replaced by incarnation new" in late.text
    assert agent.put("/v1/agent/service/deregister/web-1?incarnation=old").status == 409
    assert agent.get("/v1/agent/service/web-1").json["Port"] == 81
    assert agent.put("/v1/agent/service/deregister/web-1?incarnation=new").status == 200
    assert instances(agent) == {}


def test_a_client_without_incarnations_is_never_refused(agent):
    """A client of Consul's, which names no incarnation, registers and deregisters the same id as often as it likes."""
    for _ in range(3):
        assert register(agent).status == 200
        assert agent.put("/v1/agent/service/deregister/web-1").status == 200
    assert register(agent).status == 200


@pytest.mark.parametrize(
    "service_id",
    ["http://10.0.0.1:80/a?b#c", "/lead", "//", "x/../y", "./z", "tail/", "50%", "%2F", "a b", "é€", "+&=;", "."]
    + [f"odd{character}" for character in "\u200b\u00a0\u009b\u2028\ue000\U000e0001"],
)
def test_whatever_is_registered_can_be_deregistered(agent, service_id):
    """An id that the agent's path could not hold is refused at once; every other is read and deregistered by it."""
    registered = agent.put("/v1/agent/service/register", {"Name": "odd", "ID": service_id})
    path = quote(service_id, safe="")
    if registered.status == 400:
        assert "no path can hold it" in registered.text
    else:
        assert agent.get(f"/v1/agent/service/{path}").json["ID"] == service_id
        assert agent.put(f"/v1/agent/service/deregister/{path}").status == 200
    assert service_id not in agent.get("/v1/agent/services").json


# ---- no spurious wake-ups ----

VIEWS = (
    "/v1/health/service/web",
    "/v1/health/service/web?passing",
    "/v1/health/service/web?tag=a",
    "/v1/health/service/web?passing&tag=b",
    "/v1/catalog/service/web",
    "/v1/catalog/services",
    "/v1/health/state/critical",
    "/v1/health/checks/web",
    "/v1/catalog/node/n1",
)
WRITES = 600


def write_at_random(agent, rng, client):
    """One random write of few ids, so that many change nothing and many touch what others look at."""
    name, number = rng.choice(["web", "web", "api", "other"]), rng.randrange(3)
    instance = f"{name}-{number}"
    roll = rng.random()
    if roll < 0.4:
        tags = rng.sample(["a", "b", "c"], rng.randrange(1, 4))
        check = {"CheckID": f"beat-{instance}", "TTL": "1h"}
        body = {"Name": name, "ID": instance, "Tags": tags, "Port": rng.randrange(1, 4), "Check": check}
        client.put("/v1/agent/service/register", body)
    elif roll < 0.55:
        client.put(f"/v1/agent/service/deregister/{instance}")
    elif roll < 0.9:
        word = rng.choice(["pass", "pass", "warn", "fail"])
        client.put(f"/v1/agent/check/{word}/beat-{instance}?note={rng.randrange(3)}")
    else:
        row = {
            "Node": "far",
            "Address": f"10.0.0.{number}",
            "Service": {"Service": name, "ID": instance, "Port": 9},
        }
        client.put("/v1/catalog/register", row)


class Watcher(threading.Thread):
    """Follows a view with blocking queries; notes every return, and those that brought nothing new."""

    def __init__(self, agent, view):
        super().__init__(daemon=True)
        self._client = agent.client()
        self._view = view
        self.is_asking = threading.Event()
        self.is_over = False
        self.returns = 0
        self.spurious = []
        self.last = None

    def run(self):
        join = "&" if "?" in self._view else "?"
        with self._client as client:
            self.last = client.get(self._view)
            while not self.is_over:
                client.send("GET", f"{self._view}{join}index={self.last.index}&wait=500ms")
                self.is_asking.set()
                reply = client.receive()
                self.is_asking.clear()
                is_early = reply.took_s < 0.45
                self.returns += is_early
                if is_early and reply.body == self.last.body:
                    self.spurious.append((self.last.index, reply.index, reply.took_s))
                assert reply.index >= self.last.index
                self.last = reply


@pytest.mark.parametrize("seed", [7, None])
def test_nobody_is_woken_for_nothing(agent, seed):
    """Under random writes, every early return of a blocking query has another body than the answer before it."""
    seed = seed if seed is not None else random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    rng = random.Random(seed)
    watchers = [Watcher(agent, view) for view in VIEWS]
    for watcher in watchers:
        watcher.start()
    with agent.client() as client:
        for _ in range(WRITES):
            # Who misses two writes may see the second undo the first, and be told of a change that it can't see.
            assert all(watcher.is_asking.wait(10) for watcher in watchers)
            write_at_random(agent, rng, client)
    last = [agent.get(view) for view in VIEWS]
    for watcher, expected in zip(watchers, last, strict=True):
        eventually(lambda watcher=watcher, expected=expected: watcher.last.body == expected.body)
        watcher.is_over = True
    for watcher, view in zip(watchers, VIEWS, strict=True):
        watcher.join()
        assert watcher.spurious == [], view
        assert watcher.returns > 10, f"{view} was not looked at enough to prove anything"


def test_a_name_that_was_never_registered_waits_for_itself(agent):
    """A query for an unknown name waits its whole time through 2,000 writes of others, and returns with its own first."""
    before = agent.get("/v1/health/service/later")
    whole = Waiter(agent, f"/v1/health/service/later?index={before.index}&wait=3s")
    waiter = Waiter(agent, f"/v1/health/service/later?index={before.index}&wait=30s")
    with agent.client() as client:
        for number in range(2000):
            client.put(
                "/v1/agent/service/register",
                {"Name": f"other-{number % 7}", "ID": f"i{number % 100}", "Port": number},
            )
    waited = whole.reply()
    assert waited.took_s >= 3
    assert (waited.body, waited.index) == (before.body, before.index)
    assert waiter.is_waiting
    began_s = time.monotonic()
    agent.register(Name="later")
    reply = waiter.reply()
    assert time.monotonic() - began_s < SOON_S
    assert len(reply.json) == 1
    assert reply.index > before.index


def test_output_alone_wakes_nobody(agent):
    """A check that says something new 50 times without changing status wakes nobody and writes nothing.

    Whoever asks is shown the newest all the same.
    """
    agent.register(**WEB)
    agent.put("/v1/agent/check/pass/beat?note=first")
    before = agent.get("/v1/health/service/web")
    views = ("/v1/health/service/web", "/v1/health/state/any", "/v1/health/node/n1", "/v1/health/checks/web")
    waiters = [Waiter(agent, f"{view}?index={agent.get(view).index}&wait=20s") for view in views]
    index = agent.index()
    for number in range(50):
        assert agent.put(f"/v1/agent/check/pass/beat?note=word-{number}").status == 200
        shown = agent.get("/v1/health/service/web")
        assert shown.json[0]["Checks"][1]["Output"] == f"word-{number}"
        assert shown.index == before.index
    assert agent.get("/v1/agent/checks").json["beat"]["Output"] == "word-49"
    assert agent.index() == index
    assert all(waiter.is_waiting for waiter in waiters)
    agent.put("/v1/agent/check/fail/beat")
    for waiter in waiters:
        assert waiter.reply().status == 200, "and a change of status wakes them all"


# ---- idempotence ----


def test_the_same_registration_again_changes_nothing(agent):
    """The same registration 200 times over writes nothing, wakes nobody, and leaves status and index alone."""
    agent.register(**WEB)
    agent.put("/v1/agent/check/pass/beat?note=well")
    before = agent.get("/v1/health/service/web?passing")
    index = agent.index()
    waiter = Waiter(agent, f"/v1/health/service/web?index={before.index}&wait=20s")
    headers = {
        (reply.headers["x-regista-incarnation"], reply.headers["x-regista-hash"])
        for reply in (agent.register(**WEB) for _ in range(200))
    }
    assert len(headers) == 1
    assert agent.index() == index
    assert agent.get("/v1/health/service/web?passing").body == before.body
    assert waiter.is_waiting
    agent.put("/v1/agent/service/deregister/web-1")
    assert waiter.reply().json == []


def test_the_same_row_of_the_catalog_again_changes_nothing(agent):
    """The same catalog/register 50 times over leaves the index alone."""
    row = {
        "Node": "db-1",
        "Address": "10.1.0.1",
        "Service": {"Service": "db"},
        "Check": {"CheckID": "ping", "Status": "passing"},
    }
    agent.put("/v1/catalog/register", row)
    index = agent.index()
    for _ in range(50):
        assert agent.put("/v1/catalog/register", row).json is True
    assert agent.index() == index


@pytest.mark.parametrize("change", [{"Port": 81}, {"Tags": ["b"]}, {"Meta": {"k": "w"}}, {"Address": "10.0.0.9"}])
def test_a_changed_registration_keeps_status_and_incarnation(agent, change):
    """Registering with another port, tags, metadata or address is a change, and flips no health."""
    first = register(agent)
    agent.put("/v1/agent/check/pass/beat?note=well")
    before = agent.get("/v1/health/service/web?passing")
    second = register(agent, **change)
    after = agent.get("/v1/health/service/web?passing")
    assert after.index > before.index
    assert [check["Output"] for check in after.json[0]["Checks"]] == ["Agent alive and reachable", "well"]
    assert second.headers["x-regista-incarnation"] == first.headers["x-regista-incarnation"]
    assert second.headers["x-regista-hash"] != first.headers["x-regista-hash"]


# ---- self-healing ----


def test_a_renewal_tells_whether_the_registration_is_as_the_caller_wants_it(agent):
    """A renewal with the registration's hash says whether it still matches, whoever changed it, and then how to heal."""
    wanted = register(agent).headers["x-regista-hash"]
    assert agent.put(f"/v1/agent/service/renew/web-1?hash={wanted}").json["HashMatches"] is True
    row = {"Node": "n1", "SkipNodeUpdate": True, "Service": {"Service": "web", "ID": "web-1", "Port": 9}}
    agent.put("/v1/catalog/register", row)
    differs = agent.put(f"/v1/agent/service/renew/web-1?hash={wanted}").json
    assert differs["HashMatches"] is False
    assert differs["Hash"] != wanted
    assert register(agent).headers["x-regista-hash"] == wanted
    assert agent.put(f"/v1/agent/service/renew/web-1?hash={wanted}").json["HashMatches"] is True


def test_the_hash_is_of_the_checks_too(agent):
    """A check that somebody took away, or added, makes the hash differ; a status does not."""
    wanted = register(agent).headers["x-regista-hash"]
    agent.put("/v1/agent/check/pass/beat?note=well")
    assert agent.put(f"/v1/agent/service/renew/web-1?hash={wanted}").json["HashMatches"] is True
    agent.put("/v1/agent/check/deregister/beat")
    assert agent.put(f"/v1/agent/service/renew/web-1?hash={wanted}").json["HashMatches"] is False
    register(agent)
    assert agent.put(f"/v1/agent/service/renew/web-1?hash={wanted}").json["HashMatches"] is True


def test_the_hash_outlives_a_restart(kept_agent):
    """The same registration has the same hash after a restart, and a lost one is told by a 404."""
    wanted = register(kept_agent).headers["x-regista-hash"]
    kept_agent.restart()
    assert kept_agent.put(f"/v1/agent/service/renew/web-1?hash={wanted}").json["HashMatches"] is True
    lost = kept_agent.put("/v1/agent/service/renew/web-2")
    assert lost.status == 404
    assert "Register it again" in lost.text


# ---- who goes away ----


def test_a_client_that_goes_away_while_it_waits_is_forgotten(agent):
    """Clients that hang up in the middle of a blocking query leave no socket and no waiter behind."""
    agent.register(Name="web")
    index = agent.get("/v1/health/service/web").index
    count = agent.socket_count()
    for _ in range(3):
        clients = [agent.client() for _ in range(20)]
        for client in clients:
            client.send("GET", f"/v1/health/service/web?index={index}&wait=10m")
        eventually(lambda: agent.socket_count() == count + 20)
        for client in clients:
            client.close()
        eventually(lambda: agent.socket_count() == count)
    before = agent.get("/v1/health/service/web")
    agent.register(Name="web", Port=2)
    assert agent.get("/v1/health/service/web").index > before.index
    assert "[ERROR]" not in agent.log()


def test_waiters_that_went_away_do_not_count_towards_the_limit(tmp_path):
    """The limit on waiting queries is one on those that wait now: it is told to one too many, and freed by who leaves."""
    with running_agent(tmp_path, config={"http": {"waiting_max": 2}}) as agent:
        path = "/v1/health/service/web?index=1&wait=10m"
        count = agent.socket_count()
        agent.get("/v1/status/leader")
        for _ in range(3):
            clients = [agent.client() for _ in range(2)]
            for client in clients:
                client.send("GET", path)
            eventually(lambda: agent.socket_count() == count + 3)
            agent.get("/v1/status/leader")  # by the time that this is answered, those before it wait
            refused = agent.get("/v1/health/service/web?index=1&wait=50ms")
            assert refused.status == 429
            assert "http.waiting_max is reached: 2 of 2 in use" in refused.text
            assert int(refused.headers["retry-after"]) > 0
            for client in clients:
                client.close()
            eventually(lambda: agent.socket_count() == count + 1)
            assert agent.get("/v1/health/service/web?index=1&wait=50ms").status == 200

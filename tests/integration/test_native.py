"""Looking back and asking why, over a real agent."""

import datetime as dt
import json
import re
import time

import pytest
from tests.agents import eventually, running_agent


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """An agent with a story of several versions of one instance; `indexes` has the index after each."""
    with running_agent(tmp_path_factory.mktemp("told"), keeps_data=True) as agent:
        agent.indexes = []
        agent.times = []
        for port in range(1, 6):
            agent.register(Name="story", ID="s", Port=port, Tags=[f"v{port}"], Check={"CheckID": "c", "TTL": "1h"})
            agent.indexes.append(agent.get("/v1/catalog/service/story").index)
            agent.times.append(time.time())
            time.sleep(0.01)
        agent.put("/v1/agent/service/deregister/s?reason=the%20end")
        agent.indexes.append(agent.get("/v1/catalog/service/story").index)
        yield agent


def precisely(at_s):
    """The moment with its microseconds: cut to milliseconds it could lie before the write that it follows."""
    return dt.datetime.fromtimestamp(at_s, dt.UTC).isoformat().removesuffix("+00:00") + "Z"


# ---- the past ----


def test_an_answer_as_of_then(told):
    """With `at`, each read gives what it gave then, its indexes included, whatever has become of it since."""
    created = None
    for port, index in enumerate(told.indexes[:-1], start=1):
        reply = told.get(f"/v1/health/service/story?at={index}")
        (entry,) = reply.json
        assert entry["Service"]["Port"] == port
        assert entry["Service"]["ModifyIndex"] == index == reply.index
        created = created or entry["Service"]["CreateIndex"]
        assert entry["Service"]["CreateIndex"] == created
        assert [check["CheckID"] for check in entry["Checks"]] == ["serfHealth", "c"]
        assert told.get(f"/v1/catalog/services?at={index}").json["story"] == [f"v{port}"]
        (row,) = told.get(f"/v1/catalog/service/story?at={index}&tag=v{port}").json
        assert row["ServicePort"] == port
    assert told.get("/v1/health/service/story").json == []
    assert told.get("/v1/catalog/nodes?at=0").json == []


def test_an_answer_as_of_a_time(told):
    """A time stands for the last index before it."""
    for port, at_s in enumerate(told.times, start=1):
        (row,) = told.get(f"/v1/catalog/service/story?at={precisely(at_s)}").json
        assert row["ServicePort"] == port


@pytest.mark.parametrize(
    "path",
    [
        "catalog/nodes",
        "catalog/services",
        "catalog/service/story",
        "catalog/node/n1",
        "catalog/node-services/n1",
        "health/service/story",
        "health/checks/story",
        "health/node/n1",
        "health/state/any",
    ],
)
def test_every_read_knows_the_past(told, path):
    """Each read of catalog and health takes `at`, and its answer of then is the one that was given then."""
    before = told.get(f"/v1/{path}")
    index = told.index()
    told.register(Name="story", ID="later", Check={"CheckID": "later", "TTL": "1h"})
    told.put("/v1/catalog/register", {"Node": "later", "Address": "10.0.0.1"})
    then = told.get(f"/v1/{path}?at={index}")
    told.put("/v1/agent/service/deregister/later")
    told.put("/v1/catalog/deregister", {"Node": "later"})
    assert then.body == before.body
    assert then.index == index


def test_keys_have_a_past_too(told):
    """A key's value of then is there after it was changed and deleted, in each form of the read."""
    told.put("/v1/kv/past/a", b"one")
    index = told.get("/v1/kv/past/a").index
    told.put("/v1/kv/past/a", b"two")
    told.put("/v1/kv/past/b", b"new")
    told.delete("/v1/kv/past/?recurse&reason=clean-up")
    assert told.get(f"/v1/kv/past/a?raw&at={index}").body == b"one"
    assert told.get(f"/v1/kv/past/?keys&at={index}").json == ["past/a"]
    assert told.get(f"/v1/kv/past/b?at={index}").status == 404
    changes = told.get("/v1/regista/history?kind=kv&key=past/a").json["changes"]
    assert [each["change"] for each in changes] == ["created", "changed", "deleted"]
    assert changes[-1]["cause"]["reason"] == "clean-up"


def test_the_past_does_not_change(told):
    """Waiting for the past to change is refused, as is what is no point of the log."""
    assert told.get("/v1/health/service/story?at=3&index=3").status == 400
    reply = told.get("/v1/health/service/story?at=99999999")
    assert (reply.status, reply.headers["x-regista-field"]) == (400, "at")
    assert told.get("/v1/health/service/story?at=soon").status == 400


# ---- history ----


def test_history_tells_before_and_after(told):
    """Each change names its transaction, its cause, and the record before and after it."""
    page = told.get(f"/v1/regista/history?kind=service&key=n1/s&to={told.indexes[-1]}").json
    assert [each["change"] for each in page["changes"]] == ["created", *["changed"] * 4, "deleted"]
    assert [each["index"] for each in page["changes"]] == told.indexes
    assert [(each["after"] or {}).get("port") for each in page["changes"]] == [1, 2, 3, 4, 5, None]
    assert [(each["before"] or {}).get("port") for each in page["changes"]] == [None, 1, 2, 3, 4, 5]
    assert page["changes"][-1]["cause"]["reason"] == "the end"
    assert page["next"] is None


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_pages_join_without_a_gap(told, limit):
    """Following `next` from page to page gives each change once, in order, whatever the size of a page."""
    whole = told.get("/v1/regista/history?limit=1000").json
    found, cursor = [], "0"
    while cursor is not None:
        page = told.get(f"/v1/regista/history?from={cursor}&to={whole['to']}&limit={limit}").json
        assert len(page["changes"]) <= limit
        found += page["changes"]
        cursor = page["next"]
    assert found == whole["changes"]


def test_history_between_two_points(told):
    """`from` is left out and `to` is with it; both may be times."""
    first, second = told.indexes[1], told.indexes[3]
    page = told.get(f"/v1/regista/history?from={first}&to={second}&kind=service").json
    assert [each["index"] for each in page["changes"]] == told.indexes[2:4]
    times = f"from={precisely(told.times[1])}&to={precisely(told.times[3])}"
    assert told.get(f"/v1/regista/history?{times}&kind=service").json["changes"] == page["changes"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("kind=horse", "kind"),
        ("limit=0", "limit"),
        ("limit=x", "limit"),
        ("from=9999999", "from"),
        ("from=5&to=2", "from"),
        ("to=1.2", "to"),
        ("from=1.x", "from"),
    ],
)
def test_a_wrong_question_names_its_parameter(told, query, field):
    """What can't be answered is refused with the parameter that is wrong."""
    reply = told.get(f"/v1/regista/history?{query}")
    assert (reply.status, reply.headers["x-regista-field"]) == (400, field)


# ---- explain ----


def test_explain_judges_every_instance(shared_agent):
    """Included is what health/service answers to the same parameters; the others say what they lack."""
    agent = shared_agent
    agent.register(Name="judged", ID="a", Tags=["blue"], Meta={"version": "1.4.2"}, Port=1)
    agent.register(Name="judged", ID="b", Tags=["green"], Meta={"version": "2.0.0"}, Port=2)
    agent.register(Name="judged", ID="c", Port=3, Check={"CheckID": "judged-c", "TTL": "1h"})
    for query in ("", "?passing", "?tag=blue", "?version=^1.2", "?version=>=1&passing", "?filter=Service.Port==2"):
        told = agent.get(f"/v1/regista/explain/service/judged{query}").json["instances"]
        answer = agent.get(f"/v1/health/service/judged{query}").json
        included = [each["id"] for each in told if each["included"]]
        assert included == [each["Service"]["ID"] for each in answer], query
        assert all(each["included"] == all(one["holds"] for one in each["findings"]) for each in told)
    (_, _, last) = agent.get("/v1/regista/explain/service/judged?passing").json["instances"]
    assert last["findings"][0]["because"] == 'check "judged-c" is critical'
    assert agent.get("/v1/health/service/judged?version=bad%20range").status == 400
    assert [row["ServiceID"] for row in agent.get("/v1/catalog/service/judged?version=1%20||%203").json] == ["a"]


def test_explain_says_what_would_remove_an_instance(shared_agent):
    """The chain names who registered it, how its checks are, and what ends it when."""
    agent = shared_agent
    check = {"CheckID": "ending", "TTL": "1h", "DeregisterCriticalServiceAfter": "2h"}
    agent.put(
        "/v1/agent/service/register?reason=test", {"Name": "ending", "ID": "e", "TTL": "30m", "Check": check}
    )
    told = agent.get("/v1/regista/explain/instance/e").json
    assert told["state"] == "registered"
    assert told["instance"]["registered"]["cause"]["reason"] == "test"
    ways = {each["by"]: each for each in told["instance"]["removed_if"]}
    assert ways["lease"]["at"] is not None
    assert ways["check"]["at"] is not None
    of_node, own = told["instance"]["checks"]
    assert (of_node["of"], own["of"]) == ("node", "instance")
    assert own["reap_at"] == ways["check"]["at"]
    assert re.match(
        r'Instance "e" of service ending on node n1 was registered at index \d+, .* with PUT', told["chain"][0]
    )
    agent.put("/v1/agent/check/pass/ending")
    own = agent.get("/v1/regista/explain/instance/e").json["instance"]["checks"][1]
    assert own["reap_at"] is None
    assert own["critical_at"] is not None
    assert own["changed"]["cause"]["path"] == "PUT /v1/agent/check/pass/ending"


def test_explain_finds_an_instance_on_any_node(shared_agent):
    """Without a node the only one that has the id is found; if there are several, the caller is asked which."""
    agent = shared_agent
    for node in ("far-1", "far-2"):
        row = {"Node": node, "Address": "10.0.0.1", "Service": {"Service": "afar", "ID": "afar"}}
        agent.put("/v1/catalog/register", row)
        reply = agent.get("/v1/regista/explain/instance/afar")
        if node == "far-1":
            assert reply.json["node"] == "far-1"
    assert (reply.status, reply.headers["x-regista-field"]) == (400, "node")
    assert agent.get("/v1/regista/explain/instance/afar?node=far-2").json["node"] == "far-2"
    assert agent.get("/v1/regista/explain/instance/never-seen").status == 404
    assert agent.get("/v1/regista/explain/instance/").status == 400


# ---- descriptions ----


def test_the_description_is_of_every_route(shared_agent):
    """OpenAPI's paths and the page's are those that the agent answers; the page asks for nothing else."""
    described = shared_agent.get("/v1/openapi.json").json
    assert described["openapi"] == "3.1.0"
    assert "/v1/health/service/{service}" in described["paths"]
    identifiers = [each["operationId"] for path in described["paths"].values() for each in path.values()]
    assert len(set(identifiers)) == len(identifiers)
    page = shared_agent.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for path in described["paths"]:
        assert path.replace("&", "&amp;") in page.text
    assert not re.search(r"""(?:src|href)=["'](?!/v1/openapi\.json)""", page.text)
    json.dumps(described)


# ---- top ----


def test_top_counts_each_client(tmp_path):
    """Requests, bytes, waiting queries and wake-ups are told by address and program, also of closed connections."""
    with running_agent(tmp_path) as agent:
        for _ in range(5):
            with agent.client() as client:
                body = client.get("/v1/catalog/nodes", {"User-Agent": "closing/1"}).body
        with agent.client() as client:
            for _ in range(7):
                client.get("/v1/catalog/nodes", {"User-Agent": "keeping/1"})

            def of(name, by="requests"):
                found = {
                    each["user_agent"]: each for each in agent.get(f"/v1/regista/top?by={by}").json["clients"]
                }
                return found.get(name, {"requests": 0, "waiting": 0})

            keeping = of("keeping/1")
            assert (keeping["requests"], keeping["connections"], keeping["address"]) == (7, 1, "127.0.0.1")
            closing = eventually(lambda: of("closing/1")["requests"] == 5 and of("closing/1"))
            assert closing["connections"] == 0
            assert closing["bytes"] > 5 * len(body)
            index = agent.get("/v1/catalog/nodes").index
            client.send("GET", f"/v1/catalog/nodes?index={index}", headers={"User-Agent": "keeping/1"})
            eventually(lambda: of("keeping/1", "waiting")["waiting"] == 1)
            agent.put("/v1/catalog/register", {"Node": "n2", "Address": "10.0.0.2"})
            assert len(client.receive().json) == 2
            after = of("keeping/1", "wake-ups")
            assert (after["requests"], after["wake_ups"], after["waiting"]) == (8, 1, 0)
        assert agent.get("/v1/regista/top?by=horse").status == 400
        assert agent.get("/v1/regista/top?limit=0").status == 400

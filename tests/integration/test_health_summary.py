"""GET /v1/regista/health/summary over a real agent."""

import pytest
from tests.agents import Waiter, running_agent

SUMMARY = "/v1/regista/health/summary"


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    """An agent with three services of its own and one of another node."""
    with running_agent(tmp_path_factory.mktemp("agent")) as agent:
        for service_id, status in (("web-1", "passing"), ("web-2", "warning"), ("web-3", "critical")):
            agent.register(Name="web", ID=service_id, Check={"CheckID": service_id, "TTL": "1h", "Status": status})
        agent.register(Name="api", ID="api-1")
        agent.register(Name="mended", ID="mended-1")
        agent.put("/v1/agent/service/maintenance/mended-1?enable=true")
        row = {"Node": "N2", "Address": "10.0.0.2", "Service": {"Service": "db", "ID": "db-1"}}
        row["Check"] = {"CheckID": "alive", "Status": "critical"}
        assert agent.put("/v1/catalog/register", row).json is True
        yield agent


def names(reply):
    return [each["name"] for each in reply.json["list"]]


def counts(**given):
    found = {state: given.get(state, 0) for state in ("passing", "warning", "critical", "draining", "maintenance")}
    return {**found, "all": sum(found.values())}


def test_everything_is_counted(agent):
    """Nodes by their own checks, services by their worst instance, and instances by their worst check."""
    found = agent.get(SUMMARY).json
    assert found["nodes"] == counts(passing=1, critical=1)
    assert found["instances"] == counts(passing=3, warning=1, critical=2, maintenance=1)
    assert found["services"] == counts(passing=2, critical=2, maintenance=1)
    assert [found[what] for what in ("panicking", "flapping", "suspects", "ejected")] == [0, 0, 0, 0]
    assert found["store"] == {"writable": True, "unwritable_s": None, "outages": 0}
    assert found["protections"] == []
    assert found["agent"]["node"] == "n1"


def test_each_service_is_listed_with_its_instances(agent):
    """A service has its worst state, its instances by state, and whether it panics."""
    (web,) = agent.get(f"{SUMMARY}?service=WEB").json["list"]
    assert web == {
        "name": "web",
        "status": "critical",
        "instances": counts(passing=1, warning=1, critical=1),
        "flapping": 0,
        "suspects": 0,
        "ejected": 0,
        "panic": {"is_on": False, "threshold_percent": 0.0},
    }
    assert names(agent.get(f"{SUMMARY}?service=absent")) == []


def test_lists_are_filtered_and_paged(agent):
    """Services come by name, those in a state only if it is asked for, and in pages."""
    assert names(agent.get(SUMMARY)) == ["api", "consul", "db", "mended", "web"]
    assert names(agent.get(f"{SUMMARY}?status=maintenance")) == ["mended"]
    seen, after = [], ""
    while after is not None:
        page = agent.get(f"{SUMMARY}?limit=2&after={after}")
        seen += names(page)
        assert len(page.json["list"]) <= 2
        after = page.json["next"]
    assert seen == ["api", "consul", "db", "mended", "web"]


def test_nodes_are_listed_too(agent):
    """by=node lists nodes by their own checks, with the instances on them."""
    reply = agent.get(f"{SUMMARY}?by=node")
    assert [(each["name"], each["status"], each["instances"]["all"]) for each in reply.json["list"]] == [
        ("n1", "passing", 6),
        ("N2", "critical", 1),
    ]
    assert names(agent.get(f"{SUMMARY}?by=node&node=n2")) == ["N2"]
    assert names(agent.get(f"{SUMMARY}?by=node&status=critical")) == ["N2"]


def test_it_can_be_waited_for(agent):
    """A blocking query returns when a count changes, and not for what changes none."""
    before = agent.get(SUMMARY)
    waiter = Waiter(agent, f"{SUMMARY}?index={before.index}&wait=20s")
    agent.put("/v1/agent/check/pass/web-1?note=still%20well")
    agent.put("/v1/kv/unrelated", b"1")
    assert waiter.is_waiting
    agent.put("/v1/agent/check/warn/web-1")
    reply = waiter.reply()
    assert reply.index > before.index
    assert reply.json["instances"]["warning"] == before.json["instances"]["warning"] + 1
    agent.put("/v1/agent/check/pass/web-1")


def test_it_can_be_read_by_people(agent):
    """Pretty indents the whole of it, compressed or not."""
    reply = agent.get(f"{SUMMARY}?pretty")
    assert reply.text.startswith('{\n    "store": {\n')
    assert reply.json.keys() == agent.get(SUMMARY).json.keys()
    packed = agent.get(SUMMARY, {"Accept-Encoding": "gzip"})
    assert packed.headers.get("content-encoding", "") in ("", "gzip")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("by=shoe", "by"),
        ("status=well", "status"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=%C2%B2", "limit"),
        ("limit=99999999999999999999", "limit"),
        ("node=n1", "node"),
        ("by=node&service=web", "service"),
        ("index=x", "index"),
        ("wait=soon", "wait"),
    ],
)
def test_bad_parameters_are_refused(agent, query, field):
    """Each is answered with 400 and the parameter's name."""
    reply = agent.get(f"{SUMMARY}?{query}")
    assert (reply.status, reply.headers["x-regista-field"]) == (400, field)

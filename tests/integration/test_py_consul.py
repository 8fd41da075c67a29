"""py-consul, as it is: what programs in Python use today works against an agent unchanged."""

import threading
import time

import consul
import pytest


@pytest.fixture
def api(agent):
    host, _, port = agent.http.rpartition(":")
    with consul.Consul(host=host, port=int(port)) as api:
        yield api


@pytest.fixture
def other_api(agent):
    """A second client, for another thread."""
    host, _, port = agent.http.rpartition(":")
    with consul.Consul(host=host, port=int(port)) as api:
        yield api


def register_web(api, number=1):
    return api.agent.service.register(
        "web",
        service_id=f"web-{number}",
        address="10.0.0.1",
        port=8080 + number,
        tags=["primary", "v1"],
        meta={"version": "1.2.3"},
        check=consul.Check.ttl("1h"),
    )


def test_a_registered_service_is_in_every_list(api):
    """A service registered with a TTL check is in the agent's lists, in the catalog and in the health answers."""
    assert register_web(api)
    service = api.agent.services()["web-1"]
    assert (service["Service"], service["Address"], service["Port"]) == ("web", "10.0.0.1", 8081)
    assert (service["Tags"], service["Meta"]) == (["primary", "v1"], {"version": "1.2.3"})
    assert api.agent.checks()["service:web-1"]["Status"] == "critical"
    assert api.catalog.services()[1] == {"consul": [], "web": ["primary", "v1"]}
    assert [row["ServiceID"] for row in api.catalog.service("web")[1]] == ["web-1"]
    assert [row["Node"] for row in api.catalog.nodes()[1]] == ["n1"]
    assert set(api.catalog.node("n1")[1]["Services"]) == {"consul", "web-1"}
    assert api.catalog.datacenters() == ["dc1"]
    assert [check["CheckID"] for check in api.health.checks("web")[1]] == ["service:web-1"]
    assert {check["CheckID"] for check in api.health.state("any")[1]} == {"serfHealth", "service:web-1"}
    assert {check["CheckID"] for check in api.health.node("n1")[1]} == {"serfHealth", "service:web-1"}
    assert api.agent.self()["Config"]["NodeName"] == "n1"
    assert api.status.leader() == api.agent.self()["Stats"]["consul"]["leader_addr"]


def test_heartbeats_decide_what_passes(api):
    """`ttl_pass`, `ttl_warn` and `ttl_fail` put the service in and out of `health.service(passing=True)`."""
    register_web(api)
    assert api.health.service("web", passing=True)[1] == []
    assert api.agent.check.ttl_pass("service:web-1", notes="all well")
    (found,) = api.health.service("web", passing=True)[1]
    assert found["Service"]["ID"] == "web-1"
    assert found["Checks"][1]["Output"] == "all well"
    assert api.agent.check.ttl_warn("service:web-1")
    assert api.health.service("web", passing=True)[1] == []
    assert api.agent.check.ttl_fail("service:web-1")
    assert api.agent.checks()["service:web-1"]["Status"] == "critical"


@pytest.mark.parametrize(
    "check",
    [consul.Check.http("http://127.0.0.1:1/", "10s", timeout="1s"), consul.Check.tcp("127.0.0.1", 1, "10s")],
    ids=["http", "tcp"],
)
def test_its_kinds_of_checks_are_understood(api, check):
    """The checks that the client builds are registered as it writes them."""
    assert api.agent.service.register("web", check=check)
    assert list(api.agent.checks()) == ["service:web"]


def test_a_check_is_registered_and_removed_by_itself(api):
    """A check can be added to a service that is there, and taken away again."""
    register_web(api)
    assert api.agent.check.register("disk", check=consul.Check.ttl("1h"), service_id="web-1")
    assert api.agent.checks()["disk"]["ServiceName"] == "web"
    assert api.agent.check.deregister("disk")
    assert "disk" not in api.agent.checks()


def test_a_blocking_query_returns_with_the_change(api, other_api):
    """`health.service(index=…, wait=…)` waits, and returns when a second instance passes."""
    register_web(api)
    api.agent.check.ttl_pass("service:web-1")
    index, before = api.health.service("web", passing=True)
    assert len(before) == 1
    answers = []

    def wait():
        answers.append(other_api.health.service("web", passing=True, index=index, wait="20s"))

    waiter = threading.Thread(target=wait)
    waiter.start()
    register_web(api, number=2)
    assert waiter.is_alive(), "it is not passing yet, so the answer is the same"
    began_s = time.monotonic()
    api.agent.check.ttl_pass("service:web-2")
    waiter.join(10)
    assert time.monotonic() - began_s < 2
    ((new_index, after),) = answers
    assert int(new_index) > int(index)
    assert sorted(row["Service"]["ID"] for row in after) == ["web-1", "web-2"]


def test_a_blocking_query_without_change_waits_its_time(api):
    """Nothing changes, so `wait` passes and the index stays."""
    register_web(api)
    index, before = api.health.service("web")
    began_s = time.monotonic()
    assert api.health.service("web", index=index, wait="300ms") == (index, before)
    assert time.monotonic() - began_s >= 0.3


def test_a_deregistered_service_is_gone(api):
    """Deregistering takes the service and its checks out of every list."""
    register_web(api)
    assert api.agent.service.deregister("web-1")
    assert api.agent.services() == {}
    assert api.agent.checks() == {}
    assert api.catalog.services()[1] == {"consul": []}
    assert api.health.service("web")[1] == []


def test_a_node_of_another_machine_comes_and_goes(api):
    """`catalog.register` and `catalog.deregister` keep what no agent keeps."""
    assert api.catalog.register("db-1", "10.1.0.1", service={"Service": "db", "Port": 5432})
    assert [row["Address"] for row in api.catalog.service("db")[1]] == ["10.1.0.1"]
    assert api.catalog.deregister("db-1")
    assert api.catalog.service("db")[1] == []
    assert [row["Node"] for row in api.catalog.nodes()[1]] == ["n1"]


def test_mistakes_are_told_as_the_client_expects(api):
    """A wrong request raises the client's own exceptions, with the agent's words."""
    with pytest.raises(consul.exceptions.BadRequest, match="Missing service name"):
        api.agent.service.register("")

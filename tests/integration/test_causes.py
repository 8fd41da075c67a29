"""Every way in which an instance can disappear, and what the registry says of it afterwards."""

import time

import pytest
from tests.agents import eventually, running_agent

WEB = {"Name": "web", "ID": "w", "Port": 80}
AT_ONCE = {"health": {"deregister_after_min": "1s"}}


def gone(agent, service_id="w"):
    """What is told of an instance that is not there any more."""
    told = agent.get(f"/v1/regista/explain/instance/{service_id}").json
    assert told["state"] == "gone", told
    return told


def in_catalog(agent, *, node="far", service_id="w"):
    row = {"Node": node, "Address": "10.0.0.1", "Service": {"Service": "web", "ID": service_id}}
    assert agent.put("/v1/catalog/register", row).json is True


def put_on_agent(agent):
    agent.register(**WEB)
    assert agent.put("/v1/agent/service/deregister/w?reason=rollback%20of%20v2").status == 200
    return "request", "PUT /v1/agent/service/deregister/w", "rollback of v2"


def delete_on_agent(agent):
    agent.register(**WEB)
    assert agent.delete("/v1/agent/service/deregister/w").status == 200
    return "request", "DELETE /v1/agent/service/deregister/w", ""


def in_the_catalog_by_service(agent):
    in_catalog(agent)
    assert agent.put("/v1/catalog/deregister?reason=moved", {"Node": "far", "ServiceID": "w"}).json is True
    return "request", "PUT /v1/catalog/deregister", "moved"


def in_the_catalog_by_node(agent):
    in_catalog(agent)
    assert agent.put("/v1/catalog/deregister", {"Node": "far"}).json is True
    return "request", "PUT /v1/catalog/deregister", ""


def lease_expired(agent):
    agent.register(**WEB, TTL="1s")
    return "expiry", "", "was not renewed for 1s"


def check_was_critical_too_long(agent):
    agent.register(**WEB, Check={"TTL": "1h", "DeregisterCriticalServiceAfter": "1s"})
    return "reaper", "", 'was deregistered because check "service:w" was critical for 1s'


def another_incarnation(agent):
    first = agent.register(**WEB).headers["x-regista-incarnation"]
    agent.register(**WEB, Incarnation="second")
    told = agent.get("/v1/regista/explain/instance/w").json
    assert [each["incarnation"] for each in told["gone"]] == [first]
    assert told["gone"][0]["cause"]["path"] == "PUT /v1/agent/service/register"
    agent.put("/v1/agent/service/deregister/w")
    return "request", "PUT /v1/agent/service/deregister/w", ""


def removed_from_configuration(agent):
    agent.configure({"services": [{"name": "web", "id": "w"}], **AT_ONCE})
    agent.signal(1)
    eventually(lambda: agent.get("/v1/catalog/service/web").json)
    agent.configure(AT_ONCE)
    agent.signal(1)
    return "config", "", "the agent's configuration files"


def in_a_transaction(agent):
    in_catalog(agent)
    step = {"Service": {"Verb": "delete", "Node": "far", "Service": {"ID": "w", "Service": "web"}}}
    assert agent.put("/v1/txn?reason=tidy", [step]).status == 200
    return "request", "PUT /v1/txn", "tidy"


WAYS = (
    put_on_agent,
    delete_on_agent,
    in_the_catalog_by_service,
    in_the_catalog_by_node,
    in_a_transaction,
    lease_expired,
    check_was_critical_too_long,
    another_incarnation,
    removed_from_configuration,
)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_whoever_ends_an_instance_is_known(tmp_path, way):
    """However an instance ends, its tombstone and the history say when, by whom, and why; also after a restart."""
    with running_agent(tmp_path, keeps_data=True, config=AT_ONCE) as agent:
        kind, path, reason = way(agent)
        eventually(lambda: not agent.get("/v1/catalog/service/web").json, within_s=10)
        told = gone(agent)
        ended = told["gone"][0]
        cause = ended["cause"]
        assert (cause["kind"], cause["path"], cause["reason"]) == (kind, path, reason)
        assert cause["actor"] == ""
        assert cause["source"] == {"request": "127.0.0.1", "config": ""}.get(kind, cause["source"])
        assert kind not in ("expiry", "reaper") or cause["source"].startswith("n1/")
        assert ended["service"] == "web"
        assert any(reason in sentence for sentence in told["chain"])
        changes = agent.get("/v1/regista/history?kind=service&service=web").json["changes"]
        assert changes[-1]["change"] == "deleted"
        assert changes[-1]["cause"] == cause
        assert changes[-1]["before"]["id"] == "w"
        agent.restart()
        assert gone(agent)["gone"] == told["gone"]


def test_an_end_is_known_after_the_log_was_compacted(tmp_path):
    """The tombstone outlives the log: who ended an instance is told when the history no longer reaches back."""
    with running_agent(tmp_path, keeps_data=True, config={"store": {"log_retention": "0s"}}) as agent:
        agent.register(**WEB)
        agent.put("/v1/agent/service/deregister/w?reason=old")
        agent.register(Name="other")
        time.sleep(0.01)
        agent.register(Name="another")
        page = agent.get("/v1/regista/history").json
        assert page["floor"] > 4
        assert agent.get("/v1/regista/history?from=0").status == 410
        assert gone(agent)["gone"][0]["cause"]["reason"] == "old"


def last_deletion(agent):
    """The last time that an instance of `web` was taken out."""
    changes = agent.get("/v1/regista/history?kind=service&service=web").json["changes"]
    return next(each for each in reversed(changes) if each["change"] == "deleted")


def test_a_restored_snapshot_says_that_it_took_an_instance(tmp_path):
    """What was registered after a snapshot and is gone with its restoring is in the history with that cause."""
    with running_agent(tmp_path, keeps_data=True) as agent:
        saved = agent.get("/v1/snapshot").body
        agent.register(**WEB)
        assert agent.put("/v1/snapshot?reason=back%20to%20yesterday", saved).status == 200
        assert agent.get("/v1/catalog/service/web").json == []
        cause = last_deletion(agent)["cause"]
        assert (cause["path"], cause["reason"]) == ("PUT /v1/snapshot", "back to yesterday")


def test_an_agent_that_got_another_name_takes_its_instances_along(tmp_path):
    """Under the old node's name the instance is gone, by the agent itself; under the new one it is there."""
    with running_agent(tmp_path, keeps_data=True) as agent:
        agent.register(**WEB)
        agent.terminate()
        agent._arguments = ("--node", "renamed")
        agent.start()
        assert last_deletion(agent)["key"] == "n1/w"
        assert last_deletion(agent)["cause"]["kind"] == "server"
        assert agent.get("/v1/regista/explain/instance/w").json["node"] == "renamed"


def test_an_instance_that_took_another_name_is_in_the_history(shared_agent):
    """Registering an id under another name takes it out of the first service, and both sides say by whom."""
    agent = shared_agent
    agent.register(Name="before", ID="renamed")
    agent.put("/v1/agent/service/register?reason=better%20name", {"Name": "after", "ID": "renamed"})
    for service in ("before", "after"):
        last = agent.get(f"/v1/regista/history?kind=service&service={service}").json["changes"][-1]
        assert last["change"] == "changed"
        assert (last["before"]["name"], last["after"]["name"]) == ("before", "after")
        assert last["cause"]["reason"] == "better name"


def test_a_status_says_who_changed_it(shared_agent):
    """A check's last change names the caller, the clock or the probe that made it."""
    agent = shared_agent
    agent.register(Name="beating", ID="b", Check={"CheckID": "beat", "TTL": "300ms"})
    agent.put("/v1/agent/check/pass/beat?note=fine")
    agent.register(Name="probed", ID="p", Check={"CheckID": "probe", "TCP": agent.http, "Interval": "1s"})

    def last_cause(check_id):
        return agent.get(f"/v1/regista/history?kind=check&key=n1/{check_id}").json["changes"][-1]["cause"]

    eventually(lambda: last_cause("beat")["kind"] == "expiry")
    assert last_cause("beat")["reason"] == "was not heard from for 300ms"
    eventually(lambda: last_cause("probe")["kind"] == "check")
    assert last_cause("probe")["reason"] == "its tcp probe found passing"
    kinds = [each["cause"]["kind"] for each in agent.get("/v1/regista/history?key=n1/beat").json["changes"]]
    assert kinds == ["request", "request", "expiry"]

"""The agent as a process, asked over its API: stopping, reloading, following its log, saving and restoring it."""

import http.client
import os
import threading
import time

import pytest
from tests.agents import eventually, running_agent


class Follower:
    """A client that follows the log on a connection of its own."""

    def __init__(self, agent, query=""):
        self._connection = http.client.HTTPConnection(agent.http, timeout=10)
        self._connection.request("GET", f"/v1/agent/monitor{query}")
        self._answer = self._connection.getresponse()
        self.status = self._answer.status

    def line(self):
        return self._answer.readline().decode()

    def close(self):
        self._answer.close()
        self._connection.close()


def test_leave_answers_and_then_ends_the_agent(kept_agent):
    """The caller has its answer, waiting callers have theirs, and the process ends by itself; its data stays."""
    kept_agent.register(Name="web")
    assert kept_agent.put("/v1/agent/leave").status == 200
    assert os.waitid(os.P_PID, kept_agent.pid, os.WEXITED | os.WNOWAIT).si_status == 0
    kept_agent.terminate()
    kept_agent.start()
    assert "web" in kept_agent.get("/v1/catalog/services").json


def test_reload_makes_the_files_true_and_says_what_is_wrong_with_them(agent):
    """A definition that was added is there when reload is answered; a broken file changes nothing and is told."""
    agent.configure({"services": [{"name": "web", "connect": {"sidecar_service": {}}}]})
    assert agent.put("/v1/agent/reload").status == 200
    assert set(agent.get("/v1/agent/services").json) == {"web", "web-sidecar-proxy"}
    assert len(agent.get("/v1/agent/checks").json) == 2
    agent.configure({"services": [{"name": "web", "connect": {"sidecar_service": {}}}], "bogus": 1})
    reply = agent.put("/v1/agent/reload")
    assert reply.status == 500
    assert "bogus" in reply.text
    assert set(agent.get("/v1/agent/services").json) == {"web", "web-sidecar-proxy"}
    agent.configure({"services": [{"name": "web"}]})
    assert agent.put("/v1/agent/reload").status == 200
    assert set(agent.get("/v1/agent/services").json) == {"web"}


def test_reload_says_what_it_does_not_change(agent):
    """Settings that need another start are named in the log, and so is a new key without effect, once."""
    agent.configure({"http": {"waiting_max": 7}, "retry_join": ["a"]})
    for _ in range(2):
        assert agent.put("/v1/agent/reload").status == 200
    lines = agent.log().splitlines()
    untouched = "a reload does not change http.waiting_max; start the agent anew for that"
    assert len([line for line in lines if untouched in line]) == 2
    assert len([line for line in lines if '"retry_join" has no effect' in line]) == 1


def test_the_log_is_followed_as_it_is_written(agent):
    """Lines come at once and in the form that was asked for; a client that has gone costs nothing more."""
    text, as_json = Follower(agent), Follower(agent, "?logjson&loglevel=debug")
    assert agent.put("/v1/agent/reload").status == 200
    assert "[INFO]  regista.agent.agent: reloaded" in text.line()
    assert '"@message":"reloaded' in as_json.line()
    for follower in (text, as_json):
        follower.close()

    def listener_count():
        gauges = {each["Name"]: each["Value"] for each in agent.get("/v1/agent/metrics").json["Gauges"]}
        return gauges["regista.log.listeners"]

    eventually(lambda: listener_count() == 0)
    assert agent.request("HEAD", "/v1/agent/monitor").status == 200
    assert listener_count() == 0
    reply = agent.get("/v1/agent/monitor?loglevel=zz")
    assert (reply.status, reply.text) == (400, "Bad request: Unknown log level: zz")


def test_a_stopping_agent_ends_the_streams_of_its_log(agent):
    """Whoever follows the log does not hold up the end, and gets the last lines."""
    follower = Follower(agent)
    assert agent.terminate() < 5
    assert "stopping" in follower.line()
    assert follower.line() == ""
    follower.close()


def test_only_so_many_clients_may_follow_the_log(tmp_path):
    """One too many is told which setting is the limit."""
    with running_agent(tmp_path, config={"registry": {"log_listeners_max": 1}}) as agent:
        follower = Follower(agent)
        assert agent.get("/v1/agent/monitor").status == 429
        follower.close()


def test_metrics_count_what_happened(agent):
    """Both forms show what is registered and what was done."""
    agent.register(Name="web", Check={"TTL": "1h"})
    text = agent.get("/v1/agent/metrics?format=prometheus")
    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "regista_catalog_instances 2\n" in text.text
    assert 'regista_catalog_checks{status="critical"} 1\n' in text.text
    assert agent.get("/v1/agent/metrics", {"Accept": "text/plain; version=0.0.4"}).text.startswith("# HELP")
    counters = {each["Name"]: each["Count"] for each in agent.get("/v1/agent/metrics").json["Counters"]}
    assert counters["regista.commits"] >= 4


def test_a_snapshot_brings_everything_back(agent, tmp_path):
    """What was registered when it was saved is there again, on another agent too, and what came later is gone."""
    agent.register(Name="web", ID="w1", Tags=["v1"], Check={"TTL": "1h", "Status": "passing"})
    saved = agent.get("/v1/snapshot")
    assert saved.headers["content-type"] == "application/x-gzip"
    before = agent.index()
    agent.register(Name="late")
    agent.put("/v1/agent/service/deregister/w1")
    assert agent.put("/v1/snapshot", saved.body).status == 200
    assert agent.get("/v1/catalog/services").json == {"consul": [], "web": ["v1"]}
    assert agent.get("/v1/health/service/web?passing").json[0]["Service"]["ID"] == "w1"
    assert agent.index() > before
    assert agent.put("/v1/agent/check/fail/service:w1").status == 200
    with running_agent(tmp_path / "other", arguments=("--node", "n2")) as other:
        assert other.put("/v1/snapshot", saved.body).status == 200
        assert [each["Node"] for each in other.get("/v1/catalog/nodes").json] == ["n1", "n2"]
        assert other.get("/v1/health/service/web").json[0]["Node"]["Node"] == "n1"
        assert len(other.get("/v1/catalog/service/consul").json) == 1


@pytest.mark.parametrize("damage", ["cut", "changed", "foreign"])
def test_a_damaged_snapshot_changes_nothing(agent, damage):
    """It is refused with 400, and everything is as it was."""
    agent.register(Name="web")
    body = agent.get("/v1/snapshot").body
    agent.register(Name="later")
    index = agent.index()
    broken = {
        "cut": body[:-20],
        "changed": body[:100] + bytes([body[100] ^ 255]) + body[101:],
        "foreign": b"not a snapshot",
    }[damage]
    assert agent.put("/v1/snapshot", broken).status == 400
    assert agent.index() == index
    assert set(agent.get("/v1/catalog/services").json) == {"consul", "web", "later"}


def test_an_agent_that_is_killed_while_it_restores_has_all_or_nothing(kept_agent):
    """After a crash at any moment of a restore, the saved state is there, or the one before; never a mixture."""
    nodes = [{"Node": f"e{number}", "Address": "10.0.0.1"} for number in range(1500)]
    for node in nodes:
        assert kept_agent.put("/v1/catalog/register", node).status == 200
    saved = kept_agent.get("/v1/snapshot").body
    for number, node in enumerate(nodes):
        if number % 3 == 0:
            assert kept_agent.put("/v1/catalog/deregister", {"Node": node["Node"]}).status == 200
    present = len(kept_agent.get("/v1/catalog/nodes").json)
    seen = set()
    for delay_s in (0.0, 0.01, 0.02, 0.03, 0.05, 0.08, 0.15):

        def restore():
            client = kept_agent.client()
            try:
                client.put("/v1/snapshot", saved)
            except (OSError, http.client.HTTPException):
                pass
            finally:
                client.close()

        thread = threading.Thread(target=restore)
        thread.start()
        time.sleep(delay_s)
        kept_agent.kill()
        thread.join()
        kept_agent.start()
        seen.add(len(kept_agent.get("/v1/catalog/nodes").json))
    assert seen <= {present, len(nodes) + 1}

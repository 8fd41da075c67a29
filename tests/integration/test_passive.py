"""Passive health with real agents: what callers report takes an instance out, and lets it back."""

import gzip
import http.server
import json
import subprocess
import threading

import pytest
from tests.agents import PROGRAM, Waiter, eventually, running_agent

QUICK = {"passive": {"max_ejection_percent": 50, "base_ejection_time": "1s", "interval": "200ms"}}


def passing(agent, service="web"):
    reply = agent.get(f"/v1/health/service/{service}?passing")
    return sorted(each["Service"]["ID"] for each in reply.json)


def report(agent, *rows):
    reply = agent.put("/v1/regista/report", {"rows": list(rows)})
    assert reply.status == 200, reply
    return reply.json


@pytest.fixture
def quick(tmp_path):
    """An agent with two instances, that takes one out for a second."""
    with running_agent(tmp_path / "agent", config=QUICK) as agent:
        for service_id in ("web-1", "web-2"):
            agent.register(Name="web", ID=service_id, Port=80)
        yield agent


def test_an_instance_that_callers_find_broken_is_out_and_comes_back(quick):
    """Who waits for the passing instances is told at once, both times."""
    before = quick.get("/v1/health/service/web?passing")
    waiter = Waiter(quick, f"/v1/health/service/web?passing&index={before.index}&wait=10s")
    assert report(quick, ["web", "web-1", "connect", 5], ["web", "gone", "5xx"]) == {"accepted": 1, "unknown": 1}
    first = waiter.reply(1.0)
    assert [each["Service"]["ID"] for each in first.json] == ["web-2"]
    (check,) = quick.get("/v1/health/checks/web").json
    assert (check["CheckID"], check["Status"], check["Type"]) == ("_passive:web-1", "critical", "passive")
    assert "5 failures in a row (consecutive_5xx)" in check["Output"]
    waiter = Waiter(quick, f"/v1/health/service/web?passing&index={first.index}&wait=10s")
    second = waiter.reply(3.0)
    assert [each["Service"]["ID"] for each in second.json] == ["web-1", "web-2"]


def test_registering_again_does_not_let_it_back(quick):
    """Not even with its checks replaced, and its owner sees no other hash."""
    held = quick.register(Name="web", ID="web-1", Port=80).headers["x-regista-hash"]
    report(quick, ["web", "web-1", 503, 5])
    eventually(lambda: passing(quick) == ["web-2"])
    reply = quick.put(
        "/v1/agent/service/register?replace-existing-checks=true", {"Name": "web", "ID": "web-1", "Port": 80}
    )
    assert (reply.status, reply.headers["x-regista-hash"]) == (200, held)
    assert passing(quick) == ["web-2"]
    assert quick.get("/v1/agent/health/service/id/web-1").status == 503


def test_not_more_than_may_be_are_out(quick):
    """One of two at 50 %; the other stays, though it is as bad."""
    report(quick, ["web", "web-1", "5xx", 5], ["web", "web-2", "5xx", 5])
    eventually(lambda: passing(quick) == ["web-2"])
    (state,) = quick.get("/v1/regista/health/passive?service=web").json["services"]
    assert (state["ejected"], state["ejected_max"], state["withheld"]) == (1, 1, {"cap": 1})


class _Well(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_passing_probe_lets_it_back(tmp_path):
    """Long before its time is over."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Well)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with running_agent(tmp_path / "agent", config={"passive": {"always_eject_one_host": True}}) as agent:
            check = {"HTTP": f"http://127.0.0.1:{server.server_port}/", "Interval": "1s", "Status": "passing"}
            agent.register(Name="web", ID="web-1", Check=check)
            eventually(lambda: agent.get("/v1/health/checks/web").json[0]["Output"])
            waiter = Waiter(agent, f"/v1/health/service/web?passing&index={agent.index()}&wait=10s")
            report(agent, ["web", "web-1", "5xx", 5])
            assert waiter.reply(1.0).json == []
            eventually(lambda: passing(agent) == ["web-1"], within_s=3.0)
            outputs = [each["Output"] for each in agent.get("/v1/health/checks/web").json]
            assert any("a probe finds it passing" in output for output in outputs)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_restart_lets_nobody_stay_out_for_ever(tmp_path):
    """Who is out when the agent stops comes back after it has started again."""
    config = {"passive": {"always_eject_one_host": True, "base_ejection_time": "1s"}}
    with running_agent(tmp_path / "agent", keeps_data=True, config=config) as agent:
        agent.register(Name="web", ID="web-1")
        report(agent, ["web", "web-1", "5xx", 5])
        eventually(lambda: passing(agent) == [])
        agent.kill()
        agent.start()
        eventually(lambda: passing(agent) == ["web-1"], within_s=4.0)


def test_instances_of_other_nodes_are_judged_too(quick):
    """Those that were written through the catalog's paths; their services' defaults count."""
    for number in (1, 2):
        body = {"Node": f"far-{number}", "Address": "10.0.0.1", "Service": {"Service": "db", "ID": f"db-{number}"}}
        assert quick.put("/v1/catalog/register", body).status == 200
    defaults = {"Kind": "service-defaults", "Name": "db", "OutlierDetection": {"Consecutive5xx": 2}}
    assert quick.put("/v1/config", defaults).status == 200
    assert report(quick, ["db", "db-1", "timeout", 2])["accepted"] == 1
    eventually(lambda: passing(quick, "db") == ["db-2"])
    eventually(lambda: passing(quick, "db") == ["db-1", "db-2"], within_s=4.0)


def test_reports_may_be_packed_and_write_nothing(quick):
    """Successes cost the log nothing, however many."""
    index = quick.index()
    rows = [["web", f"web-{1 + number % 2}", "success", 10, 1.5] for number in range(500)]
    body = gzip.compress(json.dumps({"rows": rows}).encode())
    for _ in range(3):  # the agent takes the later ones another way
        reply = quick.put("/v1/regista/report", body, {"Content-Encoding": "gzip"})
        assert reply.json == {"accepted": 500, "unknown": 0}
    assert quick.index() == index
    metrics = quick.get("/v1/agent/metrics?format=prometheus").text
    assert 'regista_reported_requests_total{outcome="success"} 15000' in metrics
    assert "regista_ejected 0" in metrics


BAD = [
    ({"reports": [{"service": "web", "id": "web-1", "outcome": "bad"}]}, {}, 400, "reports[0].outcome"),
    ({"rows": [["web", "web-1", "5xx", 1, "fast"]]}, {}, 400, "rows[0].latency_ms"),
    ({"rows": [["web", "web-1"]] * 1001}, {}, 400, "passive.reports_max"),
    (b"{", {}, 400, "Request decode failed"),
    (b"{}", {"Content-Encoding": "gzip"}, 400, "gzip"),
    (gzip.compress(b" " * 300_000, mtime=0), {"Content-Encoding": "gzip"}, 413, "passive.report_bytes_max"),
]


@pytest.mark.parametrize(("body", "headers", "status", "text"), BAD)
def test_what_is_wrong_is_refused_as_a_whole(shared_agent, body, headers, status, text):
    """And the answer names the field, or the setting."""
    with shared_agent.client() as client:  # a body that can't be unpacked ends the connection
        reply = client.put("/v1/regista/report", body, headers)
    assert reply.status == status, reply
    assert text in reply.text


def test_reports_are_refused_where_they_are_switched_off(tmp_path):
    """With the setting that does it."""
    with running_agent(tmp_path / "agent", config={"passive": {"enabled": False}}) as agent:
        reply = agent.put("/v1/regista/report", {"rows": [["web", "web-1"]]})
        assert reply.status == 403
        assert "passive.enabled" in reply.text


def test_people_can_report_too(quick):
    """With the command, and see what it came to."""
    command = [
        str(PROGRAM),
        "report",
        "web",
        "web-1",
        "--outcome",
        "reset",
        "--count",
        "5",
        "--http-addr",
        quick.http,
    ]
    subprocess.run(command, check=True, timeout=20)
    eventually(lambda: passing(quick) == ["web-2"])
    (state,) = quick.get("/v1/regista/health/passive").json["services"]
    host = state["hosts"][0]
    assert (host["id"], host["rule"], host["ejections_in_a_row"]) == ("web-1", "consecutive_5xx", 1)
    assert host["ejected_until"].endswith("Z")

"""A check that blinks, as its callers and operators see it: a real agent, a real service."""

import http.server
import subprocess
import threading

import pytest
from tests.agents import PROGRAM, running_agent

SOON_S = 15.0


class Blinker:
    """A service that answers 200 and 503 in turn, until it is steadied.

    Attributes:
        has_blinked: set with the eighth question, when the answers to seven have been judged.
    """

    def __init__(self):
        self.is_steady = False
        self.has_blinked = threading.Event()
        self._count = 0
        blinker = self

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(blinker.next_status())
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def next_status(self):
        self._count += 1
        if self._count == 8:
            self.has_blinked.set()
        return 200 if self.is_steady or self._count % 2 else 503

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def blinker():
    blinker = Blinker()
    yield blinker
    blinker.close()


def test_a_blinking_service_is_taken_out_once(tmp_path, blinker):
    """It is out after its first failure, everybody can read why, and it comes back once when it is steady."""
    with running_agent(tmp_path, config={"health": {"interval_min": "100ms"}}) as agent:
        agent.register(Name="web", Check={"HTTP": blinker.url, "Interval": "100ms"})
        assert blinker.has_blinked.wait(SOON_S)
        check = agent.get("/v1/agent/checks").json["service:web"]
        assert check["Status"] == "critical"
        assert check["Output"].startswith("Flapping since ")
        assert "held at critical" in check["Output"]
        assert "Output: " in check["Output"]
        told = agent.get("/v1/regista/explain/instance/web").json
        (own,) = [each for each in told["instance"]["checks"] if each["of"] == "instance"]
        assert own["hold"].startswith("Flapping since ")
        command = [str(PROGRAM), "explain", "instance", "web", "--http-addr", agent.http]
        said = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
        assert 'Check "service:web" is critical, last changed at index' in said
        assert " Flapping since " in said
        metrics = agent.get("/v1/agent/metrics?format=prometheus").text
        assert "regista_checks_flapping 1" in metrics
        assert "regista_flaps_started_total 1" in metrics

        before = agent.get("/v1/health/service/web?passing")
        assert before.json == []
        blinker.is_steady = True
        after = agent.get(f"/v1/health/service/web?passing&index={before.index}&wait={SOON_S:g}s")
        assert len(after.json) == 1
        (own,) = agent.get("/v1/regista/explain/instance/web").json["instance"]["checks"][1:]
        assert own["hold"] is None
        assert own["changed"]["cause"]["reason"] == "it flaps no more, and its http probe found passing"
        changes = agent.get("/v1/regista/history?kind=check&key=n1/service:web").json["changes"]
        statuses = [each["after"].get("status", "critical") for each in changes]  # what is usual is left out
        assert statuses == ["critical", "passing", "critical", "passing"]


def test_a_changeable_service_is_marked(tmp_path):
    """A service that reports this and that is taken at its word, and marked."""
    with running_agent(tmp_path) as agent:
        agent.register(Name="web", Check={"CheckID": "beat", "TTL": "1h"})
        for _ in range(3):
            assert agent.put("/v1/agent/check/pass/beat").status == 200
            assert len(agent.get("/v1/health/service/web?passing").json) == 1
            assert agent.put("/v1/agent/check/fail/beat").status == 200
            assert agent.get("/v1/health/service/web?passing").json == []
        told = agent.get("/v1/regista/explain/instance/web").json
        assert "It is not held, for its own word counts" in told["instance"]["checks"][1]["hold"]


def test_a_ttl_check_with_thresholds(tmp_path):
    """Thresholds of a TTL check are honoured: one bad report of three changes nothing."""
    with running_agent(tmp_path) as agent:
        agent.register(Name="web", Check={"CheckID": "beat", "TTL": "1h", "FailuresBeforeCritical": 3})
        assert agent.put("/v1/agent/check/pass/beat").status == 200
        index = agent.get("/v1/health/service/web?passing").index
        for expected in (1, 1, 0):
            assert agent.put("/v1/agent/check/fail/beat").status == 200
            assert len(agent.get("/v1/health/service/web?passing").json) == expected
        assert agent.get("/v1/health/service/web?passing").index == index + 1

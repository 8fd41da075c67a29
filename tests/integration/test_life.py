"""Services that live and die, watched by an agent: real processes, real sockets, real seconds."""

import socket
import subprocess
import sys
import time

import pytest
from tests.agents import Waiter, eventually

HTTP_SERVICE = """
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"fine")
    def log_message(self, *_): pass
http.server.HTTPServer.allow_reuse_address = True
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""

TCP_SERVICE = """
import socket, sys
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    listening.accept()[0].close()
"""

SOON_S = 4.0
"""Within this an agent that probes once a second has noticed."""


class Service:
    """A process that serves on a port, which it keeps over its deaths."""

    def __init__(self, program):
        self._program = program
        self._process = None
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.port = listening.getsockname()[1]

    def start(self):
        self._process = subprocess.Popen([sys.executable, "-c", self._program, str(self.port)])

    def kill(self):
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def service(request):
    service = Service(request.param)
    service.start()
    yield service
    service.kill()


def wait_for_passing(agent, name, count):
    """Follows `?passing` with blocking queries until so many instances pass; the seconds that it took."""
    began_s = time.monotonic()
    reply = agent.get(f"/v1/health/service/{name}?passing")
    while len(reply.json) != count:
        left_s = SOON_S - (time.monotonic() - began_s)
        assert left_s > 0, f"{len(reply.json)} of {count} pass after {SOON_S} s"
        reply = agent.get(f"/v1/health/service/{name}?passing&index={reply.index}&wait={left_s:.3f}s")
    return time.monotonic() - began_s


@pytest.mark.parametrize(
    ("service", "target"),
    [(HTTP_SERVICE, "http://{}/health"), (TCP_SERVICE, "{}")],
    ids=["http", "tcp"],
    indirect=["service"],
)
def test_a_service_is_passing_while_it_answers(agent, service, target):
    """A probed service is seen passing while its process lives, is gone when it is killed, and comes back with it."""
    address = f"127.0.0.1:{service.port}"
    kind = "HTTP" if "http" in target else "TCP"
    agent.register(
        Name="web",
        Port=service.port,
        Check={kind: target.format(address), "Interval": "1s", "Timeout": "500ms"},
    )
    assert agent.get("/v1/health/service/web?passing").json == [], "critical until a probe says otherwise"
    wait_for_passing(agent, "web", 1)
    service.kill()
    wait_for_passing(agent, "web", 0)
    (found,) = agent.get("/v1/health/service/web").json
    assert found["Checks"][1]["Status"] == "critical"
    assert "refused" in found["Checks"][1]["Output"].lower()
    service.start()
    wait_for_passing(agent, "web", 1)


def test_a_silent_service_is_critical_until_it_is_heard_again(agent):
    """A TTL check that hears nothing for its TTL is critical, says so, and passes with the next heartbeat."""
    agent.register(Name="web", Check={"CheckID": "beat", "TTL": "500ms"})
    assert agent.put("/v1/agent/check/pass/beat?note=hello").status == 200
    before = agent.get("/v1/health/service/web?passing")
    assert len(before.json) == 1
    gone = agent.get(f"/v1/health/service/web?passing&index={before.index}&wait=5s")
    assert gone.json == []
    assert gone.took_s < 2
    check = agent.get("/v1/agent/checks").json["beat"]
    assert check["Status"] == "critical"
    assert check["Output"] == "TTL expired (last output before timeout follows): hello"
    assert agent.put("/v1/agent/check/pass/beat").status == 200
    assert len(agent.get("/v1/health/service/web?passing").json) == 1


def test_heartbeats_in_time_keep_a_service_passing(agent):
    """A service that is heard within its TTL never stops passing, and costs no index."""
    agent.register(Name="web", Check={"CheckID": "beat", "TTL": "2s"})
    agent.put("/v1/agent/check/pass/beat")
    before = agent.get("/v1/health/service/web?passing")
    waiter = Waiter(agent, f"/v1/health/service/web?passing&index={before.index}&wait=4s")
    while waiter.is_waiting:
        assert agent.put("/v1/agent/check/pass/beat").status == 200
        time.sleep(0.1)
    assert waiter.reply().body == before.body
    assert waiter.reply().index == before.index


def test_an_instance_that_nobody_renews_is_removed(agent):
    """An instance with a TTL of its own is gone when it passes without renewal, and the log says why."""
    agent.register(Name="web", TTL="1s")
    before = agent.get("/v1/health/service/web")
    assert len(before.json) == 1
    gone = agent.get(f"/v1/health/service/web?index={before.index}&wait=5s")
    assert gone.json == []
    assert 0.8 <= gone.took_s < 2.5
    assert "was not renewed for 1s" in agent.log()


@pytest.mark.parametrize("how", ["renew", "register"])
def test_an_instance_that_is_renewed_stays(agent, how):
    """Renewing, or registering again, within the TTL keeps the instance, and writes nothing."""
    fields = {"Name": "web", "TTL": "1s"}
    agent.register(**fields)
    before = agent.get("/v1/health/service/web")
    waiter = Waiter(agent, f"/v1/health/service/web?index={before.index}&wait=2500ms")
    while waiter.is_waiting:
        if how == "renew":
            assert agent.put("/v1/agent/service/renew/web").status == 200
        else:
            agent.register(**fields)
        time.sleep(0.2)
    assert waiter.reply().body == before.body
    assert waiter.reply().took_s >= 2.5
    gone = agent.get(f"/v1/health/service/web?index={before.index}&wait=5s")
    assert gone.json == [], "and without renewals it goes after all"


def test_a_service_that_is_critical_for_too_long_is_deregistered(agent):
    """`DeregisterCriticalServiceAfter` takes a service that stays critical out of the catalog, with the reason."""
    agent.register(
        Name="web",
        Check={"CheckID": "beat", "TTL": "200ms", "DeregisterCriticalServiceAfter": "1s", "Status": "passing"},
    )
    incarnation = agent.get("/v1/agent/services").json["web"]["Incarnation"]
    agent.register(Name="api", Check={"TTL": "200ms"})
    before = agent.get("/v1/catalog/service/web")
    gone = agent.get(f"/v1/catalog/service/web?index={before.index}&wait=6s")
    assert gone.json == []
    assert 1.0 <= gone.took_s < 3
    assert set(agent.get("/v1/agent/services").json) == {"api"}, "critical as long, but nobody asked for its end"
    late = agent.put(f"/v1/agent/service/renew/web?incarnation={incarnation}")
    assert late.status == 409
    assert 'because check "beat" was critical for 1s' in late.text


def test_what_is_kept_through_the_catalog_is_deregistered_too(agent):
    """On a node of its own, by a check that somebody else makes; and the agent says beforehand that it will."""
    definition = {"TCP": "10.0.0.7:5432", "Interval": "10s", "DeregisterCriticalServiceAfter": "1s"}
    wanted = {
        "Node": "db-host",
        "Address": "10.0.0.7",
        "Service": {"ID": "db-1", "Service": "db"},
        "Check": {"CheckID": "up", "ServiceID": "db-1", "Status": "passing", "Definition": definition},
    }
    assert agent.put("/v1/catalog/register", wanted).status == 200
    explained = agent.get("/v1/regista/explain/instance/db-1?node=db-host").text
    assert 'It is removed once check \\"up\\" stays critical for 1s.' in explained
    wanted["Check"]["Status"] = "critical"
    assert agent.put("/v1/catalog/register", wanted).status == 200
    before = agent.get("/v1/catalog/service/db")
    gone = agent.get(f"/v1/catalog/service/db?index={before.index}&wait=6s")
    assert gone.json == []
    assert 0.5 <= gone.took_s < 3
    assert "db-host" in {each["Node"] for each in agent.get("/v1/catalog/nodes").json}, "the node stays"


def test_a_service_that_recovers_in_time_is_kept(agent):
    """A service that is critical again and again, but never for too long, stays."""
    agent.register(Name="web", Check={"CheckID": "beat", "TTL": "1h", "DeregisterCriticalServiceAfter": "1s"})
    for _ in range(4):
        assert agent.put("/v1/agent/check/fail/beat").status == 200
        time.sleep(0.5)
        assert agent.put("/v1/agent/check/pass/beat").status == 200
    assert len(agent.get("/v1/health/service/web?passing").json) == 1


def test_deregistering_ends_the_probes(agent):
    """A deregistered service is probed no more."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(SOON_S)
        port = listening.getsockname()[1]
        agent.register(Name="web", Check={"TCP": f"127.0.0.1:{port}", "Interval": "1s"})
        listening.accept()[0].close()
        agent.put("/v1/agent/service/deregister/web")
        eventually(lambda: agent.get("/v1/agent/checks").json == {})
        listening.settimeout(1.3)
        with pytest.raises(TimeoutError):
            listening.accept()

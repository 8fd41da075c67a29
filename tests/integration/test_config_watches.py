"""The watches of the configuration file, run by a real agent."""

import http.server
import json
import queue
import signal
import sys
import threading

import pytest
from tests.agents import Agent, eventually, running_agent

SCRIPT = """
import os, sys
text = sys.stdin.read()
with open(sys.argv[1], "a") as file:
    file.write(os.environ["CONSUL_INDEX"] + " " + text)
"""


def script(file, **fields):
    return {"args": [sys.executable, "-c", SCRIPT, str(file)], **fields}


def told(file):
    """What the program was given so far: each time the index and the JSON."""
    lines = file.read_text().rpartition("\n")[0].splitlines() if file.exists() else []
    return [(int(line.partition(" ")[0]), json.loads(line.partition(" ")[2])) for line in lines]


@pytest.fixture
def received():
    """A server on loopback: its URL, and what it is sent."""
    got = queue.Queue()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            got.put((self.path, dict(self.headers), json.loads(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/changed", got
    server.shutdown()
    server.server_close()
    thread.join()


def test_programs_are_run_at_each_change(tmp_path):
    """Every type tells its program what is there and what comes, as the API's reads would say it."""
    files = {
        name: tmp_path / name for name in ("key", "keyprefix", "services", "nodes", "service", "checks", "event")
    }
    kinds = {
        "key": {"key": "web/limit"},
        "keyprefix": {"prefix": "web/"},
        "services": {},
        "nodes": {},
        "service": {"service": "web", "tag": "v1", "passingonly": True},
        "checks": {"state": "critical", "stale": True},
        "event": {"name": "deploy"},
    }
    watches = [script(files[name], type=name, **fields) for name, fields in kinds.items()]
    with running_agent(tmp_path / "agent", config={"watches": watches}) as agent:
        eventually(lambda: all(told(files[name]) for name in ("services", "nodes", "service", "checks", "event")))
        assert told(files["service"])[0][1] == []
        agent.put("/v1/kv/web/limit", b"10")
        agent.register(Name="web", ID="web-1", Tags=["v1"], Check={"TTL": "60s", "CheckID": "alive"})
        eventually(lambda: any(found for _, found in told(files["checks"])))
        agent.put("/v1/agent/check/pass/alive")
        agent.put("/v1/event/fire/deploy", b"v2")
        eventually(lambda: len(told(files["service"])) == 2)
        index, (instance,) = told(files["service"])[1]
        reply = agent.get("/v1/health/service/web?passing")
        assert (index, instance["Checks"]) == (reply.index, reply.json[0]["Checks"])
        ((index, key),) = eventually(lambda: told(files["key"]))
        assert (index, key) == (agent.get("/v1/kv/web/limit").index, agent.get("/v1/kv/web/limit").json[0])
        assert told(files["keyprefix"]) == [(index, [key])]
        eventually(lambda: "web" in told(files["services"])[-1][1])
        eventually(lambda: [event["Name"] for _, events in told(files["event"]) for event in events] == ["deploy"])
        agent.delete("/v1/kv/web/limit")
        eventually(lambda: told(files["key"])[-1][1] is None and told(files["keyprefix"])[-1][1] is None)
        text = agent.get("/v1/agent/metrics?format=prometheus").text
        assert "regista_watches 7" in text
        assert 'regista_watch_failures_total{of="script"} 0' in text


def test_a_server_is_told(tmp_path, received):
    """An http handler is sent each change with its index."""
    url, got = received
    watch = {
        "type": "key",
        "key": "a",
        "handler_type": "http",
        "http_handler_config": {"path": url, "header": {"X-Key": ["1"]}, "timeout": "5s"},
    }
    with running_agent(tmp_path / "agent", config={"watches": [watch]}) as agent:
        agent.put("/v1/kv/a", b"1")
        path, headers, body = got.get(timeout=10)
        assert (path, body["Key"], headers["X-Key"]) == ("/changed", "a", "1")
        assert headers["X-Consul-Index"] == str(body["ModifyIndex"])


def test_a_burst_ends_with_the_newest_state_and_runs_never_overlap(tmp_path):
    """A program that is slower than the changes is run once at a time, and is told the last state in the end."""
    code = (
        "import os, sys, time\n"
        "text = sys.stdin.read()\n"
        "os.mkdir(sys.argv[1] + '.lock')\n"  # fails if another one runs
        "time.sleep(0.05)\n"
        "os.rmdir(sys.argv[1] + '.lock')\n"
        "open(sys.argv[1], 'a').write('0 ' + text)\n"
    )
    file = tmp_path / "said"
    watch = {"type": "key", "key": "a", "args": [sys.executable, "-c", code, str(file)]}
    with running_agent(tmp_path / "agent", config={"watches": [watch]}) as agent:
        for number in range(100):
            agent.put(f"/v1/kv/a?flags={number}", b"")
        eventually(lambda: told(file) and told(file)[-1][1]["Flags"] == 99)
        flags = [each["Flags"] for _, each in told(file)]
        assert flags == sorted(set(flags))
        assert "ended with exit code" not in agent.log()


def test_a_reload_takes_changes_in(tmp_path):
    """SIGHUP ends what is gone, begins what is new, and does not run anew what stays."""
    stays, goes, comes = (tmp_path / name for name in ("stays", "goes", "comes"))
    watches = [script(stays, type="nodes"), script(goes, type="services")]
    with running_agent(tmp_path / "agent", config={"watches": watches}) as agent:
        eventually(lambda: told(stays) and told(goes))
        agent.configure({"watches": [watches[0], script(comes, type="services")]})
        agent.signal(signal.SIGHUP)
        eventually(lambda: told(comes))
        agent.register(Name="web")
        eventually(lambda: "web" in told(comes)[-1][1])
        assert "web" not in told(goes)[-1][1]
        assert len(told(stays)) == 1
        agent.configure({"watches": [{"type": "zz"}]})
        assert agent.put("/v1/agent/reload").status == 500
        agent.put("/v1/agent/service/deregister/web")
        eventually(lambda: "web" not in told(comes)[-1][1])


def test_a_stop_ends_what_runs(tmp_path):
    """A program under way is told to end, and the agent's stop does not wait for ever."""
    file = tmp_path / "pid"
    code = f"import os, time; open({str(file)!r}, 'w').write(f'{{os.getpid()}}\\n'); time.sleep(600)"
    watch = {"type": "nodes", "args": [sys.executable, "-c", code]}
    with running_agent(tmp_path / "agent", config={"watches": [watch]}) as agent:
        eventually(lambda: file.exists() and file.read_text().endswith("\n"))
        assert agent.terminate() < 5
    assert not (tmp_path / f"/proc/{file.read_text().strip()}").exists()


@pytest.mark.parametrize(
    ("watch", "problem"),
    [
        ({"type": "zz", "args": ["x"]}, 'type: "zz" is not supported'),
        ({"type": "key", "args": ["x"]}, "key: a single key to watch must be specified"),
        ({"type": "nodes", "handler": "x | y"}, "handler: a command line would need a shell"),
        ({"type": "nodes"}, "args: a handler must be defined"),
    ],
)
def test_a_watch_that_can_t_be_is_refused_at_the_start(tmp_path, watch, problem):
    """The agent does not start, and names the watch and its field."""
    agent = Agent(tmp_path / "agent", config={"watches": [watch]})
    code, text = agent.fails_to_start()
    assert code == 1
    assert "watch number 1" in text
    assert problem in text

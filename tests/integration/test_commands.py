"""The commands against a real agent: what one writes, another reads."""

import json
import os
import signal
import subprocess
import sys

import pytest
from tests.agents import PROGRAM, eventually
from tests.threads import other_threads_that_take


@pytest.fixture
def regista(agent):
    """Runs a command line against the agent; what it did."""

    def run(*words, stdin="", code=0):
        done = subprocess.run(
            [PROGRAM, *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env=environ(agent),
        )
        assert done.returncode == code, done.stderr
        return done.stdout

    return run


def environ(agent):
    return {**os.environ, "REGISTA_HTTP_ADDR": agent.http}


def test_keys(regista):
    """Keys are set, read, listed, exported, deleted and imported again."""
    regista("kv", "put", "a/b", "1")
    regista("kv", "put", "a/c/d", "-", stdin="two\nlines")
    assert regista("kv", "get", "a/b") == "1\n"
    assert regista("kv", "get", "--keys", "a/") == "a/b\na/c/\n"
    assert regista("kv", "get", "--recurse", "a/") == "a/b:1\na/c/d:two\nlines\n"
    index = json.loads(regista("kv", "get", "--json", "a/b"))[0]["ModifyIndex"]
    regista("kv", "put", "--cas", "--modify-index", str(index), "a/b", "2")
    regista("kv", "put", "--cas", "--modify-index", str(index), "a/b", "3", code=1)
    exported = regista("kv", "export", "a/")
    assert regista("kv", "delete", "--recurse", "a/") == "Success! Deleted keys with prefix: a/\n"
    regista("kv", "get", "a/b", code=1)
    assert regista("kv", "import", "-", stdin=exported) == "Imported: a/b\nImported: a/c/d\n"
    assert regista("kv", "export", "a/") == exported


def test_sessions_and_locks(regista, agent):
    """A session holds a key; a program runs with a lock held, and gives it back."""
    session = regista("session", "create", "--name", "s", "--ttl", "30s").strip()
    assert session in regista("session", "list")
    assert regista("kv", "put", "--acquire", "--session", session, "k", "v") == "Success! Lock acquired on: k\n"
    assert f"Session          {session}\n" in regista("kv", "get", "--detailed", "k")
    regista("session", "renew", session)
    regista("session", "destroy", session)
    regista("session", "info", session, code=1)
    child = f"import sys, urllib.request as r; print(r.urlopen('http://{agent.http}/v1/kv/jobs/.lock').read()); sys.exit(4)"
    held = regista("lock", "jobs", sys.executable, "-c", child, code=4)
    assert '"Session":' in held
    assert "Session" not in agent.get("/v1/kv/jobs/.lock").json[0]


def test_a_second_holder_waits(regista, agent, tmp_path):
    """While one process holds the lock another waits for it, or gives up after --try."""
    command = [PROGRAM, "lock", "jobs", "sleep", "60"]
    with subprocess.Popen(command, env=environ(agent), stdin=subprocess.DEVNULL) as first:
        eventually(lambda: agent.get("/v1/kv/jobs/.lock").status == 200)
        regista("lock", "--try", "300ms", "jobs", "true", code=1)
        agent.put(f"/v1/session/destroy/{agent.get('/v1/kv/jobs/.lock').json[0]['Session']}")
        assert first.wait(15) == 1, "the lock was taken away"


def test_a_holder_that_is_told_to_end_gives_the_lock_back(agent):
    """SIGTERM ends the program that the lock guards, and then releases the lock."""
    child = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(print('ended'))); print('runs', flush=True); signal.pause()"
    command = [PROGRAM, "lock", "jobs", sys.executable, "-c", child]
    with subprocess.Popen(
        command, env=environ(agent), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as holding:
        assert holding.stdout.readline() == b"runs\n"
        assert other_threads_that_take(holding.pid, signal.SIGTERM) == [], "it would not wake the main one"
        holding.send_signal(signal.SIGTERM)
        assert holding.communicate(timeout=10)[0] == b"ended\n"
        assert holding.returncode == 128 + signal.SIGTERM
    assert "Session" not in agent.get("/v1/kv/jobs/.lock").json[0]
    assert agent.get("/v1/session/list").json == []


def test_events_and_watches(regista, agent, tmp_path):
    """A fired event is listed, and runs the program of a watch."""
    out = tmp_path / "out"
    script = f"import sys; open({str(out)!r}, 'a').write(sys.stdin.read())"
    command = [PROGRAM, "watch", "event", "--name", "deploy", "--", sys.executable, "-c", script]
    with subprocess.Popen(command, env=environ(agent), stdin=subprocess.DEVNULL) as watching:
        eventually(lambda: out.exists() and out.read_text() == "[]\n")
        assert regista("event", "fire", "deploy", "v1").startswith("Event ID: ")
        eventually(lambda: '"Payload": "djE="' in out.read_text())
        watching.send_signal(signal.SIGINT)
        assert watching.wait(10) == 0
    assert "deploy" in regista("event", "list")


def test_a_watched_key(regista, agent, tmp_path):
    """A watch of a key that is not there yet shows it when it is."""
    command = [PROGRAM, "watch", "key", "a", "--once", "--json"]
    with subprocess.Popen(
        command, env=environ(agent), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as watching:
        regista("kv", "put", "a", "1")
        assert json.loads(watching.communicate(timeout=10)[0])["Value"] == "MQ=="


def test_the_registry_in_a_file(regista, tmp_path):
    """A snapshot brings back what was there when it was saved."""
    regista("kv", "put", "a", "before")
    assert regista("snapshot", "save", str(tmp_path / "s")).startswith("Saved and verified snapshot to index ")
    regista("kv", "put", "a", "after")
    assert "Index " in regista("snapshot", "inspect", str(tmp_path / "s"))
    assert regista("snapshot", "restore", str(tmp_path / "s")) == "Restored snapshot\n"
    assert regista("kv", "get", "a") == "before\n"


def test_configuration_entries_and_queries(regista, agent):
    """Entries and queries are written, listed, read and deleted."""
    entry = '{"Kind": "service-defaults", "Name": "web", "Protocol": "http"}'
    assert regista("config", "write", "-", stdin=entry) == "Config entry written: service-defaults/web\n"
    assert regista("config", "list", "service-defaults") == "web\n"
    assert json.loads(regista("config", "read", "service-defaults", "web"))["Protocol"] == "http"
    regista("config", "delete", "service-defaults", "web")
    regista("config", "read", "service-defaults", "web", code=1)
    regista("services", "register", "--name", "web", "--port", "80", "--tagged-address", "wan=10.0.0.1:80")
    query = regista("query", "create", '{"Name": "q", "Service": {"Service": "web"}}').strip()
    assert query in regista("query", "list")
    assert "web" in regista("query", "execute", "q")
    assert json.loads(regista("query", "read", query))["Name"] == "q"
    regista("query", "delete", query)
    assert regista("query", "list") == ""


def test_operating(regista, agent):
    """Maintenance, the members, the numbers, reload and leave."""
    regista("services", "register", "--name", "web")
    regista("maint", "--enable", "--service", "web", "--reason", "why")
    assert regista("maint") == "Service:\n  ID:     web\n  Reason: why\n\n"
    assert agent.get("/v1/health/service/web?passing").json == []
    regista("maint", "--disable", "--service", "web")
    assert "alive" in regista("members")
    regista("members", "--status", "failed", code=2)
    assert "agent:\n" in regista("info")
    assert regista("reload") == "Configuration reload triggered\n"
    assert regista("leave") == "Graceful leave complete\n"


def test_nodes_and_services(regista, agent):
    """The catalog's lists take Consul's choices."""
    regista("services", "register", "--name", "web", "--tag", "v1")
    assert regista("catalog", "nodes", "--service", "web").splitlines()[1].startswith("n1 ")
    assert regista("catalog", "nodes", "--service", "none") == ""
    assert "lan=127.0.0.1" in regista("catalog", "nodes", "--detailed")
    assert regista("catalog", "nodes", "--filter", 'Node == "n2"') == ""
    assert regista("catalog", "nodes", "--node-meta", "a=b") == ""
    assert regista("catalog", "services", "--node", "n1", "--tags", "--no-head") == "consul\nweb     v1\n"

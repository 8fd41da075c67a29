"""The start-up code of foreign test suites: their command lines and files, how they wait, and how they stop.

Each test does what the suite's own code does, with the program under the name `consul`. Ports that a suite leaves
at their defaults are set in its file, so that tests can run beside each other.
"""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
import uuid

import pytest
from tests.agents import PROGRAM, START_S_MAX, Client, eventually
from tests.ports import free_ports


@pytest.fixture
def consul(tmp_path):
    """A link to the program, under the name that suites look for on the PATH."""
    link = tmp_path / "bin" / "consul"
    link.parent.mkdir()
    link.symlink_to(PROGRAM)
    return str(link)


@contextlib.contextmanager
def started(command, *, port, cwd=None, pipes=False):
    """The process and a client of its HTTP port; it is killed at the end in any case."""
    stream = subprocess.PIPE if pipes else subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream)
    client = Asking(process, port)
    try:
        yield process, client
    finally:
        client.close()
        process.kill()
        said = process.communicate(timeout=10)
        if pipes:
            sys.stdout.write(b"\n".join(said).decode())


class Asking:
    """A client that connects for each request, as most suites do."""

    def __init__(self, process, port):
        self._process = process
        self._address = f"127.0.0.1:{port}"

    def ask(self, method, path, content=None, headers=None):
        with Client(self._address, timeout_s=10) as client:
            return client.request(method, path, content, headers)

    def eventually(self, condition, *, every_s=0.1, within_s=START_S_MAX):
        """Asks until `condition()` is true; an agent that does not answer yet is asked again."""
        end_s = time.monotonic() + within_s
        while True:
            assert self._process.poll() is None, f"it ended with {self._process.returncode}"
            assert time.monotonic() < end_s
            with contextlib.suppress(OSError, http.client.HTTPException):
                found = condition()
                if found:
                    return found
            time.sleep(every_s)

    def close(self):
        pass


def stopped(process, number):
    """The seconds that the process took to end."""
    began_s = time.monotonic()
    process.send_signal(number)
    process.wait(10)
    return time.monotonic() - began_s


GO_PORTS = ("dns", "http", "https", "serf_lan", "serf_wan", "server")


@pytest.mark.parametrize("newer", [False, True], ids=["older", "newer"])
def test_go_testutil(consul, tmp_path, newer):
    """Go's `sdk/testutil`: one file, no -dev; leader, catalog and serfHealth are waited for; SIGINT."""
    names = (*GO_PORTS, "grpc", "grpc_tls") if newer else GO_PORTS
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    node_id = str(uuid.uuid4())
    config = {
        "node_name": f"node-{node_id}", "node_id": node_id, "performance": {"raft_multiplier": 1},
        "bootstrap": True, "server": True, "data_dir": str(tmp_path / "data"), "segments": None,
        "disable_update_check": True, "log_level": "debug", "bind_addr": "127.0.0.1", "addresses": {},
        "ports": ports, "acl": {"tokens": {}},
        "connect": {"enabled": True, "ca_config": {"cluster_id": "11111111-2222-3333-4444-555555555555"}},
    }  # fmt: skip
    if newer:
        config |= {"peering": {"enabled": True}, "skip_leave_on_interrupt": True, "return_later": {"x": 1}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    command = [consul, "agent", "-config-file", str(tmp_path / "config.json")]
    with started(command, port=ports["http"]) as (process, api):
        api.eventually(lambda: api.ask("GET", "/v1/status/leader").status, every_s=0.025)
        end_s = time.monotonic() + 2
        while time.monotonic() < end_s:
            assert api.ask("GET", "/v1/status/leader").status == 200
            time.sleep(0.025)
        nodes = api.ask("GET", "/v1/catalog/nodes", headers={"x-consul-token": ""})
        assert (nodes.status, nodes.headers["x-consul-knownleader"], nodes.index >= 2) == (200, "true", True)
        checks = api.ask("GET", f"/v1/health/node/{nodes.json[0]['Node']}").json
        assert "serfHealth" in [check["CheckID"] for check in checks]
        assert api.ask("DELETE", f"/v1/config/service-intentions/{uuid.uuid4()}").status == 200
        assert stopped(process, signal.SIGINT) < 5


def test_python_consul(consul, tmp_path):
    """python-consul: -config-dir=. in its own directory, pipes that nobody reads, a lower-case key, SIGTERM."""
    names = ("http", "serf_lan", "serf_wan", "server")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    config = {"ports": {**ports, "dns": -1}, "performance": {"raft_multiplier": 1}, "enable_script_checks": True}
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").write_text(json.dumps(config))
    command = [consul, "agent", "-dev", "-bind=127.0.0.1", "-config-dir=."]
    with started(command, port=ports["http"], cwd=tmp_path / "run", pipes=True) as (process, api):
        api.eventually(lambda: api.ask("GET", "/v1/status/leader").json != "")
        assert api.ask("PUT", "/v1/agent/service/register", {"name": "foo"}).status == 200
        api.eventually(lambda: api.ask("GET", "/v1/health/service/foo").json != [])
        assert api.ask("PUT", "/v1/agent/service/deregister/foo").status == 200
        assert api.ask("DELETE", "/v1/kv/?recurse=1").status == 200
        assert stopped(process, signal.SIGTERM) < 5


def test_python_consul_2(consul, tmp_path):
    """python-consul2 without ACLs: a file that is given once by its directory and once by its name."""
    port, serf_lan, serf_wan, server = free_ports(4)
    config = {
        "ports": {"http": port, "serf_lan": serf_lan, "serf_wan": serf_wan, "server": server, "dns": -1},
        "performance": {"raft_multiplier": 1}, "enable_script_checks": True, "datacenter": "dc1",
        "primary_datacenter": "dc1",
    }  # fmt: skip
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "encrypt.json").write_text(json.dumps({"encrypt": "a" * 43 + "="}))
    command = [
        consul, "agent", "-dev", "-bind=127.0.0.1", "-config-dir=.", "-bootstrap-expect", "1",
        "-config-file=encrypt.json",
    ]  # fmt: skip
    with started(command, port=port, cwd=folder, pipes=True) as (process, api):
        api.eventually(lambda: api.ask("GET", "/v1/status/leader").json != "")
        assert stopped(process, signal.SIGTERM) < 5


def test_node_consul(consul, tmp_path):
    """node-consul: flags in two words, a PID file, a token although there are no ACLs, SIGKILL."""
    (port,) = free_ports(1)
    config = {
        "primary_datacenter": "dc1", "acl": {"enabled": False}, "enable_script_checks": True,
        "ports": {"http": port, "dns": -1},
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    command = [
        consul, "agent", "-node", "node1", "-datacenter", "dc1", "-bind", "127.0.0.1", "-client", "127.0.0.1",
        "-bootstrap", "-server", "-config-file", str(tmp_path / "config.json"), "-data-dir", str(tmp_path / "data"),
        "-pid-file", str(tmp_path / "pid"),
    ]  # fmt: skip
    with started(command, port=port) as (process, api):
        check = {"x-consul-token": "root"}
        api.eventually(lambda: api.ask("PUT", "/v1/kv/check", b"value", check).text == "true")
        assert int((tmp_path / "pid").read_text()) == process.pid
        assert api.ask("GET", "/v1/agent/self").json["Config"]["NodeName"] == "node1"
        stopped(process, signal.SIGKILL)


def test_embedded_consul(consul, tmp_path):
    """embedded-consul (Java): -dev with a directory for data, a node id in hexadecimal, two files, a reset."""
    port, grpc, dns, serf_lan, serf_wan, server = free_ports(6)
    folder = tmp_path / "config"
    folder.mkdir()
    basic = {
        "ports": {"dns": dns, "serf_lan": serf_lan, "serf_wan": serf_wan, "server": server},
        "disable_update_check": True, "performance": {"raft_multiplier": 1},
    }  # fmt: skip
    (folder / "basic_config.json").write_text(json.dumps(basic))
    (folder / "extra_config.json").write_text(json.dumps({"node_meta": {"a": "b"}}))
    node_id = str(uuid.uuid4())
    command = [
        consul, "agent", f"-data-dir={tmp_path / 'data'}", "-dev", f"-config-dir={folder}", "-advertise=127.0.0.1",
        "-client=127.0.0.1", "-log-level=err", f"-http-port={port}", f"-grpc-port={grpc}", f"-node-id={node_id}",
        f"-node=node-{node_id.replace('-', '')}",
    ]  # fmt: skip
    with started(command, port=port) as (process, api):
        api.eventually(
            lambda: api.ask("GET", "/v1/status/leader").json and api.ask("GET", "/v1/catalog/nodes").json
        )
        (node,) = api.ask("GET", "/v1/catalog/nodes").json
        assert (node["ID"], node["Meta"]["a"]) == (node_id, "b")
        api.ask("PUT", "/v1/agent/service/register", {"Name": "web"})
        for session in api.ask("GET", "/v1/session/list").json:
            api.ask("PUT", f"/v1/session/destroy/{session['ID']}")
        for name in api.ask("GET", "/v1/agent/services").json:
            assert api.ask("PUT", f"/v1/agent/service/deregister/{name}").status == 200
        assert api.ask("DELETE", "/v1/kv/?recurse=true").status == 200
        assert list(api.ask("GET", "/v1/catalog/services").json) == ["consul"]
        assert stopped(process, signal.SIGTERM) < 5


def test_py_consul(consul, tmp_path):
    """py-consul's container: its entry point's command line; a new registration shows in health at once."""
    (port,) = free_ports(1)
    folder = tmp_path / "config"
    folder.mkdir()
    local = {
        "ports": {"http": port, "https": -1, "dns": -1, "grpc_tls": -1}, "performance": {"raft_multiplier": 1},
        "enable_script_checks": True,
    }  # fmt: skip
    (folder / "local.json").write_text(json.dumps(local))
    command = [
        consul, "agent", f"-data-dir={tmp_path / 'data'}", f"-config-dir={folder}", "-dev", "-client=0.0.0.0",
        "-log-level", "trace",
    ]  # fmt: skip
    with started(command, port=port) as (process, api):
        api.eventually(lambda: api.ask("GET", "/v1/status/leader").json, within_s=10)
        assert api.ask("PUT", "/v1/agent/service/register", {"name": "test-service"}).status == 200
        assert api.ask("GET", "/v1/health/service/test-service").json != []
        assert api.ask("GET", "/v1/agent/self").json["Config"]["Version"].startswith("1.")
        assert stopped(process, signal.SIGTERM) < 5


def test_scripts_that_wait_for_words(consul, tmp_path):
    """The words of Consul's start are on standard output as soon as the agent answers, and -pid-file goes at its end."""
    (port,) = free_ports(1)
    pid_file = tmp_path / "pid"
    command = [consul, "agent", "-dev", f"-http-port={port}", "-dns-port=-1", f"-pid-file={pid_file}", "-ui"]
    with started(command, port=port, pipes=True) as (process, api):
        for line in process.stdout:
            if b"Consul agent running!" in line:
                break
        assert api.ask("GET", "/v1/status/leader").status == 200
        assert int(pid_file.read_text()) == process.pid
        environ = {**os.environ, "CONSUL_HTTP_ADDR": f"127.0.0.1:{port}"}
        words = [consul, "kv", "put", "a", "b"]
        done = subprocess.run(words, env=environ, capture_output=True, text=True, check=True)
        assert done.stdout == "Success! Data written to: a\n"
        subprocess.run([consul, "leave"], env=environ, check=True, capture_output=True)
        assert process.wait(10) == 0
        eventually(lambda: not pid_file.exists())

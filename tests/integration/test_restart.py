"""Stopping, starting again, reloading, and not starting at all."""

import signal
import socket
import sqlite3
import subprocess
import time

import pytest
from tests.agents import PROGRAM, Agent, Waiter, eventually, running_agent

TTL_GRACE_S = 1.5

QUICK_S = 3.0
"""Far below the grace that requests under way get, and above what a busy machine makes of an instant."""


def is_listening(host, port):
    """Whether somebody takes connections there."""
    try:
        socket.create_connection((host, port), timeout=QUICK_S).close()
    except ConnectionError:
        return False
    return True


def statuses_of(agent):
    return {check_id: check["Status"] for check_id, check in agent.get("/v1/agent/checks").json.items()}


# ---- restart ----


def test_everything_is_as_it_was_after_a_restart(kept_agent):
    """Instances, checks, statuses, incarnations and the index are the same after a restart."""
    kept_agent.register(
        Name="web",
        Tags=["a"],
        Meta={"k": "v"},
        Checks=[{"CheckID": "up", "TTL": "1h"}, {"CheckID": "down", "TTL": "1h"}],
    )
    kept_agent.put("/v1/agent/check/pass/up?note=well")
    kept_agent.put("/v1/agent/check/warn/down?note=hm")
    kept_agent.put("/v1/catalog/register", {"Node": "db-1", "Address": "10.1.0.1", "Service": {"Service": "db"}})
    paths = (
        "/v1/agent/services",
        "/v1/agent/checks",
        "/v1/catalog/nodes",
        "/v1/catalog/service/db",
        "/v1/health/service/web",
    )
    before = [kept_agent.get(path).body for path in paths]
    index = kept_agent.index()
    port = kept_agent.http
    kept_agent.restart()
    assert kept_agent.http != port
    after = [kept_agent.get(path).body for path in paths]
    assert after == before
    assert statuses_of(kept_agent) == {"up": "passing", "down": "warning"}
    assert kept_agent.index() >= index


def test_checks_are_made_again_after_a_restart(kept_agent):
    """A probe goes on after a restart: it keeps its status until a result says otherwise, and then follows that."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        kept_agent.register(Name="web", Check={"CheckID": "tcp", "TCP": f"127.0.0.1:{port}", "Interval": "1s"})
        eventually(lambda: statuses_of(kept_agent) == {"tcp": "passing"})
        kept_agent.restart()
        assert statuses_of(kept_agent) == {"tcp": "passing"}
    eventually(lambda: statuses_of(kept_agent) == {"tcp": "critical"})


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_a_ttl_counts_from_the_restart(kept_agent, end):
    """A check's TTL and an instance's TTL get one whole TTL of grace after a restart, and are held to it then."""
    kept_agent.register(Name="beating", Check={"CheckID": "beat", "TTL": "1500ms", "Status": "passing"})
    kept_agent.register(Name="leased", TTL="1500ms")
    getattr(kept_agent, end)()
    # Longer than the TTL: nobody could be heard meanwhile, so it must not count.
    time.sleep(TTL_GRACE_S + 0.3)
    kept_agent.start()
    before = kept_agent.get("/v1/health/service/beating?passing")
    assert len(before.json) == 1
    leased = kept_agent.get("/v1/health/service/leased")
    assert len(leased.json) == 1
    waiter = Waiter(kept_agent, f"/v1/health/service/leased?index={leased.index}&wait=6s")
    expired = kept_agent.get(f"/v1/health/service/beating?passing&index={before.index}&wait=6s")
    assert expired.json == []
    assert waiter.reply().json == []
    for reply in (expired, waiter.reply()):
        assert TTL_GRACE_S - 0.5 < reply.took_s < TTL_GRACE_S + 1.5


def test_a_restart_itself_writes_nothing(kept_agent):
    """An agent that finds its own records as they are does not write them again."""
    kept_agent.restart()
    services = kept_agent.get("/v1/catalog/services").index
    nodes = kept_agent.get("/v1/catalog/nodes").index
    kept_agent.restart()
    # The port is another each time here, and is part of the service `consul`; the node is not touched by it.
    assert kept_agent.get("/v1/catalog/nodes").index == nodes
    assert kept_agent.get("/v1/catalog/services").index <= services + 1


# ---- stop ----


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_waiting_query_is_answered_at_the_stop(tmp_path, number):
    """SIGTERM and SIGINT answer who waits with what is so then, and the agent ends at once, with exit code 0."""
    with running_agent(tmp_path) as agent:
        agent.register(Name="web")
        before = agent.get("/v1/health/service/web")
        count = agent.socket_count()
        path = f"/v1/health/service/web?index={before.index}&wait=60s"
        waiters = [Waiter(agent, path, timeout_s=20) for _ in range(5)]
        eventually(lambda: agent.socket_count() >= count + len(waiters))
        agent.get("/v1/status/leader")  # by the time that this is answered, those before it wait
        assert all(waiter.is_waiting for waiter in waiters)
        assert agent.terminate(number) < QUICK_S
        for waiter in waiters:
            assert (waiter.reply().status, waiter.reply().body) == (200, before.body)


def test_a_body_that_is_still_coming_at_the_stop_is_taken(tmp_path):
    """A request of which a part has come when the agent is told to stop is taken whole, answered, and kept."""
    body = b'{"Name": "late"}'
    head = f"PUT /v1/agent/service/register HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with running_agent(tmp_path, keeps_data=True) as agent:
        host, _, port = agent.http.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=QUICK_S) as client:
            client.sendall(head + body[:5])
            agent.get("/v1/status/leader")  # by the time that this is answered, the half has been read
            agent.signal(signal.SIGTERM)
            eventually(lambda: "SIGTERM: stopping" in agent.log())
            eventually(lambda: not is_listening(host, int(port)))  # only then does it end its connections
            client.sendall(body[5:])
            assert client.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        agent.terminate()
        agent.start()
        assert "late" in agent.get("/v1/agent/services").json


def test_what_is_cut_off_at_the_stop_is_told(tmp_path):
    """A request whose rest never comes holds up the stop for the grace, and the log says so."""
    with running_agent(tmp_path, config={"registry": {"shutdown_grace": "200ms"}}) as agent:
        host, _, port = agent.http.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=QUICK_S) as client:
            client.sendall(b"PUT /v1/kv/never HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n")
            agent.get("/v1/status/leader")
            agent.terminate()
            assert client.recv(1000) == b""
        assert "requests not answered within 0.2s of the stop, and cut off: 1" in agent.log()


def test_a_signal_right_after_the_ready_file_is_heard(tmp_path):
    """Whoever reads the ready file may stop the agent at once, and it ends cleanly all the same."""
    ready_file = tmp_path / "ready"
    for _ in range(3):
        with subprocess.Popen(
            Agent(tmp_path).command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as process:
            while not ready_file.exists():  # without a pause, to be quicker than the agent's next step
                assert process.poll() is None
            process.terminate()
            assert process.wait(10) == 0


def test_the_ready_file_is_there_while_it_answers(tmp_path):
    """The ready file is written at the start, and is gone after the stop."""
    with running_agent(tmp_path) as agent:
        assert agent.ready_file.exists()
        agent.terminate()
        assert not agent.ready_file.exists()


def test_an_agent_that_can_write_no_ready_file_does_not_say_that_it_is_ready(tmp_path):
    """Whoever started it waits for that file; the message names it, and what is wrong with it."""
    command = [PROGRAM, "agent", "--dev", "--http-port", "0", "--dns-port", "0"]
    done = subprocess.run(
        [*command, "--ready-file", tmp_path / "missing" / "ready"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert "is ready" not in done.stdout
    assert f"{tmp_path}/missing/ready can't be written: No such file or directory" in done.stderr


# ---- reload ----


def definitions(*names, **fields):
    return {"services": [{"name": name, "check": {"ttl": "1h"}, **fields} for name in names]}


def reload(agent, *, expecting):
    """Sends SIGHUP and waits for the line that says how it went."""
    seen = agent.log().count(expecting)
    agent.signal(signal.SIGHUP)
    eventually(lambda: agent.log().count(expecting) > seen)


def test_sighup_makes_true_what_the_file_says_now(tmp_path):
    """SIGHUP adds, changes and removes what the file does, and leaves alone what callers of the API registered."""
    with running_agent(tmp_path, config=definitions("stays", "changes", "goes")) as agent:
        agent.register(Name="mine", Port=1, Check={"TTL": "1h"})
        before = agent.get("/v1/agent/services").json
        assert set(before) == {"stays", "changes", "goes", "mine"}
        agent.put("/v1/agent/check/pass/service:changes")
        index = agent.get("/v1/health/service/stays").index
        config = definitions("stays", "comes")
        config["services"].append({"name": "changes", "port": 99, "check": {"ttl": "1h"}})
        agent.configure(config)
        reload(agent, expecting="reloaded: 3 services")
        after = agent.get("/v1/agent/services").json
        assert set(after) == {"stays", "changes", "comes", "mine"}
        assert after["changes"]["Port"] == 99
        assert after["changes"]["Incarnation"] == before["changes"]["Incarnation"]
        assert (after["stays"], after["mine"]) == (before["stays"], before["mine"])
        assert agent.get("/v1/health/service/stays").index == index, "what did not change was not written"
        assert statuses_of(agent)["service:changes"] == "passing", "a changed port does not flip health"
        assert set(statuses_of(agent)) == {"service:stays", "service:changes", "service:comes", "service:mine"}
        assert agent.get("/v1/agent/services").json["comes"]["Manager"] == "config"


def test_a_definition_does_not_take_an_id_from_a_caller(tmp_path):
    """An id that a caller of the API holds stays the caller's when the file names it too, and the log says so."""
    with running_agent(tmp_path) as agent:
        agent.register(Name="mine", Port=1)
        before = agent.get("/v1/agent/services").body
        agent.configure(definitions("mine", port=2))
        reload(agent, expecting='service "mine" is defined in the configuration, but held by a caller (agent)')
        eventually(lambda: "reloaded: 1 services" in agent.log())
        assert agent.get("/v1/agent/services").body == before


def test_a_definition_does_not_take_a_check_or_a_sidecar_from_a_caller(tmp_path):
    """What a caller added to a service of the file stays the caller's, and is there when the file forgets it again."""
    with running_agent(tmp_path, config=definitions("web")) as agent:
        added = {"ID": "c1", "Name": "c1", "ServiceID": "web", "TTL": "1h", "Status": "passing"}
        agent.put("/v1/agent/check/register", added)
        proxy = {"Kind": "connect-proxy", "Proxy": {"DestinationServiceName": "web"}}
        agent.register(Name="web-sidecar-proxy", Port=7, **proxy)
        before = agent.get("/v1/agent/checks").json["c1"], agent.get("/v1/agent/service/web-sidecar-proxy").json
        again = {"checks": [{"id": "c1", "tcp": "127.0.0.1:1", "interval": "1h"}, {"id": "c2", "ttl": "1h"}]}
        agent.configure({"service": {"name": "web", **again, "connect": {"sidecar_service": {}}}})
        reload(agent, expecting="reloaded: 1 services")
        for what in ('check "c1" of service "web"', 'the sidecar "web-sidecar-proxy" of service "web"'):
            assert f"{what} is defined in the configuration, but held by a caller (agent)" in agent.log()
        assert set(statuses_of(agent)) == {"c1", "c2"}
        agent.configure(definitions("web"))
        reload(agent, expecting="reloaded: 1 services")
        assert before == (
            agent.get("/v1/agent/checks").json["c1"],
            agent.get("/v1/agent/service/web-sidecar-proxy").json,
        )


def test_a_reload_of_definitions_with_one_id_moves_no_index(tmp_path):
    """Two definitions of one instance are not made true in turn, for callers to see, each time the files are read."""
    config = {"services": [{"name": "web", "port": 1}, {"name": "web", "port": 2}]}
    with running_agent(tmp_path, config=config) as agent:
        before = agent.get("/v1/health/service/web").json, agent.index()
        reload(agent, expecting="reloaded: 1 services")
        assert (agent.get("/v1/health/service/web").json, agent.index()) == before
        assert 'service "web" has no effect' in agent.log()


def test_a_definition_does_not_take_what_is_the_agents_own(tmp_path):
    """Ids of the agent's own service and check are left alone, and nobody is told to deregister those."""
    config = {"service": {"name": "x", "id": "consul"}, "check": {"name": "x", "id": "serfHealth", "ttl": "1s"}}
    with running_agent(tmp_path, config=config) as agent:
        without_effect = "is defined in the configuration without effect, for the id is the agent's own"
        for what in ('service "consul"', 'check "serfHealth"'):
            assert f"{what} {without_effect}" in agent.log()
        assert (agent.get("/v1/agent/services").json, agent.get("/v1/agent/checks").json) == ({}, {})


def test_a_definition_that_comes_to_nothing_is_told_with_its_place(tmp_path):
    """A check of an instance that is not there is named in the log with its file, and all else is made true."""
    config = {"services": [{"name": "web"}], "check": {"name": "c", "service_id": "gone", "ttl": "1s"}}
    with running_agent(tmp_path, config=config) as agent:
        assert set(agent.get("/v1/agent/services").json) == {"web"}
        assert '.json: check "c" in the configuration has no effect, until that is mended' in agent.log()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"services": [', "this is not valid JSON"),
        ('{"services": [{"name": "new"}, {"port": 1}]}', "Missing service name"),
        ('{"services": [{"name": "new"}], "data_dri": "/tmp"}', 'data_dir"'),
        ('{"services": [{"name": "new", "prot": 1}]}', 'did you mean "Port"?'),
    ],
    ids=["not JSON", "a bad definition", "an unknown key", "an unknown field"],
)
def test_a_broken_file_changes_nothing(tmp_path, content, words):
    """A file that can't be used leaves everything as it was, and the log names the problem."""
    with running_agent(tmp_path, config=definitions("web")) as agent:
        before = agent.get("/v1/agent/services").body, agent.index()
        agent.configure(content)
        reload(agent, expecting="the configuration was not reloaded")
        assert words in agent.log()
        assert (agent.get("/v1/agent/services").body, agent.index()) == before
        agent.configure(definitions("web", "new"))
        reload(agent, expecting="reloaded: 2 services")
        assert set(agent.get("/v1/agent/services").json) == {"web", "new"}


def test_what_the_file_no_longer_defines_is_gone_after_a_restart(tmp_path):
    """A definition that was taken out of the file while the agent was down is not there after its start."""
    with running_agent(tmp_path, keeps_data=True, config=definitions("web", "old")) as agent:
        agent.register(Name="mine")
        agent.terminate()
        agent.configure(definitions("web"))
        agent.start()
        assert set(agent.get("/v1/agent/services").json) == {"web", "mine"}


# ---- no start ----


def test_a_second_agent_on_the_directory_is_refused(kept_agent, tmp_path):
    """A data directory in use is refused by name, with exit code 1, and the first agent goes on."""
    second = Agent(tmp_path / "second")
    second.data_dir = kept_agent.data_dir
    code, said = second.fails_to_start()
    assert code == 1
    assert f"the data directory {kept_agent.data_dir} is in use by another agent (pid {kept_agent.pid})" in said
    assert "Traceback" not in said
    kept_agent.register(Name="web")


def test_a_port_in_use_is_told(agent, tmp_path):
    """A port that somebody has is refused by number, with exit code 1 and what to do."""
    port = agent.http.rpartition(":")[2]
    code, said = Agent(tmp_path / "second").fails_to_start("--http-port", port)
    assert code == 1
    assert f"HTTP can't listen on 127.0.0.1:{port}: Address already in use" in said
    assert "--http-port" in said
    assert "Traceback" not in said


def test_a_port_in_use_writes_nothing(agent, tmp_path):
    """An agent that could not have its port leaves no record of itself in its data directory."""
    second = Agent(tmp_path / "second", keeps_data=True)
    port = agent.http.rpartition(":")[2]
    assert second.fails_to_start("--http-port", port)[0] == 1
    with running_agent(tmp_path / "second", keeps_data=True) as started:
        assert started.get("/v1/catalog/nodes").json[0]["CreateIndex"] == 1


def database_of(agent):
    (path,) = agent.data_dir.glob("*.db")
    return path


@pytest.mark.parametrize("damage", ["not a database", "cut in half", "zeros in the middle"])
def test_a_damaged_file_is_told_and_left_alone(kept_agent, damage):
    """A file that is not sound stops the start with exit code 1 and its name, and is not touched."""
    for number in range(50):
        kept_agent.register(Name=f"web-{number}", Meta={"k": "v" * 500})
    kept_agent.terminate()
    path = database_of(kept_agent)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    content = path.read_bytes()
    assert len(content) > 20_000
    broken = {
        "not a database": b"This is a letter, not a database.\n" * 1000,
        "cut in half": content[: len(content) // 2],
        "zeros in the middle": content[:8192] + b"\x00" * (len(content) - 12288) + content[-4096:],
    }[damage]
    path.write_bytes(broken)
    code, said = kept_agent.fails_to_start()
    assert code == 1, said
    assert str(path) in said
    assert "Traceback" not in said
    assert path.read_bytes() == broken
    path.write_bytes(content)
    kept_agent.start()
    assert len(kept_agent.get("/v1/agent/services").json) == 50


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"data_dri": "/tmp"}, '"data_dri"'),
        ({"http": {"body_byte_max": 5}}, "body_bytes_max"),
        ({"ports": {"htp": 8500}}, '"ports.http"'),
        ({"http": {"body_bytes_max": -5}}, "http.body_bytes_max"),
        ({"services": [{"name": "web", "prot": 1}]}, 'service "web" in the configuration'),
    ],
    ids=["a key", "a setting", "a port", "a bound", "a definition"],
)
def test_a_configuration_with_a_mistake_is_told(tmp_path, config, words):
    """A mistake in the configuration stops the start with exit code 1 and names the key, and the nearest known one."""
    code, said = Agent(tmp_path, config=config).fails_to_start()
    assert code == 1
    assert words in said
    if "services" not in config and "body_bytes_max" not in config.get("http", {}):
        assert "did you mean" in said.lower()
    assert "Traceback" not in said


def test_no_data_directory_is_told(tmp_path):
    """Without --dev and without a data directory the agent does not start, and says how it would."""
    command = [word for word in Agent(tmp_path).command if word != "--dev"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 1
    assert "data_dir cannot be empty; give --data-dir, or --dev" in done.stderr

"""Read workers: several processes at one port, which answer as one."""

import contextlib
import http.client
import json
import os
import random
import signal
import threading
from pathlib import Path

import pytest
from tests.agents import Waiter, eventually, running_agent

WORKERS = 2
CONNECTIONS = 12
"""The system spreads connections by chance: that none of three processes gets one happens once in a hundred runs."""


@pytest.fixture
def agent(tmp_path):
    """An agent with two workers."""
    with running_agent(tmp_path / "agent", arguments=("--workers", str(WORKERS))) as agent:
        yield agent


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One for all tests of the module that leave the processes alone."""
    with running_agent(tmp_path_factory.mktemp("shared"), arguments=("--workers", str(WORKERS))) as agent:
        yield agent


@contextlib.contextmanager
def many_clients(agent, count=CONNECTIONS):
    """Connections that go to whichever process gets them."""
    with contextlib.ExitStack() as ending:
        yield [ending.enter_context(agent.client()) for _ in range(count)]


def children(pid):
    """The processes that a process has started and not buried."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(each) for each in found]


def workers_of(agent):
    """The pids of the workers."""
    return [
        pid for pid in children(agent.pid) if b"regista.agent.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def metrics(agent):
    """Every metric by name and labels; asked on a connection of its own, and again if a worker that ends had that."""
    text = ""
    while not text:
        with agent.client() as client, contextlib.suppress(http.client.RemoteDisconnected, ConnectionResetError):
            text = client.get("/v1/agent/metrics?format=prometheus").text
    lines = text.splitlines()
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


@pytest.fixture
def connect(agent):
    """Makes a connection that is closed at the end."""
    with contextlib.ExitStack() as ending:
        yield lambda timeout_s=30.0: ending.enter_context(agent.client(timeout_s=timeout_s))


def client_of(agent, connect, pid, tries=60):
    """A connection that the process `pid` answers: told by whose requests grow."""
    number = workers_of(agent).index(pid) + 1
    name = f'regista_worker_requests_total{{worker="{number}"}}'
    for _ in range(tries):
        client = connect()
        before = metrics(agent)[name]
        for _ in range(8):
            client.get("/v1/status/leader")
        if metrics(agent)[name] - before >= 8:
            return client
    raise AssertionError("none of the connections went to that worker")


def client_elsewhere(connect, tries=60):
    """A connection that is answered while some process stands still."""
    for _ in range(tries):
        client = connect(timeout_s=0.5)
        with contextlib.suppress(OSError):
            client.get("/v1/status/leader")
            return client
    raise AssertionError("no connection is answered")


# ---- one agent to its clients ----


def test_all_processes_take_clients(agent):
    """Connections are spread among the processes, and each answers."""
    with many_clients(agent, 60) as clients:
        assert {client.get("/v1/catalog/services").status for client in clients} == {200}
        found = metrics(agent)
    taken = [found[f'regista_worker_connections{{worker="{number}"}}'] for number in (1, 2)]
    assert min(taken) > 0
    assert sum(taken) < 60
    assert found["regista_workers"] == WORKERS


def test_whoever_is_asked_knows_what_was_written(shared):
    """What was written through any connection is read at once through any other."""
    rng = random.Random(7)
    with many_clients(shared) as clients:
        for number in range(400):
            key = f"ryw/{rng.randrange(5)}"
            value = str(number).encode()
            assert rng.choice(clients).put(f"/v1/kv/{key}", value).text == "true"
            assert rng.choice(clients).get(f"/v1/kv/{key}?raw").body == value
            assert rng.choice(clients).get(f"/v1/kv/{key}?raw&consistent").body == value


def test_registrations_are_seen_everywhere_at_once(shared):
    """An instance that was registered or deregistered is in all answers, or in none, whoever gives them."""
    rng = random.Random(8)
    with many_clients(shared) as clients:
        for number in range(60):
            service = {"Name": "seen", "ID": f"seen-{number % 3}", "Port": 1000 + number}
            assert rng.choice(clients).put("/v1/agent/service/register", service).status == 200
            ports = {
                entry["Service"]["Port"]
                for client in clients
                for entry in client.get("/v1/health/service/seen").json
                if entry["Service"]["ID"] == service["ID"]
            }
            assert ports == {service["Port"]}
        for number in range(3):
            assert rng.choice(clients).put(f"/v1/agent/service/deregister/seen-{number}").status == 200
            answers = [client.get("/v1/health/service/seen") for client in clients]
            assert {len(each.json) for each in answers} == {2 - number}
            assert {each.index for each in answers} == {answers[0].index}


def test_no_change_is_missed_by_who_asks_elsewhere(shared):
    """Who saw an answer at one process waits at another only while that is the answer still.

    The other may have given the present answer before and not know that it was another one in between.
    """
    with many_clients(shared) as clients:
        check = {"Name": "aba", "Check": {"TTL": "600s", "Status": "passing"}}
        assert clients[0].put("/v1/agent/service/register", check).status == 200
        for turn in range(6):
            first, *others = clients[turn:] + clients[:turn]
            for client in clients:
                assert client.get("/v1/health/service/aba").json[0]["Checks"][1]["Status"] == "passing"
            first.put("/v1/agent/check/fail/service:aba")
            seen = first.get("/v1/health/service/aba")
            assert seen.json[0]["Checks"][1]["Status"] == "critical"
            first.put("/v1/agent/check/pass/service:aba")
            for client in others:
                answer = client.get(f"/v1/health/service/aba?index={seen.index}&wait=20s")
                assert answer.json[0]["Checks"][1]["Status"] == "passing"
                assert answer.took_s < 10


def test_those_who_wait_anywhere_are_told(shared):
    """Blocking queries at all processes return when what they wait for was changed through one."""
    shared.register(Name="waited", Port=1)
    index = shared.get("/v1/health/service/waited").index
    waiters = [Waiter(shared, f"/v1/health/service/waited?index={index}&wait=20s") for _ in range(CONNECTIONS)]
    eventually(lambda: waiting_anywhere(shared) == CONNECTIONS)
    shared.register(Name="waited", Port=2)
    for each in waiters:
        assert each.reply().json[0]["Service"]["Port"] == 2


def waiting_anywhere(agent):
    """How many blocking queries wait at all processes."""
    return metrics(agent)["regista_answers_waiting"]


def test_what_is_beside_the_log_is_told_everywhere(shared):
    """New output of a check whose status is the same is in everybody's answers."""
    shared.put("/v1/agent/check/register", {"Name": "beside", "TTL": "600s", "Status": "passing"})
    with many_clients(shared) as clients:
        for number in range(20):
            assert clients[number % CONNECTIONS].put(f"/v1/agent/check/pass/beside?note=n{number}").status == 200

            def outputs():
                answers = [client.get("/v1/health/node/n1").json for client in clients]
                return {each["Output"] for answer in answers for each in answer if each["CheckID"] == "beside"}

            eventually(lambda number=number, outputs=outputs: outputs() == {f"n{number}"})


def test_who_is_behind_a_write_is_known(shared):
    """The log names the client's address and request, whichever process it came to; so does the list of the busiest."""
    began = shared.put("/v1/kv/before", b"") and shared.get("/v1/kv/before").index
    with many_clients(shared) as clients:
        for number, client in enumerate(clients):
            client.request("PUT", f"/v1/kv/cause/{number}?reason=why", b"1", {"User-Agent": f"program-{number}"})
        entries = shared.get(f"/v1/regista/history?kind=kv&from={began}").json
        top = clients[0].get("/v1/regista/top?limit=1000").json["clients"]
    causes = [each["cause"] for each in entries["changes"] if each["key"].startswith("cause/")]
    assert len(causes) == CONNECTIONS
    assert {each["source"] for each in causes} == {"127.0.0.1"}
    assert {each["path"] for each in causes} == {f"PUT /v1/kv/cause/{number}" for number in range(CONNECTIONS)}
    named = {each["user_agent"]: each for each in top if each["user_agent"].startswith("program-")}
    assert len(named) == CONNECTIONS
    assert {each["address"] for each in named.values()} == {"127.0.0.1"}
    assert {each["requests"] for each in named.values()} == {1}


@pytest.mark.parametrize("size", [0, 1, 60_000, 70_000, 500_000])
def test_bodies_arrive_whole(shared, size):
    """Bodies of all sizes reach the process that takes them."""
    value = os.urandom(size)
    with many_clients(shared) as clients:
        for client in clients:
            assert client.put("/v1/kv/body", value).text == "true"
            assert client.get("/v1/kv/body?raw").body == value


def test_bodies_in_chunks_and_bodies_that_wait(shared):
    """A body whose length is told at its end, and one that is sent only when it is wanted, arrive as well."""
    for _ in range(CONNECTIONS):
        host, _, port = shared.http.rpartition(":")
        with contextlib.closing(http.client.HTTPConnection(host, int(port), timeout=20)) as connection:
            connection.request("PUT", "/v1/kv/chunked", iter([b"in ", b"parts"]), encode_chunked=True)
            assert connection.getresponse().read() == b"true"
            connection.request("PUT", "/v1/kv/kept-back", b"wanted", {"Expect": "100-continue"})
            assert connection.getresponse().read() == b"true"
        assert shared.get("/v1/kv/chunked?raw").body == b"in parts"
        assert shared.get("/v1/kv/kept-back?raw").body == b"wanted"


def test_bodies_over_the_limit_are_refused(shared):
    """A body that is too large gets 413 from whichever process; the agent lives on."""
    with many_clients(shared) as clients:
        for client in clients:
            reply = client.put("/v1/kv/large", b"x" * (600 * 1024))
            assert reply.status == 413
            assert client.get("/v1/status/leader").status == 200


def test_event_streams_go_through(shared):
    """Streams of events that are followed through any process tell what happens, and end when their reader goes."""
    host, _, port = shared.http.rpartition(":")
    for number in range(6):
        connection = http.client.HTTPConnection(host, int(port), timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", "/v1/regista/events")
            answer = connection.getresponse()
            assert answer.status == 200
            shared.register(Name=f"streamed-{number}")
            seen = b""
            while f"streamed-{number}".encode() not in seen:
                seen += answer.readline()
    eventually(lambda: metrics(shared)["regista_event_listeners"] == 0)


def test_a_drain_waits_for_watchers_of_all_processes(agent):
    """Draining an instance counts the watchers of every process, and returns once each has asked again."""
    agent.register(Name="web", ID="web-1", Port=1)
    index = agent.get("/v1/health/service/web").index
    waiters = [Waiter(agent, f"/v1/health/service/web?passing&index={index}&wait=20s") for _ in range(8)]
    eventually(lambda: watchers_anywhere(agent) >= 8)
    answer = agent.put("/v1/agent/service/drain/web-1?for=60s&wait=100ms").json
    assert answer["Watchers"] == 8
    assert answer["Complete"] is True
    again = [
        Waiter(agent, f"/v1/health/service/web?passing&index={each.reply().index}&wait=20s") for each in waiters
    ]
    answer = agent.put("/v1/agent/service/drain/web-1?for=60s&wait=10s").json
    assert (answer["Passed"], answer["Laggards"]) == (answer["Watchers"], [])
    agent.delete("/v1/agent/service/drain/web-1")
    # Who asked again when the drain was asked for again may have been told a second time that there is nothing.
    assert {each.reply().status for each in again} == {200}


def watchers_anywhere(agent):
    """How many watchers all processes know."""
    return metrics(agent)["regista_watchers"]


# ---- when a process ends or stands still ----


class Load:
    """Clients that ask again and again, each on a connection of its own that it makes anew after an error."""

    def __init__(self, agent, count):
        self.failures = []
        self.answers = 0
        self._agent = agent
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def _run(self):
        while not self._is_over.is_set():
            with self._agent.client(timeout_s=10) as client:
                for number in range(20):
                    try:
                        reply = client.get("/v1/health/service/loaded")
                    except (OSError, http.client.HTTPException) as error:
                        self.failures.append((number, error))
                        break
                    assert reply.status == 200
                    self.answers += 1

    def end(self):
        self._is_over.set()
        for thread in self._threads:
            thread.join(20)


def test_a_killed_worker_fails_its_open_connections_alone(agent):
    """When a worker is killed under load, nobody fails but who had a connection to it, and it is started again."""
    agent.register(Name="loaded")
    load = Load(agent, 8)
    eventually(lambda: load.answers > 200)
    victim = workers_of(agent)[0]
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: metrics(agent)["regista_worker_restarts_total"] == 1)
    eventually(lambda: metrics(agent)["regista_workers"] == WORKERS, within_s=20)
    answers = load.answers
    eventually(lambda: load.answers > answers + 200)
    load.end()
    # A client fails at the most once: with the connection that it had, or was about to be given.
    assert len(load.failures) <= 8, load.failures
    assert not any("refused" in str(error).lower() for _, error in load.failures)
    assert victim not in workers_of(agent)


def test_a_worker_that_is_asked_to_end_answers_first(agent):
    """A worker that gets SIGTERM answers whoever waits there, ends, and is started again."""
    agent.register(Name="asked")
    index = agent.get("/v1/health/service/asked").index
    waiters = [Waiter(agent, f"/v1/health/service/asked?index={index}&wait=60s") for _ in range(CONNECTIONS)]
    eventually(lambda: watchers_anywhere(agent) >= CONNECTIONS)
    for pid in workers_of(agent):
        os.kill(pid, signal.SIGTERM)
    eventually(lambda: metrics(agent)["regista_worker_restarts_total"] == WORKERS, within_s=20)
    eventually(lambda: metrics(agent)["regista_workers"] == WORKERS, within_s=20)
    with agent.client() as client:
        client.put("/v1/agent/service/register", {"Name": "asked", "Port": 7})
    assert {each.reply().status for each in waiters} == {200}


def test_a_worker_that_stood_still_catches_up(agent, connect):
    """A worker that was stopped says that its answers are stale until it has what was written meanwhile."""
    agent.register(Name="stopped")
    pid = workers_of(agent)[0]
    client = client_of(agent, connect, pid)
    os.kill(pid, signal.SIGSTOP)
    writer = client_elsewhere(connect)
    for number in range(120):
        assert writer.put(f"/v1/kv/missed/{number}", bytes(60_000)).text == "true"
    writer.put("/v1/agent/service/register", {"Name": "stopped", "Port": 9})
    client.send("GET", "/v1/health/service/stopped?stale")
    os.kill(pid, signal.SIGCONT)
    first = client.receive()
    assert first.headers["x-regista-answer"].startswith("stale; age=")
    assert client.get("/v1/health/service/stopped").json[0]["Service"]["Port"] == 9
    assert client.get("/v1/health/service/stopped").headers["x-regista-answer"] == "fresh"
    assert len(client.get("/v1/kv/missed/?keys").json) == 120


def test_a_worker_that_hangs_is_replaced(agent):
    """A worker that says nothing any more is killed and started again; until then its connections wait."""
    agent.register(Name="kept")
    victim = workers_of(agent)[0]
    os.kill(victim, signal.SIGSTOP)
    # Nothing is asked of the agent meanwhile: the question might be given to that worker.
    eventually(lambda: victim not in workers_of(agent), within_s=60)
    eventually(lambda: metrics(agent)["regista_workers"] == WORKERS, within_s=20)
    assert metrics(agent)["regista_worker_restarts_total"] == 1
    with many_clients(agent, 3 * CONNECTIONS) as clients:
        assert {client.get("/v1/health/service/kept").status for client in clients} == {200}


def test_reads_go_on_while_the_main_process_hangs(agent, connect):
    """While the main process is stopped, workers answer reads, and say after a while how old the answers may be."""
    agent.register(Name="kept")
    client = client_of(agent, connect, workers_of(agent)[0])
    os.kill(agent.pid, signal.SIGSTOP)
    try:
        reply = client.get("/v1/health/service/kept")
        assert len(reply.json) == 1
        label = eventually(lambda: stale_label(client), within_s=15)
        assert int(label.partition("age=")[2]) >= 5
    finally:
        os.kill(agent.pid, signal.SIGCONT)
    eventually(lambda: client.get("/v1/health/service/kept").headers["x-regista-answer"] == "fresh")
    assert client.put("/v1/kv/after", b"1").text == "true"


READS = (
    "/v1/health/service/kept",
    "/v1/health/service/kept?passing",
    "/v1/health/service/kept?stale",
    "/v1/health/service/nothing",
    "/v1/health/node/n1",
    "/v1/catalog/service/kept",
    "/v1/catalog/services",
    "/v1/catalog/nodes",
    "/v1/kv/kept",
    "/v1/kv/kept?raw",
    "/v1/kv/?keys",
    "/v1/kv/nothing",
)
"""Some have a response that is kept for whoever sends the same, some have none."""


def consistencies(client):
    """What Consul's headers say of each of these reads: how consistent it is, and how old, in milliseconds."""
    headers = [client.get(path).headers for path in READS]
    return [(each["x-consul-effective-consistency"], int(each["x-consul-lastcontact"])) for each in headers]


def test_consuls_own_headers_say_how_old_an_answer_may_be(agent, connect):
    """While something may be missing, every read says so with its age; before and after, it says that nothing is."""
    agent.register(Name="kept")
    assert agent.put("/v1/kv/kept", b"1").text == "true"
    client = client_of(agent, connect, workers_of(agent)[0])
    steady = [("stale" if path.endswith("?stale") else "leader", 0) for path in READS]
    for _ in range(3):
        assert consistencies(client) == steady
    os.kill(agent.pid, signal.SIGSTOP)
    try:
        eventually(lambda: stale_label(client), within_s=15)
        ages = []
        for _ in range(3):
            told = consistencies(client)
            assert {word for word, _ in told} == {"stale"}
            ages += [age_ms for _, age_ms in told]
        assert ages == sorted(ages)
        assert 5000 <= ages[0] < ages[-1]
    finally:
        os.kill(agent.pid, signal.SIGCONT)
    eventually(lambda: client.get(READS[0]).headers["x-regista-answer"] == "fresh")
    for _ in range(3):
        assert consistencies(client) == steady


def stale_label(client):
    label = client.get("/v1/health/service/kept").headers["x-regista-answer"]
    return label if label.startswith("stale") else None


def test_stopping_answers_everybody_and_leaves_nobody(agent):
    """An agent that is stopped answers whoever waits at any process; no process, and no socket's file, is left."""
    agent.register(Name="last")
    pids = workers_of(agent)
    assert len(pids) == WORKERS
    index = agent.get("/v1/health/service/last").index
    waiters = [Waiter(agent, f"/v1/health/service/last?index={index}&wait=60s") for _ in range(CONNECTIONS)]
    eventually(lambda: watchers_anywhere(agent) >= CONNECTIONS)
    assert agent.terminate() < 5
    assert {each.reply().status for each in waiters} == {200}
    assert not any(is_alive(pid) for pid in pids)


def test_workers_end_with_a_killed_main_process(agent):
    """When the main process is killed, its workers end by themselves."""
    pids = workers_of(agent)
    sockets = [
        Path(line.split()[-1]) for line in Path("/proc/net/unix").read_text().splitlines() if "/calls" in line
    ]
    agent.kill()
    eventually(lambda: not any(is_alive(pid) for pid in pids))
    assert sockets
    assert not any(path.exists() for path in sockets if not is_listened_at(path))


def is_listened_at(path):
    """Whether some process, perhaps of another test that runs just now, has this socket."""
    return any(line.endswith(str(path)) for line in Path("/proc/net/unix").read_text().splitlines())


def test_the_port_is_not_shared_with_another_agent(agent, tmp_path):
    """A second agent with workers does not start at the port of the first."""
    config = {"ports": {"http": int(agent.http.rpartition(":")[2])}, "workers": 1}
    (tmp_path / "second.json").write_text(json.dumps(config))
    with running_agent(tmp_path / "other") as other:
        code, said = other.fails_to_start(
            "--config-file", str(tmp_path / "second.json"), "--http-port", str(config["ports"]["http"])
        )
    assert code != 0
    assert "in use" in said


def test_a_reload_leaves_workers_as_they_are(agent):
    """SIGHUP reads the definitions again; what they come to is told by all processes."""
    pids = workers_of(agent)
    agent.configure({"service": {"name": "reloaded"}})
    agent.signal(signal.SIGHUP)
    with many_clients(agent) as clients:
        for client in clients:
            eventually(lambda client=client: client.get("/v1/catalog/service/reloaded").json)
    assert workers_of(agent) == pids

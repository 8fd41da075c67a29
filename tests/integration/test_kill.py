"""Power cuts: an agent that is killed in the middle of many writes, and started again on the same directory."""

import http.client
import random
import shutil
import sqlite3
import threading
import time

import pytest
from tests.agents import running_agent

CLIENTS = 16
ROUNDS = 6
LOAD_S = (0.1, 0.7)
"""Between these many seconds after the clients began, the agent is killed."""

SEEDS = [1, None]
"""None draws one."""


class Writer:
    """A client that registers and deregisters instances of its own, and knows what it was told.

    Attributes:
        held: the port of each instance whose registration was acknowledged last.
        ended: ids whose deregistration was acknowledged last.
        doubtful: ids whose last write was not acknowledged, with the ports that they may have now; None for gone.
    """

    def __init__(self, number, seed):
        self.number = number
        self._rng = random.Random(f"{seed}/{number}")
        self._count = 0
        self.held = {}
        self.ended = set()
        self.doubtful = {}
        self.acknowledged = 0

    def run(self, client, is_over):
        with client:
            while not is_over.is_set():
                try:
                    self._write(client)
                except (OSError, http.client.HTTPException):
                    return

    def settle(self, port_by_id):
        """Takes over what became of the writes that were not acknowledged."""
        for instance_id in self.doubtful:
            self.held.pop(instance_id, None)
            self.ended.discard(instance_id)
            if instance_id in port_by_id:
                self.held[instance_id] = port_by_id[instance_id]
            else:
                self.ended.add(instance_id)
        self.doubtful.clear()

    def _write(self, client):
        roll = self._rng.random()
        if roll < 0.3 and self.held:
            self._deregister(client, self._rng.choice(sorted(self.held)))
        elif roll < 0.5 and self.held:
            self._register(client, self._rng.choice(sorted(self.held)))
        elif roll < 0.6 and self.ended:
            self._register(client, self._rng.choice(sorted(self.ended)))
        else:
            self._count += 1
            self._register(client, f"w{self.number}-{self._count}")

    def _register(self, client, instance_id):
        port = self._rng.randrange(1, 65536)
        checks = [{"CheckID": f"{instance_id}:{letter}", "TTL": "1h"} for letter in "ab"]
        body = {"Name": f"web-{self.number}", "ID": instance_id, "Port": port, "Checks": checks}
        self.doubtful[instance_id] = {self.held.get(instance_id), port}
        assert client.put("/v1/agent/service/register", body).status == 200
        self._acknowledge(instance_id)
        self.held[instance_id] = port
        self.ended.discard(instance_id)

    def _deregister(self, client, instance_id):
        self.doubtful[instance_id] = {self.held[instance_id], None}
        assert client.put(f"/v1/agent/service/deregister/{instance_id}").status == 200
        self._acknowledge(instance_id)
        del self.held[instance_id]
        self.ended.add(instance_id)

    def _acknowledge(self, instance_id):
        del self.doubtful[instance_id]
        self.acknowledged += 1


class Observer:
    """A client that looks at the index all the time."""

    def __init__(self):
        self.index = 0

    def run(self, client, is_over):
        views = ("/v1/catalog/nodes", "/v1/catalog/services", "/v1/health/state/any?near=n1")
        with client:
            while not is_over.wait(0.01):
                try:
                    index = max(client.get(view).index for view in views)
                except (OSError, http.client.HTTPException):
                    return
                assert index >= self.index
                self.index = index


def check_integrity(data_dir, copy):
    """The database, as the killed agent left it, is sound to SQLite."""
    shutil.copytree(data_dir, copy)
    (path,) = copy.glob("*.db")
    connection = sqlite3.connect(path)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


def check_state(agent, writers):
    """What the agent holds is what was acknowledged, and whole."""
    services = agent.get("/v1/agent/services").json
    checks = agent.get("/v1/agent/checks").json
    port_by_id = {instance_id: service["Port"] for instance_id, service in services.items()}
    expected_checks = {f"{instance_id}:{letter}" for instance_id in port_by_id for letter in "ab"}
    assert set(checks) == expected_checks, "an instance has all its checks, and no check is left without one"
    for writer in writers:
        for instance_id, ports in writer.doubtful.items():
            assert port_by_id.get(instance_id) in ports, f"{instance_id} is neither as before nor as wished"
        for instance_id, port in writer.held.items():
            if instance_id not in writer.doubtful:
                assert port_by_id.get(instance_id) == port, f"{instance_id} was acknowledged with port {port}"
        back = writer.ended & set(port_by_id) - set(writer.doubtful)
        assert not back, f"{back} were deregistered, and are back"
        writer.settle(port_by_id)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_acknowledged_survives_being_killed(tmp_path, seed):
    """Killed again and again under 16 writing clients, an agent keeps exactly what it had acknowledged.

    Every acknowledged registration is there with all its checks, nothing that was deregistered comes back, the index
    never goes back, and the database is sound.
    """
    seed = seed if seed is not None else random.SystemRandom().randrange(2**32)
    print(f"seed {seed}")  # noqa: T201 - shown when the test fails
    rng = random.Random(seed)
    writers = [Writer(number, seed) for number in range(CLIENTS)]
    observer = Observer()
    with running_agent(tmp_path / "agent", keeps_data=True) as agent:
        for number in range(ROUNDS):
            is_over = threading.Event()
            threads = [
                threading.Thread(target=each.run, args=(agent.client(timeout_s=20), is_over))
                for each in (*writers, observer)
            ]
            for thread in threads:
                thread.start()
            time.sleep(rng.uniform(*LOAD_S))
            agent.kill()
            is_over.set()
            for thread in threads:
                thread.join()
            check_integrity(agent.data_dir, tmp_path / f"copy-{number}")
            agent.start()
            check_state(agent, writers)
            assert agent.index() >= observer.index, "the index went back"
            observer.index = agent.index()
        assert sum(writer.acknowledged for writer in writers) > 100 * ROUNDS, (
            "too little was written to prove anything"
        )
        assert any(writer.ended for writer in writers)
        agent.terminate()
        check_integrity(agent.data_dir, tmp_path / "copy")

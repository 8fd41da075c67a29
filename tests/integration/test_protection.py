"""Mass losses that are not believed, over a real agent: what people see of them, and how they end."""

import contextlib
import os
import socket
import subprocess
import threading

import pytest
from tests.agents import PROGRAM, eventually, running_agent

from regista.health.dialling import TcpVerifier

PATH = "/v1/regista/health/protection"


@contextlib.contextmanager
def beating(agent, ids):
    """Has the instances renewed all the time, until the end of the block."""
    over = threading.Event()

    def beat():
        with agent.client() as client:
            while not over.wait(0.3):
                for each in ids:
                    client.put(f"/v1/agent/service/renew/{each}")

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def fleet(folder, *, ttl="2s", count=12, **health):
    """An agent with so many instances, of which the first has an open port; and the ids."""
    with (
        running_agent(folder, config={"health": health}) as agent,
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket() as unused,
    ):
        unused.bind(("127.0.0.1", 0))
        ids = [f"web-{number:02}" for number in range(count)]
        for each in ids:
            port = (server if each == ids[0] else unused).getsockname()[1]
            agent.register(Name="web", ID=each, Address="127.0.0.1", Port=port, TTL=ttl)
        yield agent, ids


def run(agent, *words):
    """What a command prints, which must succeed."""
    environ = {**os.environ, "REGISTA_HTTP_ADDR": agent.http}
    done = subprocess.run([PROGRAM, *words], capture_output=True, text=True, timeout=30, check=True, env=environ)
    return done.stdout


def ids_in(agent):
    return {row["ServiceID"] for row in agent.get("/v1/catalog/service/web").json}


def told(agent):
    return agent.get(PATH).json


def test_mass_loss_is_held_told_and_verified(tmp_path):
    """Eight of twelve fall silent: none goes until the time is up, everybody can read why; then closed ports go."""
    with fleet(tmp_path, protection_max="4s") as (agent, ids), beating(agent, ids[8:]):
        eventually(lambda: told(agent)["suspects_count"] == 8, within_s=10)
        found = told(agent)
        assert found["enabled"]
        of_all, of_web = found["protections"]
        assert (of_all["scope"], of_web["scope"]) == ("", "web")
        assert (of_web["held"], of_web["of"], of_web["limit"], of_web["share"]) == (8, 12, 0.15, 0.6667)
        assert of_web["since"] < of_web["until"]
        assert "8 of 12 instances of service web (67%) are silent and kept since" in of_web["sentence"]
        assert of_web["command"] == "regista health protection off"
        assert {row["id"] for row in found["suspects"]} == set(ids[:8])
        assert agent.get("/v1/regista/health/summary").json["protections"][1]["held"] == 8
        explained = agent.get(f"/v1/regista/explain/instance/{ids[1]}").json
        assert any("It was not renewed for 2s, but it is kept: since" in line for line in explained["chain"])
        assert explained["instance"]["suspect"] in explained["chain"]
        printed = run(agent, "health", "protection", "show")
        assert "8 of 12 instances of service web (67%)" in printed
        assert "web-07" in printed
        metrics = agent.get("/v1/agent/metrics?format=prometheus").text
        assert "regista_protections 2" in metrics
        assert 'regista_endings{state="held"} 8' in metrics
        assert ids_in(agent) == set(ids)
        eventually(lambda: ids_in(agent) == {ids[0], *ids[8:]}, within_s=10)
        eventually(lambda: told(agent)["protections"] == [], within_s=5)
        (kept,) = told(agent)["suspects"]
        assert kept["id"] == ids[0]
        assert "its port answers" in kept["why"]
        assert "more than 15%" in agent.log()
        agent.put(f"/v1/agent/service/renew/{ids[0]}")
        assert told(agent)["suspects"] == []


def test_those_who_come_back_are_all_there(tmp_path):
    """Everybody who was silent and is heard again is there as if nothing had been, and wrote nothing."""
    with fleet(tmp_path) as (agent, ids):
        index = agent.get("/v1/catalog/service/web").index
        eventually(lambda: told(agent)["suspects_count"] == 12, within_s=10)
        with beating(agent, ids):
            eventually(lambda: told(agent)["suspects_count"] == 0, within_s=10)
            eventually(lambda: told(agent)["protections"] == [], within_s=5)
            reply = agent.get("/v1/catalog/service/web")
            assert {row["ServiceID"] for row in reply.json} == set(ids)
            assert reply.index == index


def test_operator_ends_it(tmp_path):
    """Switched off, those held go; the switch is shown, and a wrong one is refused."""
    with fleet(tmp_path) as (agent, ids), beating(agent, ids[8:]):
        eventually(lambda: told(agent)["suspects_count"] == 8, within_s=10)
        assert run(agent, "health", "protection", "off").startswith("Protection is switched off: ")
        eventually(lambda: ids_in(agent) == set(ids[8:]), within_s=10)
        assert told(agent)["enabled"] is False
        assert agent.get("/v1/regista/health/summary").json["agent"]["protection_enabled"] is False
        assert run(agent, "health", "protection", "on") == "Protection is on, and nothing is kept for it.\n"
        assert agent.put(f"{PATH}?enabled=true").json["enabled"] is True


@pytest.mark.parametrize("query", ["", "?enabled=yes", "?enabled=true&limit=-1"])
def test_wrong_switches(shared_agent, query):
    """Anything but true and false is refused, with what it may be."""
    reply = shared_agent.put(PATH + query)
    assert reply.status == 400
    assert "Invalid" in reply.text


async def test_verifier_knocks():
    """A port that takes connections answers; one that is closed does not, nor a host that can't be."""
    verifier = TcpVerifier()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert await verifier.answers("127.0.0.1", server.getsockname()[1]) is True
        assert await verifier.answers("127.0.0.1", unused.getsockname()[1]) is False
        assert await verifier.answers("no..such..name", 80) is False

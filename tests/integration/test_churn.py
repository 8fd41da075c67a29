"""Clients that connect, wait and are gone again: nothing of them stays."""

import asyncio
import itertools
import os
import socket
import struct
import time
from pathlib import Path

from tests.agents import Agent, running_agent

QUESTIONS = (
    "/v1/health/service/web?index=999999999&wait=60s",
    "/v1/health/service/web?passing&index=999999999&wait=60s",
    "/v1/kv/a/key?index=999999999&wait=60s",
    "/v1/regista/stream?service=web&passing",
    "/v1/regista/events",
)
RESET = struct.pack("ii", 1, 0)
IN_USE = (
    "http.connections_max",
    "http.waiting_max",
    "http.watchers_max",
    "streams.readers_max",
    "streams.listeners_max",
)
CYCLES = 20_000
AT_ONCE = 100


async def churn(address, count):
    """So many clients that ask, wait a moment and reset their connection, some of them at once."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    heads = itertools.cycle([f"GET {each} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for each in QUESTIONS])
    turns = iter(range(count))

    async def live():
        for _ in turns:
            with socket.socket() as opened:
                opened.setblocking(False)
                opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                await loop.sock_connect(opened, (host, int(port)))
                await loop.sock_sendall(opened, next(heads))
                await asyncio.sleep(0.001)

    await asyncio.gather(*(live() for _ in range(AT_ONCE)))


def resident_bytes(agent):
    pages = Path(f"/proc/{agent.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def in_use(agent):
    found = agent.get("/v1/regista/limits").json["limits"]
    return {each["name"]: each["used"] for each in found if each["name"] in IN_USE}


def topics(agent):
    lines = agent.get("/v1/agent/metrics?format=prometheus").text.splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("regista_catalog_topics "))


def wait_until(is_so, *, within_s):
    end_s = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def test_nothing_is_left_of_clients_that_have_gone(tmp_path):
    """After twenty thousand the memory is within 5 %; sockets are closed within a second, and nobody is waited for."""
    with running_agent(tmp_path, config={"http": {"watcher_return": "100ms"}}) as agent:
        agent.register(Name="web", ID="web-1", Port=80)
        alone = {**dict.fromkeys(IN_USE, 0), "http.connections_max": 1}
        sockets = agent.socket_count()
        asyncio.run(churn(agent.http, 4000))
        wait_until(lambda: in_use(agent) == alone, within_s=5)
        before_bytes, before_topics = resident_bytes(agent), topics(agent)
        asyncio.run(churn(agent.http, CYCLES))
        with agent.client() as last:
            # It is taken on behind all the others: now the agent knows of each that it has gone.
            assert last.get("/v1/status/leader").status == 200
        wait_until(lambda: agent.socket_count() == sockets, within_s=1)
        wait_until(lambda: in_use(agent) == alone, within_s=1)
        assert topics(agent) == before_topics
        grown = resident_bytes(agent) / before_bytes
        assert grown < 1.05, f"{grown:.3f} times as much memory"


def test_a_waiting_client_that_goes_is_forgotten_at_once(agent: Agent):
    """A query that waits for minutes does not hold its place when its client is gone."""
    host, _, port = agent.http.rpartition(":")
    sockets = agent.socket_count() if agent.get("/v1/status/leader") else 0
    clients = [socket.create_connection((host, int(port))) for _ in range(100)]
    for each in clients:
        each.sendall(b"GET /v1/kv/a?index=999999&wait=10m HTTP/1.1\r\nHost: x\r\n\r\n")
    wait_until(lambda: in_use(agent)["http.waiting_max"] == 100, within_s=5)
    for each in clients:
        each.close()
    wait_until(lambda: in_use(agent)["http.waiting_max"] == 0, within_s=1)
    wait_until(lambda: agent.socket_count() == sockets, within_s=1)

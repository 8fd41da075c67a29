"""The response cache of a real agent, as its clients see it."""

import asyncio
import contextlib
import re
import socket
import threading
import time

import pytest
from tests.agents import Client, eventually, running_agent
from tests.doors import Door, World

from regista.catalog import node_topic
from regista.model import Batch, Check, Node, Put, Service

PATH = "/v1/health/service/web"
WAITING = 1000


@contextlib.contextmanager
def filled_agent(directory, *, stall_s):
    """An agent with twenty instances, that cuts off who takes nothing of an answer for so long."""
    with running_agent(directory, config={"http": {"stream_stall": f"{stall_s}s"}}) as agent:
        for number in range(20):
            agent.register(Name="web", ID=f"w{number}", Port=80, Check={"TTL": "1h", "Status": "passing"})
        yield agent


@pytest.fixture(scope="module")
def agent(tmp_path_factory):
    with filled_agent(tmp_path_factory.mktemp("cache"), stall_s=0.5) as agent:
        yield agent


def counted(agent, name):
    text = agent.get("/v1/agent/metrics?format=prometheus").text
    return float(re.search(rf"^regista_{name} (\S+)$", text, re.MULTILINE)[1])


def raw(path, *headers, method="GET"):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *headers, "", ""]).encode()


def exchange(agent, *requests, count):
    """What is answered to these bytes on one connection, until so many answers are there."""
    host, _, port = agent.http.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as client:
        for request in requests:
            client.sendall(request)
        got, method = b"", requests[-1].partition(b" ")[0]
        while len(re.findall(rb"HTTP/1.1 \d", got)) < count or not is_whole(got, method):
            more = client.recv(1 << 20)
            if not more:
                break
            got += more
        return got


def send_for_ever(client, request):
    while True:
        client.sendall(request)


def is_whole(got, method):
    head, end, rest = got[got.rfind(b"HTTP/1.1 ") :].partition(b"\r\n\r\n")
    if method == b"HEAD":
        return bool(end)
    length = re.search(rb"Content-Length: (\d+)", head)
    return not length or len(rest) >= int(length[1])


def test_hits_are_counted_and_a_write_is_seen_at_once(agent):
    """The same request is answered from the cache from the third time on; the first after a write has the write."""
    headers = {"X-Test": "hits"}
    hits = counted(agent, "response_cache_hits_total")
    with Client(agent.http) as client:
        first = [client.get(PATH, headers) for _ in range(5)]
        assert len({reply.body for reply in first}) == 1
        assert counted(agent, "response_cache_hits_total") == hits + 3
        for port in range(81, 91):
            agent.register(Name="web", ID="w0", Port=port, Check={"TTL": "1h", "Status": "passing"})
            reply = client.get(PATH, headers)
            assert reply.json[0]["Service"]["Port"] == port
            assert reply.index > first[0].index
    assert counted(agent, "response_cache_entries") > 0
    assert counted(agent, "response_cache_bytes") > 10_000
    assert counted(agent, "response_cache_misses_total") >= 12


def test_each_way_of_asking_has_its_own_answer(agent):
    """GET, HEAD, gzip and a token in the head: each is answered as it was asked, hit or not."""
    asked = [
        raw(PATH),
        raw(PATH, method="HEAD"),
        raw(PATH, "Accept-Encoding: gzip"),
        raw(PATH, "X-Consul-Token: t"),
    ]
    for _ in range(4):
        plain, head, packed, token = (exchange(agent, each, count=1) for each in asked)
        assert head.partition(b"\r\n\r\n")[2] == b""
        assert re.search(rb"Content-Length: \d+", head)[0] in plain
        assert b"Content-Encoding: gzip" in packed
        assert len(packed) < len(plain) == len(token)


def test_a_pipeline_is_answered_in_order(agent):
    """Hits, misses and writes that are sent at once are answered one after the other."""
    known = raw("/v1/catalog/services")
    exchange(agent, known, known, known, count=3)
    sent = [known, raw(PATH, "X-Test: pipeline"), raw("/v1/nothing"), known]
    got = exchange(agent, b"".join(sent), count=4)
    assert re.findall(rb"HTTP/1.1 (\d+)", got) == [b"200", b"200", b"404", b"200"]
    got = exchange(agent, *sent, count=4)
    assert re.findall(rb"HTTP/1.1 (\d+)", got) == [b"200", b"200", b"404", b"200"]


def test_a_client_that_wants_the_connection_closed_has_it_closed(agent):
    """`Connection: close` ends the connection each time; such a head is not kept."""
    for _ in range(3):
        got = exchange(agent, raw(PATH, "Connection: close", "X-Test: close"), count=99)
        assert got.startswith(b"HTTP/1.1 200")


def test_a_head_that_is_too_long_to_be_known_is_answered(agent):
    """A head of more than is kept is answered the long way, every time; one over the limit is refused."""
    for _ in range(3):
        assert exchange(agent, raw(PATH, "X-Long: " + "a" * 4000), count=1).startswith(b"HTTP/1.1 200")
    assert b" 400 " in exchange(agent, raw(PATH, "X-Long: " + "a" * 20_000), count=1)[:20]


def test_the_busiest_clients_are_told_with_their_hits(agent):
    """A hit counts as any request, with its bytes, for the address and program that it came from."""
    with Client(agent.http) as client:
        for _ in range(20):
            size = len(client.get(PATH, {"User-Agent": "hitter"}).body)
    top = agent.get("/v1/regista/top").json
    (mine,) = [each for each in top["clients"] if each["user_agent"] == "hitter"]
    assert mine["requests"] == 20
    assert mine["bytes"] > 20 * size


def test_the_date_goes_on(agent):
    """An answer that is given for seconds has the date of each."""
    with Client(agent.http) as client:
        dates = set()
        began_s = time.monotonic()
        while len(dates) < 2 and time.monotonic() - began_s < 5:
            dates.add(client.get(PATH, {"X-Test": "date"}).headers["date"])
    assert len(dates) == 2


def test_an_answer_that_the_agents_cache_would_have_is_labelled_each_time(agent):
    """`?cached` is a miss once, then a hit, whatever else is kept."""
    with Client(agent.http) as client:
        replies = [client.get(f"{PATH}?cached&near=cached-{agent.pid}") for _ in range(4)]
    assert [reply.headers["x-cache"] for reply in replies] == ["MISS", "HIT", "HIT", "HIT"]


def test_a_client_that_stops_reading_is_held_back_and_then_cut_off(agent):
    """Hits fill no memory for a client that does not take them: it is read no more, and soon its connection ends."""
    host, _, port = agent.http.rpartition(":")
    request = raw(PATH, "X-Test: stalls")
    exchange(agent, request, request, request, count=3)
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect((host, int(port)))
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            send_for_ever(client, request)
        eventually(lambda: "took nothing of its answer" in agent.log())
        with pytest.raises(ConnectionError):
            send_for_ever(client, request)
    assert agent.get(PATH).status == 200


def test_it_can_be_switched_off(tmp_path):
    """With `--no-response-cache` nothing is kept, and all is answered."""
    with running_agent(tmp_path, arguments=("--no-response-cache",)) as agent:
        for _ in range(5):
            assert agent.get("/v1/catalog/services").status == 200
        assert counted(agent, "response_cache_entries") == counted(agent, "response_cache_hits_total") == 0
        assert counted(agent, "response_cache_misses_total") > 0


def test_a_client_that_takes_its_answers_slowly_is_not_cut_off(tmp_path):
    """Though the system's own buffer, full for longer than a client may take nothing, has the agent see no progress."""
    stall_s = 1.5
    with filled_agent(tmp_path, stall_s=stall_s) as agent, socket.socket() as client:
        host, _, port = agent.http.rpartition(":")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16 * 1024)
        client.settimeout(10)
        client.connect((host, int(port)))
        client.sendall(raw(PATH) * 1000)
        never = threading.Event()  # that it is slow is what only time can tell
        ends_s = time.monotonic() + 4 * stall_s
        while time.monotonic() < ends_s:
            assert client.recv(4 * 1024)
            assert not never.wait(0.02)
        # What the system had taken would come after that, too.
        assert f"127.0.0.1:{client.getsockname()[1]}" not in agent.log()


# ---- without sockets ----


async def test_what_is_found_by_an_id_is_not_kept_beyond_it():
    """Whose id begins so, and which instances have that id, no topic tells: such answers are made anew."""
    world = World()
    ids = [f"aaaa{number}111-0000-4000-8000-000000000000" for number in (1, 2)]
    catalog = world.catalog
    catalog.apply(
        Batch(
            1,
            0.0,
            (
                Put(Node(name="n1", id=ids[0])),
                Put(Service(node="n1", id="w1", name="web")),
                Put(Check(node="n1", id="c", name="c", service_id="w1", service_name="web")),
            ),
        )
    )
    door = await Door(world).open()
    node, checks = raw("/v1/catalog/node/aaaa"), raw("/v1/health/checks/w1")
    for request in (node, checks):
        for _ in range(3):
            assert b'"n1"' in await door.ask(request)
    topics = catalog.topics.version((node_topic("n1"), "service/web"))
    catalog.apply(
        Batch(
            2,
            0.0,
            (
                Put(Node(name="n2", id=ids[1])),
                Put(Service(node="n2", id="w1", name="api")),
                Put(Check(node="n2", id="c", name="c", service_id="w1", service_name="api")),
            ),
        )
    )
    assert topics == catalog.topics.version((node_topic("n1"), "service/web")), "none of these tells of it"
    assert (await door.ask(node)).endswith(b"null")
    assert b'"n2"' in await door.ask(checks)
    door.disconnect()
    await door.http.close(0)


async def test_all_who_wait_for_a_change_are_given_the_same_bytes():
    """One change that wakes a thousand callers makes one answer, one head, and one response of both."""
    world = World()
    world.catalog.apply(Batch(1, 0.0, (Put(Service(node="n1", id="w", name="web", port=80)),)))
    door = await Door(world, watchers_max=10).open()
    door.context.answers._waiting_max = WAITING
    transports = []
    for number in range(WAITING):
        door.connect()
        await door.settle()
        # Programs differ in what they call themselves.
        door.connection.data_received(raw(f"{PATH}?index=1", f"User-Agent: program {number % 7}"))
        transports.append((door.connection, door.transport))
    await asyncio.sleep(0)
    assert door.context.answers.waiting_count == WAITING
    encoded = door.context.answers.encoded_count
    world.catalog.apply(Batch(2, 0.0, (Put(Service(node="n1", id="w", name="web", port=81)),)))
    first = transports[0][1]
    for _ in range(20):
        await asyncio.sleep(0)
    assert b'"Port":81' in first.taken
    assert all(transport.taken is first.taken for _, transport in transports)
    assert door.context.answers.encoded_count == encoded + 1
    for connection, _ in transports:
        connection.connection_lost(None)
    await door.http.close(0)

"""Bodies that do not arrive: their sender is told so, the connection ends, and nothing is done.

With read workers the system chooses who reads a body: a process that passes it on, or the one that takes it.
"""

import re
import socket
import time

import pytest
from tests.agents import running_agent

STALL_S = 1
"""Longer than a busy machine keeps a sender from its next piece."""

RATE_MIN = 1000
CLOCK_S = 0.002
"""The agent's loop counts time in whole milliseconds, and takes them once a turn."""

CONNECTIONS = 6
"""So many of each kind, so that with workers one that passes on gets some of them."""

BIG_BYTES = 300_000
"""A worker does not read a body of this size before the main process wants it."""


@pytest.fixture(scope="module", params=[0, 2], ids=["alone", "workers"])
def agent(request, tmp_path_factory):
    """An agent with little patience, alone or with workers."""
    config = {"http": {"body_stall": f"{STALL_S}s", "body_bytes_per_s_min": RATE_MIN}}
    arguments = ("--workers", str(request.param)) if request.param else ()
    with running_agent(tmp_path_factory.mktemp("slow"), config=config, arguments=arguments) as agent:
        yield agent


class Sender:
    """A client that sends what it likes, when it likes."""

    def __init__(self, agent):
        host, _, port = agent.http.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), timeout=20)
        self.began_s = time.monotonic()

    def send(self, *parts):
        self._socket.sendall(b"".join(parts))
        return self

    def drip(self, each_s, drop):
        """Sends one drop after the other until it is answered or cut off; what it was told, to the end."""
        self._socket.settimeout(each_s)
        heard = b""
        while True:
            try:
                more = self._socket.recv(65536)
            except TimeoutError:
                self._socket.sendall(drop)
                continue
            if not more:
                return heard
            heard += more

    def is_quiet(self, for_s):
        """Whether nothing comes for so long."""
        self._socket.settimeout(for_s)
        try:
            self._socket.recv(1)
        except TimeoutError:
            return True
        else:
            return False
        finally:
            self._socket.settimeout(20)

    def end(self):
        """What it is told until the server closes."""
        heard = b""
        while more := self._socket.recv(65536):
            heard += more
        return heard

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()


def head(*lines):
    return b"\r\n".join([b"PUT /v1/kv/slow HTTP/1.1", b"Host: x", *lines, b"", b""])


HALF_BODIES = {
    "one byte of ten": (head(b"Content-Length: 10"), b"1"),
    "nothing": (head(b"Content-Length: 10"),),
    "nearly all": (head(b"Content-Length: %d" % BIG_BYTES), b"x" * (BIG_BYTES - 1)),
    "kept back": (head(b"Content-Length: 10", b"Expect: 100-continue"),),
    "a chunk": (head(b"Transfer-Encoding: chunked"), b"5\r\nhello\r\n"),
    "half a chunk": (head(b"Transfer-Encoding: chunked"), b"5\r\nhel"),
    "a chunk without its end": (head(b"Transfer-Encoding: chunked"), b"5\r\nhello\r\n0\r\n"),
}


def told(answer, limit, most):
    """Asserts that it is a refusal with that limit; the sentence."""
    _, _, answer = answer.rpartition(b"HTTP/1.1 408 ")
    assert answer.startswith(b"Request Timeout\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert b"X-Regista-Limit: %b" % limit.encode() in lines
    assert b"X-Regista-Limit-Max: %b" % most.encode() in lines
    assert b"Connection: close" in lines
    assert limit.encode() in body
    assert b"Nothing was done" in body
    return body.decode()


@pytest.mark.parametrize("case", HALF_BODIES)
def test_a_body_that_stops_is_not_waited_for(agent, case):
    """Whatever was sent of it: 408 names the setting, the connection ends, and nothing is written."""
    senders = [Sender(agent).send(*HALF_BODIES[case]) for _ in range(CONNECTIONS)]
    for sender in senders:
        with sender:
            told(sender.end(), "http.body_stall", str(STALL_S))
            assert sender.began_s + STALL_S - CLOCK_S <= time.monotonic() < sender.began_s + 10
    assert agent.get("/v1/kv/slow").status == 404


def test_a_body_that_begins_late_and_stops_is_told_of_its_stop(agent):
    """The rate counts from the first byte, so that the reason is the one that its sender can see."""
    with Sender(agent).send(head(b"Content-Length: 10")) as sender:
        assert sender.is_quiet(STALL_S / 2)
        told(sender.send(b"1").end(), "http.body_stall", str(STALL_S))


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_body_that_drips_is_not_waited_for(agent, framing):
    """A byte now and then is progress, and too little: 408 names the rate, and nothing is written."""
    is_chunked = framing == "chunked"
    begin = head(b"Transfer-Encoding: chunked" if is_chunked else b"Content-Length: 100000")
    for _ in range(3):
        with Sender(agent).send(begin) as sender:
            heard = sender.drip(STALL_S / 6, b"1\r\nx\r\n" if is_chunked else b"x")
            text = told(heard, "http.body_bytes_per_s_min", str(RATE_MIN))
            assert re.search(r"\d+ (of 100000 )?bytes came in \d+s, which is less than 1000 bytes a second", text)
            assert sender.began_s + STALL_S - CLOCK_S <= time.monotonic() < sender.began_s + 10
    assert agent.get("/v1/kv/slow").status == 404


def test_drops_of_a_chunks_own_head_are_no_progress(agent):
    """Whoever sends nothing but what stands around chunks sends no body."""
    with Sender(agent).send(head(b"Transfer-Encoding: chunked"), b"1;a=") as sender:
        told(sender.drip(STALL_S / 6, b"a"), "http.body_stall", str(STALL_S))


def test_a_slow_body_that_keeps_to_the_rate_arrives(agent):
    """It may take many times as long as it may stand still."""
    piece, count = b"x" * RATE_MIN, 18
    length = b"Content-Length: %d" % (len(piece) * count)
    with Sender(agent).send(head(length, b"Connection: close")) as sender:
        for _ in range(count - 1):
            sender.send(piece)
            assert sender.is_quiet(STALL_S / 4)
        assert sender.began_s + 4 * STALL_S <= time.monotonic()
        answer = sender.send(piece).end()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert agent.get("/v1/kv/slow?raw").body == piece * count
    assert agent.delete("/v1/kv/slow").status == 200


@pytest.mark.parametrize("workers", [0, 2])
def test_refusals_are_counted(tmp_path, workers):
    """`/v1/regista/limits` and the metrics have both settings, and how often each was the reason, wherever."""
    config = {"http": {"body_stall": f"{STALL_S}s", "body_bytes_per_s_min": RATE_MIN, "body_bytes_max": 1024}}
    arguments = ("--workers", str(workers)) if workers else ()
    with running_agent(tmp_path, config=config, arguments=arguments) as agent:
        for sender in [Sender(agent).send(*HALF_BODIES["nothing"]) for _ in range(8)]:
            with sender:
                sender.end()
        with Sender(agent).send(head(b"Content-Length: 100")) as sender:
            sender.drip(0.02, b"x")
        for _ in range(8):
            with agent.client() as client:
                assert client.put("/v1/agent/service/register", b"x" * 1025).status == 413
        found = {each["name"]: each for each in agent.get("/v1/regista/limits").json["limits"]}
        assert found["http.body_stall"] == {"name": "http.body_stall", "max": 1, "used": None, "refused": 8}
        assert found["http.body_bytes_per_s_min"]["max"] == RATE_MIN
        assert found["http.body_bytes_per_s_min"]["refused"] == 1
        assert found["http.body_bytes_max"]["refused"] == 8
        metrics = agent.get("/v1/agent/metrics?format=prometheus").text
        assert 'regista_limit_refused_total{limit="http.body_stall"} 8' in metrics

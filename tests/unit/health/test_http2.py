"""The HTTP/2 client of the probes, without sockets: bytes in, a verdict out."""

import asyncio

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import PingAckReceived, RequestReceived, StreamEnded
from hypothesis import given
from hypothesis import strategies as st
from tests.targets import PING_ANSWER, SERVING_ANSWER, frame

from regista.health.probes.grpc import Call
from regista.health.probes.h2ping import Ping
from regista.health.probes.http2 import BrokenOff, Client

TAIL = frame(6, 0, 0, b"a server's own ping"[:8]) + b"\0\0"


class Wire:
    """A transport that keeps what is written to it."""

    def __init__(self):
        self.sent = bytearray()

    def write(self, data):
        self.sent += data


def a_call(**fields):
    return Call(**{"authority": b"h:1", "scheme": b"http", "service": "", "timeout_ms": 10, **fields})


def talked(conversation, *pieces):
    """The wire and the client after these pieces were heard."""

    async def talk():
        client, wire = Client(conversation), Wire()
        client.connection_made(wire)
        for piece in pieces:
            client.data_received(piece)
        return wire, client

    return asyncio.run(talk())


def ending(client):
    """How it ended: None for well, "open" for not yet, else in which words."""
    if not client.ended.done():
        return "open"
    failure = client.ended.result()
    return failure and failure.words


def single(answer):
    return [answer[at : at + 1] for at in range(len(answer))]


@pytest.mark.parametrize(("make", "answer"), [(Ping, PING_ANSWER), (a_call, SERVING_ANSWER)])
def test_answers_are_understood_in_any_pieces(make, answer):
    """An answer is understood as a whole, byte by byte, and with more behind it, and not before its end."""
    assert ending(talked(make(), answer)[1]) is None
    assert ending(talked(make(), *single(answer))[1]) is None
    assert ending(talked(make(), answer + TAIL)[1]) is None
    assert ending(talked(make(), answer[:-1])[1]) == "open"


def test_what_is_said_is_a_call():
    """A server reads what the client sends as a call of the health service that is whole."""
    wire, _ = talked(a_call(service="a.b/C"))
    server = H2Connection(H2Configuration(client_side=False, header_encoding=None))
    events = server.receive_data(bytes(wire.sent))
    request = next(event for event in events if isinstance(event, RequestReceived))
    told = dict(request.headers)
    assert told[b":path"] == b"/grpc.health.v1.Health/Check"
    assert told[b"te"] == b"trailers"
    assert told[b"grpc-timeout"] == b"10m"
    assert any(isinstance(event, StreamEnded) for event in events)


def test_a_servers_settings_and_pings_are_acknowledged():
    """A server that waits for its settings, or a ping of its own, to be acknowledged gets what it waits for."""
    server = H2Connection(H2Configuration(client_side=False, header_encoding=None))
    server.initiate_connection()
    server.ping(b"12345678")
    wire, _ = talked(Ping(), server.data_to_send())
    events = server.receive_data(bytes(wire.sent))
    assert any(isinstance(event, PingAckReceived) and event.ping_data == b"12345678" for event in events)


def test_what_does_not_fit_breaks_off():
    """What can't be said over HTTP/2 is told as a failure, not raised as a library's error."""
    with pytest.raises(BrokenOff, match="http2: "):
        talked(a_call(service="x" * 20_000))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "http2: server gave HTTP/1.x response to HTTP/2 client"),
        (frame(4, 0, 0) * 5000, "http2: no answer within"),
        (frame(4, 0, 0) + frame(0xFA, 0, 0, b"x" * 16000) * 3, "http2: no answer within"),
        (frame(4, 0, 0) + frame(7, 0, 0, b"\0" * 7 + b"\x0bslow down"), "ErrCode=ENHANCE_YOUR_CALM"),
        (frame(4, 0, 0) + frame(7, 0, 0, b"\0" * 4 + b"\xff" * 6), "ErrCode="),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "http2: server does not speak HTTP/2"),
        (frame(0, 0, 1, b"", length=2**24 - 1), "http2: server does not speak HTTP/2"),
        (frame(4, 0, 0) + frame(0, 0, 1, b"x" * 40_000, length=2**24 - 1), "http2: "),
    ],
)
def test_bad_answers_end_it(answer, words):
    """Another protocol, a flood, a goodbye and a frame too large each end the conversation, also in small pieces."""
    for pieces in ([answer], [answer[at : at + 7] for at in range(0, len(answer), 7)]):
        assert words in ending(talked(Ping(), *pieces)[1])


def test_floods_are_cut_short():
    """Of a flood, no more is answered than the limit allows."""
    wire, _ = talked(Ping(), frame(4, 0, 0) * 7000)
    assert len(wire.sent) < 10_000


@given(
    answer=st.sampled_from([PING_ANSWER, SERVING_ANSWER]),
    at=st.integers(0, 200),
    junk=st.binary(min_size=1, max_size=40),
    is_inserted=st.booleans(),
    cut=st.integers(1, 50),
)
def test_no_bytes_raise_anything(answer, at, junk, is_inserted, cut):
    """An answer with anything in it, in any pieces, is an end, good or bad, or none; nothing is raised."""
    at = min(at, len(answer))
    spoilt = answer[:at] + junk + answer[at if is_inserted else at + len(junk) :]
    pieces = [spoilt[start : start + cut] for start in range(0, len(spoilt), cut)]
    make = Ping if answer is PING_ANSWER else a_call
    assert ending(talked(make(), *pieces)[1]) != ""


@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 255), st.integers(0, 3), st.binary(max_size=20))))
def test_no_frames_raise_anything(frames):
    """Frames of every kind, with any flags and payloads, are an end or none; nothing is raised."""
    answer = b"".join(frame(*each) for each in frames)
    assert ending(talked(a_call(), answer)[1]) != ""
    assert ending(talked(Ping(), answer)[1]) != ""

"""Messages on a stream of bytes."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.store import FramedConnection, frame
from regista.store.frames import BadFrame, Unframer


@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(1, 50))
def test_messages_come_out_whole_however_they_arrive(messages, piece):
    """Whatever pieces the bytes arrive in, the messages come out as they went in, each once it is whole."""
    stream = b"".join(frame(message) for message in messages)
    unframer = Unframer()
    found = [
        each for start in range(0, len(stream), piece) for each in unframer.feed(stream[start : start + piece])
    ]
    assert found == messages


@given(st.binary(max_size=100))
def test_a_part_is_kept_for_later(tail):
    """A message of which some is missing is not given, and comes with the rest."""
    unframer = Unframer()
    whole = frame(b"first" + tail)
    assert unframer.feed(whole[:-1]) == []
    assert unframer.feed(whole[-1:] + whole) == [b"first" + tail] * 2


def test_what_is_too_long_is_no_message():
    """A length over the limit is refused before anything is kept for it."""
    with pytest.raises(BadFrame):
        Unframer().feed(b"\xff\xff\xff\xff")


class Transport(asyncio.Transport):
    """Notes what is done to it."""

    def __init__(self):
        super().__init__()
        self.written, self.is_aborted = [], False

    def write(self, data):
        self.written.append(data)

    def abort(self):
        self.is_aborted = True


class Taker(FramedConnection[list[int]]):
    """Keeps what arrives."""

    other = "somebody"

    def __init__(self):
        super().__init__(msgspec.msgpack.Decoder(list[int]).decode)
        self.taken = []

    def take(self, message):
        self.taken.append(message)


@pytest.mark.parametrize("bad", [frame(b"x"), frame(msgspec.msgpack.encode(["one"])), b"\xff\xff\xff\xff"])
def test_who_sends_what_is_no_message_is_let_go(caplog, bad):
    """What came before it is taken, nothing after it, and the log names who it was."""
    transport, taker = Transport(), Taker()
    taker.connection_made(transport)
    good = frame(msgspec.msgpack.encode([1]))
    taker.data_received(good + good[:3])
    assert taker.taken == [[1]]
    taker.data_received(good[3:])
    taker.data_received(bad)
    assert transport.is_aborted
    assert taker.taken == [[1], [1]]
    assert "somebody sent what is no message" in caplog.text


def test_nothing_is_sent_to_who_is_gone():
    """And whoever waits to send more waits no longer."""
    transport, taker = Transport(), Taker()
    taker.connection_made(transport)
    taker.send(b"one")
    taker.pause_writing()
    taker.connection_lost(None)
    taker.send(b"two")
    assert transport.written == [b"one"]
    assert taker._room.is_set()

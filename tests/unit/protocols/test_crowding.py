"""What becomes of a connection too many, over connections that the test holds in its hand."""

import asyncio
import collections
import dataclasses

import pytest

from regista.protocols.http import HttpSettings
from regista.protocols.http.crowding import Crowd, Extra


class Room:
    """A server with room for two, and for one more for a moment."""

    def __init__(self, count, **limits):
        self.count = count
        self.refused = collections.Counter()
        settings = dataclasses.replace(HttpSettings(), connections_max=2, connections_reserve=1)
        self.crowd = Crowd(settings, self.refused, connection_count=lambda: self.count, **limits)


class Connection:
    """One too many."""

    def __init__(self, *, is_under_way=False, has_asked=False):
        self.is_under_way = lambda: is_under_way
        self.has_asked = lambda: has_asked
        self.words = []

    def end_now(self, word=b""):
        self.words.append(word)


class Transport:
    """What is written, and how it ended."""

    def __init__(self):
        self.written = b""
        self.ends = []

    def write(self, data):
        self.written += data

    def can_write_eof(self):
        return True

    def write_eof(self):
        self.ends.append("eof")

    def close(self):
        self.ends.append("close")


def test_there_is_room_then_room_for_a_moment_then_none():
    """By how many others there are."""
    crowd = Room(0).crowd
    assert [crowd.has_room(others) for others in range(4)] == [True, True, False, False]
    assert [crowd.is_full(others) for others in range(4)] == [False, False, False, True]


@pytest.mark.parametrize(
    ("load", "is_answered"),
    [
        ("dashboard", False),
        ("list", False),
        ("watch", False),
        ("read", False),
        ("registration", True),
        ("renewal", True),
        ("control", True),
    ],
)
async def test_only_what_matters_most_is_answered(load, is_answered):
    """All others are told the limit, and that the connection ends."""
    room = Room(3)
    extra = Extra(room.crowd, Connection())
    response = extra.refusal(load)
    extra.cancel()
    assert (response is None) == is_answered
    assert room.refused["http.connections_max"] == (not is_answered)
    if response is not None:
        told = dict(response.headers)
        assert (response.status, response.is_last, told["Connection"]) == (503, True, "close")
        assert (told["X-Regista-Limit-Used"], told["X-Regista-Limit-Max"]) == ("2", "2")
        assert b"2 connections are open, of 2. Try again in 5s" in response.body


async def test_it_is_one_too_many_until_another_has_gone():
    """Then it is one like others, and stays."""
    room = Room(3)
    connection = Connection()
    extra = Extra(room.crowd, connection)
    assert not extra.is_over()
    room.count = 2
    assert extra.is_over()
    extra._end()
    extra.cancel()
    assert connection.words == []


async def test_a_silent_one_is_told_why_it_ends():
    """Nobody knows what it would have asked."""
    room = Room(3)
    connection = Connection()
    extra = Extra(room.crowd, connection)
    extra._end()
    extra.cancel()
    (word,) = connection.words
    assert word.startswith(b"HTTP/1.1 503 ")
    assert (
        b"X-Regista-Limit: http.connections_max\r\nX-Regista-Limit-Used: 2\r\nX-Regista-Limit-Max: 2\r\n" in word
    )


async def test_one_that_was_answered_ends_without_a_word():
    """An idle connection may be closed at any time."""
    room = Room(3)
    connection = Connection(has_asked=True)
    extra = Extra(room.crowd, connection)
    extra._end()
    extra.cancel()
    assert connection.words == [b""]


async def test_one_that_is_being_answered_may_wait_for_it():
    """It is looked at again later."""
    room = Room(3)
    connection = Connection(is_under_way=True)
    extra = Extra(room.crowd, connection)
    extra._end()
    extra.cancel()
    assert connection.words == []


async def test_one_for_whom_there_is_no_moment_is_told_at_once():
    """It gets the time to read it; one beyond `http.refusals_max` does not."""
    room = Room(3)
    for _ in range(1000):
        room.crowd.refuse(Transport())
    last = Transport()
    room.crowd.refuse(last)
    assert last.written.startswith(b"HTTP/1.1 503 ")
    assert last.ends == ["close"]
    first = Transport()
    Room(3).crowd.refuse(first)
    assert first.ends == ["eof"]
    assert room.refused["http.connections_max"] == 1001


async def test_who_does_not_read_it_is_closed():
    """A refused client holds a file for so long at the most."""
    transport = Transport()
    aborted = asyncio.Event()
    transport.abort = aborted.set
    Room(3, refusal_s=0.0).crowd.refuse(transport)
    await aborted.wait()

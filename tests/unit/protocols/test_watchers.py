"""Watchers and barriers, over connections and questions that the test holds in its hand."""

import asyncio
import gc
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.model import Overloaded
from regista.protocols.http import Parameters, Request, Watchers
from regista.protocols.http.dispatch import no_body

LONG_S = 3600.0


class Peer:
    """A connection of a client; `closed` when it is over."""

    def __init__(self, address="10.0.0.1", port=1, program="curl"):
        self.client = (address, program)
        self.remote = f"{address}:{port}"
        self.watching = None

    def close(self):
        watching, self.watching = self.watching, None
        if watching is not None:
            watching.release()


class Room:
    """Watchers of questions whose answers the test changes; a question's topic is its key."""

    def __init__(self, **limits):
        limits = {"watchers_max": 100, "return_s": LONG_S, "barriers_max": 2, "forget_refused_s": 60.0} | limits
        self.watchers = Watchers(**limits)
        self.indexes = {}

    def index(self, key):
        return self.indexes.get(key, 1)

    def ask(self, peer, index, key="web", query="index=7&token=secret&passing"):
        """A query arrives: it waits, or there is news for it."""
        request = Request("GET", f"/v1/{key}", Parameters(query), {}, no_body, peer=peer)
        now = self.index(key)
        return self.watchers.ask(
            request,
            key,
            (key,),
            lambda: self.index(key),
            known_index=min(index, now),
            current_index=now,
        )

    def tell(self, watcher, key="web"):
        self.watchers.answered(watcher, self.index(key))

    def follow(self, peer, key="web"):
        """A client that has the answer waits for the next."""
        return self.ask(peer, self.index(key), key)

    def wait_passed(self, index, wait_s=LONG_S, topics=("web",)):
        return asyncio.ensure_future(self.watchers.wait_passed(topics, index, wait_s=wait_s))


async def settle():
    for _ in range(8):
        await asyncio.sleep(0)


async def test_a_barrier_ends_when_each_watcher_has_asked_again():
    """Being told is not enough: only who asks with the new index has taken it in."""
    room = Room()
    peers = [Peer(port=port) for port in range(3)]
    watchers = [room.follow(peer) for peer in peers]
    room.indexes["web"] = 10
    passing = room.wait_passed(10)
    for watcher in watchers:
        room.tell(watcher)
    await settle()
    assert not passing.done()
    for peer in peers:
        room.ask(peer, 10)
    passage = await passing
    assert (passage.watchers, passage.laggards, passage.is_complete) == (3, (), True)
    assert room.watchers.outcomes == {"passed": 1}


async def test_who_does_not_ask_again_is_named_at_the_deadline():
    """With its address, program, question without secrets, what it was told, and since when it is silent."""
    room = Room()
    silent, quick = Peer(port=7, program="old-client"), Peer(address="10.0.0.2")
    told = room.follow(silent)
    room.follow(quick)
    room.indexes["web"] = 10
    passing = room.wait_passed(10, wait_s=0.05)
    room.tell(told)
    room.ask(quick, 10)
    passage = await passing
    assert passage.watchers == 2
    (laggard,) = passage.laggards
    assert laggard.for_s < LONG_S
    assert (laggard.remote, laggard.user_agent, laggard.asks) == ("10.0.0.1:7", "old-client", "/v1/web?passing")
    assert (laggard.index, laggard.state) == (10, "answered")
    assert room.watchers.outcomes == {"laggards": 1}


async def test_who_follows_something_else_is_not_waited_for():
    """Neither another topic, nor an answer of the same topic that did not change."""
    room = Room()
    room.follow(Peer(), "db")
    room.follow(Peer(), "web")  # its answer's index stays at 1
    room.indexes["db"] = 10
    assert (await room.wait_passed(10)).watchers == 0


async def test_a_waiting_client_that_goes_counts_until_it_could_have_come_back():
    """Its connection is closed; whether it was restarted or only tries again is known a little later."""
    room = Room(return_s=0.02)
    peer = Peer()
    room.follow(peer)
    room.indexes["web"] = 10
    passing = room.wait_passed(10)
    await settle()
    peer.close()
    await settle()
    assert not passing.done()
    assert (await asyncio.wait_for(passing, 5)).laggards == ()
    assert room.watchers.count == 0


async def test_a_client_with_a_connection_for_each_query_is_one_watcher():
    """It comes back on another connection, and passes there."""
    room = Room()
    first, second = Peer(port=1), Peer(port=2)
    watcher = room.follow(first)
    room.indexes["web"] = 10
    passing = room.wait_passed(10)
    await settle()
    room.tell(watcher)
    first.close()
    assert room.ask(second, 10) is watcher
    assert (await passing).watchers == 1
    assert room.watchers.count == 1
    assert watcher.peer is second


async def test_a_client_with_a_pool_of_connections_is_one_watcher():
    """The same question with the index just given, on another connection of the same program, is its next one."""
    room = Room()
    first, second = Peer(port=1), Peer(port=2)
    watcher = room.follow(first)
    room.indexes["web"] = 10
    room.tell(watcher)
    assert room.ask(second, 10) is watcher
    assert (first.watching, second.watching) == (None, watcher)
    other = Peer(port=3, program="another")
    assert room.ask(other, 10) is not watcher
    assert room.watchers.count == 2


async def test_a_silent_client_is_not_taken_for_a_newcomer():
    """One who was answered long ago keeps its name when another of its program comes."""
    room = Room(return_s=-1.0)  # whatever was just now is long ago
    silent, newcomer = Peer(port=1), Peer(port=2)
    watcher = room.follow(silent)
    room.indexes["web"] = 10
    room.tell(watcher)
    assert room.ask(newcomer, 10) is not watcher
    assert room.watchers.count == 2


async def test_who_comes_with_an_old_answer_while_the_barrier_stands_is_waited_for():
    """A caller whose first blocking query falls into the wait has the old list in its hand."""
    room = Room()
    old, late = Peer(port=1), Peer(port=2, program="late")
    watcher = room.follow(old)
    room.indexes["web"] = 10
    passing = room.wait_passed(10)
    await settle()
    news = room.ask(late, 3)
    room.tell(watcher)
    room.ask(old, 10)
    await settle()
    assert not passing.done()
    room.tell(news)
    room.ask(late, 10)
    assert (await passing).watchers == 2


async def test_one_connection_may_follow_several_things():
    """One after the other, and each is a watcher of its own; they go together."""
    room = Room(return_s=-1.0)  # nobody is expected back
    peer = Peer()
    for key in ("a", "b", "c"):
        room.tell(room.follow(peer, key), key)
    again = room.follow(peer, "a")
    assert room.watchers.count == 3
    room.tell(again, "a")
    peer.close()
    await settle()
    assert room.watchers.count == 0


async def test_beyond_the_limit_a_barrier_says_that_it_does_not_know_all():
    """Those who are away make room first; then newcomers are not kept, and nobody is told that all have passed."""
    room = Room(watchers_max=2)
    gone, kept, newcomer = (Peer(address=f"10.0.0.{number}") for number in range(3))
    room.follow(gone)
    room.follow(kept)
    gone.close()
    assert room.follow(newcomer) is not None
    assert room.follow(Peer(address="10.0.0.9")) is None
    assert (room.watchers.count, room.watchers.refused_count) == (2, 1)
    assert not (await room.wait_passed(1, wait_s=0)).is_complete


async def test_a_connection_follows_only_so_many_things():
    """The one that it asked about first is forgotten, and barriers say that they do not know all."""
    room = Room()
    peer = Peer()
    for number in range(65):
        room.tell(room.follow(peer, f"key-{number}"), f"key-{number}")
    assert room.watchers.count == 64
    assert not (await room.wait_passed(1, wait_s=0, topics=("key-0",))).is_complete
    assert (await room.wait_passed(1, wait_s=0, topics=("key-1",))).watchers == 1


async def test_only_so_many_may_wait_for_the_others():
    """One more is told before anything is done."""
    room = Room(barriers_max=1)
    room.follow(Peer())
    room.indexes["web"] = 10
    room.watchers.check_room()
    passing = room.wait_passed(10)
    await settle()
    with pytest.raises(Overloaded, match=r"drain\.waiting_max"):
        room.watchers.check_room()
    passing.cancel()
    await asyncio.wait((passing,))
    room.watchers.check_room()
    assert room.watchers.outcomes == {"abandoned": 1}


async def test_without_a_wait_it_is_told_how_far_they_are():
    """At once, and it is not counted as a wait."""
    room = Room()
    room.follow(Peer())
    room.indexes["web"] = 10
    passage = await room.wait_passed(10, wait_s=0)
    assert [laggard.state for laggard in passage.laggards] == ["waiting"]
    assert not room.watchers.outcomes


STEPS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["ask", "tell", "close", "change"])), max_size=60)


@given(STEPS)
def test_nobody_has_passed_who_has_not_proved_it(steps):
    """Whatever four clients do: a barrier's laggards are those alive whose last query was of before."""

    async def play():
        room = Room()
        peers = [Peer(address=f"10.0.0.{number}") for number in range(4)]
        told, proved, watchers = [1] * 4, {}, {}
        for number, step in steps:
            if step == "change":
                room.indexes["web"] = room.index("web") + 1
            elif step == "ask":
                watchers[number] = room.ask(peers[number], told[number])
                proved[number] = told[number]
            elif step == "tell" and number in watchers:
                room.tell(watchers[number])
                told[number] = max(told[number], watchers[number].delivered_index)
            elif step == "close":
                peers[number].close()
        index = room.index("web")
        passage = await room.watchers.wait_passed(("web",), index, wait_s=0)
        lagging = {laggard.remote.partition(":")[0] for laggard in passage.laggards}
        assert lagging == {f"10.0.0.{number}" for number, known in proved.items() if known < index}
        assert passage.watchers == len(proved) == room.watchers.count

    asyncio.run(play())


async def test_a_watcher_takes_two_hundred_bytes():
    """Ten thousand that follow the same, each on its own connection."""
    room = Room(watchers_max=10_000)
    peers = [Peer(port=port) for port in range(10_000)]
    room.follow(peers[0])
    gc.collect()
    tracemalloc.start()
    try:
        for peer in peers[1:]:
            room.follow(peer)
        taken_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken_bytes / len(peers) < 200

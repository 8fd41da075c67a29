"""The stream of instances, read part by part; windows end when the test says so."""

import asyncio
import dataclasses
import gc
import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regista.catalog import Catalog, Lookup, Terms, find_available
from regista.model import Batch, Check, Delete, Node, Overloaded, Put, Service
from regista.protocols.http import Parameters, Request, Watchers
from regista.protocols.http.dispatch import no_body
from regista.protocols.native import Answering, InstanceFeed, StreamSettings

LONG_S = 60.0
WEB = Lookup("web")
PASSING_WEB = Lookup("web", passing_only=True)


class Peer:
    """A connection; `unacknowledged_bytes` of what was sent have not arrived."""

    def __init__(self):
        self.client = ("10.0.0.1", "curl")
        self.remote = "10.0.0.1:1"
        self.watching = None
        self.unacknowledged_bytes = 0


class Room:
    """A replica, a feed over it, and what was encoded."""

    def __init__(self, **limits):
        self.catalog = Catalog()
        self.watchers = Watchers(watchers_max=1000, return_s=LONG_S, barriers_max=2, forget_refused_s=LONG_S)
        self.encoded = []
        chosen = dataclasses.replace(StreamSettings(), window_s=LONG_S, heartbeat_s=LONG_S, **limits)
        answering = Answering(self.encode, lambda _topic, is_empty: "empty" if is_empty else "fresh", 0.0)
        self.feed = InstanceFeed(self.catalog, answering, chosen, watchers=self.watchers, life="f00d")
        self.commit(Put(Node(name="n1", address="10.0.0.1")))

    def encode(self, instance):
        key = instance.service.record.id
        self.encoded.append(key)
        return json.dumps(
            {"id": key, "port": instance.service.record.port, "checks": [c.record.status for c in instance.checks]}
        ).encode()

    def commit(self, *changes):
        made = []
        for change in changes:
            there = self.catalog.find(change.record.kind, change.record.key)
            if isinstance(change, Put) and there is not None:
                change = Put(change.record, there.record)  # noqa: PLW2901 - as the store does
            made.append(change)
        self.catalog.apply(Batch(self.catalog.index + 1, 0.0, tuple(made)))

    def register(self, *ids, port=80, name="web", tags=()):
        self.commit(*(Put(Service(node="n1", id=each, name=name, port=port, tags=tags)) for each in ids))

    def deregister(self, *ids):
        self.commit(*(Delete(Service(node="n1", id=each, name="web")) for each in ids))

    def judge(self, service_id, status):
        check = Check(
            node="n1", id=f"c-{service_id}", name="c", status=status, service_id=service_id, service_name="web"
        )
        self.commit(Put(check))

    def listen(self, *lookups, after=None, peer=None):
        request = Request("GET", "/v1/regista/stream", Parameters("service=web"), {}, no_body, peer=peer)
        return Reader(self.feed.listen(lookups or (WEB,), after, request))


class Reader:
    """What one client makes of its stream.

    Attributes:
        state: of each service the instances, by id, as they were told last.
        names: of the services that were told of.
        index: that of the last id; None before the first.
    """

    def __init__(self, stream):
        self.stream = stream
        self.state = {}
        self.kinds = []
        self.names = set()
        self.index = None
        self.sent_bytes = 0
        self._text = b""

    async def read(self):
        """Takes all that there is, until it would have to wait."""
        while True:
            part = asyncio.ensure_future(anext(self.stream))
            await asyncio.sleep(0)
            if not part.done():
                part.cancel()
                return self
            self.take(part.result())

    def take(self, part):
        self.sent_bytes += len(part)
        *frames, self._text = (self._text + part).split(b"\n\n")
        for frame in frames:
            fields = dict(line.split(": ", 1) for line in frame.decode().split("\n"))
            if "data" in fields:
                self.hear(fields["event"], json.loads(fields["data"]))
            if "id" in fields:
                self.index = int(fields["id"].partition(".")[0])
                assert fields["id"].endswith(".f00d")

    def hear(self, kind, told):
        self.kinds.append(kind)
        if "service" in told:
            self.names.add(told["service"])
        if kind == "full":
            self.state = {each["id"]: each for each in told["instances"]}
            assert told["answer"] == ("fresh" if told["instances"] else "empty")
        elif kind == "put":
            self.state[told["id"]] = told
        elif kind == "delete":
            self.state.pop(told["id"], None)

    @property
    def ports(self):
        return {each: told["port"] for each, told in self.state.items()}


async def test_a_reader_hears_a_list_and_then_what_changes():
    """First all instances, then each that changes, and that it is gone."""
    room = Room()
    room.register("a", "b")
    reader = await room.listen().read()
    assert (reader.kinds, reader.ports, reader.index) == (["full"], {"a": 80, "b": 80}, 2)
    room.register("b", port=81)
    room.register("c")
    room.deregister("a")
    room.feed.look()
    await reader.read()
    assert reader.kinds == ["full", "put", "put", "delete"]
    assert (reader.ports, reader.index) == ({"b": 81, "c": 80}, 5)


async def test_a_reader_is_told_of_a_service_by_the_name_that_it_gave():
    """However others spell it: whoever follows several knows by that which one a list replaces."""
    room = Room()
    room.register("a", "b")
    readers = [await room.listen(Lookup(name)).read() for name in ("WEB", "web")]
    room.deregister("a")
    room.feed.look()
    for reader in readers:
        await reader.read()
        assert reader.kinds == ["full", "delete"]
    assert [reader.names for reader in readers] == [{"WEB"}, {"web"}]


async def test_an_empty_list_is_told_too():
    """A reader of a service without instances knows that it was heard."""
    reader = await Room().listen().read()
    assert (reader.kinds, reader.state) == (["full"], {})


async def test_changes_within_a_window_are_one():
    """Of an instance that changes again and again only the last state is told."""
    room = Room()
    room.register("a")
    reader = await room.listen().read()
    for port in range(100):
        room.register("a", port=port)
    room.register("b")
    room.deregister("b")
    room.feed.look()
    await reader.read()
    assert (reader.kinds, reader.ports) == (["full", "put"], {"a": 99})


async def test_turning_critical_is_an_end_for_who_wants_passing():
    """And passing again a beginning; others hear of the check."""
    room = Room()
    room.register("a")
    fussy, other = await room.listen(PASSING_WEB).read(), await room.listen().read()
    for status in ("critical", "passing"):
        room.judge("a", status)
        room.feed.look()
        await fussy.read()
        await other.read()
    assert fussy.kinds == ["full", "delete", "put"]
    assert other.kinds == ["full", "put", "put"]
    assert other.state["a"]["checks"] == ["passing"]


async def test_a_node_change_is_told_for_all_its_instances():
    """What is shown of the node belongs to each instance."""
    room = Room()
    room.register("a", "b")
    reader = await room.listen().read()
    room.commit(Put(Node(name="n1", address="10.0.0.9")))
    room.commit(Put(Check(node="n1", id="ping", name="p", status="critical")))
    room.feed.look()
    await reader.read()
    assert reader.kinds == ["full", "put", "put"]
    assert [told["checks"] for told in reader.state.values()] == [["critical"], ["critical"]]


async def test_what_changes_is_encoded_once_for_all():
    """A thousand readers of one question cost one encoding of each changed instance."""
    room = Room()
    room.register(*"abcdefgh")
    readers = [await room.listen().read() for _ in range(1000)]
    room.encoded.clear()
    room.register("c", port=81)
    room.register("d", port=81)
    room.feed.look()
    for reader in readers:
        await reader.read()
    assert room.encoded == ["c", "d"]
    assert {json.dumps(reader.ports) for reader in readers} == {json.dumps(readers[0].ports)}


async def test_those_who_come_together_share_the_list():
    """A list that nobody has changed meanwhile is encoded once while somebody reads it."""
    room = Room()
    room.register(*(f"i{number}" for number in range(300)))
    readers = [room.listen() for _ in range(10)]
    for reader in readers:
        await reader.read()
    assert len(room.encoded) == 300
    assert all(len(reader.state) == 300 for reader in readers)


async def test_a_slow_reader_gets_the_newest_state_once():
    """However often an instance changed meanwhile."""
    room = Room()
    room.register("a")
    slow, quick = await room.listen().read(), await room.listen().read()
    for port in range(50):
        room.register("a", port=port)
        room.feed.look()
        await quick.read()
    await slow.read()
    assert (len(quick.kinds), slow.kinds) == (51, ["full", "put"])
    assert slow.ports == quick.ports == {"a": 49}


async def test_a_reader_too_far_behind_gets_the_list():
    """More instances changed than are remembered."""
    room = Room(changes_max=4)
    room.register(*"abcdefgh")
    slow = await room.listen().read()
    for each in "abcdefgh":
        room.register(each, port=81)
        room.feed.look()
    room.deregister("a")
    room.feed.look()
    await slow.read()
    assert slow.kinds == ["full", "full"]
    assert slow.ports == dict.fromkeys("bcdefgh", 81)
    assert room.feed.counts.gaps == 1


async def test_a_reader_comes_back_to_where_it_was():
    """It hears what it missed, and no list; also what was not yet looked at when it left."""
    room = Room()
    room.register("a", "b", "c")
    first = await room.listen().read()
    await first.stream.aclose()
    room.register("b", port=81)
    room.feed.look()
    room.deregister("c")
    second = room.listen(after=first.index)
    second.state = first.state
    await second.read()
    assert second.kinds == ["put"]
    room.feed.look()
    await second.read()
    assert (second.kinds, second.ports) == (["put", "delete"], {"a": 80, "b": 81})


@pytest.mark.parametrize("after", [1, 99])
async def test_an_index_that_means_nothing_here_is_a_gap(after):
    """One before all that is remembered, and one from the future."""
    room = Room()
    room.register("a")
    room.register("a", port=81)
    reader = await room.listen(after=after).read()
    assert (reader.kinds, reader.ports) == (["full"], {"a": 81})


async def test_the_index_of_a_list_from_elsewhere_will_do():
    """Nothing has changed since, though nobody has followed the service before."""
    room = Room()
    room.register("a")
    room.register("x", name="other")
    reader = await room.listen(after=2).read()
    assert (reader.kinds, reader.index) == ([], 3)


async def test_who_comes_within_a_window_has_a_list_at_its_end():
    """So that every reader's state is that of one index."""
    room = Room()
    room.register("a")
    first = await room.listen().read()
    room.register("a", port=81)
    late = await room.listen().read()
    assert (late.kinds, late.index) == ([], None)
    room.feed.look()
    await late.read()
    await first.read()
    assert (late.ports, late.index) == (first.ports, first.index)


async def test_several_services_have_one_index():
    """It is told when all that changed has been sent, not in between."""
    room = Room()
    room.register("a")
    room.register("x", name="other")
    reader = await room.listen(WEB, Lookup("other")).read()
    room.register("a", port=81)
    room.register("x", name="other", port=81)
    room.feed.look()
    part = await anext(reader.stream)
    assert b"id: " not in part
    reader.take(part)
    assert b"id: 5." in await anext(reader.stream)


async def test_a_panic_is_told():
    """Too few pass: all are given, and that it is so; and the way back."""
    room = Room()
    room.feed._answering = dataclasses.replace(room.feed._answering, threshold_default=50.0)
    room.register(*"abcd")
    reader = await room.listen(PASSING_WEB).read()
    for each in "abc":
        room.judge(each, "critical")
    room.feed.look()
    await reader.read()
    assert (sorted(reader.kinds), sorted(reader.state)) == (["full", "panic", "put", "put", "put"], list("abcd"))
    room.judge("a", "passing")
    room.feed.look()
    await reader.read()
    assert sorted(reader.state) == ["a", "d"]


async def test_silence_is_broken_by_a_bookmark():
    """It carries the index, so a reader who comes back later need not have heard a change."""
    room = Room()
    reader = await room.listen().read()
    waiting = asyncio.ensure_future(anext(reader.stream))
    await asyncio.sleep(0)
    room.commit(Put(Service(node="n1", id="x", name="other")))
    reader.stream.beat(asyncio.get_running_loop().time())
    assert await waiting == b"id: 2.f00d\n: still here\n\n"


async def test_limits_are_told():
    """One reader too many, and one question too many; a question that nobody follows makes room."""
    room = Room(readers_max=2, questions_max=1)
    first, second = room.listen(), room.listen()
    with pytest.raises(Overloaded, match=r"streams\.readers_max"):
        room.listen()
    await second.stream.aclose()
    with pytest.raises(Overloaded, match=r"streams\.questions_max"):
        room.listen(PASSING_WEB)
    await first.stream.aclose()
    await room.listen(PASSING_WEB).read()
    assert (len(room.feed), room.feed.questions_count) == (1, 1)


async def test_an_agent_that_stops_ends_the_streams():
    """Readers see the end."""
    room = Room()
    reader = await room.listen().read()
    waiting = asyncio.ensure_future(anext(reader.stream))
    await asyncio.sleep(0)
    room.feed.close()
    with pytest.raises(StopAsyncIteration):
        await waiting


async def test_a_drain_waits_until_readers_have_what_they_were_sent():
    """Written is not enough: the reader's machine must have acknowledged it."""
    room = Room()
    room.register("a")
    peer = Peer()
    reader = await room.listen(PASSING_WEB, peer=peer).read()
    peer.unacknowledged_bytes = 10_000
    room.judge("a", "critical")
    passing = asyncio.ensure_future(room.watchers.wait_passed(("service/web",), room.catalog.index, wait_s=LONG_S))
    for _ in range(4):
        await reader.read()
    assert reader.kinds == ["full", "delete"]
    assert not passing.done()
    peer.unacknowledged_bytes = 0
    reader.stream.prove()
    passage = await passing
    assert (passage.watchers, passage.laggards) == (1, ())


async def test_nothing_is_left_of_those_who_have_gone():
    """Ten thousand that come and go leave no memory behind."""
    room = Room()
    room.register("a")

    async def come_and_go(count):
        for _ in range(count):
            reader = room.listen(PASSING_WEB, peer=Peer())
            await reader.read()
            reader.stream._request.peer.watching.release()
            await reader.stream.aclose()
        for watcher in tuple(room.watchers._away):
            room.watchers._forget(watcher)

    await come_and_go(100)
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    await come_and_go(1000)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before < 20_000
    assert (len(room.feed), room.watchers.count) == (0, 0)


moves = st.lists(
    st.tuples(
        st.sampled_from(["register", "deregister", "critical", "passing", "look", "read", "return"]),
        st.sampled_from("abcdef"),
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(moves, st.sampled_from([WEB, PASSING_WEB]), st.integers(1, 6))
def test_a_reader_that_has_read_all_knows_what_a_look_up_finds(steps, lookup, changes_max):
    """Whatever happens, however slowly it reads, and wherever its connection breaks."""

    async def run():
        room = Room(changes_max=changes_max)
        reader = room.listen(lookup)
        for number, (step, which) in enumerate(steps):
            is_there = room.catalog.find("service", f"n1/{which}") is not None
            if step == "register":
                room.register(which, port=number)
            elif step == "deregister" and is_there:
                room.deregister(which)
            elif step in ("critical", "passing") and is_there:
                room.judge(which, step)
            elif step == "look":
                room.feed.look()
            elif step == "read":
                await reader.read()
            elif step == "return":
                await reader.stream.aclose()
                state, reader = reader.state, room.listen(lookup, after=reader.index)
                reader.state = state
        room.feed.look()
        await reader.read()
        found = find_available(room.catalog, "web", Terms(0.0), lookups_for=lambda _: (lookup,)).instances
        assert reader.ports == {each.service.record.id: each.service.record.port for each in found}
        waiting = asyncio.ensure_future(anext(reader.stream))
        await asyncio.sleep(0)
        reader.stream.beat(asyncio.get_running_loop().time())
        reader.take(await waiting)
        assert reader.index == room.catalog.index
        room.feed.close()

    asyncio.run(run())

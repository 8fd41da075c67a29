"""The feed of the event stream, over a log that is made up."""

import asyncio
import json
import time

import pytest

from regista.catalog import EventFilter, EventPlace
from regista.model import Batch, Compacted, KvEntry, Overloaded, Put
from regista.protocols.native.event_feed import EventFeed

ALL = EventFilter()


class Log:
    """Batches in memory, read in pieces of `piece`; those up to `floor` are gone."""

    def __init__(self, piece=256):
        self.index = 0
        self.batches = []
        self.floor = 0
        self.reads = 0
        self._piece = piece

    async def after(self, index):
        self.reads += 1
        if index < self.floor:
            raise Compacted(floor_index=self.floor)
        return [batch for batch in self.batches if batch.index > index][: self._piece]


class Registry:
    """A log with its feed."""

    def __init__(self, *, piece=256, **options):
        self.log = Log(piece)
        settings = {"streams_max": 10, "heartbeat_s": 60.0, "backlog_bytes_max": 2**20, **options}
        self.feed = EventFeed(self.log, source="/r", clock=time.perf_counter, wall_clock=lambda: 0.0, **settings)

    def write(self, *keys):
        self.log.index += 1
        batch = Batch(self.log.index, 0.0, tuple(Put(KvEntry(key=key, value=b"")) for key in keys))
        self.log.batches.append(batch)
        self.feed.push(batch)


async def settle():
    """Lets every task come to where it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


class Ear:
    """Reads a stream frame by frame."""

    def __init__(self, registry, wanted=ALL, place=None):
        self.stream = registry.feed.listen(wanted, place)
        self._text = b""

    async def frame(self):
        """The next: `(event, id, data)`, or `(None, id, comment)`."""
        while b"\n\n" not in self._text:
            self._text += await asyncio.wait_for(anext(self.stream), 2)
        frame, _, self._text = self._text.partition(b"\n\n")
        fields = dict(line.split(": ", 1) for line in frame.decode().split("\n"))
        if "event" in fields:
            return fields["event"], fields["id"], json.loads(fields["data"])
        return None, fields["id"], fields.get("")

    async def keys(self, count):
        found = []
        while len(found) < count:
            event, _, data = await self.frame()
            if event:
                found.append(data["subject"])
        return found

    async def until(self, comment):
        """The id beside the comment; events before it are forgotten."""
        while True:
            event, event_id, told = await self.frame()
            if event is None and told == comment:
                return event_id


async def test_listeners_share_what_is_made_once():
    """Each hears everything, in order; an event is encoded once for all, and not at all where nobody wants it."""
    registry = Registry()
    ears = [Ear(registry) for _ in range(5)] + [Ear(registry, EventFilter(key_prefix="b"))]
    for ear in ears:
        await ear.until("caught up")
    reading = [asyncio.create_task(ear.keys(3)) for ear in ears[:5]]
    reading.append(asyncio.create_task(ears[5].keys(1)))
    await settle()
    registry.write("a", "b")
    registry.write("c")
    *everything, some = await asyncio.gather(*reading)
    assert everything == [["a", "b", "c"]] * 5
    assert some == ["b"]
    assert (registry.feed.encoded_count, registry.feed.sent_count) == (3, 16)
    assert registry.log.reads == 0
    other = Ear(registry, EventFilter(types=frozenset(("node.updated",))))
    await other.until("caught up")
    for ear in ears:
        await ear.stream.aclose()
    registry.write("d")
    await other.stream.aclose()
    assert registry.feed.encoded_count == 3
    assert len(registry.feed) == 0


@pytest.mark.parametrize("piece", [1, 2, 256])
async def test_one_who_comes_back_reads_the_log_and_then_shares_what_comes(piece):
    """From any place, in the middle of a transaction too, nothing is missing or told twice, whatever comes between."""
    registry = Registry(piece=piece)
    registry.write("a", "b", "c")
    registry.write("d")
    for place, wanted in (
        (EventPlace(0), ["a", "b", "c", "d"]),
        (EventPlace(1, 0), ["b", "c", "d"]),
        (EventPlace(1, 2), ["d"]),
        (EventPlace(1), ["d"]),
        (EventPlace(2, 0), []),
        (EventPlace(2), []),
        (None, []),
    ):
        ear = Ear(registry, place=place)
        assert await ear.keys(len(wanted)) == wanted
        registry.write("x")
        assert await ear.keys(1) == ["x"]
        await ear.stream.aclose()
        registry.log.batches.pop()
        registry.log.index -= 1


async def test_one_who_has_heard_everything_is_told_so_once():
    """The comment comes behind what had happened when the stream began, not behind what came since."""
    registry = Registry(piece=1)
    registry.write("a")
    registry.write("b")
    ear = Ear(registry, EventFilter(key_prefix="none"), EventPlace(0))
    registry.write("c")
    assert await ear.until("caught up") == "2"
    assert ear.stream.is_open
    registry.write("none")
    assert await ear.keys(1) == ["none"]


async def test_one_who_does_not_read_falls_back_to_the_log():
    """Past the limit what is kept for the slow is dropped; those who keep up notice nothing, the slow miss nothing."""
    registry = Registry(backlog_bytes_max=2000)
    quick, slow = Ear(registry), Ear(registry)
    await quick.until("caught up")
    await slow.until("caught up")
    listening = asyncio.create_task(slow.keys(1))
    await settle()
    registry.write("first")
    assert await listening == ["first"]
    assert await quick.keys(1) == ["first"]
    reads = registry.log.reads
    numbers = [f"k{number}" for number in range(50)]
    for number in numbers:
        listening = asyncio.create_task(quick.keys(1))
        await settle()
        registry.write(number)
        assert await listening == [number]
    assert registry.log.reads == reads
    assert await slow.keys(50) == numbers
    assert registry.log.reads == reads + 1
    registry.write("last")
    assert (await slow.keys(1), await quick.keys(1)) == (["last"], ["last"])


async def test_a_gap_is_told_with_what_is_left():
    """Where the log begins later, the gap up to now is told, and where the rest is."""
    registry = Registry()
    for key in "abcd":
        registry.write(key)
    registry.log.floor = 2
    ear = Ear(registry, place=EventPlace(1))
    await ear.frame()
    event, event_id, told = await ear.frame()
    assert (event, event_id) == ("regista.reread", "4")
    assert told["data"] == {"after": 1, "index": 4, "kept_after": 2}
    assert told["specversion"] == "1.0"
    assert await ear.until("caught up") == "4"
    torn = Ear(registry, place=EventPlace(2, 0))
    await torn.frame()
    assert (await torn.frame())[2]["data"]["after"] == 1, "the rest of the transaction is missing as well"
    future = Ear(registry, place=EventPlace(99))
    await future.frame()
    assert (await future.frame())[2]["data"] == {"after": 99, "index": 4, "kept_after": None}
    registry.write("e")
    assert (await ear.keys(1), await future.keys(1)) == (["e"], ["e"])


async def test_heartbeats_carry_a_place_that_is_true():
    """One that hears nothing is told how far it has come; one that has something to read is not told past it."""
    registry = Registry(heartbeat_s=0.02)
    ear = Ear(registry, EventFilter(key_prefix="none"))
    await ear.until("caught up")
    registry.write("a")
    registry.write("b")
    while await ear.until("still here") != "2":
        pass
    registry.write("none", "other")
    event, event_id, _ = await ear.frame()
    assert (event, event_id) == ("kv.created", "3.0")


async def test_an_end_ends_every_stream():
    """Whoever listens, or comes later, sees the end; and one too many is refused before."""
    registry = Registry(streams_max=2)
    ears = [Ear(registry), Ear(registry, place=EventPlace(0))]
    with pytest.raises(Overloaded, match="listeners_max"):
        registry.feed.listen(ALL, None)
    for ear in ears:
        await ear.until("caught up")
    waiting = [asyncio.create_task(anext(ear.stream)) for ear in ears]
    await settle()
    registry.feed.close()
    for each in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(each, StopAsyncIteration)
    await ears[0].stream.aclose()
    late = registry.feed.listen(ALL, None)
    assert [part async for part in late] != []

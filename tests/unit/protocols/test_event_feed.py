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
        settings = {
            "streams_max": 30,
            "heartbeat_s": 60.0,
            "backlog_bytes_max": 2**20,
            "clock": time.perf_counter,
            **options,
        }
        self.feed = EventFeed(self.log, source="/r", wall_clock=lambda: 0.0, **settings)

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


async def test_a_place_at_the_begin_of_the_log_is_no_gap():
    """`0.0` is a place before everything, as `0` is: who gives it hears the whole log."""
    registry = Registry()
    registry.write("a")
    assert await Ear(registry, place=EventPlace(0, 0)).keys(1) == ["a"]
    assert registry.feed.reread_count == 0


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


async def turns(count):
    """Lets the loop go round so often."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_an_event_is_given_at_once_when_nothing_else_happens():
    """Each listener of an idle agent has it within a few turns of the loop, and no timer is waited for."""
    registry = Registry(clock=lambda: 0.0)
    ears = [Ear(registry) for _ in range(9)]
    for ear in ears:
        await ear.until("caught up")
    for key in ("a", "b"):
        parts = [asyncio.create_task(anext(ear.stream)) for ear in ears]
        await settle()
        registry.write(key)
        await turns(8)
        assert all(part.done() and part.result().count(b"event: ") == 1 for part in parts)


async def test_a_burst_is_given_in_few_pieces():
    """However many events come together, a listener gets them in pieces of what a connection takes at once."""
    registry = Registry()
    ears = [Ear(registry) for _ in range(3)]
    for ear in ears:
        await ear.until("caught up")
    waiting = [asyncio.create_task(anext(ear.stream)) for ear in ears]
    await settle()
    for number in range(500):
        registry.write(f"k{number}")
    for ear, first in zip(ears, waiting, strict=True):
        pieces = [await first]
        while sum(piece.count(b"event: ") for piece in pieces) < 500:
            pieces.append(await anext(ear.stream))
        sizes = [len(piece) for piece in pieces]
        assert all(65536 <= size < 65536 + 1000 for size in sizes[:-1])
        assert len(sizes) == sum(sizes) // 65536 + 1
    assert registry.log.reads == 0
    assert registry.feed.encoded_count == 500


async def test_writers_distribute_what_is_too_much():
    """What has not reached the channels is bounded, however much is written before the listeners have a turn."""
    registry = Registry(backlog_bytes_max=2**24)
    ear = Ear(registry)
    await ear.until("caught up")
    first = asyncio.create_task(ear.keys(3000))
    await settle()
    for number in range(3000):
        registry.write(f"k{number}")
    assert registry.feed.encoded_count >= 3000 - 1024
    assert await first == [f"k{number}" for number in range(3000)]
    assert registry.log.reads == 0


class SlowClock:
    """Each look at it is a while after the one before, so that a slice has room for one batch; rests end at once."""

    def __init__(self):
        self.now_s = 0.0
        loop = asyncio.get_running_loop()
        call_later = loop.call_later
        loop.call_later = lambda delay_s, *rest: call_later(delay_s if delay_s > 1 else 0, *rest)

    def __call__(self):
        self.now_s += 0.0006
        return self.now_s


async def with_first_ear(count):
    """A registry with such a clock, its first listener, and the task in which that hears so many keys."""
    registry = Registry(clock=SlowClock())
    first = Ear(registry)
    await first.until("caught up")
    hearing = asyncio.create_task(first.keys(count))
    await settle()
    return registry, first, hearing


async def test_one_who_comes_between_slices_misses_nothing():
    """Who has heard the log joins others only where they have come to the same place, whatever they listen to."""
    registry, _, everything = await with_first_ear(24)
    later, written = [], []
    for number in range(12):
        registry.write(f"a{number}")
        registry.write(f"b{number}")
        written += [f"a{number}", f"b{number}"]
        ear, other = Ear(registry), Ear(registry, EventFilter(key_prefix="b"))
        later.append((asyncio.create_task(ear.keys(2 * (11 - number) + 1)), number))
        later.append((asyncio.create_task(other.keys(11 - number + 1)), number))
        await turns(20)
    registry.write("b-last")
    assert await everything == written
    for task, number in later:
        heard = await task
        wanted = [*written[2 * number + 2 :], "b-last"]
        assert heard in (wanted, [key for key in wanted if key.startswith("b")])
    assert registry.log.reads == 0


async def test_one_who_leaves_before_joining_leaves_nothing_behind():
    """Who ends while waiting for the others' place is forgotten; who stays is not held up, nor when the others go."""
    registry, first, hearing = await with_first_ear(100)
    for number in range(60):
        registry.write(f"k{number}")
    gone, stays = Ear(registry), Ear(registry)
    waiting = [asyncio.create_task(ear.keys(2)) for ear in (gone, stays)]
    await turns(20)
    registry.write("a")
    waiting[0].cancel()
    await gone.stream.aclose()
    hearing.cancel()
    await first.stream.aclose()
    assert registry.feed.encoded_count < 60, "some are fresh when only those who wait are left"
    registry.write("b")
    assert await waiting[1] == ["a", "b"]
    await stays.stream.aclose()
    assert len(registry.feed) == 0
    encoded_count = registry.feed.encoded_count
    registry.write("c")
    await turns(20)
    assert registry.feed.encoded_count == encoded_count


async def test_a_heartbeat_tells_no_place_that_is_not_distributed_yet():
    """Whoever comes back with the place of a heartbeat has missed nothing, even in the middle of a burst."""
    registry = Registry(clock=SlowClock(), heartbeat_s=1e-6)
    ear, other = Ear(registry, EventFilter(key_prefix="wanted")), Ear(registry)
    indexes = []

    async def hear():
        while (frame := await ear.frame())[0] is None:
            indexes.append(int(frame[1]))
        return frame[1]

    hearing = [asyncio.create_task(hear()), asyncio.create_task(other.keys(32))]
    await turns(20)
    for number in range(30):
        registry.write(f"k{number}")
    registry.write("wanted")
    registry.write("last")
    assert (await asyncio.gather(*hearing))[0] == "31.0"
    assert indexes == sorted(indexes)
    assert 0 < indexes[-1] < 31


async def test_one_who_came_in_a_burst_hears_that_the_stream_is_alive():
    """When the burst is distributed, whoever waited for that is with the others, even if nothing more comes."""
    registry = Registry(clock=SlowClock(), heartbeat_s=1e-6)
    first = Ear(registry)
    await first.until("caught up")
    hearing = asyncio.create_task(first.keys(30))
    await settle()
    for number in range(30):
        registry.write(f"k{number}")
    late = Ear(registry)
    assert await late.until("caught up") == "30"
    assert await late.until("still here") == "30"
    await hearing


async def test_heartbeats_are_sent_in_turns():
    """Those who hear nothing are not all told at once that the stream is alive, and none of them twice."""
    registry = Registry(streams_max=64)
    ears = [Ear(registry, EventFilter(key_prefix="none")) for _ in range(64)]
    for ear in ears:
        await ear.until("caught up")
    parts = [asyncio.create_task(anext(ear.stream)) for ear in ears]
    await settle()
    for ear in ears * 2:
        ear.stream.beat(7, before_s=asyncio.get_running_loop().time())
    await turns(3)
    assert 0 < sum(part.done() for part in parts) <= 32
    assert await asyncio.gather(*parts) == [b"id: 7\n: still here\n\n"] * 64
    registry.write("none")
    assert (await ears[0].frame())[0] == "kv.created"


async def test_the_slow_cost_those_nothing_whose_turn_is_still_to_come():
    """Past the limit in the middle of a round nothing is dropped that somebody is just being told."""
    registry = Registry(clock=SlowClock(), backlog_bytes_max=400_000)
    slow, quick = Ear(registry), Ear(registry)
    await slow.until("caught up")
    await quick.until("caught up")
    parts = []

    async def hear():
        """Takes one part after the other, as a connection does."""
        async for part in quick.stream:
            parts.append(part)  # noqa: PERF401 - each is seen when it comes

    asleep, hearing = asyncio.create_task(anext(slow.stream)), asyncio.create_task(hear())
    await settle()
    for number in range(1000):
        registry.write(f"k{number:04}")
    await asleep
    assert 0 < len(parts) < 4, "of five"
    for number in range(1000, 2500):
        registry.write(f"k{number:04}")
    registry.write("end")
    while b'"subject":"end"' not in parts[-1]:  # noqa: ASYNC110 - it is the pacer's turns that are waited for
        await asyncio.sleep(0)
    assert registry.log.reads == 0
    assert b"".join(parts).count(b"event: ") == 2501
    hearing.cancel()


@pytest.mark.parametrize(("behind", "has_read"), [(1, False), (10, True)])
async def test_what_counts_is_what_somebody_has_not_read(behind, has_read):
    """A listener that is a little behind reads on from memory however much went by; one far behind reads the log."""
    registry = Registry(backlog_bytes_max=2000)  # six events
    quick, slow = Ear(registry), Ear(registry)
    numbers = [f"k{number}" for number in range(40)]
    for ear in (quick, slow):
        await ear.until("caught up")
    heard, hearing = [], asyncio.create_task(slow.keys(1))
    for position, number in enumerate(numbers):
        told = asyncio.create_task(quick.keys(1))
        await settle()
        registry.write(number)
        assert await told == [number]
        if not position:
            heard += await hearing
        elif position > behind:
            heard += await slow.keys(1)
    heard += await slow.keys(len(numbers) - len(heard))
    assert heard == numbers
    assert (registry.log.reads > 0) == has_read


async def test_a_round_that_is_too_much_by_itself_is_read_from_the_log():
    """More at once than may be kept is kept for nobody; each reads it from the log, and misses nothing."""
    registry = Registry(backlog_bytes_max=2000)
    ears = [Ear(registry) for _ in range(2)]
    for ear in ears:
        await ear.until("caught up")
    hearing = [asyncio.create_task(ear.keys(50)) for ear in ears]
    await settle()
    numbers = [f"k{number}" for number in range(50)]
    for number in numbers:
        registry.write(number)
    assert await asyncio.gather(*hearing) == [numbers] * 2
    assert registry.log.reads == 2
    registry.write("last")
    assert [await ear.keys(1) for ear in ears] == [["last"]] * 2

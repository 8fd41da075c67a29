"""Following the log."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.model import Batch, Compacted, KvEntry, Put
from regista.store import LogTail


def batch(index: int) -> Batch:
    return Batch(index, float(index), (Put(KvEntry(key=f"k{index}")),))


class Kept:
    """A log that keeps what is above a floor."""

    def __init__(self, *indexes: int) -> None:
        self.batches = [batch(index) for index in indexes]
        self.floor_index = 0
        self.reads = 0

    async def changes(self, after_index: int, *, batches_max: int = -1) -> list[Batch]:
        self.reads += 1
        if after_index < self.floor_index:
            raise Compacted(floor_index=self.floor_index)
        found = [each for each in self.batches if each.index > after_index]
        return found if batches_max < 0 else found[:batches_max]


async def test_a_reader_waits_for_the_next_batch() -> None:
    """`after` returns with the batch that is pushed while it waits."""
    tail = LogTail(Kept(), index=4, batches_max=8)
    waiting = asyncio.create_task(tail.after(4))
    await asyncio.sleep(0)
    assert not waiting.done()
    tail.push(batch(5))
    assert [each.index for each in await waiting] == [5]


async def test_a_reader_that_is_late_reads_from_the_log() -> None:
    """What the tail no longer remembers comes from the store; what it does, does not."""
    log = Kept(1, 2, 3, 4)
    tail = LogTail(log, index=0, batches_max=2)
    for each in log.batches:
        tail.push(each)
    assert [each.index for each in await tail.after(0)] == [1, 2, 3, 4]
    assert log.reads == 1
    assert [each.index for each in await tail.after(2)] == [3, 4]
    assert log.reads == 1


async def test_a_reader_behind_the_floor_is_told() -> None:
    """Compaction is never a silent gap."""
    log = Kept(3)
    log.floor_index = 2
    tail = LogTail(log, index=3, batches_max=1)
    with pytest.raises(Compacted):
        await tail.after(1)


async def test_a_reader_that_gives_up_leaves_the_others_waiting() -> None:
    """Cancelling one reader does not disturb another."""
    tail = LogTail(Kept(), index=0, batches_max=8)
    first, second = (asyncio.create_task(tail.after(0)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    tail.push(batch(1))
    assert [each.index for each in await second] == [1]


@given(
    gaps=st.lists(st.integers(1, 3), min_size=1, max_size=30),
    remembered=st.integers(1, 8),
    start=st.integers(0, 40),
)
def test_a_reader_sees_every_batch_once_and_in_order(gaps: list[int], remembered: int, start: int) -> None:
    """From any index, reading on from the last index seen gives all later batches, whatever is remembered."""
    indexes = [sum(gaps[: count + 1]) for count in range(len(gaps))]
    log = Kept(*indexes)

    async def read() -> list[int]:
        tail = LogTail(log, index=0, batches_max=remembered)
        for each in log.batches:
            tail.push(each)
        seen: list[int] = []
        at = start
        while at < indexes[-1]:
            some = await tail.after(at)
            seen += [each.index for each in some]
            at = some[-1].index
        return seen

    assert asyncio.run(read()) == [index for index in indexes if index > start]

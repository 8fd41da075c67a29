"""The writer: writing alone, and a store that can't be written."""

import asyncio

import pytest

from regista.agent.store_state import StoreState
from regista.agent.writer import CatalogWriter
from regista.catalog import Catalog, register_node
from regista.model import Batch, Node, StoreUnavailable, Transaction, caused_by

CAUSE = caused_by("server")


class SlowStore:
    """Commits when it is told to."""

    def __init__(self, catalog):
        self.catalog = catalog
        self.may_commit = asyncio.Event()

    async def commit(self, transaction):
        await self.may_commit.wait()
        self.catalog.apply(Batch(self.catalog.index + 1, 0.0, transaction.changes))
        return self.catalog.index

    async def barrier(self):
        return self.catalog.index


def plan_of(name):
    return lambda catalog: register_node(catalog, Node(name=name))


async def test_who_writes_alone_sees_all_earlier_writes_and_holds_up_all_later_ones():
    """Its plan is made after every write under way, and those that come meanwhile are planned after it."""
    catalog = Catalog()
    store = SlowStore(catalog)
    writer = CatalogWriter(catalog, store, conflict_retries_max=3, state=StoreState(lambda: 0.0))
    seen = []

    def alone(catalog):
        seen.append(set(catalog.nodes))
        return register_node(catalog, Node(name="alone"))

    def later(catalog):
        seen.append(set(catalog.nodes))
        return Transaction()

    tasks = [asyncio.create_task(writer.write(plan_of("before"), cause=CAUSE))]
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(writer.write_alone(alone, cause=CAUSE)))
    await asyncio.sleep(0)
    tasks.append(asyncio.create_task(writer.write(later, cause=CAUSE)))
    await asyncio.sleep(0)
    assert seen == []
    store.may_commit.set()
    await asyncio.gather(*tasks)
    assert seen == [{"before"}, {"before", "alone"}]


async def test_writing_alone_ends_also_when_the_plan_fails():
    """A plan that raises leaves the way free for others."""
    catalog = Catalog()
    store = SlowStore(catalog)
    store.may_commit.set()
    writer = CatalogWriter(catalog, store, conflict_retries_max=3, state=StoreState(lambda: 0.0))

    def broken(_catalog):
        raise ZeroDivisionError

    failed = await asyncio.gather(writer.write_alone(broken, cause=CAUSE), return_exceptions=True)
    assert isinstance(failed[0], ZeroDivisionError)
    assert await writer.write(plan_of("a"), cause=CAUSE) == 1


class FailingStore(SlowStore):
    """Can't be written until it is mended."""

    def __init__(self, catalog):
        super().__init__(catalog)
        self.may_commit.set()
        self.is_mended = False
        self.proofs = asyncio.Queue()

    async def commit(self, transaction):
        self._check()
        return await super().commit(transaction)

    async def prove(self):
        self.proofs.put_nowait(None)
        self._check()

    def _check(self):
        if not self.is_mended:
            raise StoreUnavailable("the disk is full")


async def test_a_store_that_failed_is_tried_until_it_takes_writes_again():
    """After a write that the store could not make it is known that it can't, until a try of the writer's own."""
    catalog = Catalog()
    store, state = FailingStore(catalog), StoreState(lambda: 7.0)
    writer = CatalogWriter(catalog, store, conflict_retries_max=3, state=state, prove_s=0.0)
    trying = asyncio.create_task(writer.keep_trying())
    for _ in range(2):
        store.is_mended = False
        with pytest.raises(StoreUnavailable):
            await writer.write(plan_of("a"), cause=CAUSE)
        assert state.stale_s() == 0.0
        await store.proofs.get()
        assert state.has_failed
        store.is_mended = True
        await store.proofs.get()
        await asyncio.sleep(0)
        assert state.stale_s() is None
    assert state.outages == 2
    trying.cancel()
    await asyncio.gather(trying, return_exceptions=True)
    assert await writer.write(plan_of("a"), cause=CAUSE) == 1

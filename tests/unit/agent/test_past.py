"""States of the past over a real store: kept, limited, and gone with the log."""

import asyncio
import contextlib

import pytest

from regista.agent.past import PastReplicas
from regista.agent.store_state import StoreState
from regista.agent.writer import CatalogWriter
from regista.catalog import Catalog, register_node
from regista.model import BadInput, Compacted, Node, Overloaded, caused_by
from regista.protocols.native import HistorySettings
from regista.store import SqliteStore, StoreSettings


class Present:
    """A store in memory with its replica, and a clock that the test holds."""

    def __init__(self, *, retention_s, **settings):
        self.now_s = 1000.0
        self.catalog = Catalog()
        self.store = SqliteStore(None, StoreSettings(log_retention_s=retention_s), wall_clock=lambda: self.now_s)
        self.past = PastReplicas(self.catalog, self.store, HistorySettings(**settings))
        self.writer = CatalogWriter(
            self.catalog, self.store, conflict_retries_max=3, state=StoreState(lambda: 0.0)
        )

    async def write(self, address):
        await self.writer.write(
            lambda catalog: register_node(catalog, Node(name="n", address=str(address))), cause=caused_by("server")
        )
        self.now_s += 100

    async def address(self, point):
        return (await self.past.at(point)).nodes["n"].record.address


@contextlib.asynccontextmanager
async def present(*, retention_s=86400.0, **settings):
    found = Present(retention_s=retention_s, **settings)
    found.catalog.load(await found.store.open(found.catalog.apply))
    try:
        for address in range(1, 6):
            await found.write(address)
        yield found
    finally:
        await found.past.close()
        await found.store.close()


async def test_every_point_of_the_log_can_be_asked_for():
    """An index and a time within the log each give the replica of then; the present one is not touched."""
    async with present() as now:
        assert [await now.address(str(index)) for index in range(1, 6)] == ["1", "2", "3", "4", "5"]
        assert await now.address("1970-01-01T00:20:01Z") == "3"
        assert (await now.past.at("0")).nodes == {}
        assert now.catalog.nodes["n"].record.address == "5"


async def test_the_future_is_refused():
    """An index above the last one is no point of the log."""
    async with present() as now:
        with pytest.raises(BadInput, match="ends at index 5"):
            await now.past.at("6")


async def test_the_newest_replicas_are_kept():
    """A replica that was asked for is the same object again, until so many others were."""
    async with present(past_replicas_max=2) as now:
        first = await now.past.at("1")
        assert await now.past.at("1") is first
        await now.past.at("2")
        assert await now.past.at("1") is first
        await now.past.at("3")
        await now.past.at("4")
        assert await now.past.at("1") is not first


async def test_what_the_log_forgot_is_gone():
    """A point before the log's floor is refused with it, also where its replica is still kept."""
    async with present(retention_s=450.0) as now:
        await now.past.at("1")
        for address in range(6, 12):
            await now.write(address)
        assert now.store.floor_index > 1
        for point in ("1", "1970-01-01T00:16:40Z"):
            with pytest.raises(Compacted) as caught:
                await now.past.at(point)
            assert caught.value.floor_index == now.store.floor_index


async def test_too_far_back_is_refused():
    """More transactions than may be taken back are refused, with the setting's name."""
    async with present(past_batches_max=3) as now:
        assert await now.address("2") == "2"
        with pytest.raises(BadInput, match=r"history\.past_batches_max"):
            await now.past.at("1")


async def test_who_wants_the_same_shares_it():
    """Callers who ask for one point at once get one replica; a caller who goes takes it from nobody."""
    async with present() as now:
        callers = [asyncio.ensure_future(now.past.at("2")) for _ in range(3)]
        await asyncio.sleep(0)
        callers[0].cancel()
        one, other = await asyncio.gather(*callers[1:])
        assert one is other


async def test_too_many_at_once_are_told():
    """Beyond the limit on replicas that are being made, a caller is told to come back."""
    async with present(builds_max=1) as now:
        first = asyncio.ensure_future(now.past.at("1"))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match=r"history\.builds_max"):
            await now.past.at("2")
        await first
        assert await now.address("2") == "2"

"""States of the past: made from the replica and the store's log when they are asked for, and kept for a while."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections import OrderedDict

from regista.catalog import Catalog, Rewind
from regista.model import BadInput, Compacted, Overloaded, parse_point
from regista.protocols.native import HistorySettings
from regista.store import Store

_BATCHES_AT_ONCE = 256
"""What the store's writer thread reads in one go, in a few milliseconds; commits wait no longer than that."""


class PastReplicas:
    """The replica as it was at earlier points of the log.

    Replicas are made one after the other on a thread of their own, so the event loop only copies references.
    """

    def __init__(self, catalog: Catalog, store: Store, settings: HistorySettings) -> None:
        self._catalog = catalog
        self._store = store
        self._settings = settings
        self._kept: OrderedDict[int, Catalog] = OrderedDict()
        self._under_way: dict[int, asyncio.Task[Catalog]] = {}
        self._turn = asyncio.Lock()
        self._thread = concurrent.futures.ThreadPoolExecutor(1, "regista-past")

    async def at(self, point: str) -> Catalog:
        """The replica at an index, or as it was at a time; read only.

        Raises:
            BadInput: it is no point of the log, or too far back.
            Compacted: the log does not reach back that far.
            Overloaded: too many others are being made.
        """
        index = await self.index(point, field="at")
        kept = self._kept.get(index)
        if kept is not None:
            if index < self._store.floor_index:
                raise Compacted(floor_index=self._store.floor_index)
            self._kept.move_to_end(index)
            return kept
        task = self._under_way.get(index)
        if task is None:
            if len(self._under_way) >= self._settings.builds_max:
                raise Overloaded(
                    "history.builds_max",
                    used=len(self._under_way),
                    most=self._settings.builds_max,
                    retry_after_s=2,
                )
            task = self._under_way[index] = asyncio.create_task(self._make(index))
            task.add_done_callback(lambda _: self._under_way.pop(index))
        # Others may want it too, so a caller that goes does not end it.
        return await asyncio.shield(task)

    @property
    def builds_count(self) -> int:
        """How many states are being made, or wait for their turn."""
        return len(self._under_way)

    async def index(self, point: str, *, field: str) -> int:
        """The index that a parameter means: itself, or that of the last transaction at a time.

        Raises:
            BadInput: it is neither, or in the future.
            Compacted: the log has nothing so old.
        """
        parsed = parse_point(point, field=field)
        index = await self._store.index_at(parsed) if isinstance(parsed, float) else parsed
        if index > self._catalog.index:
            raise BadInput(f"Invalid {field}: the log ends at index {self._catalog.index}", field=field)
        return index

    async def close(self) -> None:
        """Ends what is being made."""
        for task in list(self._under_way.values()):
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)
        self._thread.shutdown(wait=True, cancel_futures=True)

    async def _make(self, index: int) -> Catalog:
        async with self._turn:
            rewind = Rewind(index)
            # In one go, so that they fit: the entries, and where the log ended when they were true.
            entries, end_index = self._catalog.entries(), self._catalog.index
            await self._take_back(rewind, index, end_index)
            loop = asyncio.get_running_loop()
            past = await loop.run_in_executor(self._thread, rewind.replica, entries)
        self._kept[index] = past
        while len(self._kept) > self._settings.past_replicas_max:
            self._kept.popitem(last=False)
        return past

    async def _take_back(self, rewind: Rewind, index: int, end_index: int) -> None:
        most = self._settings.past_batches_max
        count = 0
        while index < end_index:
            batches = await self._store.changes(index, batches_max=_BATCHES_AT_ONCE)
            count += len(batches)
            if count > most:
                raise BadInput(
                    f"Invalid at: more than {most} transactions lie between then and now. Ask for a later time, "
                    "or raise history.past_batches_max in the agent's configuration.",
                    field="at",
                )
            for batch in batches:
                if batch.index <= end_index:
                    rewind.note(batch)
            if not batches:
                return
            index = batches[-1].index

"""Following the log: every batch after an index, first as the store kept them, then as they are committed.

Any number of readers share one short memory of the latest batches and keep nothing but the index they have come
to. A reader that is slower than the log reads what it missed from the store, in pieces, and holds up nobody; one
that falls behind what the store still keeps is told so.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from regista.model import Batch

_PIECE_BATCHES = 256
"""What the store reads in one go, in a few milliseconds; commits wait no longer than that."""


class Log(Protocol):
    """What of a store is read."""

    async def changes(self, after_index: int, *, batches_max: int = -1) -> Sequence[Batch]:
        """See `Store.changes`."""


class LogTail:
    """The latest batches, and who waits for the next.

    Args:
        log: where older ones are.
        index: of the last batch before those that `push` will bring.
        batches_max: how many are remembered.

    Attributes:
        index: of the last batch.
    """

    def __init__(self, log: Log, *, index: int, batches_max: int) -> None:
        self.index = index
        self._log = log
        self._latest: deque[Batch] = deque()
        # Every batch after this index is remembered.
        self._floor_index = index
        self._batches_max = batches_max
        # There only while somebody waits for it.
        self._arrived: asyncio.Event | None = None

    def push(self, batch: Batch) -> None:
        """Takes the next batch; to be called for each, in order, on the loop's thread."""
        assert batch.index > self.index, "batches come in order"
        self.index = batch.index
        self._latest.append(batch)
        if len(self._latest) > self._batches_max:
            self._floor_index = self._latest.popleft().index
        if self._arrived is not None:
            self._arrived.set()
            self._arrived = None

    async def after(self, index: int) -> Sequence[Batch]:
        """The next batches after an index, at least one, once there is one; a piece of them if there are many.

        Raises:
            Compacted: the log does not reach back that far.
            StoreUnavailable: it can't be read just now.
        """
        while self.index <= index:
            if self._arrived is None:
                self._arrived = asyncio.Event()
            await self._arrived.wait()
        if index < self._floor_index:
            return await self._log.changes(index, batches_max=_PIECE_BATCHES)
        return self._remembered(index)

    def _remembered(self, index: int) -> Sequence[Batch]:
        found: list[Batch] = []
        for batch in reversed(self._latest):
            if batch.index <= index:
                break
            found.append(batch)
        found.reverse()
        return found[:_PIECE_BATCHES]

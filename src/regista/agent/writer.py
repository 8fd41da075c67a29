"""Where every write goes: a plan, committed on what it was planned on, or planned again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from regista.catalog import Catalog, stamped
from regista.model import Cause, Conflict, Contended, Transaction
from regista.store import Store

Plan = Callable[[Catalog], Transaction]


class CatalogWriter:
    """Joins the replica, on which plans are made, to the store, which judges them."""

    def __init__(self, catalog: Catalog, store: Store, *, conflict_retries_max: int) -> None:
        self._catalog = catalog
        self._store = store
        self._conflict_retries_max = conflict_retries_max
        self._under_way = 0
        self._none_under_way = asyncio.Event()
        self._none_under_way.set()
        # While somebody writes alone, those who wait until that is over do so here.
        self._alone_ends: asyncio.Event | None = None

    async def write(self, plan: Plan, *, cause: Cause) -> int:
        """The index at which what `plan` wants is true; nothing is written if it is so already.

        Args:
            cause: who wants it, and why.

        Raises:
            Contended: others kept changing the same records.
            CallerError: what the plan raises.
            StateError, StoreError: what the store raises.
        """
        while self._alone_ends is not None:
            await self._alone_ends.wait()
        self._under_way += 1
        self._none_under_way.clear()
        try:
            return await self._write(plan, cause)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._none_under_way.set()

    async def write_alone(self, plan: Plan, *, cause: Cause) -> int:
        """As `write`, with no write of others between plan and commit: later ones wait until it is done.

        For plans that rest on all records, a new one included, which no condition could name.
        """
        while self._alone_ends is not None:
            await self._alone_ends.wait()
        self._alone_ends = asyncio.Event()
        try:
            await self._none_under_way.wait()
            # Somebody whose caller has gone no longer counts, but what was wanted may be on its way.
            await self._store.barrier()
            return await self._write(plan, cause)
        finally:
            self._alone_ends.set()
            self._alone_ends = None

    async def _write(self, plan: Plan, cause: Cause) -> int:
        for _ in range(self._conflict_retries_max):
            transaction = plan(self._catalog)
            if not transaction.changes:
                return self._catalog.index
            try:
                return await self._store.commit(stamped(transaction, cause))
            except Conflict:
                # The replica has applied what stood in the way before the store said so: plan on that.
                continue
        raise Contended(
            "others keep changing the same records; nothing was written. Try again, or raise "
            "registry.conflict_retries_max in the agent's configuration."
        )

    async def barrier(self) -> int:
        """An index at or above every write acknowledged anywhere before; the replica has it."""
        return await self._store.barrier()

"""Where every write goes: a plan, committed on what it was planned on, or planned again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from regista.agent.store_state import StoreState
from regista.catalog import Catalog, stamped
from regista.model import Cause, Conflict, Contended, StoreUnavailable, Transaction
from regista.store import Store

Plan = Callable[[Catalog], Transaction]

_PROVE_S = 1.0
"""Between two tries of a store that can't be written."""


class CatalogWriter:
    """Joins the replica, on which plans are made, to the store, which judges them.

    Args:
        state: is told how the writes come out.
        prove_s: between two tries of a store that can't be written.
    """

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        *,
        conflict_retries_max: int,
        state: StoreState,
        prove_s: float = _PROVE_S,
    ) -> None:
        self._state = state
        self._prove_s = prove_s
        self._has_failed = asyncio.Event()
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
                return await self._commit(stamped(transaction, cause))
            except Conflict:
                # The replica has applied what stood in the way before the store said so: plan on that.
                continue
        raise Contended(
            "others keep changing the same records; nothing was written. Try again, or raise "
            "registry.conflict_retries_max in the agent's configuration."
        )

    async def _commit(self, transaction: Transaction) -> int:
        """As the store's; the state is told how it comes out."""
        self._state.begin()
        try:
            index = await self._store.commit(transaction)
        except StoreUnavailable:
            self._state.fail()
            self._has_failed.set()
            raise
        except BaseException:
            self._state.end(is_made=False)
            raise
        self._state.end(is_made=True)
        return index

    async def keep_trying(self) -> None:
        """After each write that the store could not make, tries it until it takes one; runs until cancelled."""
        while True:
            await self._has_failed.wait()
            self._has_failed.clear()
            while self._state.has_failed:
                await asyncio.sleep(self._prove_s)
                self._state.begin()
                try:
                    await self._store.prove()
                except StoreUnavailable:
                    self._state.fail()
                except BaseException:
                    self._state.end(is_made=False)
                    raise
                else:
                    self._state.end(is_made=True)

    async def barrier(self) -> int:
        """An index at or above every write acknowledged anywhere before; the replica has it."""
        return await self._store.barrier()

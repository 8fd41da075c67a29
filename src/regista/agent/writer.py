"""Where every write goes: a plan, committed on what it was planned on, or planned again."""

from __future__ import annotations

from collections.abc import Callable

from regista.catalog import Catalog
from regista.model import Conflict, Contended, Transaction
from regista.store import Store

Plan = Callable[[Catalog], Transaction]


class CatalogWriter:
    """Joins the replica, on which plans are made, to the store, which judges them."""

    def __init__(self, catalog: Catalog, store: Store, *, conflict_retries_max: int) -> None:
        self._catalog = catalog
        self._store = store
        self._conflict_retries_max = conflict_retries_max

    async def write(self, plan: Plan) -> int:
        """The index at which what `plan` wants is true; nothing is written if it is so already.

        Raises:
            Contended: others kept changing the same records.
            CallerError: what the plan raises.
            StateError, StoreError: what the store raises.
        """
        for _ in range(self._conflict_retries_max):
            transaction = plan(self._catalog)
            if not transaction.changes:
                return self._catalog.index
            try:
                return await self._store.commit(transaction)
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

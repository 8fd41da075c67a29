"""Keeping an index of some records in step with the replica."""

from __future__ import annotations

from collections.abc import Callable, Container

from regista.catalog import Catalog
from regista.model import Batch, Delete, Record


def follow_records(
    catalog: Catalog,
    kinds: Container[str],
    *,
    add: Callable[[Record], None],
    remove: Callable[[Record], None],
) -> None:
    """Has every later change of records of these kinds told: what is no longer so first, then what is."""

    def on_batch(batch: Batch) -> None:
        for change in batch.changes:
            if change.record.kind not in kinds:
                continue
            if isinstance(change, Delete):
                remove(change.record)
                continue
            if change.replaces is not None:
                remove(change.replaces)
            add(change.record)

    catalog.subscribe(on_batch)

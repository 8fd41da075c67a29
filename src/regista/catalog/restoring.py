"""Putting a saved state in the place of the present one."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from regista.catalog.drafts import Draft
from regista.catalog.replica import Catalog
from regista.model import Check, Node, Record, Service, Transaction


def restore(catalog: Catalog, saved: Iterable[Record], *, own_node: str) -> Transaction:
    """All that is saved, and nothing else, but for this server's own records, which stay as they are.

    What another server said of itself is left out, for nobody would keep it right; its node stays, as one that
    can be deregistered. Records that are as they were saved are not written. Costs O(all records).

    Args:
        own_node: the name of this server's node.
    """
    draft = Draft()
    own_key = own_node.lower()
    kept: set[tuple[str, str]] = set()
    for record in saved:
        if isinstance(record, Node) and record.manager == "server":
            wanted: Record = msgspec.structs.replace(record, manager="catalog")
        else:
            wanted = record
        if isinstance(record, Service | Check) and record.manager == "server":
            continue
        key = (wanted.kind, wanted.key)
        found = catalog.find(*key)
        if key == (Node.kind, own_key) or (found is not None and _is_servers_own(found.record)):
            continue
        kept.add(key)
        draft.put(found, wanted)
    for entry in catalog.all_entries():
        record = entry.record
        if (record.kind, record.key) not in kept and not _is_servers_own(record):
            draft.delete(entry)
    return draft.transaction()


def _is_servers_own(record: Record) -> bool:
    return isinstance(record, Node | Service | Check) and record.manager == "server"

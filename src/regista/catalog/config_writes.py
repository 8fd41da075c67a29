"""Transactions that change configuration entries; see `writes.py` for what a plan is."""

from __future__ import annotations

from regista.catalog.config_chains import Proposal, check_proposal
from regista.catalog.drafts import Draft
from regista.catalog.replica import Catalog
from regista.model import ConfigEntry, ConfigRevision, Entry, Transaction

NOT_AS_EXPECTED = None
"""What a plan returns instead of a transaction if the caller's index is not that of the entry."""


def put_config_entry(
    catalog: Catalog, wanted: ConfigEntry, *, datacenter: str, expected_index: int | None = None
) -> Transaction | None:
    """The entry as it is given; its fields are valid by themselves.

    Args:
        expected_index: only over the entry last changed then, 0 for none; None for any.

    Returns:
        The transaction, or `NOT_AS_EXPECTED`.

    Raises:
        BadInput: together with other entries it makes no sense; in Consul's words.
    """
    found = catalog.config_entries.entries.get(wanted.key)
    if not _is_expected(found, expected_index):
        return NOT_AS_EXPECTED
    if found is not None and found.record == wanted:
        return Transaction()
    draft = Draft()
    check_proposal(Proposal(catalog, wanted.entry_kind, wanted.name, wanted.fields), datacenter)
    draft.put(found, wanted)
    _note_revision(catalog, draft)
    return draft.transaction()


def delete_config_entry(
    catalog: Catalog, entry_kind: str, name: str, *, datacenter: str, expected_index: int | None = None
) -> Transaction | None:
    """The entry gone; no changes if there is none. Arguments, result and errors as in `put_config_entry`."""
    found = catalog.config_entries.find(entry_kind, name)
    if expected_index == 0 or (found is not None and not _is_expected(found, expected_index)):
        return NOT_AS_EXPECTED
    if found is None:
        return Transaction() if expected_index is None else NOT_AS_EXPECTED
    draft = Draft()
    check_proposal(Proposal(catalog, entry_kind, name, None), datacenter)
    draft.delete(found)
    _note_revision(catalog, draft)
    return draft.transaction()


def _is_expected(found: Entry[ConfigEntry] | None, expected_index: int | None) -> bool:
    return expected_index is None or expected_index == (found.modify_index if found else 0)


def _note_revision(catalog: Catalog, draft: Draft) -> None:
    """Makes this change and every other of configuration entries follow each other.

    Whether an entry makes sense depends on others that it does not name, and that may only just be written; so no
    condition on single entries would do.
    """
    found = next(iter(catalog.config_revisions.values()), None)
    draft.put(found, ConfigRevision(number=found.record.number + 1 if found else 1))

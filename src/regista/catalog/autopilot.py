"""The autopilot configuration: what it is while nobody has set it, and setting it."""

from __future__ import annotations

from regista.catalog.drafts import Draft
from regista.catalog.replica import Catalog
from regista.model import Autopilot, Entry, Transaction

_UNSET = Entry(Autopilot(), 1, 1)
"""The defaults are in force from the first transaction on."""


def autopilot(catalog: Catalog) -> Entry[Autopilot]:
    """The configuration as it is."""
    found = catalog.find(Autopilot.kind, Autopilot.kind)
    if found is None:
        return _UNSET
    assert isinstance(found.record, Autopilot)
    return Entry(found.record, found.create_index, found.modify_index)


def set_autopilot(catalog: Catalog, wanted: Autopilot, *, cas_index: int | None) -> Transaction | None:
    """The configuration as it is wanted; None where it was not last changed at `cas_index`, if one is given."""
    if cas_index is not None and autopilot(catalog).modify_index != cas_index:
        return None
    draft = Draft()
    found = catalog.find(Autopilot.kind, Autopilot.kind)
    draft.put(found, wanted)
    return draft.transaction()

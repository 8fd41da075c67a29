"""What can be done with keys, each as a step of a draft, and the plans for one step alone.

A step sees what the steps before it did. One that is refused, because another holds the lock or the index is not
the one that was named, says so by `False` and leaves the draft as it was.

Source: Consul 1.9 (behaviour): a plain write keeps the lock's holder and begins the count of locks anew.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from regista.catalog.live_drafts import LiveDraft
from regista.catalog.lock_delays import LockDelays
from regista.catalog.replica import Catalog
from regista.catalog.session_writes import find_session
from regista.model import BadInput, Entry, KvEntry, Session, Transaction

KvStep = Callable[[LiveDraft], bool]

_LOGGED_BYTES_MAX = 16 * 1024 * 1024
"""Up to here a deletion of many keys is logged with their values, so that history can show them; the text of one
change must fit into one row of the store, which has 1 GB."""


def plan_kv(catalog: Catalog, step: KvStep) -> tuple[bool, Transaction]:
    """Whether the step can be made, and the transaction that makes it."""
    draft = LiveDraft(catalog)
    is_done = step(draft)
    return is_done, draft.transaction() if is_done else Transaction()


def set_key(draft: LiveDraft, wanted: KvEntry) -> bool:
    """The key with this value and these flags; whoever holds its lock keeps it."""
    found = draft.find(KvEntry, wanted.key)
    session = found.record.session if found else ""
    draft.put(found, msgspec.structs.replace(wanted, session=session, lock_index=0))
    return True


def set_key_at(draft: LiveDraft, wanted: KvEntry, index: int) -> bool:
    """As `set_key`, if the key was last changed at `index`, or 0 and it is not there."""
    found = draft.find(KvEntry, wanted.key)
    return (found.modify_index if found else 0) == index and set_key(draft, wanted)


def acquire_key(draft: LiveDraft, wanted: KvEntry, delays: LockDelays) -> bool:
    """The key with this value, its lock held by `wanted.session`; refused if another holds it, or none may yet.

    Raises:
        BadInput: there is no such session.
    """
    if delays.is_closed(wanted.key):
        return False
    session = _require_session(draft, wanted.session)
    found = draft.find(KvEntry, wanted.key)
    lock_index = found.record.lock_index if found else 0
    if found is None or not found.record.session:
        lock_index += 1
    elif found.record.session != session.id:
        return False
    draft.put(found, msgspec.structs.replace(wanted, session=session.id, lock_index=lock_index))
    return True


def release_key(draft: LiveDraft, wanted: KvEntry) -> bool:
    """The key with this value, its lock free; refused unless `wanted.session` holds it.

    Raises:
        BadInput: no session is named.
    """
    if not wanted.session:
        raise BadInput("missing session", field="release")
    found = draft.find(KvEntry, wanted.key)
    if found is None or found.record.session != wanted.session:
        return False
    draft.put(found, msgspec.structs.replace(wanted, session="", lock_index=found.record.lock_index))
    return True


def delete_key(draft: LiveDraft, key: str) -> bool:
    """The key gone, locked or not."""
    found = draft.find(KvEntry, key)
    if found is not None:
        draft.delete(found)
    return True


def delete_key_at(draft: LiveDraft, key: str, index: int) -> bool:
    """The key gone, if it was last changed at `index`; one that is not there is gone already."""
    found = draft.find(KvEntry, key)
    if found is None:
        return True
    return found.modify_index == index and delete_key(draft, key)


def delete_keys(draft: LiveDraft, prefix: str) -> bool:
    """Every key that begins with `prefix` gone."""
    found = find_keys(draft, prefix)
    is_large = sum(len(entry.record.value) for entry in found) > _LOGGED_BYTES_MAX
    for entry in found:
        draft.delete(entry)
        if is_large:
            draft.forget_value(entry.record.key)
    return True


def find_keys(draft: LiveDraft, prefix: str) -> list[Entry[KvEntry]]:
    """Every key that begins with `prefix`, as the draft leaves it, in order."""
    keys = {entry.record.key for entry in draft.catalog.kv.below(prefix)}
    keys.update(record.key for record in draft.put_records(KvEntry) if record.key.startswith(prefix))
    found = (draft.find(KvEntry, key) for key in sorted(keys))
    return [entry for entry in found if entry is not None]


def _require_session(draft: LiveDraft, session_id: str) -> Session:
    if not session_id:
        raise BadInput("missing session", field="acquire")
    found = find_session(draft, session_id)
    if found is None:
        raise BadInput(f'invalid session "{session_id}"; create one first', field="acquire")
    return found.record

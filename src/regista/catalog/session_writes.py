"""Sessions begin and end; see `live_drafts` for what ends with them.

Source: Consul 1.9 (behaviour).
"""

from __future__ import annotations

import re

from regista.catalog.live_drafts import LiveDraft
from regista.catalog.replica import Catalog
from regista.catalog.sessions import check_keys
from regista.model import CRITICAL, BadInput, Check, Entry, Node, Session, Transaction, node_item_key

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_UUID_CHARACTERS = 36


def session_key(session_id: str) -> str:
    """The id as the replica keeps it.

    Raises:
        BadInput: no id looks like that.
    """
    if len(session_id) != _UUID_CHARACTERS:
        raise BadInput("failed session lookup: index error: UUID must be 36 characters", field="session")
    if not _UUID.fullmatch(session_id):
        raise BadInput("failed session lookup: index error: Invalid UUID", field="session")
    return session_id.lower()


def find_session(draft: LiveDraft, session_id: str) -> Entry[Session] | None:
    """The session, as the draft leaves it.

    Raises:
        BadInput: no id looks like that.
    """
    return draft.find(Session, session_key(session_id))


def create_session(catalog: Catalog, session: Session) -> Transaction:
    """A new session.

    Raises:
        BadInput: its node or a check that it needs is not there, or the check is critical.
    """
    draft = LiveDraft(catalog)
    if draft.find(Node, session.node.lower()) is None:
        raise BadInput(f'Missing node registration: there is no node "{session.node}"', field="Node")
    for check_id in session.check_ids:
        check = draft.find(Check, node_item_key(session.node, check_id))
        if check is None:
            raise BadInput(f"Missing check '{check_id}' registration on node {session.node}", field="Checks")
        if check.record.status == CRITICAL:
            raise BadInput(f"Check '{check_id}' is in critical state", field="Checks")
    draft.put(None, session)
    return draft.transaction()


def destroy_session(catalog: Catalog, key: str) -> Transaction:
    """The session ended; no changes if there is no such session."""
    found = catalog.sessions.entries.get(key)
    if found is None:
        return Transaction()
    draft = LiveDraft(catalog)
    draft.end_session(found)
    return draft.transaction()


def settle_session(catalog: Catalog, key: str) -> Transaction:
    """The session ended if what it needs is not well, and its keys free if it has ended.

    For what was written at the same moment: a session that was created while its check turned critical, a key that
    was locked while its session was ended. Each is right for what its writer saw, and only together they are not.
    """
    draft = LiveDraft(catalog)
    session = draft.find(Session, key)
    if session is None:
        # Its behaviour has gone with it. To keep what can't be made again is the safer half.
        gone = Session(id=key, node="")
        for held in tuple(catalog.kv.held.get(key, ())):
            draft.let_go(held, gone)
    elif not is_well(catalog, session.record):
        draft.end_session(session)
    return draft.transaction()


def is_well(catalog: Catalog, session: Session) -> bool:
    """Whether the node and all checks that a session needs are there, and none of them is critical."""
    if session.node.lower() not in catalog.nodes:
        return False
    checks = (catalog.checks.get(key) for key in check_keys(session))
    return all(entry is not None and entry.record.status != CRITICAL for entry in checks)

"""The shelf of sessions: by node, and by the checks that they need."""

from __future__ import annotations

from collections.abc import Iterable

from regista.catalog.shelves import Shelf
from regista.catalog.topics import SESSIONS, session_topic
from regista.model import Entry, Session, node_item_key

Sessions = dict[str, Entry[Session]]


class SessionShelf(Shelf[Session]):
    """Sessions by id, by node and by check."""

    def __init__(self) -> None:
        super().__init__()
        self.by_node: dict[str, Sessions] = {}
        self.by_check: dict[str, Sessions] = {}

    def add(self, key: str, entry: Entry[Session]) -> None:
        """Notes an entry that was just put among the records; its key is free here."""
        session = entry.record
        self.by_node.setdefault(session.node.lower(), {})[key] = entry
        for check_key in check_keys(session):
            self.by_check.setdefault(check_key, {})[key] = entry

    def remove(self, key: str, entry: Entry[Session]) -> None:
        """Drops an entry that was noted before."""
        session = entry.record
        _discard(self.by_node, session.node.lower(), key)
        for check_key in check_keys(session):
            _discard(self.by_check, check_key, key)

    def topics(self, record: Session) -> Iterable[str]:
        """The list of sessions, and the session itself."""
        return SESSIONS, session_topic(record.id)

    def has_topic(self, room: str, name: str) -> bool:
        """Whether there is a session of that id."""
        return room == "session" and name in self.entries


def check_keys(session: Session) -> set[str]:
    """The keys of the checks that a session needs."""
    return {node_item_key(session.node, check_id) for check_id in session.check_ids}


def _discard(index: dict[str, Sessions], name: str, key: str) -> None:
    members = index[name]
    del members[key]
    if not members:
        del index[name]

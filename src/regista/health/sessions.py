"""The TTLs of sessions, and what is left to settle when two writers were right each for itself.

A session that was not renewed for twice its TTL is ended. A renewal changes a deadline in memory and nothing else,
and the plan for the end looks at it once more, as for leases. Sessions of all nodes are watched, for nobody else
does.

A session ends in the transaction that takes away what it needs. But it may be created while that transaction is on
its way, and a key may be locked while its session's end is: neither write rests on the other. Whichever comes
second is noticed here, and settled by one more transaction.

Source: Consul 1.9 (behaviour): twice the TTL; a new leader gives every session a whole one.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from regista.catalog import Catalog, destroy_session, is_well, settle_session
from regista.health.counters import Counters
from regista.health.deadlines import Deadlines
from regista.health.outbox import Outbox
from regista.model import (
    Change,
    Check,
    Entry,
    KvEntry,
    Node,
    Put,
    Session,
    Transaction,
    caused_by,
    format_duration,
)

logger = logging.getLogger(__name__)

_TTLS = 2.0


class SessionWatch:
    """When each session with a TTL must have been renewed, in listening time."""

    def __init__(self, *, catalog: Catalog, outbox: Outbox, counters: Counters) -> None:
        self._catalog = catalog
        self._outbox = outbox
        self._counters = counters
        self._ttls_s: dict[str, float] = {}
        self._deadlines = Deadlines()

    def take_over(self, now_s: float) -> None:
        """Watches the sessions that there are, and settles what an earlier agent left."""
        for entry in self._catalog.sessions.entries.values():
            self._follow(entry.record, now_s)
        for session_id in self._catalog.kv.held:
            if session_id not in self._catalog.sessions.entries:
                self._settle(session_id)

    def note(self, change: Change, now_s: float) -> None:
        """Takes notice of a change that the replica has applied."""
        record = change.record
        sessions = self._catalog.sessions
        if isinstance(record, Check):
            for entry in _of(sessions.by_check, record):
                self._look_after(entry.record)
        elif isinstance(record, Node):
            for entry in _of(sessions.by_node, record):
                self._look_after(entry.record)
        elif isinstance(record, KvEntry):
            if record.session and record.session not in sessions.entries and isinstance(change, Put):
                self._settle(record.session)
        elif isinstance(record, Session):
            if isinstance(change, Put):
                self._follow(record, now_s)
            else:
                self._drop(record.id)
                if record.id in self._catalog.kv.held:
                    self._settle(record.id)

    def renew(self, key: str, now_s: float) -> None:
        """Gives the session a whole TTL again, if it has one."""
        ttl_s = self._ttls_s.get(key)
        if ttl_s is None:
            return
        if key not in self._deadlines:
            self._outbox.withdraw(_slot(key))
        self._deadlines.set(key, now_s + _TTLS * ttl_s)

    def tick(self, now_s: float) -> None:
        """Ends what was not renewed in time."""
        for key in self._deadlines.pop_due(now_s):
            self._end(key)

    def next_s(self) -> float | None:
        """When `tick` has something to do."""
        return self._deadlines.next_s()

    def _follow(self, session: Session, now_s: float) -> None:
        if session.ttl_s > 0:
            self._ttls_s[session.id] = session.ttl_s
            self.renew(session.id, now_s)
        self._look_after(session)

    def _look_after(self, session: Session) -> None:
        if not is_well(self._catalog, session):
            self._settle(session.id)

    def _drop(self, key: str) -> None:
        if self._ttls_s.pop(key, None) is not None:
            self._deadlines.drop(key)
            self._outbox.withdraw(_slot(key))

    def _end(self, key: str) -> None:
        ttl_s = self._ttls_s[key]
        self._counters.expiries["session"] += 1
        reason = f"was not renewed for {format_duration(_TTLS * ttl_s)}, twice its TTL"

        def plan(catalog: Catalog) -> Transaction:
            if key in self._deadlines:
                return Transaction()
            return destroy_session(catalog, key)

        self._outbox.want(
            _slot(key),
            plan,
            lambda: logger.info("session %s %s, and is ended", key, reason),
            cause=caused_by("expiry", source=key, reason=reason),
        )

    def _settle(self, key: str) -> None:
        self._outbox.want(
            _slot(key) + " settled",
            lambda catalog: settle_session(catalog, key),
            lambda: logger.info("session %s was settled: what it needs, or it itself, is gone", key),
            cause=caused_by("server", source=key, reason="what the session needs, or the session, is gone"),
        )


def _of(sessions: Mapping[str, Mapping[str, Entry[Session]]], record: Check | Node) -> tuple[Entry[Session], ...]:
    """The sessions that need the record; without making its key where there are none, as is usual."""
    return tuple(sessions[record.key].values()) if sessions and record.key in sessions else ()


def _slot(key: str) -> str:
    return "session " + key

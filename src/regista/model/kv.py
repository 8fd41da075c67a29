"""What the key-value store keeps: keys with their values, and the sessions that hold locks on them."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

import msgspec

SessionBehavior: TypeAlias = Literal["release", "delete"]
"""What becomes of the keys that a session holds when it ends."""

LOCK_DELAY_S = 15.0
"""How long locks stay closed behind a session that says nothing of it (Consul 1.9)."""


class KvEntry(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """A key with its value. Keys are compared as they are spelled.

    Attributes:
        flags: 64 bits, not signed, that mean something to clients only.
        lock_index: how often the key was locked; a plain write begins the count anew (Consul 1.9).
        session: the id of the session that holds the key's lock; "" for none.
    """

    kind: ClassVar[str] = "kv"

    key: str
    value: bytes = b""
    flags: int = 0
    lock_index: int = 0
    session: str = ""


class SessionCheck(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A service's check that a session needs."""

    id: str
    namespace: str = ""


class Session(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, gc=False):
    """Who holds locks, for as long as its node, its checks and its heartbeat are well. Never changed, only ended.

    Attributes:
        lock_delay_s: how long its keys can't be locked after it was ended; 0 for not at all.
        ttl: as it was given; `ttl_s` is the same in seconds, 0 for none.
        node_checks, service_checks: ids of the checks that it needs; `service_checks` is None if none were named.
        checks: ids from the field that Consul had before these two; it shows it where it is used.
    """

    kind: ClassVar[str] = "session"

    id: str
    node: str
    name: str = ""
    lock_delay_s: float = LOCK_DELAY_S
    behavior: SessionBehavior = "release"
    ttl: str = ""
    ttl_s: float = 0.0
    node_checks: tuple[str, ...] = ()
    service_checks: tuple[SessionCheck, ...] | None = None
    checks: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The record's key: the id."""
        return self.id

    @property
    def check_ids(self) -> tuple[str, ...]:
        """The ids of all checks that it needs, all of them on its node."""
        return (*self.checks, *self.node_checks, *(check.id for check in self.service_checks or ()))

"""Keys and sessions in Consul's shapes.

Source: Consul 1.9 (recorded answers).
"""

from __future__ import annotations

from typing import Any

import msgspec

from regista.model import Entry, KvEntry, Session


class KvObject(msgspec.Struct, gc=False):
    """A key, as every path shows it; JSON has its bytes in base64, and no `Session` where the lock is free."""

    LockIndex: int
    Key: str
    Flags: int
    Value: bytes | None
    Session: str | msgspec.UnsetType
    CreateIndex: int
    ModifyIndex: int


def kv_object(entry: Entry[KvEntry], *, shows_value: bool = True) -> KvObject:
    """A key with its value, which is null if it is empty or not to be shown."""
    record = entry.record
    return KvObject(
        record.lock_index,
        record.key,
        record.flags,
        (record.value or None) if shows_value else None,
        record.session or msgspec.UNSET,
        entry.create_index,
        entry.modify_index,
    )


def session_object(entry: Entry[Session]) -> dict[str, Any]:
    """A session; its lock-delay is in nanoseconds."""
    session = entry.record
    checks = session.service_checks
    found: dict[str, Any] = {
        "ID": session.id,
        "Name": session.name,
        "Node": session.node,
        "LockDelay": round(session.lock_delay_s * 1e9),
        "Behavior": session.behavior,
        "TTL": session.ttl,
        "NodeChecks": session.node_checks,
        "ServiceChecks": None
        if checks is None
        else [{"ID": check.id, "Namespace": check.namespace} for check in checks],
    }
    if session.checks:
        found["Checks"] = session.checks
    return found | {"CreateIndex": entry.create_index, "ModifyIndex": entry.modify_index}

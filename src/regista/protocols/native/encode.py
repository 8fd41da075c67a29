"""Causes, changes and instances as the native paths show them: names with underscores, times in RFC 3339."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from regista.catalog import Judged
from regista.model import (
    AlertChannel,
    Batch,
    Cause,
    Change,
    Delete,
    Record,
    Subscription,
    Tombstone,
    format_time,
    shown_channel,
    without_secrets,
)
from regista.protocols.http import Request, Response, encode_json

Json = dict[str, Any]


def json_response(request: Request, value: Any) -> Response:
    """A response with this value."""
    return Response(200, encode_json(value, pretty="pretty" in request.parameters), "application/json")


def cause_object(cause: Cause) -> Json:
    """A cause, with all its fields."""
    return {field: getattr(cause, field) for field in cause.__struct_fields__}


def moment_object(batch: Batch) -> Json:
    """When a transaction was made, and by whom."""
    return {"index": batch.index, "time": format_time(batch.at_s), "cause": cause_object(batch.cause)}


def change_object(batch: Batch, change: Change) -> Json:
    """A change with the record before and after it, as the store keeps records."""
    before = before_of(change)
    after = None if isinstance(change, Delete) else change.record
    if after is None:
        word = "deleted"
    elif before is None:
        word = "created"
    else:
        # Written again as it was, so that whoever planned on it plans again.
        word = "changed" if before != after else "renewed"
    return {
        **moment_object(batch),
        "change": word,
        "kind": change.record.kind,
        "key": change.record.key,
        "before": record_object(before),
        "after": record_object(after),
    }


def before_of(change: Change) -> Record | None:
    """What stood where the change was made."""
    return change.record if isinstance(change, Delete) else change.replaces


def record_object(record: Record | None) -> Json | None:
    """A record with those of its fields that say something, and no secrets."""
    if record is None:
        return None
    if isinstance(record, Subscription):
        record = without_secrets(record)
    elif isinstance(record, AlertChannel):
        record = shown_channel(record)
    found: Json = msgspec.to_builtins(record)
    return found


def tombstone_object(tombstone: Tombstone) -> Json:
    """The end of an incarnation."""
    return {
        "node": tombstone.node,
        "id": tombstone.id,
        "service": tombstone.name,
        "incarnation": tombstone.incarnation,
        "time": format_time(tombstone.at_s),
        "reason": tombstone.reason,
        "cause": cause_object(tombstone.cause) if tombstone.cause else None,
    }


def judged_object(judged: Judged, extra: tuple[Mapping[str, Any], ...], *, is_included: bool) -> Json:
    """An instance with what was found of it.

    Args:
        extra: further findings.
    """
    service = judged.instance.service.record
    findings = [
        {
            "parameter": finding.parameter,
            "wanted": finding.wanted,
            "holds": finding.holds,
            "because": finding.because,
        }
        for finding in judged.findings
    ]
    return {
        "node": service.node,
        "id": service.id,
        "service": service.name,
        "incarnation": service.incarnation,
        "included": is_included,
        "findings": [*findings, *extra],
    }

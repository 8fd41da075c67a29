"""What a transaction means to whoever waits for news: typed events, in the CloudEvents form.

An event is made of its batch alone, never of the replica, so a listener who resumes hears the same events as one
who was there. Those of one transaction share its index, and are in the order of its changes.

Source: CloudEvents 1.0 (attributes, JSON format).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, TypeAlias

import msgspec

from regista.model import (
    Alert,
    Batch,
    Cause,
    Check,
    ConfigEntry,
    Delete,
    KvEntry,
    Node,
    Record,
    Service,
    Status,
    format_time,
)

SCHEMAS_PATH = "/v1/regista/schemas/"
"""Where the schema of each type's data is published, by the type's name."""


class CheckStatus(msgspec.Struct, frozen=True, gc=False):
    """A check that came with its instance."""

    id: str
    status: Status


class ServiceData(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An instance as it is now, or as it was when it went.

    Attributes:
        checks: those that were written in the same transaction.
        was_service, was_tags: its service and its tags before, where an update has changed them; else left out.
    """

    service: str
    id: str
    node: str
    address: str
    port: int
    tags: tuple[str, ...]
    meta: dict[str, str]
    incarnation: str
    checks: tuple[CheckStatus, ...]
    cause: Cause
    was_service: str | None = None
    was_tags: tuple[str, ...] | None = None


class HealthData(msgspec.Struct, frozen=True, gc=False):
    """A check whose status has changed.

    Attributes:
        service, id: "" for a check of the node itself.
        status: None if the check is gone.
        was: None if the check is new.
        output: what was said when the status changed.
    """

    service: str
    id: str
    node: str
    tags: tuple[str, ...]
    check: str
    name: str
    status: Status | None
    was: Status | None
    output: str
    cause: Cause


class NodeData(msgspec.Struct, frozen=True, gc=False):
    """A node as it is now, or as it was when it went."""

    node: str
    id: str
    address: str
    meta: dict[str, str]
    cause: Cause


class KvData(msgspec.Struct, frozen=True, gc=False):
    """A key. Its value is not told, for it may be a secret, or large: read the key.

    Attributes:
        session: the session that holds its lock; "" for none.
    """

    key: str
    flags: int
    value_bytes: int
    session: str
    cause: Cause


class ConfigData(msgspec.Struct, frozen=True, gc=False):
    """A configuration entry."""

    kind: str
    name: str
    cause: Cause


class AlertData(msgspec.Struct, frozen=True, gc=False):
    """An alert that fires, or has ended.

    Attributes:
        service, node: of its labels; "" where it has none.
        since, fired_at, resolved_at: RFC 3339; the last is None while it fires.
    """

    id: str
    rule: str
    service: str
    node: str
    labels: dict[str, str]
    annotations: dict[str, str]
    value: float
    sentence: str
    since: str
    fired_at: str
    resolved_at: str | None
    cause: Cause


Data: TypeAlias = ServiceData | HealthData | NodeData | KvData | ConfigData | AlertData

EVENT_TYPES: dict[str, type[Data]] = {
    "service.registered": ServiceData,
    "service.updated": ServiceData,
    "service.deregistered": ServiceData,
    "service.health_changed": HealthData,
    "node.registered": NodeData,
    "node.updated": NodeData,
    "node.deregistered": NodeData,
    "node.health_changed": HealthData,
    "kv.created": KvData,
    "kv.updated": KvData,
    "kv.deleted": KvData,
    "config.created": ConfigData,
    "config.updated": ConfigData,
    "config.deleted": ConfigData,
    "alert.firing": AlertData,
    "alert.resolved": AlertData,
}
"""Every type of event, with the form of its data."""

_REGISTRY_WORDS = ("registered", "updated", "deregistered")
_STORE_WORDS = ("created", "updated", "deleted")


class ChangeEvent(msgspec.Struct, frozen=True, gc=False):
    """One event.

    Attributes:
        index, position: its transaction, and its place among that one's events, from 0.
        type: one of `EVENT_TYPES`.
        subject: what it is about: `service/node/id`, a node's name, a key, `kind/name`, `rule/id`.
    """

    index: int
    position: int
    at_s: float
    type: str
    subject: str
    data: Data

    @property
    def id(self) -> str:
        """Its name in this log; ids of one transaction differ after the point."""
        return f"{self.index}.{self.position}"


class _Envelope(msgspec.Struct, frozen=True, gc=False):
    """An event in the CloudEvents form, in the order in which its attributes are written."""

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: str
    dataschema: str
    data: Data


_encode = msgspec.json.Encoder().encode

_time_text = functools.lru_cache(maxsize=16)(format_time)
"""Transactions that the store writes together have one time; to make its text takes as long as all the rest."""


def change_events(batch: Batch) -> tuple[ChangeEvent, ...]:
    """The events of a transaction; none where it changed only what nobody is told of."""
    index, at_s = batch.index, batch.at_s
    return tuple(
        [
            ChangeEvent(index, position, at_s, event_type, subject, data)
            for position, (event_type, subject, data) in enumerate(_Reading(batch).events())
        ]
    )


def encode_event(event: ChangeEvent, *, source: str) -> bytes:
    """The event as JSON.

    Args:
        source: which registry it is from.
    """
    return _encode(
        _Envelope(
            "1.0",
            event.id,
            source,
            event.type,
            event.subject,
            _time_text(event.at_s),
            "application/json",
            SCHEMAS_PATH + event.type,
            event.data,
        )
    )


def cloud_event(event_id: str, event_type: str, data: Any, *, at_s: float, source: str) -> bytes:
    """An event that is not of the log, in the same form; it has no subject, and no schema.

    Args:
        source: which registry it is from.
    """
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": event_id,
            "source": source,
            "type": event_type,
            "time": format_time(at_s),
            "datacontenttype": "application/json",
            "data": data,
        }
    )


def data_schema(event_type: str) -> dict[str, Any]:
    """The JSON schema (2020-12) of the data of one of `EVENT_TYPES`."""
    return msgspec.json.schema(EVENT_TYPES[event_type])


_Event: TypeAlias = tuple[str, str, Data]
"""Type, subject and data."""


class _Reading:
    """One batch, being read."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._cause = batch.cause
        # Of instances: those that came or went, and the checks that were written with them.
        self._moved: set[str] = set()
        self._checks: dict[str, list[CheckStatus]] = {}
        for change in batch.changes:
            record = change.record
            if isinstance(record, Service):
                if isinstance(change, Delete) or change.replaces is None:
                    self._moved.add(record.key)
            elif isinstance(record, Check) and record.service_id and not isinstance(change, Delete):
                self._checks.setdefault(record.service_key, []).append(CheckStatus(record.id, record.status))

    def events(self) -> Iterator[_Event]:
        """The events, in the order of the changes."""
        for change in self._batch.changes:
            before = change.record if isinstance(change, Delete) else change.replaces
            after = None if isinstance(change, Delete) else change.record
            if before == after:
                continue  # written again as it was, so that whoever planned on it plans again
            match change.record:
                case Service() as service:
                    yield self._service(service, before, _word(before, after, _REGISTRY_WORDS))
                case Check() as check:
                    yield from self._health(check, before, after)
                case Node() as node:
                    data = NodeData(node.name, node.id, node.address, node.meta or {}, self._cause)
                    yield f"node.{_word(before, after, _REGISTRY_WORDS)}", node.name, data
                case KvEntry() as kv:
                    size = 0 if after is None else len(kv.value)
                    held = KvData(kv.key, kv.flags, size, kv.session, self._cause)
                    yield f"kv.{_word(before, after, _STORE_WORDS)}", kv.key, held
                case ConfigEntry() as entry:
                    entry_data = ConfigData(entry.entry_kind, entry.name, self._cause)
                    yield f"config.{_word(before, after, _STORE_WORDS)}", entry.key, entry_data
                case Alert() as alert if after is not None:
                    yield from self._alert(alert, before)

    def _alert(self, alert: Alert, before: Record | None) -> Iterator[_Event]:
        """That it fires, unless that was told; that it has ended, or both where it was written only then."""
        subject = f"{alert.rule}/{alert.id}"
        if before is None:
            yield "alert.firing", subject, self._alert_data(msgspec.structs.replace(alert, resolved_at_s=0.0))
        if not alert.is_firing and (not isinstance(before, Alert) or before.is_firing):
            yield "alert.resolved", subject, self._alert_data(alert)

    def _alert_data(self, alert: Alert) -> AlertData:
        return AlertData(
            alert.id,
            alert.rule,
            alert.labels.get("service", ""),
            alert.labels.get("node", ""),
            alert.labels,
            alert.annotations,
            alert.value,
            alert.sentence,
            format_time(alert.since_s),
            format_time(alert.fired_at_s),
            None if alert.is_firing else format_time(alert.resolved_at_s),
            self._cause,
        )

    def _service(self, service: Service, before: Record | None, word: str) -> _Event:
        was = before if isinstance(before, Service) else service
        data = ServiceData(
            service.name,
            service.id,
            service.node,
            service.address,
            service.port,
            service.tags,
            service.meta or {},
            service.incarnation,
            tuple(self._checks.get(service.key, ())),
            self._cause,
            was.name if was.name != service.name else None,
            was.tags if was.tags != service.tags else None,
        )
        return f"service.{word}", f"{service.name}/{service.node}/{service.id}", data

    def _health(self, check: Check, before: Record | None, after: Record | None) -> Iterator[_Event]:
        """The event of a check, unless its status is as before, or its instance came or went with it."""
        was = before.status if isinstance(before, Check) else None
        status = after.status if isinstance(after, Check) else None
        if was == status or check.service_key in self._moved:
            return
        data = HealthData(
            check.service_name,
            check.service_id,
            check.node,
            check.service_tags,
            check.id,
            check.name,
            status,
            was,
            check.output if status is not None else "",
            self._cause,
        )
        if check.service_id:
            yield "service.health_changed", f"{check.service_name}/{check.node}/{check.service_id}", data
        else:
            yield "node.health_changed", check.node, data


def _word(before: Record | None, after: Record | None, words: tuple[str, str, str]) -> str:
    """What happened to a record: the word for coming, changing or going."""
    return words[2] if after is None else words[0] if before is None else words[1]

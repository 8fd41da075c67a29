"""The life of an instance in sentences: what is known of it, in the order in which it happened. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from regista.catalog import is_drain, reaps_after_s
from regista.model import CRITICAL, Batch, Cause, Tombstone, format_duration, format_time
from regista.protocols.native.facts import CheckFacts, InstanceFacts


def told_cause(cause: Cause | None) -> str:
    """Who did it and why, to follow a verb: `by 10.0.0.7 with PUT /v1/… ("rollback")`."""
    if cause is None or cause.kind == "unknown":
        return "by somebody who was not recorded"
    reason = f" ({cause.reason})" if cause.reason else ""
    if cause.kind == "request":
        token = f" with token {cause.actor}" if cause.actor else ""
        said = f' ("{cause.reason}")' if cause.reason else ""
        return f"by {cause.source or 'a client'}{token} with {cause.path}{said}"
    if cause.kind == "config":
        return "by the agent's configuration files"
    if cause.kind == "server":
        return f"by the agent itself{reason}"
    return f"by the {_WORKERS.get(cause.kind, cause.kind)}{reason}"


_WORKERS = {"check": "health checks", "expiry": "clock", "reaper": "reaper", "operator": "operator"}


def told_instance(facts: InstanceFacts) -> Iterator[str]:
    """The sentences for an instance that is registered."""
    service = facts.entry.record
    began = _told_moment(facts.created, facts.entry.create_index)
    yield f'Instance "{service.id}" of service {service.name} on node {service.node} was registered {began}.'
    if facts.entry.modify_index != facts.entry.create_index:
        yield f"It was changed last {_told_moment(facts.changed, facts.entry.modify_index)}."
    for check in facts.checks:
        yield _told_check(check)
    if facts.suspicion:
        yield facts.suspicion
    yield from _told_ends(facts)


def told_end(ended: Tombstone) -> str:
    """The sentence for an incarnation that has ended."""
    service = f" of service {ended.name}" if ended.name else ""
    reason = ended.reason or "ended"
    cause = ended.cause
    if cause is not None and cause.reason == reason:
        cause = msgspec.structs.replace(cause, reason="")  # Once is enough.
    return (
        f'Incarnation {ended.incarnation or "(none)"} of instance "{ended.id}"{service} on node {ended.node} '
        f"{reason}, at {format_time(ended.at_s)}, {told_cause(cause)}."
    )


def ends(facts: InstanceFacts) -> Iterator[tuple[str, float | None, str]]:
    """What would remove the instance: the way, in how many seconds (None while it is not to be), a sentence."""
    service = facts.entry.record
    if service.ttl_s:
        span = format_duration(service.ttl_s)
        yield "lease", facts.lease_left_s, f"nobody renews it for {span}"
    for each in facts.checks:
        after_s = reaps_after_s(each.entry.record)
        if is_drain(each.entry.record):
            yield "drain", each.reap_left_s, "its drain is not cancelled"
        elif after_s:
            span = format_duration(after_s)
            yield "check", each.reap_left_s, f'check "{each.entry.record.id}" stays critical for {span}'
    yield "request", None, "somebody deregisters it"
    if service.manager == "config":
        yield "config", None, "it is taken out of the agent's configuration files, and these are read again"
    if service.incarnation:
        yield "incarnation", None, "another incarnation registers under its id"


def _told_ends(facts: InstanceFacts) -> Iterator[str]:
    service = facts.entry.record
    if service.manager == "server":
        yield "It is the registry's own, and stays while the agent runs."
        return
    for way, left_s, condition in ends(facts):
        if left_s is not None:
            yield f"It is removed in {format_duration(round(left_s, 1))} if {condition}."
        elif way in ("lease", "check"):
            yield f"It is removed once {condition}."
    if not any(way in ("lease", "check", "drain") for way, _, _ in ends(facts)):
        yield "Nothing removes it but a deregistration: it has no TTL, and no check that ends it."


def _told_check(facts: CheckFacts) -> str:
    check = facts.entry.record
    whose = "" if check.service_id else f" of node {check.node}"
    left = (
        f"; it becomes critical in {format_duration(round(facts.heartbeat_left_s, 1))} if nobody reports"
        if facts.heartbeat_left_s is not None and check.status != CRITICAL
        else ""
    )
    since = _told_moment(facts.changed, facts.entry.modify_index)
    if is_drain(check):
        return f"It is draining, and so in no passing answer, as was asked for {since}."
    hold = f" {facts.hold}" if facts.hold else ""
    return f'Check "{check.id}"{whose} is {check.status}, last changed {since}{left}.{hold}'


def _told_moment(batch: Batch | None, index: int) -> str:
    if batch is None:
        return f"at index {index}, which is before what the log still has"
    return f"at index {index}, {format_time(batch.at_s)}, {told_cause(batch.cause)}"

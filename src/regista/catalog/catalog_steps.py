"""What a transaction can do with nodes, instances and checks, each as a step of a draft.

As `register_in_catalog` does, a step takes nothing from an agent beside which it writes: another manager's record
keeps its manager, and the server's own can't be changed.

Source: Consul 1.9 (behaviour).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TypeAlias, TypeVar

import msgspec

from regista.catalog.live_drafts import LiveDraft
from regista.catalog.writes import beside_its_maker, bury, put_check_of, refuse_servers_own
from regista.model import Check, Entry, Forbidden, Node, Service

R = TypeVar("R", Service, Check)

Found: TypeAlias = Entry[Node] | Entry[Service] | Entry[Check]

_GONE = "was deregistered by a transaction"


class Refused(Exception):
    """An operation of a transaction can't be made; none of the transaction is."""


@dataclasses.dataclass(frozen=True, slots=True)
class NodeStep:
    """One operation on a node.

    Attributes:
        index: at which the node must have been changed last, for `cas` and `delete-cas`; 0 if there must be none.
    """

    verb: str
    node: Node
    index: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class ServiceStep:
    """One operation on an instance; `index` as for a node.

    Attributes:
        has_name: whether the caller named the service, which all but `get` need.
        new_incarnation: a fresh id, taken if the instance needs one.
    """

    verb: str
    service: Service
    index: int = 0
    has_name: bool = True
    new_incarnation: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class CheckStep:
    """One operation on a check; `index` as for a node."""

    verb: str
    check: Check
    index: int = 0


CatalogStep: TypeAlias = NodeStep | ServiceStep | CheckStep


def problem_before(step: CatalogStep) -> str:
    """What is wrong with a step whatever the others do; "" if nothing is."""
    if step.verb == "get":
        return ""
    if isinstance(step, NodeStep) and not step.node.name:
        return "Must provide node"
    if isinstance(step, ServiceStep) and not step.has_name:
        return "Must provide service name with ID"
    return ""


def take_step(draft: LiveDraft, step: CatalogStep, *, now_s: float) -> Found | None:
    """What the step gives, after it was made; None for a deletion.

    Raises:
        Refused, Forbidden: it can't be made.
    """
    kind, named = _told(step)
    if step.verb not in ("get", "set", "cas", "delete", "delete-cas"):
        raise Refused(f'unknown {kind} verb "{step.verb}"')
    found = _find(draft, step)
    if step.verb == "get":
        if found is None:
            raise Refused(f"{named} doesn't exist")
        return found
    is_deletion = step.verb.startswith("delete")
    if step.verb.endswith("cas"):
        is_stale = (found.modify_index if found else 0) != step.index or (is_deletion and found is None)
        if is_stale:
            raise Refused(f"failed to {'delete' if is_deletion else 'set'} {named}, index is stale")
    if is_deletion:
        if found is not None:
            _delete(draft, found, now_s=now_s)
        return None
    if isinstance(step, NodeStep):
        _set_node(draft, step.node)
    elif isinstance(step, ServiceStep):
        _set_service(draft, step)
    else:
        _set_check(draft, step.check)
    return _find(draft, step)


def _told(step: CatalogStep) -> tuple[str, str]:
    """The kind of the step, and what it is about, as errors name them."""
    if isinstance(step, NodeStep):
        return "Node", f'node "{step.node.name or step.node.id}"'
    if isinstance(step, ServiceStep):
        return "Service", f'service "{step.service.id}" on node "{step.service.node}"'
    return "Check", f'check "{step.check.id}" on node "{step.check.node}"'


def _find(draft: LiveDraft, step: CatalogStep) -> Found | None:
    if isinstance(step, ServiceStep):
        return draft.find(Service, step.service.key)
    if isinstance(step, CheckStep):
        return draft.find(Check, step.check.key)
    by_id = draft.catalog.node_indexes.by_id.get(step.node.id) if step.verb == "get" and step.node.id else None
    return draft.find(Node, by_id.record.key if by_id else step.node.key)


def _set_node(draft: LiveDraft, node: Node) -> None:
    found = draft.find(Node, node.key)
    if found is None:
        draft.put(None, node)
    elif found.record.manager != "server":
        draft.put(found, msgspec.structs.replace(node, manager=found.record.manager))


def _set_service(draft: LiveDraft, step: ServiceStep) -> None:
    service = step.service
    _require_node(draft, service.node)
    found = draft.find(Service, service.key)
    if found is None:
        service = msgspec.structs.replace(service, incarnation=step.new_incarnation)
    else:
        refuse_servers_own(found)
        there = found.record
        service = msgspec.structs.replace(
            service, incarnation=there.incarnation, manager=there.manager, ttl_s=there.ttl_s
        )
    draft.put(found, service)


def _set_check(draft: LiveDraft, check: Check) -> None:
    _require_node(draft, check.node)
    if check.service_id:
        service = draft.find(Service, check.service_key)
        if service is None:
            raise Refused(f'Missing service registration: there is no "{check.service_id}" on "{check.node}"')
        check = msgspec.structs.replace(check, service_name=service.record.name, service_tags=service.record.tags)
    found = draft.find(Check, check.key)
    if found is not None:
        refuse_servers_own(found)
        check = beside_its_maker(found.record, check)
    put_check_of(draft.catalog, draft, found, check)


def _require_node(draft: LiveDraft, name: str) -> None:
    if draft.find(Node, name.lower()) is None:
        raise Refused(f'Missing node registration: there is no node "{name}"')


def _delete(draft: LiveDraft, found: Found, *, now_s: float) -> None:
    record = found.record
    if record.manager == "server":
        name = record.name if isinstance(record, Node) else record.id
        raise Forbidden(f'{record.kind} "{name}" is the registry\'s own; stop the agent instead')
    if isinstance(record, Node):
        _delete_node(draft, record, now_s=now_s)
    elif isinstance(record, Service):
        _delete_service(draft, record, now_s=now_s)
    else:
        draft.delete(found)


def _delete_node(draft: LiveDraft, node: Node, *, now_s: float) -> None:
    catalog, key = draft.catalog, node.key
    for service in _all_of(draft, Service, catalog.service_indexes.by_node.get(key, ())):
        if service.node.lower() == key:
            _delete_service(draft, service, now_s=now_s)
    for check in _all_of(draft, Check, catalog.check_indexes.by_node.get(key, ())):
        if check.node.lower() == key:
            draft.delete(Entry(check, 0, 0))
    draft.delete(Entry(node, 0, 0))


def _all_of(draft: LiveDraft, record_type: type[R], keys: Iterable[str]) -> list[R]:
    """The records under these keys as the draft leaves them, and all that it puts itself."""
    names = dict.fromkeys((*keys, *(record.key for record in draft.put_records(record_type))))
    found = (draft.find(record_type, key) for key in names)
    return [entry.record for entry in found if entry is not None]


def _delete_service(draft: LiveDraft, service: Service, *, now_s: float) -> None:
    catalog, key = draft.catalog, service.key
    there = [entry.record.key for entry in catalog.check_indexes.by_instance.get(key, ())]
    for check in _all_of(draft, Check, there):
        if check.service_key == key:
            draft.delete(Entry(check, 0, 0))
    draft.delete(Entry(service, 0, 0))
    if key in catalog.services:
        bury(catalog, draft, service, _GONE, now_s)

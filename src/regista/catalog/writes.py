"""Transactions that change what is registered, planned on the replica.

Every function is a *plan*: it reads the replica as it is now, decides, and returns a transaction whose conditions
name everything that the decision rested on. If one no longer holds at commit, the caller plans again. A plan
that finds nothing to change returns a transaction without changes, and then nothing is written: that is how an
identical registration costs no index.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TypeVar

import msgspec

from regista.catalog.replica import Catalog
from regista.model import (
    Change,
    Check,
    Condition,
    Delete,
    Entry,
    Forbidden,
    Manager,
    Node,
    NotFound,
    Put,
    Record,
    Service,
    StaleIncarnation,
    Status,
    Tombstone,
    Transaction,
    node_item_key,
    tombstone_key,
)

R = TypeVar("R", Node, Service, Check, Tombstone)


@dataclasses.dataclass(frozen=True, slots=True)
class Registration:
    """What a caller wants to be true of one instance.

    Attributes:
        service: its `incarnation` is the one that the caller speaks for, or "" for whichever there is.
        checks: a status other than critical counts only for a check that is new.
        replace_checks: whether checks of the instance that are not named here are to go.
        new_incarnation: a fresh id, taken if the instance needs one.
    """

    service: Service
    checks: tuple[Check, ...] = ()
    replace_checks: bool = False
    new_incarnation: str = ""


class _Draft:
    """A transaction in the making: adds only real changes, and a condition for everything that was looked at."""

    def __init__(self) -> None:
        self._changes: dict[tuple[str, str], Change] = {}
        self._conditions: dict[tuple[str, str], Condition] = {}

    def rests_on(self, kind: str, key: str, entry: Entry[Record] | None) -> None:
        """The decision holds only while this entry (or its absence) does."""
        self._conditions[kind, key] = Condition(kind, key, entry.modify_index if entry else 0)

    def put(self, entry: Entry[R] | None, record: R) -> None:
        """Makes `record` true where `entry` was found."""
        self.rests_on(record.kind, record.key, entry)
        if entry is None:
            self._changes[record.kind, record.key] = Put(record)
        elif entry.record != record:
            self._changes[record.kind, record.key] = Put(record, entry.record)
        else:
            self._changes.pop((record.kind, record.key), None)

    def renew(self, entry: Entry[Service]) -> None:
        """Writes an instance again as it is, because it gets one more check.

        Whoever planned at the same time on all the checks of the instance rests on the instance's index, and so
        has to plan again with the new one.
        """
        record = entry.record
        self.rests_on(record.kind, record.key, entry)
        self._changes.setdefault((record.kind, record.key), Put(record))

    def bury(self, tombstone: Tombstone) -> None:
        """Notes the end of an incarnation; whatever stood under its key said the same."""
        self._changes[tombstone.kind, tombstone.key] = Put(tombstone)

    def delete(self, entry: Entry[Record]) -> None:
        """Makes an end of what was found."""
        record = entry.record
        self.rests_on(record.kind, record.key, entry)
        self._changes[record.kind, record.key] = Delete(record)

    def transaction(self) -> Transaction:
        """The finished draft."""
        if not self._changes:
            return Transaction()
        return Transaction(tuple(self._changes.values()), tuple(self._conditions.values()))


def register_service(catalog: Catalog, wanted: Registration, *, now_s: float) -> Transaction:
    """The instance and its checks as the caller wants them.

    A check that is there already keeps its status and output, so registering again never flips health.

    Args:
        now_s: seconds since the epoch.

    Raises:
        StaleIncarnation: the caller's incarnation has ended.
        Forbidden: the instance is the server's own.

    Source: Consul 1.9, agent/service/register (behaviour); incarnations are Regista's.
    """
    draft = _Draft()
    service = wanted.service
    found = catalog.services.get(service.key)
    if found and service.manager != "server":
        _refuse_servers_own(found)
    claimed = service.incarnation
    if claimed:
        check_incarnation(catalog, service.node, service.id, claimed)
        key = tombstone_key(service.node, service.id, claimed)
        draft.rests_on(Tombstone.kind, key, None)
    elif found:
        service = msgspec.structs.replace(service, incarnation=found.record.incarnation)
    else:
        service = msgspec.structs.replace(service, incarnation=wanted.new_incarnation)
    if found and claimed and found.record.incarnation != claimed:
        reason = f"was replaced by incarnation {claimed}"
        draft.bury(_tombstone(found.record, reason, now_s))
    draft.put(found, service)
    for check in wanted.checks:
        _put_check(catalog, draft, check)
    if wanted.replace_checks:
        kept = {check.key for check in wanted.checks}
        for entry in catalog.check_indexes.by_instance.get(service.key, ()):
            if entry.record.key not in kept:
                draft.delete(entry)
    return draft.transaction()


def deregister_service(
    catalog: Catalog, node: str, service_id: str, *, reason: str, now_s: float, incarnation: str = ""
) -> Transaction:
    """The instance and its checks gone, with a tombstone; no changes if there is no such instance.

    Args:
        reason: what became of it, to follow "incarnation … of instance …": "was deregistered by …".
        now_s: seconds since the epoch.
        incarnation: only this one, if given; another is left alone.

    Raises:
        StaleIncarnation: the instance is another incarnation than the one given.
        Forbidden: the instance is the server's own.
    """
    found = catalog.services.get(node_item_key(node, service_id))
    if found is None:
        return Transaction()
    if found.record.manager == "server":
        raise Forbidden(f'"{service_id}" is the registry\'s own entry on node {node}; stop the agent instead')
    if incarnation and found.record.incarnation != incarnation:
        raise StaleIncarnation(
            f'instance "{service_id}" is incarnation {found.record.incarnation} now; {incarnation} can\'t end it. '
            "Leave it to its owner, or deregister it without an incarnation.",
            incarnation=incarnation,
        )
    draft = _Draft()
    _delete_service(catalog, draft, found, reason, now_s)
    return draft.transaction()


def register_check(catalog: Catalog, check: Check) -> Transaction:
    """The check as the caller wants it; one that is there already keeps its status and output.

    `service_name` and `service_tags` are taken from the instance that `service_id` names.

    Raises:
        NotFound: `service_id` names no instance on the check's node.
    """
    draft = _Draft()
    if check.service_id:
        service = catalog.services.get(check.service_key)
        if service is None:
            raise NotFound(f'ServiceID "{check.service_id}" does not exist. Register the service first.')
        draft.rests_on(Service.kind, check.service_key, service)
        check = msgspec.structs.replace(check, service_name=service.record.name, service_tags=service.record.tags)
    _put_check(catalog, draft, check)
    return draft.transaction()


def deregister_check(catalog: Catalog, node: str, check_id: str) -> Transaction:
    """The check gone; no changes if there is no such check.

    Raises:
        Forbidden: the check is the server's own.
    """
    found = catalog.checks.get(node_item_key(node, check_id))
    if found is None:
        return Transaction()
    if found.record.manager == "server":
        raise Forbidden(f'check "{check_id}" is the registry\'s own on node {node}; stop the agent instead')
    draft = _Draft()
    draft.delete(found)
    return draft.transaction()


def set_check_status(catalog: Catalog, key: str, status: Status, output: str) -> Transaction:
    """The check in this status; no changes if it is there already, or the check is gone.

    The output is written with a change of status only; otherwise it is kept beside the log.
    """
    found = catalog.checks.get(key)
    if found is None or found.record.status == status:
        return Transaction()
    draft = _Draft()
    draft.put(found, msgspec.structs.replace(found.record, status=status, output=output))
    return draft.transaction()


def register_node(catalog: Catalog, node: Node) -> Transaction:
    """The node as the caller wants it."""
    draft = _Draft()
    draft.put(catalog.nodes.get(node.key), node)
    return draft.transaction()


def deregister_node(catalog: Catalog, name: str, *, reason: str, now_s: float) -> Transaction:
    """The node gone, with all its services and checks; no changes if there is nothing of that name.

    Raises:
        Forbidden: the node is this server's own.
    """
    key = name.lower()
    found = catalog.nodes.get(key)
    draft = _Draft()
    if found is not None:
        if found.record.manager == "server":
            raise Forbidden(f"node {name} is this agent's own; stop the agent instead")
        draft.delete(found)
    else:
        # What was registered while the node was being deregistered may be left over.
        draft.rests_on(Node.kind, key, None)
    for service in catalog.service_indexes.by_node.get(key, {}).values():
        _delete_service(catalog, draft, service, reason, now_s)
    for check in catalog.check_indexes.by_node.get(key, {}).values():
        draft.delete(check)
    return draft.transaction()


@dataclasses.dataclass(frozen=True, slots=True)
class CatalogEntry:
    """What a caller of the catalog's own paths wants to be true: a node, and what is on it.

    Attributes:
        node: None to leave the node's record as it is.
        checks: written as they are, status included, for nobody runs them.
    """

    node_name: str
    node: Node | None
    service: Service | None = None
    checks: tuple[Check, ...] = ()
    new_incarnation: str = ""


def register_in_catalog(catalog: Catalog, wanted: CatalogEntry) -> Transaction:
    """The node, the instance and the checks as the caller wants them, all or nothing.

    Another manager's node, instance or check keeps its manager, and a check that somebody makes is still made, so
    that writing beside an agent takes nothing from it.

    Raises:
        NotFound: a check names an instance that is neither here nor on the node.
        Forbidden: the instance or a check is the server's own.

    Source: Consul 1.9, catalog/register (behaviour).
    """
    draft = _Draft()
    found = catalog.nodes.get(wanted.node_name.lower())
    if wanted.node is not None and found is None:
        draft.put(None, wanted.node)
    elif wanted.node is not None and found is not None and found.record.manager != "server":
        draft.put(found, msgspec.structs.replace(wanted.node, manager=found.record.manager))
    elif found is None:
        draft.put(None, Node(name=wanted.node_name))
    else:
        draft.rests_on(Node.kind, found.record.key, found)
    service = wanted.service
    if service is not None:
        there = catalog.services.get(service.key)
        if there:
            _refuse_servers_own(there)
            service = msgspec.structs.replace(
                service,
                incarnation=there.record.incarnation,
                manager=there.record.manager,
                ttl_s=there.record.ttl_s,
            )
        else:
            service = msgspec.structs.replace(service, incarnation=wanted.new_incarnation)
        draft.put(there, service)
    for each in wanted.checks:
        check = _attached(catalog, draft, each, service)
        known = catalog.checks.get(check.key)
        if known:
            _refuse_servers_own(known)
            check = _beside_its_maker(known.record, check)
        _put_check_of(catalog, draft, known, check)
    return draft.transaction()


def check_incarnation(catalog: Catalog, node: str, service_id: str, incarnation: str) -> None:
    """Does nothing if the incarnation has not ended.

    Raises:
        StaleIncarnation: it has; the text says when it did and why.
    """
    ended = catalog.tombstones.get(tombstone_key(node, service_id, incarnation))
    if ended is not None:
        raise StaleIncarnation(
            f'incarnation {incarnation} of instance "{service_id}" {ended.record.reason}; it can\'t come back. '
            "Register with a new incarnation, or with none.",
            incarnation=incarnation,
        )


def forget_tombstones(catalog: Catalog, *, before_s: float, keep_max: int, at_once_max: int = 1000) -> Transaction:
    """Tombstones from before `before_s` gone, and the oldest of those above `keep_max`, `at_once_max` a time."""
    draft = _Draft()
    surplus = len(catalog.tombstones) - keep_max
    for position, entry in enumerate(catalog.tombstones.values()):
        if position >= at_once_max or (position >= surplus and entry.record.at_s >= before_s):
            break
        draft.delete(entry)
    return draft.transaction()


def take_over_node(catalog: Catalog, old_name: str, new: Node) -> Transaction:
    """Everything on the node `old_name` moved to `new`: the agent was given another name.

    Costs O(tombstones), which move too: what has ended under the old name stays so under the new one.
    """
    draft = _Draft()
    key = old_name.lower()
    old = catalog.nodes.get(key)
    if old is not None:
        draft.delete(old)
    draft.put(catalog.nodes.get(new.key), new)
    moving: Iterable[Entry[Service] | Entry[Check]] = (
        *catalog.service_indexes.by_node.get(key, {}).values(),
        *catalog.check_indexes.by_node.get(key, {}).values(),
    )
    for entry in moving:
        draft.delete(entry)
        moved = msgspec.structs.replace(entry.record, node=new.name)
        if isinstance(moved, Service):
            draft.put(catalog.services.get(moved.key), moved)
        else:
            draft.put(catalog.checks.get(moved.key), moved)
    for ended in catalog.tombstones.values():
        if ended.record.node.lower() == key:
            draft.delete(ended)
            tombstone = msgspec.structs.replace(ended.record, node=new.name)
            draft.put(catalog.tombstones.get(tombstone.key), tombstone)
    return draft.transaction()


def managed_by(catalog: Catalog, node: str, manager: Manager) -> tuple[list[Entry[Service]], list[Entry[Check]]]:
    """The instances and checks on a node that this manager keeps right."""
    services = catalog.service_indexes.by_node.get(node.lower(), {}).values()
    checks = catalog.check_indexes.by_node.get(node.lower(), {}).values()
    return (
        [entry for entry in services if entry.record.manager == manager],
        [entry for entry in checks if entry.record.manager == manager],
    )


def _put_check(catalog: Catalog, draft: _Draft, check: Check) -> None:
    found = catalog.checks.get(check.key)
    if found and check.manager != "server":
        _refuse_servers_own(found)
    if found and found.record.service_id.lower() == check.service_id.lower():
        check = msgspec.structs.replace(check, status=found.record.status, output=found.record.output)
    _put_check_of(catalog, draft, found, check)


def _put_check_of(catalog: Catalog, draft: _Draft, found: Entry[Check] | None, check: Check) -> None:
    """Makes `check` true where `found` was; its instance is renewed if it did not have this check before."""
    owner = catalog.services.get(check.service_key)
    if owner and (found is None or found.record.service_key != check.service_key):
        draft.renew(owner)
    draft.put(found, check)


def _refuse_servers_own(found: Entry[Service] | Entry[Check]) -> None:
    record = found.record
    if record.manager == "server":
        raise Forbidden(
            f'{record.kind} "{record.id}" is the registry\'s own on node {record.node}; take another id'
        )


def _beside_its_maker(known: Check, check: Check) -> Check:
    """The check that is written through the catalog's paths where another manager's stands."""
    check = msgspec.structs.replace(check, manager=known.manager)
    if known.definition is not None and check.definition is None and known.service_key == check.service_key:
        check = msgspec.structs.replace(check, type=known.type, definition=known.definition)
    return check


def _attached(catalog: Catalog, draft: _Draft, check: Check, service: Service | None) -> Check:
    """The check with its instance's name and tags; `service` is written in the same transaction."""
    if not check.service_id:
        return check
    if service is None or service.key != check.service_key:
        entry = catalog.services.get(check.service_key)
        if entry is None:
            raise NotFound(
                f'Missing service registration: check "{check.id}" names ServiceID "{check.service_id}"'
            )
        draft.rests_on(Service.kind, check.service_key, entry)
        service = entry.record
    return msgspec.structs.replace(check, service_name=service.name, service_tags=service.tags)


def _delete_service(catalog: Catalog, draft: _Draft, found: Entry[Service], reason: str, now_s: float) -> None:
    draft.delete(found)
    for check in catalog.check_indexes.by_instance.get(found.record.key, ()):
        draft.delete(check)
    draft.bury(_tombstone(found.record, reason, now_s))


def _tombstone(service: Service, reason: str, now_s: float) -> Tombstone:
    return Tombstone(node=service.node, id=service.id, incarnation=service.incarnation, reason=reason, at_s=now_s)

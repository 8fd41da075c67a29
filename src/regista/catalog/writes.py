"""Transactions that change what is registered, planned on the replica.

Every function is a *plan*: it reads the replica as it is now, decides, and returns a transaction whose conditions
name everything that the decision rested on. If one no longer holds at commit, the caller plans again. A plan
that finds nothing to change returns a transaction without changes, and then nothing is written: that is how an
identical registration costs no index.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from regista.catalog.drafts import Draft
from regista.catalog.live_drafts import LiveDraft
from regista.catalog.own_checks import is_drain, is_own_check
from regista.catalog.replica import Catalog
from regista.catalog.sidecars import Sidecar, placed, sidecar_key
from regista.model import (
    UNKNOWN_CAUSE,
    Check,
    Coordinate,
    Entry,
    Forbidden,
    Manager,
    Node,
    NotFound,
    Service,
    StaleIncarnation,
    Status,
    Tombstone,
    Transaction,
    node_item_key,
    tombstone_key,
)


class Registration(msgspec.Struct, frozen=True):
    """What a caller wants to be true of one instance.

    Attributes:
        service: its `incarnation` is the one that the caller speaks for, or "" for whichever there is.
        checks: a status other than critical counts only for a check that is new.
        replace_checks: whether checks of the instance that are not named here are to go.
        new_incarnation: a fresh id, taken if the instance needs one.
        sidecar: the proxy that goes with it; one that is there already goes if there is to be none.
    """

    service: Service
    checks: tuple[Check, ...] = ()
    replace_checks: bool = False
    new_incarnation: str = ""
    sidecar: Sidecar | None = None


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
    draft = LiveDraft(catalog)
    service = wanted.service
    key = service.key
    found = catalog.services.get(key)
    if found and service.manager != "server":
        refuse_servers_own(found)
    claimed = service.incarnation
    if claimed:
        check_incarnation(catalog, service.node, service.id, claimed)
        draft.rests_on(Tombstone.kind, tombstone_key(service.node, service.id, claimed), None)
    elif found:
        service = msgspec.structs.replace(service, incarnation=found.record.incarnation)
    else:
        service = msgspec.structs.replace(service, incarnation=wanted.new_incarnation)
    if found and claimed and found.record.incarnation != claimed:
        reason = f"was replaced by incarnation {claimed}"
        bury(catalog, draft, found.record, reason, now_s)
        _end_drain(catalog, draft, service)
    draft.put(found, service)
    _put_checks(catalog, draft, service, wanted.checks, replace_checks=wanted.replace_checks)
    _put_sidecar(catalog, draft, wanted, service.incarnation, now_s)
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
    draft = LiveDraft(catalog)
    _delete_service(catalog, draft, found, reason, now_s)
    return draft.transaction()


def register_check(catalog: Catalog, check: Check) -> Transaction:
    """The check as the caller wants it; one that is there already keeps its status and output.

    `service_name` and `service_tags` are taken from the instance that `service_id` names.

    Raises:
        NotFound: `service_id` names no instance on the check's node.
    """
    draft = LiveDraft(catalog)
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
    draft = LiveDraft(catalog)
    draft.delete(found)
    return draft.transaction()


def set_check_status(catalog: Catalog, key: str, status: Status, output: str) -> Transaction:
    """The check in this status; no changes if it is there already, or the check is gone.

    The output is written with a change of status only; otherwise it is kept beside the log.
    """
    found = catalog.checks.get(key)
    if found is None or found.record.status == status:
        return Transaction()
    draft = LiveDraft(catalog)
    draft.put(found, msgspec.structs.replace(found.record, status=status, output=output))
    return draft.transaction()


def register_node(catalog: Catalog, node: Node) -> Transaction:
    """The node as the caller wants it."""
    draft = LiveDraft(catalog)
    draft.put(catalog.nodes.get(node.key), node)
    return draft.transaction()


def set_coordinate(catalog: Catalog, coordinate: Coordinate) -> Transaction:
    """Where the node is in the network; no changes if there is no such node.

    Source: Consul 1.9, coordinate/update (behaviour).
    """
    node = catalog.nodes.get(coordinate.node.lower())
    if node is None:
        return Transaction()
    draft = LiveDraft(catalog)
    # A node that goes takes its coordinates along, so it must not go meanwhile.
    draft.rests_on(Node.kind, node.record.key, node)
    coordinate = msgspec.structs.replace(coordinate, node=node.record.name)
    draft.put(catalog.coordinates.entries.get(coordinate.key), coordinate)
    return draft.transaction()


def deregister_node(catalog: Catalog, name: str, *, reason: str, now_s: float) -> Transaction:
    """The node gone, with all its services, checks and coordinates; no changes if there is nothing of that name.

    Raises:
        Forbidden: the node is this server's own.
    """
    key = name.lower()
    found = catalog.nodes.get(key)
    draft = LiveDraft(catalog)
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
    for coordinate in catalog.coordinates.of_node(key):
        draft.delete(coordinate)
    return draft.transaction()


class CatalogEntry(msgspec.Struct, frozen=True):
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
    draft = LiveDraft(catalog)
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
            refuse_servers_own(there)
            service = msgspec.structs.replace(
                service,
                incarnation=there.record.incarnation,
                manager=there.record.manager,
                ttl_s=there.record.ttl_s,
                sidecar_of=there.record.sidecar_of,
            )
        else:
            service = msgspec.structs.replace(service, incarnation=wanted.new_incarnation)
        draft.put(there, service)
    for each in wanted.checks:
        check = _attached(catalog, draft, each, service)
        known = catalog.checks.get(check.key)
        if known:
            refuse_servers_own(known)
            check = beside_its_maker(known.record, check)
        put_check_of(catalog, draft, known, check)
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
    draft = LiveDraft(catalog)
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
    draft = LiveDraft(catalog)
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
    for coordinate in catalog.coordinates.of_node(key):
        draft.delete(coordinate)
        measured = msgspec.structs.replace(coordinate.record, node=new.name)
        draft.put(catalog.coordinates.entries.get(measured.key), measured)
    for ended in catalog.tombstones.values():
        if ended.record.node.lower() == key:
            draft.delete(ended)
            # Its end has another cause than the move.
            cause = ended.record.cause or UNKNOWN_CAUSE
            tombstone = msgspec.structs.replace(ended.record, node=new.name, cause=cause)
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


def _put_checks(
    catalog: Catalog, draft: Draft, service: Service, checks: Sequence[Check], *, replace_checks: bool
) -> None:
    for check in checks:
        _put_check(catalog, draft, check)
    if replace_checks:
        kept = {check.key for check in checks}
        for entry in catalog.check_indexes.by_instance.get(service.key, ()):
            if entry.record.key not in kept and not is_own_check(entry.record):
                draft.delete(entry)


def _end_drain(catalog: Catalog, draft: Draft, service: Service) -> None:
    """The instance and its sidecar drain no longer: it was another life of it that was on its way out."""
    for key in (service.key, sidecar_key(service)):
        for entry in catalog.check_indexes.by_instance.get(key, ()):
            if is_drain(entry.record):
                draft.delete(entry)


def _put_sidecar(catalog: Catalog, draft: Draft, wanted: Registration, incarnation: str, now_s: float) -> None:
    """The instance's sidecar as the caller wants it, or gone if it wants none."""
    found = catalog.services.get(sidecar_key(wanted.service))
    if wanted.sidecar is None:
        if found and goes_with(found.record, wanted.service):
            _delete_service(catalog, draft, found, "is no longer wanted by its instance", now_s)
        return
    if found:
        refuse_servers_own(found)
        incarnation = found.record.incarnation
    service, checks = placed(catalog, draft, wanted.sidecar)
    draft.put(found, msgspec.structs.replace(service, incarnation=incarnation))
    _put_checks(catalog, draft, service, checks, replace_checks=wanted.replace_checks)


def goes_with(sidecar: Service, service: Service) -> bool:
    """Whether the one was registered with the other, and ends with it."""
    return bool(sidecar.sidecar_of) and sidecar.sidecar_of.lower() == service.id.lower()


def _put_check(catalog: Catalog, draft: Draft, check: Check) -> None:
    found = catalog.checks.get(check.key)
    if found and check.manager != "server":
        refuse_servers_own(found)
    if found and found.record.service_id.lower() == check.service_id.lower():
        check = msgspec.structs.replace(check, status=found.record.status, output=found.record.output)
    put_check_of(catalog, draft, found, check)


def put_check_of(catalog: Catalog, draft: Draft, found: Entry[Check] | None, check: Check) -> None:
    """Makes `check` true where `found` was; its instance is renewed if it did not have this check before."""
    service_key = check.service_key
    owner = catalog.services.get(service_key)
    if owner and (found is None or found.record.service_key != service_key):
        draft.renew(owner)
    draft.put(found, check)


def refuse_servers_own(found: Entry[Service] | Entry[Check]) -> None:
    """Does nothing unless what was found is the server's own.

    Raises:
        Forbidden: it is.
    """
    record = found.record
    if record.manager == "server":
        raise Forbidden(
            f'{record.kind} "{record.id}" is the registry\'s own on node {record.node}; take another id'
        )


def beside_its_maker(known: Check, check: Check) -> Check:
    """The check that is written through the catalog's paths where another manager's stands."""
    check = msgspec.structs.replace(check, manager=known.manager)
    if known.definition is not None and check.definition is None and known.service_key == check.service_key:
        check = msgspec.structs.replace(
            check, type=known.type, definition=known.definition, shown_definition=known.shown_definition
        )
    return check


def _attached(catalog: Catalog, draft: Draft, check: Check, service: Service | None) -> Check:
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


def _delete_service(catalog: Catalog, draft: Draft, found: Entry[Service], reason: str, now_s: float) -> None:
    draft.delete(found)
    for check in catalog.check_indexes.by_instance.get(found.record.key, ()):
        draft.delete(check)
    bury(catalog, draft, found.record, reason, now_s)
    sidecar = catalog.services.get(sidecar_key(found.record))
    if sidecar and goes_with(sidecar.record, found.record):
        _delete_service(catalog, draft, sidecar, reason, now_s)


def bury(catalog: Catalog, draft: Draft, service: Service, reason: str, now_s: float) -> None:
    """Notes that an incarnation has ended, and why."""
    tombstone = Tombstone(
        node=service.node,
        id=service.id,
        incarnation=service.incarnation,
        reason=reason,
        at_s=now_s,
        name=service.name,
    )
    draft.bury(catalog.tombstones.get(tombstone.key), tombstone)

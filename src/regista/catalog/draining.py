"""Draining: an instance that is on its way out is given to nobody, and deregistered after a while.

It is out of passing answers by a check that is critical until the end. The check's definition carries the time
after which a critical check ends its instance, so that whoever runs the checks of the node ends it; nothing else
in the log says that an instance drains. The sidecar of an instance drains with it.

A drain belongs to a life of the instance: registering it again leaves the drain as it is, another incarnation
ends it (see `register_service`).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from regista.catalog.live_drafts import LiveDraft
from regista.catalog.own_checks import DRAIN_PREFIX, DRAIN_TYPE, is_drain
from regista.catalog.replica import Catalog
from regista.catalog.sidecars import sidecar_key
from regista.catalog.writes import goes_with, put_check_of, refuse_servers_own
from regista.model import (
    CRITICAL,
    Check,
    CheckDefinition,
    Entry,
    NotFound,
    Service,
    Transaction,
    format_duration,
    format_time,
    node_item_key,
)

_NAME = "Draining"


def drain_service(
    catalog: Catalog, node: str, service_id: str, *, for_s: float, asked_by: str, now_s: float
) -> Transaction:
    """The instance draining from now on, for `for_s`; where it drains already, for so long from now on.

    Args:
        asked_by: who wants it, for people.
        now_s: seconds since the epoch.

    Raises:
        NotFound: there is no such instance.
        Forbidden: it is the server's own.
    """
    found = _find(catalog, node, service_id)
    draft = LiveDraft(catalog)
    check = Check(
        node=found.record.node,
        id="",
        name=_NAME,
        status=CRITICAL,
        notes=f"Asked for by {asked_by} at {format_time(now_s)}.",
        output=f"It is deregistered at {format_time(now_s + for_s)}, after {format_duration(for_s)}; that time "
        "begins anew if the agent restarts meanwhile.",
        type=DRAIN_TYPE,
        manager="agent",
    )
    for each in _with_sidecar(catalog, found):
        service = each.record
        draft.rests_on(Service.kind, service.key, each)
        # The sidecar goes with its instance, so its own check need not end it.
        definition = CheckDefinition(deregister_critical_service_after_s=for_s) if each is found else None
        own = msgspec.structs.replace(
            check,
            id=DRAIN_PREFIX + service.id,
            service_id=service.id,
            service_name=service.name,
            service_tags=service.tags,
            definition=definition,
        )
        put_check_of(catalog, draft, catalog.checks.get(own.key), own)
    return draft.transaction()


def cancel_drain(catalog: Catalog, node: str, service_id: str) -> Transaction:
    """The instance as its other checks say again; no changes if it does not drain.

    Raises:
        NotFound: there is no such instance.
        Forbidden: it is the server's own.
    """
    found = _find(catalog, node, service_id)
    draft = LiveDraft(catalog)
    for each in _with_sidecar(catalog, found):
        check = drain_check(catalog, each.record)
        if check is not None:
            draft.delete(check)
    return draft.transaction()


def drain_check(catalog: Catalog, service: Service) -> Entry[Check] | None:
    """The check by which an instance drains; None if it does not. It was made at the index that took it out."""
    entry = catalog.checks.get(node_item_key(service.node, DRAIN_PREFIX + service.id))
    return entry if entry is not None and is_drain(entry.record) else None


def drain_topics(catalog: Catalog, service: Entry[Service]) -> set[str]:
    """What answers depend on that say whether the instance drains."""
    topics: set[str] = set()
    for each in _with_sidecar(catalog, service):
        check = drain_check(catalog, each.record)
        if check is not None:
            topics.update(catalog.check_indexes.topics(check.record))
    return topics


def _find(catalog: Catalog, node: str, service_id: str) -> Entry[Service]:
    found = catalog.services.get(node_item_key(node, service_id))
    if found is None:
        raise NotFound(
            f'Unknown service ID "{service_id}": no instance of that id is registered on node {node}, so there is '
            "nothing to drain. /v1/agent/services lists those that are; one on another node is drained through "
            "that node's agent."
        )
    refuse_servers_own(found)
    return found


def _with_sidecar(catalog: Catalog, found: Entry[Service]) -> Iterator[Entry[Service]]:
    yield found
    sidecar = catalog.services.get(sidecar_key(found.record))
    if sidecar is not None and goes_with(sidecar.record, found.record):
        yield sidecar

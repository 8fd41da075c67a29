"""Passive health: the check of an instance that says what its callers found of it.

It is made when the instance is taken out for the first time, and stays with it from then on, passing once the
instance is back: taking it away would be one more change for everybody who follows the service, and tell less.
"""

from __future__ import annotations

import msgspec

from regista.catalog.live_drafts import LiveDraft
from regista.catalog.own_checks import PASSIVE_PREFIX
from regista.catalog.replica import Catalog
from regista.catalog.writes import put_check_of
from regista.model import PASSING, Check, Entry, Service, Status, Transaction, node_item_key

TYPE = "passive"
_NAME = "Passive health"


def is_passive(check: Check) -> bool:
    """Whether the check says what callers of its instance found."""
    return check.type == TYPE and check.id.startswith(PASSIVE_PREFIX)


def passive_check_key(service: Service) -> str:
    """The key of the instance's passive check."""
    return node_item_key(service.node, PASSIVE_PREFIX + service.id)


def set_passive_status(catalog: Catalog, instance: Entry[Service], status: Status, output: str) -> Transaction:
    """The instance's passive check in this status.

    No changes if it is there already, if that life of the instance has ended, for the server's own, where a check
    that would have to be made is to say that all is well, and where somebody else has taken the check's id.

    Args:
        instance: as it was when callers reported of it.
    """
    found = catalog.services.get(instance.record.key)
    if found is None or _life_of(found) != _life_of(instance) or found.record.manager == "server":
        return Transaction()
    service = found.record
    there = catalog.checks.get(passive_check_key(service))
    if there is None:
        if status == PASSING:
            return Transaction()
        check = _new_check(service)
    elif is_passive(there.record) and there.record.status != status:
        check = there.record
    else:
        return Transaction()
    draft = LiveDraft(catalog)
    draft.rests_on(Service.kind, service.key, found)
    put_check_of(catalog, draft, there, msgspec.structs.replace(check, status=status, output=output))
    return draft.transaction()


def _new_check(service: Service) -> Check:
    return Check(
        node=service.node,
        id=PASSIVE_PREFIX + service.id,
        name=_NAME,
        service_id=service.id,
        service_name=service.name,
        service_tags=service.tags,
        type=TYPE,
        manager="agent",
    )


def _life_of(instance: Entry[Service]) -> tuple[int, str]:
    return instance.create_index, instance.record.incarnation

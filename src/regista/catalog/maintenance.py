"""Maintenance: a check that is critical for as long as somebody works on an instance or a node.

Source: Consul 1.9 (behaviour): the ids, names and sentences.
"""

from __future__ import annotations

from regista.catalog.replica import Catalog
from regista.catalog.writes import deregister_check, register_check
from regista.model import CRITICAL, Check, NotFound, Transaction, node_item_key

_TYPE = "maintenance"
_NODE_CHECK = "_node_maintenance"
_SERVICE_PREFIX = "_service_maintenance:"

_NO_REASON = "Maintenance mode is enabled for this {what}, but no reason was provided. This is a default message."


def is_maintenance(check: Check) -> bool:
    """Whether the check says that somebody works on its instance or node."""
    return check.id == _NODE_CHECK or check.id.startswith(_SERVICE_PREFIX)


def set_service_maintenance(
    catalog: Catalog, node: str, service_id: str, *, is_enabled: bool, reason: str
) -> Transaction:
    """The instance in maintenance, or not; no changes, the reason included, where it is so already.

    Raises:
        NotFound: there is no such instance of the agent's.
        Forbidden: the check's id is taken by the server's own.
    """
    found = catalog.services.get(node_item_key(node, service_id))
    if found is None or found.record.manager == "server":
        raise NotFound(f'No service registered with ID "{service_id}"')
    check = Check(
        node=node,
        id=_SERVICE_PREFIX + found.record.id,
        name="Service Maintenance Mode",
        status=CRITICAL,
        notes=reason or _NO_REASON.format(what="service"),
        service_id=found.record.id,
        type=_TYPE,
        manager="agent",
    )
    return _set(catalog, check, is_enabled=is_enabled)


def set_node_maintenance(catalog: Catalog, node: str, *, is_enabled: bool, reason: str) -> Transaction:
    """The node in maintenance with everything on it, or not; no changes where it is so already."""
    check = Check(
        node=node,
        id=_NODE_CHECK,
        name="Node Maintenance Mode",
        status=CRITICAL,
        notes=reason or _NO_REASON.format(what="node"),
        type=_TYPE,
        manager="agent",
    )
    return _set(catalog, check, is_enabled=is_enabled)


def _set(catalog: Catalog, check: Check, *, is_enabled: bool) -> Transaction:
    if not is_enabled:
        return deregister_check(catalog, check.node, check.id)
    if check.key in catalog.checks:
        return Transaction()
    return register_check(catalog, check)

"""The replica of the log in memory: records, indexes, who waits for what, and plans for changing it.

Pure: no I/O, no clock, no randomness; waiting is a plain callback here and a future at the door. Knows the
model, and no other room; the agent joins it to a store.
"""

from regista.catalog.filters import (
    AGENT_SERVICE_FIELDS,
    CHECK_SERVICE_NODE_FIELDS,
    HEALTH_CHECK_FIELDS,
    NODE_FIELDS,
    NODE_SERVICE_FIELDS,
    SERVICE_NODE_FIELDS,
    Filter,
    parse_filter,
)
from regista.catalog.filters import Fields as FilterFields
from regista.catalog.queries import Instance, Lookup, check_list, find_instances, node_list, service_tags
from regista.catalog.replica import Catalog
from regista.catalog.topics import CHECKS, NODES, SERVICES, node_topic, service_topic
from regista.catalog.writes import (
    CatalogEntry,
    Registration,
    check_incarnation,
    deregister_check,
    deregister_node,
    deregister_service,
    forget_tombstones,
    managed_by,
    register_check,
    register_in_catalog,
    register_node,
    register_service,
    set_check_status,
    take_over_node,
)

__all__ = [
    "AGENT_SERVICE_FIELDS",
    "CHECKS",
    "CHECK_SERVICE_NODE_FIELDS",
    "HEALTH_CHECK_FIELDS",
    "NODES",
    "NODE_FIELDS",
    "NODE_SERVICE_FIELDS",
    "SERVICES",
    "SERVICE_NODE_FIELDS",
    "Catalog",
    "CatalogEntry",
    "Filter",
    "FilterFields",
    "Instance",
    "Lookup",
    "Registration",
    "check_incarnation",
    "check_list",
    "deregister_check",
    "deregister_node",
    "deregister_service",
    "find_instances",
    "forget_tombstones",
    "managed_by",
    "node_list",
    "node_topic",
    "parse_filter",
    "register_check",
    "register_in_catalog",
    "register_node",
    "register_service",
    "service_tags",
    "service_topic",
    "set_check_status",
    "take_over_node",
]

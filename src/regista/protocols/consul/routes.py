"""Every path of the Consul door."""

from __future__ import annotations

from regista.protocols.consul.agent_checks import AgentChecks
from regista.protocols.consul.agent_self import AgentSelf
from regista.protocols.consul.agent_services import AgentServices
from regista.protocols.consul.catalog_reads import CatalogReads
from regista.protocols.consul.catalog_writes import CatalogWrites
from regista.protocols.consul.context import Context
from regista.protocols.http import Route


def consul_routes(context: Context) -> tuple[Route, ...]:
    """The routes, with their handlers."""
    services = AgentServices(context)
    checks = AgentChecks(context)
    agent = AgentSelf(context)
    reads = CatalogReads(context)
    writes = CatalogWrites(context)
    return (
        Route("GET", "/v1/agent/self", agent.self),
        Route("GET", "/v1/agent/services", services.services),
        Route("GET", "/v1/agent/service/", services.service),
        Route("PUT", "/v1/agent/service/register", services.register),
        Route("PUT", "/v1/agent/service/deregister/", services.deregister),
        Route("DELETE", "/v1/agent/service/deregister/", services.deregister),
        Route("PUT", "/v1/agent/service/renew/", services.renew),
        Route("GET", "/v1/agent/checks", checks.checks),
        Route("PUT", "/v1/agent/check/register", checks.register),
        Route("PUT", "/v1/agent/check/deregister/", checks.deregister),
        Route("PUT", "/v1/agent/check/pass/", checks.passing),
        Route("PUT", "/v1/agent/check/warn/", checks.warning),
        Route("PUT", "/v1/agent/check/fail/", checks.critical),
        Route("PUT", "/v1/agent/check/update/", checks.update),
        Route("PUT", "/v1/catalog/register", writes.register),
        Route("PUT", "/v1/catalog/deregister", writes.deregister),
        Route("GET", "/v1/catalog/datacenters", reads.datacenters),
        Route("GET", "/v1/catalog/nodes", reads.nodes),
        Route("GET", "/v1/catalog/services", reads.services),
        Route("GET", "/v1/catalog/service/", reads.service),
        Route("GET", "/v1/catalog/node/", reads.node),
        Route("GET", "/v1/catalog/node-services/", reads.node_services),
        Route("GET", "/v1/health/service/", reads.health_service),
        Route("GET", "/v1/health/checks/", reads.health_checks),
        Route("GET", "/v1/health/node/", reads.health_node),
        Route("GET", "/v1/health/state/", reads.health_state),
        Route("GET", "/v1/status/leader", agent.leader),
    )

"""Every path of the Consul door, with all that is told of it.

One table: the router, the documents and access control are made from it.
"""

from __future__ import annotations

from regista.protocols.consul.agent_checks import AgentChecks
from regista.protocols.consul.agent_self import AgentSelf
from regista.protocols.consul.agent_services import AgentServices
from regista.protocols.consul.catalog_reads import CatalogReads
from regista.protocols.consul.catalog_writes import CatalogWrites
from regista.protocols.consul.context import Context
from regista.protocols.http import Route


def consul_routes(context: Context) -> tuple[Route, ...]:
    """The routes, with their handlers; a new group of paths is a class and a line here."""
    return (
        *AgentSelf(context).routes(),
        *AgentServices(context).routes(),
        *AgentChecks(context).routes(),
        *CatalogReads(context).routes(),
        *CatalogWrites(context).routes(),
    )

"""Every path of the Consul door, with all that is told of it.

One table: the router, the documents and access control are made from it.
"""

from __future__ import annotations

from regista.protocols.consul.acl_off import AclOff
from regista.protocols.consul.agent_checks import AgentChecks
from regista.protocols.consul.agent_control import AgentControl
from regista.protocols.consul.agent_drain import AgentDrain
from regista.protocols.consul.agent_health import AgentHealth
from regista.protocols.consul.agent_maintenance import AgentMaintenance
from regista.protocols.consul.agent_self import AgentSelf
from regista.protocols.consul.agent_services import AgentServices
from regista.protocols.consul.catalog_reads import CatalogReads
from regista.protocols.consul.catalog_writes import CatalogWrites
from regista.protocols.consul.config_entries import ConfigEntries
from regista.protocols.consul.context import Context
from regista.protocols.consul.coordinates import Coordinates
from regista.protocols.consul.events import Events
from regista.protocols.consul.kv import Kv
from regista.protocols.consul.mesh_reads import MeshReads
from regista.protocols.consul.metrics import Metrics
from regista.protocols.consul.monitor import Monitor
from regista.protocols.consul.operators import Operator
from regista.protocols.consul.queries import Queries
from regista.protocols.consul.sessions import Sessions
from regista.protocols.consul.snapshots import Snapshots
from regista.protocols.consul.txn import Transactions
from regista.protocols.http import Route


def consul_routes(context: Context) -> tuple[Route, ...]:
    """The routes, with their handlers; a new group of paths is a class and a line here."""
    return (
        *AgentSelf(context).routes(),
        *AgentControl(context).routes(),
        *AgentServices(context).routes(),
        *AgentChecks(context).routes(),
        *AgentHealth(context).routes(),
        *Metrics(context).routes(),
        *Monitor(context).routes(),
        *AgentMaintenance(context).routes(),
        *AgentDrain(context).routes(),
        *CatalogReads(context).routes(),
        *MeshReads(context).routes(),
        *CatalogWrites(context).routes(),
        *Kv(context).routes(),
        *Sessions(context).routes(),
        *Transactions(context).routes(),
        *Coordinates(context).routes(),
        *Events(context).routes(),
        *Queries(context).routes(),
        *ConfigEntries(context).routes(),
        *Snapshots(context).routes(),
        *Operator(context).routes(),
        *AclOff().routes(),
    )

"""/v1/agent/self and /v1/status/…: who answers here.

Source: Consul 1.9 (behaviour); `Config.Version` is that of the Consul API that is followed.
"""

from __future__ import annotations

from regista.protocols.consul.context import Context
from regista.protocols.consul.parameters import DC, LOCAL_READ, PRETTY
from regista.protocols.consul.reads import json_response, read_options
from regista.protocols.http import Request, Response, Route

CONSUL_VERSION = "1.9.0"
"""What clients gate their features by."""

_ALIVE = 1
_PROTOCOL = {
    "ProtocolMin": 1,
    "ProtocolMax": 5,
    "ProtocolCur": 2,
    "DelegateMin": 2,
    "DelegateMax": 5,
    "DelegateCur": 4,
}


class AgentSelf:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "GET", "/v1/agent/self", self.self, "What the agent is", parameters=LOCAL_READ, access="agent:read"
            ),
            Route("GET", "/v1/status/leader", self.leader, "Where the server answers", parameters=(DC, PRETTY)),
        )

    def self(self, request: Request) -> Response:
        """GET agent/self: the agent's identity and what it is doing."""
        identity = self._context.identity
        catalog = self._context.catalog
        host, _, port = identity.server_address().rpartition(":")
        return json_response(
            request,
            {
                "Config": {
                    "Datacenter": identity.datacenter,
                    "NodeName": identity.node_name,
                    "NodeID": identity.node_id,
                    "Revision": "",
                    "Server": True,
                    "Version": CONSUL_VERSION,
                    "RegistaVersion": identity.version,
                },
                "DebugConfig": {
                    "Datacenter": identity.datacenter,
                    "NodeName": identity.node_name,
                    "AdvertiseAddrLAN": identity.address,
                    "ACLsEnabled": False,
                    "ConnectEnabled": False,
                },
                # Network coordinates are not measured; null is Consul's word for that.
                "Coord": None,
                "Member": {
                    "Name": identity.node_name,
                    "Addr": identity.address,
                    "Port": int(port or 0),
                    "Tags": {
                        "acls": "0",
                        "build": f"{CONSUL_VERSION}:",
                        "dc": identity.datacenter,
                        "id": identity.node_id,
                        "port": port,
                        "role": "consul",
                        "segment": "",
                        "vsn": "2",
                        "vsn_max": "3",
                        "vsn_min": "2",
                    },
                    "Status": _ALIVE,
                    **_PROTOCOL,
                },
                "Stats": {
                    "agent": {"checks": str(len(catalog.checks)), "services": str(len(catalog.services))},
                    "build": {"version": CONSUL_VERSION},
                    "consul": {"leader": "true", "leader_addr": f"{host}:{port}", "server": "true"},
                    "raft": {"applied_index": str(catalog.index), "last_log_index": str(catalog.index)},
                },
                "Meta": {"consul-network-segment": ""},
                "xDS": {"SupportedProxies": {}},
            },
        )

    def leader(self, request: Request) -> Response:
        """GET status/leader: where the server answers, as a JSON string."""
        read_options(request, self._context)
        return json_response(request, self._context.identity.server_address())

"""/v1/agent/self, members, version and /v1/status/…: who answers here.

Source: Consul 1.9 (behaviour); `Config.Version` is that of the Consul API that is followed.
"""

from __future__ import annotations

from typing import Any

from regista import CONSUL_VERSION
from regista.model import BadInput
from regista.protocols.consul.context import Context
from regista.protocols.consul.parameters import DC, LOCAL_READ, PRETTY
from regista.protocols.consul.reads import json_response, read_options
from regista.protocols.http import Parameter, Request, Response, Route, text_response

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
            Route("GET", "/", self.root, "Says what answers here"),
            Route(
                "GET",
                "/v1/agent/self",
                self.self,
                "What the agent is",
                parameters=LOCAL_READ,
                access="agent:read",
                load="control",
            ),
            Route(
                "GET",
                "/v1/agent/members",
                self.members,
                "The agents that know each other: this one",
                parameters=(
                    PRETTY,
                    Parameter("wan", "The members of all datacenters.", "boolean"),
                    Parameter("segment", "A network segment; there are none, so only `_all` has a meaning."),
                ),
                access="node:read",
            ),
            Route("GET", "/v1/agent/version", self.version, "The agent's version", parameters=(PRETTY,)),
            Route(
                "GET",
                "/v1/status/leader",
                self.leader,
                "Where the server answers",
                parameters=(DC, PRETTY),
                load="control",
            ),
            Route(
                "GET",
                "/v1/status/peers",
                self.peers,
                "Where all servers answer",
                parameters=(DC, PRETTY),
                load="control",
            ),
        )

    def root(self, _request: Request) -> Response:
        """GET /: a sentence for a person."""
        version = self._context.identity.version
        return text_response(200, f"Consul Agent: Regista {version}. The API's paths start with /v1/.\n")

    def self(self, request: Request) -> Response:
        """GET agent/self: the agent's identity and what it is doing."""
        identity = self._context.identity
        catalog = self._context.catalog
        address = identity.server_address()
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
                    **identity.listening(),
                },
                # Network coordinates are not measured; null is Consul's word for that.
                "Coord": None,
                "Member": self._member(identity.node_name),
                "Stats": {
                    "agent": {"checks": str(len(catalog.checks)), "services": str(len(catalog.services))},
                    "build": {"version": CONSUL_VERSION},
                    "consul": {"leader": "true", "leader_addr": address, "server": "true"},
                    "raft": {"applied_index": str(catalog.index), "last_log_index": str(catalog.index)},
                },
                "Meta": {"consul-network-segment": ""},
                "xDS": {"SupportedProxies": {}},
            },
        )

    def members(self, request: Request) -> Response:
        """GET agent/members: this agent, as the only member of its datacenter and of all."""
        identity = self._context.identity
        is_wan = "wan" in request.parameters
        segment = request.parameters.first("segment")
        if segment and is_wan:
            raise BadInput("Cannot provide a segment with wan=true", field="segment")
        if segment not in ("", "_all"):
            raise BadInput("Network segments are not supported; leave segment out", field="segment")
        name = f"{identity.node_name}.{identity.datacenter}" if is_wan else identity.node_name
        return json_response(request, [self._member(name)])

    def version(self, request: Request) -> Response:
        """GET agent/version: the version of the API that is followed, and Regista's own."""
        shape = {
            "SHA": "",
            "BuildDate": "0001-01-01T00:00:00Z",  # Go's word for no time at all
            "HumanVersion": CONSUL_VERSION,
            "FIPS": "",
            "RegistaVersion": self._context.identity.version,
        }
        return json_response(request, shape)

    def leader(self, request: Request) -> Response:
        """GET status/leader: where the server answers, as a JSON string."""
        read_options(request, self._context, is_namespaced=False)
        return json_response(request, self._context.identity.server_address())

    def peers(self, request: Request) -> Response:
        """GET status/peers: where all servers answer, as a list."""
        read_options(request, self._context, is_namespaced=False)
        return json_response(request, [self._context.identity.server_address()])

    def _member(self, name: str) -> dict[str, Any]:
        identity = self._context.identity
        port = identity.server_address().rpartition(":")[2]
        return {
            "Name": name,
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
        }

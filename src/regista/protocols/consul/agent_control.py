"""What is asked of the agent as a process: reload, leave, join, force-leave, host.

Source: Consul 1.9 (recorded answers). There is no gossip here: an agent is the only member that it knows.
"""

from __future__ import annotations

from regista.model import BadInput, NotFound
from regista.protocols.consul.context import Context
from regista.protocols.consul.parameters import PRETTY
from regista.protocols.consul.reads import json_response, required_argument
from regista.protocols.http import Parameter, Request, Response, Route

_WAN = Parameter("wan", "Among the datacenters; there is one only.", "boolean")


class AgentControl:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "PUT",
                "/v1/agent/reload",
                self.reload,
                "Reads the configuration files again",
                access="agent:write",
                load="control",
            ),
            Route("PUT", "/v1/agent/leave", self.leave, "Stops the agent", access="agent:write", load="control"),
            Route(
                "PUT",
                "/v1/agent/join/",
                self.join,
                "Joins another agent; there is no gossip, so only its own address can be joined",
                argument="address",
                parameters=(_WAN,),
                access="agent:write",
            ),
            Route(
                "PUT",
                "/v1/agent/force-leave/",
                self.force_leave,
                "Removes a member that failed",
                argument="node",
                parameters=(_WAN, Parameter("prune", "Forgets it altogether.", "boolean")),
                access="operator:write",
            ),
            Route(
                "GET",
                "/v1/agent/host",
                self.host,
                "The machine that the agent runs on",
                parameters=(PRETTY,),
                access="operator:read",
                load="dashboard",
            ),
        )

    async def reload(self, _request: Request) -> Response:
        """PUT agent/reload: an empty 200 once what the files say now is in force."""
        await self._context.control.reload()
        return Response()

    def leave(self, _request: Request) -> Response:
        """PUT agent/leave: an empty 200; then the agent stops as on SIGTERM, answering what is under way."""
        self._context.control.stop()
        return Response()

    def join(self, request: Request) -> Response:
        """PUT agent/join/{address}: an empty 200 for this agent's own address, which it is joined to already."""
        address = required_argument(request, "Missing address: give it after the last slash of the path")
        identity = self._context.identity
        if address.lower() not in (
            identity.address.lower(),
            identity.node_name.lower(),
            identity.server_address(),
        ):
            raise BadInput(
                f"1 error occurred:\n\t* Failed to join {address}: agents of Regista do not gossip. Register "
                "services with the agent that keeps the registry instead.\n\n"
            )
        return Response()

    def force_leave(self, request: Request) -> Response:
        """PUT agent/force-leave/{node}: an empty 200 for this agent, which is alive and stays."""
        name = required_argument(request, "Missing node name: give it after the last slash of the path")
        if name.lower() != self._context.identity.node_name.lower():
            raise NotFound(
                f"agent: No node found with name '{name}'. A node that is no member is taken out with "
                "/v1/catalog/deregister."
            )
        return Response()

    def host(self, request: Request) -> Response:
        """GET agent/host: memory, processors, system, disk."""
        return json_response(request, self._context.control.describe_host())

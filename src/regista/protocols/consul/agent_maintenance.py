"""/v1/agent/maintenance and /v1/agent/service/maintenance/…: taking a node or an instance out for a while.

Source: Consul 1.9 (recorded answers).
"""

from __future__ import annotations

from regista.catalog import set_node_maintenance, set_service_maintenance
from regista.model import BadInput
from regista.protocols.consul.context import Context
from regista.protocols.consul.parameters import NS
from regista.protocols.consul.reads import refuse_namespaces, required_argument, truth_of
from regista.protocols.http import Parameter, Request, Response, Route, request_cause

_PARAMETERS = (
    Parameter("enable", "Whether maintenance begins or ends; must be given.", "boolean"),
    Parameter("reason", "Why, for people; the check's `Notes`."),
)


class AgentMaintenance:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "PUT",
                "/v1/agent/service/maintenance/",
                self.service,
                "Begins or ends the maintenance of an instance",
                argument="service_id",
                parameters=(NS, *_PARAMETERS),
                access="service:write",
            ),
            Route(
                "PUT",
                "/v1/agent/maintenance",
                self.node,
                "Begins or ends the maintenance of this agent's node",
                parameters=_PARAMETERS,
                access="node:write",
            ),
        )

    async def service(self, request: Request) -> Response:
        """PUT agent/service/maintenance/{id}: an empty 200."""
        refuse_namespaces(request)
        service_id = required_argument(request, "Missing service ID")
        is_enabled, reason = _wish(request)
        await self._context.writer.write(
            lambda catalog: set_service_maintenance(
                catalog, self._context.identity.node_name, service_id, is_enabled=is_enabled, reason=reason
            ),
            cause=request_cause(request),
        )
        return Response()

    async def node(self, request: Request) -> Response:
        """PUT agent/maintenance: an empty 200."""
        is_enabled, reason = _wish(request)
        await self._context.writer.write(
            lambda catalog: set_node_maintenance(
                catalog, self._context.identity.node_name, is_enabled=is_enabled, reason=reason
            ),
            cause=request_cause(request),
        )
        return Response()


def _wish(request: Request) -> tuple[bool, str]:
    """Whether maintenance is to begin, and why."""
    if "enable" not in request.parameters:
        raise BadInput("Missing value for enable", field="enable")
    text = request.parameters.first("enable")
    is_enabled = truth_of(text)
    if is_enabled is None:
        raise BadInput(f'Invalid value for enable: "{text}"', field="enable")
    return is_enabled, request.parameters.first("reason")

"""/v1/agent/monitor: the agent's log, as it is written.

Source: Consul 1.9 (behaviour).
"""

from __future__ import annotations

from regista.protocols.consul.context import Context
from regista.protocols.http import Parameter, Request, Response, Route

_TEXT = "text/plain; charset=utf-8"
_LEVEL = "info"


class Monitor:
    """The handler."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The path answered here."""
        return (
            Route(
                "GET",
                "/v1/agent/monitor",
                self.monitor,
                "The agent's log, as it is written",
                parameters=(
                    Parameter("loglevel", "`trace`, `debug`, `info` (the default), `warn` or `error`."),
                    Parameter("logjson", "A JSON object a line.", "boolean"),
                ),
                access="agent:read",
                load="control",
            ),
        )

    def monitor(self, request: Request) -> Response:
        """GET agent/monitor: lines, until the caller hangs up or the agent stops."""
        level = request.parameters.first("loglevel") or _LEVEL
        as_json = "logjson" in request.parameters
        return Response(200, content_type=_TEXT, stream=self._context.control.follow_log(level, as_json=as_json))

"""GET /v1/regista/dns/{name}: what a name is answered with over DNS, and why."""

from __future__ import annotations

from regista.model import BadInput
from regista.protocols.http import Parameter, Request, Response, Route
from regista.protocols.native.context import Context
from regista.protocols.native.encode import json_response
from regista.protocols.native.parameters import PRETTY


class Dns:
    """The handler."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The path answered here."""
        return (
            Route(
                "GET",
                "/v1/regista/dns/",
                self.explain,
                "What a name is answered with over DNS, and why",
                argument="name",
                parameters=(
                    Parameter(
                        "type",
                        "The type of record that is asked for: A (default), AAAA, SRV, TXT, PTR and others.",
                    ),
                    PRETTY,
                ),
                access="service:read",
                load="list",
            ),
        )

    def explain(self, request: Request) -> Response:
        """GET regista/dns/{name}: the whole answer, and each instance that could be in it."""
        if not request.argument:
            raise BadInput("Missing name: give it after the last slash of the path")
        qtype = request.parameters.first("type") or "A"
        return json_response(request, self._context.explain_name(request.argument, qtype))

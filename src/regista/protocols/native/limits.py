"""GET /v1/regista/limits: every limit for which something is refused, how much is in use, and what was refused."""

from __future__ import annotations

from regista.protocols.http import SHED_ORDER, Request, Response, Route
from regista.protocols.native.context import Context
from regista.protocols.native.encode import json_response
from regista.protocols.native.parameters import PRETTY


class Limits:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "GET",
                "/v1/regista/limits",
                self.limits,
                "Every limit, how much is in use, and what was refused",
                parameters=(PRETTY,),
                access="operator:read",
                load="control",
            ),
        )

    def limits(self, request: Request) -> Response:
        """GET regista/limits: as of now."""
        limits = self._context.limits
        cause = limits.level.cause
        return json_response(
            request,
            {
                "limits": [
                    {"name": each.name, "max": each.most, "used": each.used, "refused": each.refused}
                    for each in limits.uses()
                ],
                "overload": {
                    "refused_classes": SHED_ORDER[: limits.level.count],
                    "cause": {"name": cause.limit, "max": cause.most, "used": cause.used} if cause else None,
                    "lag_ms": round(limits.lag_s * 1000),
                    "refused": {each: limits.shed.get(each, 0) for each in SHED_ORDER},
                },
            },
        )

"""GET /v1/regista/top: the busiest clients."""

from __future__ import annotations

from collections.abc import Callable

from regista.model import BadInput
from regista.protocols.http import ClientTraffic, Parameter, Request, Response, Route
from regista.protocols.native.context import Context
from regista.protocols.native.encode import json_response
from regista.protocols.native.parameters import PRETTY, read_limit

_ORDERS: dict[str, Callable[[ClientTraffic], int]] = {
    "requests": lambda client: client.requests,
    "bytes": lambda client: client.sent_bytes,
    "waiting": lambda client: client.waiting,
    "wake-ups": lambda client: client.wake_ups,
}

_COUNT = 20
_COUNT_MAX = 1000


class Top:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "GET",
                "/v1/regista/top",
                self.top,
                "The busiest clients",
                parameters=(
                    Parameter("by", f"What to order by: {', '.join(_ORDERS)}."),
                    Parameter("limit", f"How many clients at the most; {_COUNT}.", "integer"),
                    PRETTY,
                ),
                access="operator:read",
                load="dashboard",
            ),
        )

    def top(self, request: Request) -> Response:
        """GET regista/top: the clients of this agent with their figures since its start."""
        by = request.parameters.first("by", "requests")
        if by not in _ORDERS:
            raise BadInput(f"Invalid by: it is one of {', '.join(_ORDERS)}", field="by")
        count_max = read_limit(request, default=_COUNT, least=1, most=_COUNT_MAX)
        clients, unlisted_requests_max = self._context.busiest(_ORDERS[by], count_max)
        return json_response(
            request,
            {
                "clients": [
                    {
                        "address": client.address,
                        "user_agent": client.user_agent,
                        "requests": client.requests,
                        "bytes": client.sent_bytes,
                        "wake_ups": client.wake_ups,
                        "waiting": client.waiting,
                        "connections": client.connections,
                    }
                    for client in clients
                ],
                "unlisted_requests_max": unlisted_requests_max,
            },
        )

"""Asking this agent's own HTTP doors, without a socket: for what runs inside it and wants what callers hear."""

from __future__ import annotations

from multidict import CIMultiDict

from regista.model import BadInput
from regista.notify import Told
from regista.protocols.http import Dispatcher, Response, RouteTable, error_response, no_body


class OwnDoor:
    """Answers GETs as the HTTP server would; to be opened before it is asked."""

    def __init__(self) -> None:
        self._dispatcher = Dispatcher(RouteTable(()))

    def open(self, routes: RouteTable) -> None:
        """Answers these from now on."""
        self._dispatcher = Dispatcher(routes)

    async def __call__(self, target: str, *, token: str) -> Told:
        """The answer to a GET of a path with its query string."""
        response = await self._respond(target, CIMultiDict({"X-Consul-Token": token} if token else {}))
        index = next((value for name, value in response.headers if name == "X-Consul-Index"), "0")
        return Told(response.status, response.body, int(index))

    async def _respond(self, target: str, headers: CIMultiDict[str]) -> Response:
        try:
            head = self._dispatcher.understand("GET", target, headers, 0)
        except BadInput as error:
            return error_response(error)
        if isinstance(head, Response):
            return head
        outcome = self._dispatcher.call(head, no_body, "")
        return outcome if isinstance(outcome, Response) else await self._dispatcher.settled(outcome, head)

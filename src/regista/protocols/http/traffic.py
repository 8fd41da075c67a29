"""Who asks how much: the busiest clients, by address and program.

A connection counts for itself with a few additions a request. Its figures are added to its client's when it ends,
and whenever somebody asks. Of clients at most twice as many are kept as are wanted; then those with the fewest
requests are dropped, and what the busiest of the dropped had made is added to what is remembered: no client made
more requests beyond those that are listed.

Source: Misra and Gries, "Finding repeated elements" (1982), for the bound.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Protocol

USER_AGENT_CHARACTERS_MAX = 128


@dataclasses.dataclass(slots=True)
class ClientTraffic:
    """What a client has done since the agent's start, or since it was dropped.

    Attributes:
        user_agent: of the first request on each connection, for programs do not change their name.
        sent_bytes: of answers, with their heads.
        wake_ups: answers that were waited for.
        waiting: how many queries wait now.
    """

    address: str
    user_agent: str
    requests: int = 0
    sent_bytes: int = 0
    wake_ups: int = 0
    waiting: int = 0
    connections: int = 0


class CountingConnection(Protocol):
    """What this module needs of a connection."""

    def take_traffic(self) -> ClientTraffic:
        """What happened since the last call."""


class Clients:
    """The clients of a server.

    Args:
        clients_max: how many are listed.

    Attributes:
        unlisted_requests_max: no client made more requests than these besides those that it is listed with.
    """

    def __init__(self, clients_max: int) -> None:
        self._clients_max = clients_max
        self._clients: dict[tuple[str, str], ClientTraffic] = {}
        self.unlisted_requests_max = 0

    def add(self, traffic: ClientTraffic) -> ClientTraffic:
        """Adds what a connection has counted to its client's figures, which it gives."""
        key = (traffic.address, traffic.user_agent)
        client = self._clients.get(key)
        if client is None:
            if len(self._clients) >= 2 * self._clients_max:
                self._drop_quiet()
            client = self._clients[key] = ClientTraffic(traffic.address, traffic.user_agent)
        client.requests += traffic.requests
        client.sent_bytes += traffic.sent_bytes
        client.wake_ups += traffic.wake_ups
        return client

    def report(
        self, connections: Iterable[CountingConnection], *, by: Callable[[ClientTraffic], int], count: int
    ) -> list[ClientTraffic]:
        """The first `count` clients by a figure, the highest first.

        Costs O(connections + clients).

        Args:
            connections: all that are open.
        """
        for client in self._clients.values():
            client.waiting = client.connections = 0
        for connection in connections:
            traffic = connection.take_traffic()
            client = self.add(traffic)
            client.waiting += traffic.waiting
            client.connections += 1
        return sorted(self._clients.values(), key=by, reverse=True)[:count]

    def _drop_quiet(self) -> None:
        """Keeps the clients with the most requests."""
        ordered = sorted(self._clients.items(), key=lambda item: item[1].requests, reverse=True)
        dropped = ordered[self._clients_max :]
        # A client may come back and be dropped again, so these add up.
        self.unlisted_requests_max += dropped[0][1].requests
        self._clients = dict(ordered[: self._clients_max])

"""What the Consul door needs of the rest of the agent, each declared as small as its use."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Protocol

from regista.catalog import Catalog
from regista.model import Status, Transaction
from regista.protocols.http import Answers, HttpSettings


class Writer(Protocol):
    """Where writes go."""

    async def write(self, plan: Callable[[Catalog], Transaction]) -> int:
        """Commits what `plan` makes of the replica, planning again on a conflict; the index after it.

        Raises:
            CallerError: what the plan raises.
            StateError, StoreError: it could not be committed.
        """

    async def barrier(self) -> int:
        """Returns once every write acknowledged anywhere before is in the replica."""


class Health(Protocol):
    """Who runs the checks and leases of this agent's node."""

    async def report(self, check_id: str, status: Status, output: str) -> None:
        """A service says how it is.

        Raises:
            NotFound: no such check, or not one that waits for reports.
        """

    def renew_check(self, key: str) -> None:
        """The check's TTL begins again; does nothing for checks without."""

    def renew_service(self, key: str) -> None:
        """The instance's TTL begins again; does nothing for instances without."""


@dataclasses.dataclass(frozen=True, slots=True)
class Identity:
    """Who this agent is.

    Attributes:
        address: where other machines reach it.
        server_address: `host:port` of the server; set once it listens.
    """

    node_name: str
    node_id: str
    datacenter: str
    address: str
    server_address: Callable[[], str]
    version: str


@dataclasses.dataclass(frozen=True, slots=True)
class Context:
    """All that the handlers work with.

    Attributes:
        wall_clock: seconds since the epoch.
        new_id: a fresh UUID each time.
        wait_jitter: a random number from 0 to 1 each time; spreads the ends of waits (Consul adds up to 1/16).
    """

    catalog: Catalog
    answers: Answers
    writer: Writer
    health: Health
    identity: Identity
    settings: HttpSettings
    wall_clock: Callable[[], float]
    new_id: Callable[[], str]
    wait_jitter: Callable[[], float]

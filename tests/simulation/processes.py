"""The simulated programs: what is true of each, whoever knows it."""

from __future__ import annotations

import dataclasses
from typing import Literal

from regista.model import CRITICAL, Check, CheckDefinition, Service, node_item_key

NODE = "n1"
PORT = 8080

Kind = Literal["lease", "ttl", "http", "tcp", "both"]
"""How the registry learns of a program's end: a lease, a TTL check, probes, or a lease and probes."""


@dataclasses.dataclass(eq=False, slots=True)
class Process:
    """One place in which a program runs, one life after the other under the same id.

    Attributes:
        host: its address, which no other has.
        definition: of its check; None if it has none.
        ttl_s: of its lease or TTL check; 0 if it has neither.
        says_every_s: how often it renews, reports, or looks whether it is registered.
        incarnation: of its present life, as it registered it.
        is_alive: whether it runs at all; one that doesn't refuses connections.
        is_hung: whether it runs and does nothing.
        is_cut_off: whether the network carries nothing between it and the agent.
        is_failing: whether it answers probes with errors.
        delay_s: how long it takes to answer.
        is_wanted: whether it is to be registered; one that deregistered itself is not.
    """

    id: str
    service: str
    host: str
    kind: Kind
    definition: CheckDefinition | None
    ttl_s: float
    says_every_s: float
    incarnation: str = ""
    is_alive: bool = False
    is_hung: bool = False
    is_cut_off: bool = False
    is_failing: bool = False
    delay_s: float = 0.01
    is_wanted: bool = False

    @property
    def key(self) -> str:
        return node_item_key(NODE, self.id)

    @property
    def check_key(self) -> str:
        return node_item_key(NODE, self.id + ":check")

    @property
    def has_lease(self) -> bool:
        return self.kind in ("lease", "both")

    @property
    def is_probed(self) -> bool:
        return self.kind in ("http", "tcp", "both")

    @property
    def is_reaped(self) -> bool:
        """Whether it is deregistered after a time in critical."""
        return self.definition is not None and self.definition.deregister_critical_service_after_s > 0

    @property
    def speaks(self) -> bool:
        """Whether what it sends arrives."""
        return self.is_alive and not self.is_hung and not self.is_cut_off

    @property
    def answers(self) -> bool:
        """Whether a probe that looks now finds it well."""
        timeout_s = self.definition.timeout_s if self.definition else 0.0
        return self.speaks and not self.is_failing and self.delay_s < timeout_s

    @property
    def is_well(self) -> bool:
        return self.speaks and (not self.is_probed or self.answers)

    def record(self) -> Service:
        return Service(
            node=NODE,
            id=self.id,
            name=self.service,
            address=self.host,
            port=PORT,
            ttl_s=self.ttl_s if self.has_lease else 0.0,
            incarnation=self.incarnation,
            manager="agent",
        )

    def checks(self) -> tuple[Check, ...]:
        if self.definition is None:
            return ()
        return (
            Check(
                node=NODE,
                id=self.id + ":check",
                name="check of " + self.id,
                status=CRITICAL,
                service_id=self.id,
                service_name=self.service,
                definition=self.definition,
                manager="agent",
            ),
        )

"""How a cluster of servers looks after itself; one server keeps it for clients that read and write it."""

from __future__ import annotations

from typing import ClassVar

import msgspec


class Autopilot(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Consul's autopilot configuration; there is one at the most. One server has nothing to do by it.

    Attributes:
        last_contact_threshold_s: how long a server may go unheard before it is unhealthy.
        server_stabilization_time_s: how long a new server must be healthy before it counts.
    """

    kind: ClassVar[str] = "autopilot"

    cleanup_dead_servers: bool = True
    last_contact_threshold_s: float = 0.2
    max_trailing_logs: int = 250
    min_quorum: int = 0
    server_stabilization_time_s: float = 10.0
    redundancy_zone_tag: str = ""
    disable_upgrade_migration: bool = False
    upgrade_version_tag: str = ""

    @property
    def key(self) -> str:
        """The same for all: there is one."""
        return self.kind

"""The TCP check: does anybody accept connections there, or do they even speak TLS?"""

from __future__ import annotations

import asyncio

from regista.health.observation import Observation
from regista.health.probes.dial import HandshakeFailed, TimedOut, Unreachable, dialled, tls_of
from regista.health.settings import HealthSettings
from regista.model import PASSING, CheckDefinition


class TcpProbe:
    """Connects, shakes hands if TLS is wanted, and closes the connection at once."""

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings

    async def observe(self, definition: CheckDefinition) -> Observation:
        """Passing if the connection comes about in time, else critical."""
        address = definition.tcp
        tls = tls_of(definition) if definition.tcp_use_tls else None
        timeout_s = definition.timeout_s or self._settings.tcp_timeout_s
        try:
            async with dialled(asyncio.Protocol(), address, tls=tls, timeout_s=timeout_s):
                return Observation(PASSING, f"TCP connect {address}: Success")
        except TimedOut as problem:
            return problem.seen_as(f"dial tcp {address}: i/o timeout")
        except Unreachable as problem:
            return problem.seen_as(problem.words)
        except HandshakeFailed as problem:
            return problem.seen_as(f"dial tcp {address}: {problem.words}")

    async def close(self) -> None:
        """Has nothing to let go of."""

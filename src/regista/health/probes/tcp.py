"""The TCP check: does anybody accept connections there?"""

from __future__ import annotations

import asyncio

from regista.health.observation import Observation
from regista.health.probes.words import dial_problem, split_address
from regista.health.settings import HealthSettings
from regista.model import CRITICAL, PASSING, CheckDefinition

_PORT_MOST = 65535


class TcpProbe:
    """Connects, and closes the connection at once."""

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings

    async def observe(self, definition: CheckDefinition) -> Observation:
        """Passing if the connection comes about in time, else critical."""
        address = definition.tcp
        host, port = split_address(address)
        if not port:
            return Observation(CRITICAL, f"dial tcp: address {address}: missing port in address")
        if not port.isdecimal() or int(port) > _PORT_MOST:
            return Observation(CRITICAL, f"dial tcp: address {port}: invalid port")
        try:
            async with asyncio.timeout(definition.timeout_s or self._settings.tcp_timeout_s):
                # The addresses of a name are tried one after the other: uvloop has no `happy_eyeballs_delay`.
                transport, _ = await asyncio.get_running_loop().create_connection(
                    asyncio.Protocol, host or "localhost", int(port)
                )
        except TimeoutError:
            return Observation(CRITICAL, f"dial tcp {address}: i/o timeout")
        except OSError as problem:
            return Observation(CRITICAL, dial_problem(address, problem))
        except UnicodeError:
            # A host that the IDNA codec refuses, such as one with an empty or overlong label.
            return Observation(CRITICAL, f"dial tcp: lookup {host}: no such host")
        transport.close()
        return Observation(PASSING, f"TCP connect {address}: Success")

    async def close(self) -> None:
        """Has nothing to let go of."""

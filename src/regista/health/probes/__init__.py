"""How to look at each kind of target, one file a kind; a new kind is one file and one line in `KINDS`.

A probe looks and tells; it does not know what was seen before, nor what will become of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping

from regista.health.kind_rule import DISABLED
from regista.health.observation import Probe
from regista.health.probes.disabled import DisabledProbe
from regista.health.probes.docker import DockerProbe
from regista.health.probes.grpc import GrpcProbe
from regista.health.probes.h2ping import H2PingProbe
from regista.health.probes.http import HttpProbe
from regista.health.probes.os_service import OsServiceProbe, os_services_problem
from regista.health.probes.script import ScriptProbe
from regista.health.probes.tcp import TcpProbe
from regista.health.probes.udp import UdpProbe
from regista.health.settings import HealthSettings

__all__ = ["KINDS", "PROBED_KINDS", "open_probes", "os_services_problem"]

KINDS: tuple[tuple[str, Callable[[HealthSettings], Probe]], ...] = (
    ("http", HttpProbe),
    ("tcp", TcpProbe),
    ("script", ScriptProbe),
    ("docker", DockerProbe),
    ("os_service", OsServiceProbe),
    (DISABLED, DisabledProbe),
    ("udp", UdpProbe),
    ("grpc", GrpcProbe),
    ("h2ping", H2PingProbe),
)

PROBED_KINDS: tuple[str, ...] = tuple(kind for kind, _ in KINDS)


@contextlib.asynccontextmanager
async def open_probes(settings: HealthSettings) -> AsyncIterator[Mapping[str, Probe]]:
    """A probe for every kind, until the end of the block; stop the scheduler that uses them before."""
    probes = {kind: make(settings) for kind, make in KINDS}
    try:
        yield probes
    finally:
        for probe in probes.values():
            await probe.close()

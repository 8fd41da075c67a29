"""How to look at each kind of target, one file a kind; a new kind is one file and one line in `KINDS`.

A probe looks and tells; it does not know what was seen before, nor what will become of it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping

from regista.health.observation import Probe
from regista.health.probes.http import HttpProbe
from regista.health.probes.tcp import TcpProbe
from regista.health.settings import HealthSettings

KINDS: tuple[tuple[str, Callable[[HealthSettings], Probe]], ...] = (
    ("http", HttpProbe),
    ("tcp", TcpProbe),
)


@contextlib.asynccontextmanager
async def open_probes(settings: HealthSettings) -> AsyncIterator[Mapping[str, Probe]]:
    """A probe for every kind, until the end of the block; stop the scheduler that uses them before."""
    probes = {kind: make(settings) for kind, make in KINDS}
    try:
        yield probes
    finally:
        for probe in probes.values():
            await probe.close()

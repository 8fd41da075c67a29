"""The check that would run a program where that is not allowed: registered when it was, kept, and not made."""

from __future__ import annotations

from regista.health.kind_rule import SCRIPTS_DISABLED
from regista.health.observation import Observation
from regista.health.settings import HealthSettings
from regista.model import CRITICAL, CheckDefinition


class DisabledProbe:
    """Says so, and runs nothing."""

    def __init__(self, _settings: HealthSettings) -> None:
        pass

    async def observe(self, _definition: CheckDefinition) -> Observation:
        """Critical: nobody knows how the service is, and its last status may be old."""
        return Observation(CRITICAL, SCRIPTS_DISABLED)

    async def close(self) -> None:
        """Has nothing to let go of."""

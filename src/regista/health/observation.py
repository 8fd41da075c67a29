"""What a probe finds, and what a probe is; the words between `probes/` and the scheduler."""

from __future__ import annotations

import dataclasses
from typing import Protocol

from regista.model import CheckDefinition, Status


@dataclasses.dataclass(frozen=True, slots=True)
class Observation:
    """What one probe found; what it means is for `decide` to say."""

    status: Status
    output: str


class Probe(Protocol):
    """Looks at the targets of one kind of check."""

    async def observe(self, definition: CheckDefinition) -> Observation:
        """What there is to see at the target, within the definition's timeout; a failing target never raises."""

    async def close(self) -> None:
        """Lets go of connections; nothing is observed afterwards."""

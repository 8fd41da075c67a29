"""What a probe finds, and what a probe is; the words between `probes/` and the scheduler."""

from __future__ import annotations

import dataclasses
from typing import Protocol

from regista.model import CheckDefinition, Status


@dataclasses.dataclass(frozen=True, slots=True)
class Observation:
    """What one probe found; what it means is for `decide` to say.

    Attributes:
        is_own_fault: the probe failed for want of something here (open files, memory, the network interface), so
            that it says nothing of the target.
        is_silent: nothing at all came back from the target, not even a refusal: no route, no name server, nothing
            within the timeout.
    """

    status: Status
    output: str
    is_own_fault: bool = False
    is_silent: bool = False


class Probe(Protocol):
    """Looks at the targets of one kind of check."""

    async def observe(self, definition: CheckDefinition) -> Observation:
        """What there is to see at the target, within the definition's timeout; a failing target never raises."""

    async def close(self) -> None:
        """Lets go of connections; nothing is observed afterwards."""

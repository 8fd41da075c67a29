"""What is gathered of an instance before it is explained."""

from __future__ import annotations

import dataclasses

from regista.model import Batch, Check, Entry, Service


@dataclasses.dataclass(frozen=True, slots=True)
class CheckFacts:
    """A check that speaks for the instance.

    Attributes:
        changed: the transaction that changed it last; None if the log no longer has it.
        heartbeat_left_s: seconds until it is critical if nobody reports it; None if that will not be.
        reap_left_s: seconds until it ends the instance if it stays critical; None if that will not be.
        hold: why it is held or marked as flapping, in sentences; "" for neither.
    """

    entry: Entry[Check]
    changed: Batch | None
    heartbeat_left_s: float | None
    reap_left_s: float | None
    hold: str


@dataclasses.dataclass(frozen=True, slots=True)
class InstanceFacts:
    """A registered instance.

    Attributes:
        created, changed: the transactions that registered it and changed it last; None if the log no longer has
            them.
        lease_left_s: seconds until it is removed if nobody renews it; None without a lease.
        suspicion: why it is kept though it is silent, in sentences; "" if it is not.
    """

    entry: Entry[Service]
    created: Batch | None
    changed: Batch | None
    checks: tuple[CheckFacts, ...]
    lease_left_s: float | None
    suspicion: str

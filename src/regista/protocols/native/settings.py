"""What can be set of looking back."""

from __future__ import annotations

import dataclasses

from regista.model import setting


@dataclasses.dataclass(frozen=True, slots=True)
class HistorySettings:
    """Limits of answers about the past. How far the log reaches back is set in the block `store`."""

    past_replicas_max: int = setting(
        4,
        "How many states of the past (`?at=`) are kept for the next question about them; each takes up to as much "
        "memory as the indexes of the present one. More helps those who compare many moments; 0 keeps none.",
        at_least=0,
        at_most=1000,
    )
    past_batches_max: int = setting(
        200_000,
        "How many transactions may be taken back for one state of the past; for more than that, 400 says so. Each "
        "costs some ten microseconds.",
        at_least=100,
        at_most=100_000_000,
    )
    builds_max: int = setting(
        8,
        "How many states of the past may be wanted at once that are not there yet; one more gets 429. They are "
        "made one after the other, beside the agent's other work.",
        at_least=1,
        at_most=1000,
    )
    page_changes_max: int = setting(
        1000,
        "How many changes one answer of the history may list; the rest follows on the next pages.",
        at_least=10,
        at_most=100_000,
    )
    scan_batches_max: int = setting(
        10_000,
        "How many transactions are looked through for one answer of the history; the answer says where to go on. "
        "Fewer make shorter answers when little is found.",
        at_least=100,
        at_most=10_000_000,
    )

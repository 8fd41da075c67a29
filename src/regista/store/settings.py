"""What can be set of the store."""

from __future__ import annotations

import dataclasses

from regista.model import setting


@dataclasses.dataclass(frozen=True, slots=True)
class StoreSettings:
    """What can be set of the store."""

    log_retention_s: float = setting(
        3600.0,
        "How long the log keeps a change after it was made. Longer lets a listener that was away for longer "
        "resume; shorter keeps the file smaller.",
        unit="s",
        at_least=0,
        at_most=30 * 86400,
    )
    log_bytes_min: int = setting(
        1024 * 1024,
        "How large the log may always grow. Beyond it, the log may take half as much room as the live records "
        "do, so that the file stays in proportion to them. More keeps more history of a small registry.",
        unit="bytes",
        at_least=64 * 1024,
        at_most=16 * 1024**3,
    )
    log_bytes_max: int = setting(
        64 * 1024 * 1024,
        "How large the log may grow at the most; the oldest changes go first.",
        unit="bytes",
        at_least=64 * 1024,
        at_most=16 * 1024**3,
    )
    commit_queue_max: int = setting(
        8192,
        "How many writes may wait for the disk. More rides out longer stalls of the disk; fewer tells callers "
        "sooner that it can't keep up.",
        at_least=1,
        at_most=1_000_000,
    )

"""What can be set of looking back, and of listening."""

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


@dataclasses.dataclass(frozen=True, slots=True)
class StreamSettings:
    """Limits of the streams of events and of instances. How far back the first reaches is set in block `store`."""

    listeners_max: int = setting(
        4096,
        "How many may listen to the event stream at once; one more gets 429. Each holds a connection and some "
        "kilobytes.",
        at_least=0,
        at_most=1_000_000,
    )
    heartbeat_s: float = setting(
        15.0,
        "How long a stream is silent at the most: then a comment says that it is alive, and how far it has come. "
        "Shorter notices dead connections sooner; longer sends less.",
        unit="s",
        at_least=0.05,
        at_most=3600,
    )
    backlog_bytes_max: int = setting(
        16 * 1024 * 1024,
        "How much is kept in memory for listeners that keep up less than others; past it, they read from the log "
        "what they missed. In a burst as much again is kept for those who keep up. More spares work after bursts; "
        "less saves memory.",
        unit="bytes",
        at_least=65536,
        at_most=16 * 1024 * 1024 * 1024,
    )
    batches_max: int = setting(
        1024,
        "How many of the latest transactions are remembered for listeners; those who are slower read from the "
        "store. More spares the store's time; fewer saves memory.",
        at_least=1,
        at_most=1_000_000,
    )
    readers_max: int = setting(
        4096,
        "How many may follow instances (`/v1/regista/stream`) at once; one more gets 429. Each holds a connection "
        "and some kilobytes.",
        at_least=0,
        at_most=1_000_000,
    )
    questions_max: int = setting(
        1024,
        "How many different questions (service, tags, health) the followers of instances may have at once; one "
        "more gets 429. Each takes some 250 bytes for every instance that it finds.",
        at_least=1,
        at_most=1_000_000,
    )
    window_s: float = setting(
        0.1,
        "How long changes of instances are gathered before followers hear of them; of several changes of one "
        "instance they hear the last. Longer sends less while much changes; shorter tells sooner.",
        unit="s",
        at_least=0,
        at_most=60,
    )
    changes_max: int = setting(
        4096,
        "Of how many instances of a question the last change is remembered; a follower further behind gets the "
        "full list. More spares full lists; each takes about as much as the instance has bytes.",
        at_least=1,
        at_most=1_000_000,
    )

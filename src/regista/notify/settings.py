"""What can be set of webhooks."""

from __future__ import annotations

import dataclasses

from regista.model import setting


@dataclasses.dataclass(frozen=True, slots=True)
class NotifySettings:
    """Limits of webhooks. How far back a receiver that was away can be served is set in the block `store`."""

    subscriptions_max: int = setting(
        256,
        "How many subscriptions there may be; one more gets 429. Each is delivered to by itself, one event at a "
        "time, so this is also how many deliveries are under way at the most.",
        at_least=0,
        at_most=10_000,
    )
    timeout_s: float = setting(
        10.0,
        "How long a receiver may take for an answer. Longer waits for slow ones; shorter tries again sooner.",
        unit="s",
        at_least=0.05,
        at_most=300,
    )
    retry_first_s: float = setting(
        1.0,
        "How long is waited at the most before the second attempt; it doubles with each failure, and the wait is "
        "a random part of it.",
        unit="s",
        at_least=0.01,
        at_most=3600,
    )
    retry_most_s: float = setting(
        300.0,
        "What that grows to. Longer spares a receiver that is down; shorter notices sooner that it is back.",
        unit="s",
        at_least=0.01,
        at_most=86400,
    )
    attempts_max: int = setting(
        100,
        "After how many attempts an event becomes a dead letter, and the next one goes on; with the waits as they "
        "are by default, some four hours.",
        at_least=1,
        at_most=1_000_000,
    )
    refusals_max: int = setting(
        10,
        "After how many answers with 4xx an event becomes a dead letter: such a receiver is there, and will not "
        "have this one. 408 and 429 don't count as such.",
        at_least=1,
        at_most=1_000_000,
    )
    age_max_s: float = setting(
        86400.0,
        "For how long an event is tried; then it becomes a dead letter.",
        unit="s",
        at_least=1,
        at_most=30 * 86400,
    )
    dead_letters_max: int = setting(
        1000,
        "How many dead letters are kept for a subscription; the oldest are dropped first, and counted. Each "
        "takes a few hundred bytes, and as much as a check's output in one of health.",
        at_least=1,
        at_most=100_000,
    )
    cursor_s: float = setting(
        1.0,
        "How often it is written how far deliveries have come, at the most. After a power cut, what was delivered "
        "since is delivered again: shorter repeats less; longer writes less.",
        unit="s",
        at_least=0.01,
        at_most=60,
    )
    rotation_s: float = setting(
        86400.0,
        "How long deliveries are signed with the secret before as well, once a subscription has a new one.",
        unit="s",
        at_least=0,
        at_most=30 * 86400,
    )
    asides_max: int = setting(
        16,
        "How many tests and replays may be under way at once; one more gets 429.",
        at_least=1,
        at_most=1000,
    )
    allow_private: bool = setting(
        True,
        "Whether events may be sent to addresses that are not public: of private networks, of this machine. Say "
        "false where those who may make subscriptions must not reach what is behind this agent.",
    )
    deny: tuple[str, ...] = setting(
        ("169.254.0.0/16", "fe80::/10", "fd00:ec2::254/128"),
        "Networks that nothing is sent to, in CIDR form. By default those where clouds tell machines their "
        "secrets.",
    )

"""What can be set of alerts."""

from __future__ import annotations

import dataclasses

from regista.model import setting


@dataclasses.dataclass(frozen=True, slots=True)
class AlertSettings:
    """Limits and patience of alerts. How channels are reached is set in the block `notify`."""

    default_rules: bool = setting(
        True,
        "Whether there are rules that nobody wrote: for mass losses that are not believed, and for a store that "
        "can't be written. They are logged and shown, and sent to nobody.",
    )
    interval_s: float = setting(
        1.0,
        "How often is looked whether rules hold. Longer notices later and saves time, of which a change of a "
        "service costs microseconds.",
        unit="s",
        at_least=0.02,
        at_most=3600,
    )
    group_wait_s: float = setting(
        30.0,
        "How long the first alert of a group waits for others that belong to it. Longer makes fewer messages; "
        "shorter tells sooner.",
        unit="s",
        at_least=0,
        at_most=86400,
    )
    group_interval_s: float = setting(
        300.0,
        "How long after a message of a group the next is sent that has news of it. Longer makes fewer messages; "
        "shorter tells sooner, also that all is well again.",
        unit="s",
        at_least=0,
        at_most=86400,
    )
    repeat_interval_s: float = setting(
        4 * 3600.0,
        "How long after a message the same is sent again while the alerts last.",
        unit="s",
        at_least=1,
        at_most=30 * 86400,
    )
    resend_s: float = setting(
        60.0,
        "How often an Alertmanager is told of alerts that last. It takes them for ended after four times as long.",
        unit="s",
        at_least=1,
        at_most=3600,
    )
    apprise_timeout_s: float = setting(
        30.0,
        "How long a message through Apprise may take. Longer waits for slow mail servers; shorter tries again "
        "sooner.",
        unit="s",
        at_least=1,
        at_most=600,
    )
    url: str = setting(
        "",
        "Where people reach this agent, such as `http://registry.example:8500`, for the links in messages. "
        "Empty: the address that it listens at.",
    )
    listed_max: int = setting(
        1000,
        "How many alerts one message lists; of further ones it says how many there are.",
        at_least=1,
        at_most=100_000,
    )
    rules_max: int = setting(
        1000,
        "How many rules there may be; one more gets 429. Each is looked at whenever something changes that it "
        "may be about.",
        at_least=0,
        at_most=100_000,
    )
    channels_max: int = setting(
        100,
        "How many channels there may be; one more gets 429. Each sends one message at a time.",
        at_least=0,
        at_most=10_000,
    )
    silences_max: int = setting(
        1000,
        "How many silences there may be; one more gets 429. Each is compared with every alert.",
        at_least=0,
        at_most=100_000,
    )
    active_max: int = setting(
        20_000,
        "How many alerts may be pending or firing; what is found beyond is not followed until others end, and the "
        "list says so. Each takes about a kilobyte, twice.",
        at_least=1,
        at_most=1_000_000,
    )
    history_s: float = setting(
        7 * 86400.0,
        "How long alerts are kept after their end, and silences after theirs.",
        unit="s",
        at_least=60,
        at_most=366 * 86400,
    )
    history_max: int = setting(
        10_000,
        "How many alerts are kept after their end; the oldest are forgotten first.",
        at_least=0,
        at_most=1_000_000,
    )
    certificates_s: float = setting(
        60.0,
        "How often the certificates are read that rules name.",
        unit="s",
        at_least=0.1,
        at_most=86400,
    )

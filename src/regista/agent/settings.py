"""What can be set of the agent itself, and the list of all rooms that have settings."""

from __future__ import annotations

import dataclasses
from typing import Any

from regista.catalog import DegradingSettings
from regista.health import HealthSettings, PassiveSettings
from regista.model import setting
from regista.notify import AlertSettings, NotifySettings
from regista.protocols.consul import DrainSettings, EventSettings, KvSettings
from regista.protocols.dns import DnsSettings
from regista.protocols.http import HttpSettings, OverloadSettings
from regista.protocols.native import HistorySettings, StreamSettings
from regista.store import StoreSettings


@dataclasses.dataclass(frozen=True, slots=True)
class RegistrySettings:
    """What can be set of how the agent plans writes and how it stops."""

    tombstone_retention_s: float = setting(
        72 * 3600.0,
        "How long the end of an incarnation is remembered, so that a late heartbeat can't bring it back. Longer "
        "covers clients that were cut off for longer; shorter frees memory sooner.",
        unit="s",
        at_least=60,
        at_most=30 * 86400,
    )
    tombstones_max: int = setting(
        50_000,
        "How many ended incarnations are remembered at the most; the oldest are forgotten first. Raise it if more "
        "instances than this end within the retention time.",
        at_least=100,
        at_most=10_000_000,
    )
    conflict_retries_max: int = setting(
        100,
        "How often a write is planned again when others keep changing the same records; then its caller is told "
        "to try later. More helps writers under contention; fewer tells them sooner.",
        at_least=1,
        at_most=10_000,
    )
    shutdown_grace_s: float = setting(
        10.0,
        "How long a stopping agent waits for requests under way. Longer lets slow callers finish; shorter makes "
        "restarts quicker.",
        unit="s",
        at_least=0,
        at_most=600,
    )
    log_listeners_max: int = setting(
        16,
        "How many clients may follow the agent's log (`/v1/agent/monitor`) at once; one more gets 429. Each costs "
        "the formatting of every line that it wants.",
        at_least=0,
        at_most=1000,
    )
    log_listener_lines_max: int = setting(
        512,
        "How many lines of the log wait for each such client; one that reads more slowly loses the oldest. More "
        "rides out longer pauses; fewer saves memory.",
        at_least=16,
        at_most=100_000,
    )


SETTINGS_BLOCKS: tuple[tuple[str, type[Any]], ...] = (
    ("store", StoreSettings),
    ("health", HealthSettings),
    ("passive", PassiveSettings),
    ("degrading", DegradingSettings),
    ("http", HttpSettings),
    ("overload", OverloadSettings),
    ("dns_config", DnsSettings),
    ("registry", RegistrySettings),
    ("history", HistorySettings),
    ("streams", StreamSettings),
    ("notify", NotifySettings),
    ("alerts", AlertSettings),
    ("events", EventSettings),
    ("kv", KvSettings),
    ("drain", DrainSettings),
)
"""The rooms with settings, by the name of their block in the file; `AgentConfig` has a field for each."""

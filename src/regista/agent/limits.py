"""Every limit of this agent for which somebody may be refused, and what is given up when there is too much."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping

from regista.agent.config import AgentConfig
from regista.agent.log import Log
from regista.agent.log_listeners import LogListeners
from regista.agent.notifying import Notifying
from regista.agent.past import PastReplicas
from regista.protocols.dns import DnsServer
from regista.protocols.http import SHED_ORDER, Answers, HttpServer, Level, Overload, Use
from regista.protocols.native import InstanceFeed, LimitUse


@dataclasses.dataclass(slots=True)
class Parts:
    """What has limits; the last two are made after what shows the limits."""

    log: Log
    answers: Answers
    past: PastReplicas
    news: Notifying
    listeners: LogListeners
    dns: DnsServer
    http: HttpServer | None = None
    instances: InstanceFeed | None = None


LIMITS: tuple[tuple[str, Callable[[Parts], int] | None], ...] = (
    ("alerts.channels_max", lambda parts: len(parts.log.catalog.alerting.channels)),
    ("alerts.rules_max", lambda parts: len(parts.log.catalog.alerting.rules)),
    ("alerts.silences_max", lambda parts: len(parts.log.catalog.alerting.silences)),
    ("dns_config.cache_entries_max", lambda parts: parts.dns.ready_count),
    ("dns_config.recursions_max", lambda parts: parts.dns.recursion_count),
    ("dns_config.tcp_connections_max", lambda parts: parts.dns.connection_count),
    ("dns_config.tcp_connections_per_source_max", lambda parts: parts.dns.source_connection_count),
    ("drain.waiting_max", lambda parts: parts.answers.watchers.barriers_count),
    ("events.bytes_max", None),
    ("history.builds_max", lambda parts: parts.past.builds_count),
    ("http.body_bytes_max", None),
    ("http.body_bytes_per_s_min", None),
    ("http.body_stall", None),
    ("http.connections_max", lambda parts: parts.http.connection_count if parts.http else 0),
    ("http.head_bytes_max", None),
    ("http.snapshot_bytes_max", None),
    ("http.waiting_max", lambda parts: parts.answers.waiting_count),
    ("http.watchers_max", lambda parts: parts.answers.watchers.count),
    ("kv.transaction_bytes_max", None),
    ("kv.transaction_ops_max", None),
    ("kv.value_bytes_max", None),
    ("notify.asides_max", lambda parts: parts.news.webhooks.asides_count),
    ("notify.subscriptions_max", lambda parts: len(parts.log.catalog.subscriptions)),
    ("passive.report_bytes_max", None),
    ("registry.log_listeners_max", lambda parts: len(parts.listeners)),
    ("store.commit_queue_max", lambda parts: parts.log.store.waiting_count),
    ("streams.listeners_max", lambda parts: len(parts.news.feed)),
    ("streams.questions_max", lambda parts: parts.instances.questions_count if parts.instances else 0),
    ("streams.readers_max", lambda parts: len(parts.instances) if parts.instances else 0),
)
"""Each limit by its setting, with how much is in use; None for the size or pace of a single thing. A new one is
a line."""


class AgentLimits:
    """The limits of an agent's parts.

    Args:
        refused_elsewhere: how often other processes refused a request for a limit of the HTTP doors.

    Attributes:
        overload: what is refused for the load.
    """

    def __init__(self, parts: Parts, config: AgentConfig, *, refused_elsewhere: Callable[[str], int]) -> None:
        self._parts = parts
        self._refused_elsewhere = refused_elsewhere
        self._config = config
        self.overload = Overload(
            config.overload,
            commits=self._use("store.commit_queue_max"),
            waiting=self._use("http.waiting_max"),
            connections=self._use("http.connections_max"),
        )

    @property
    def level(self) -> Level:
        """How much is refused for the load."""
        return self.overload.level

    @property
    def lag_s(self) -> float:
        """How late the agent is with what is due."""
        return self.overload.lag_s

    @property
    def shed(self) -> Mapping[str, int]:
        """How many requests were refused for the load, by their class."""
        return {load: self.overload.refused[load] for load in SHED_ORDER}

    def watch(self, http: HttpServer, instances: InstanceFeed) -> None:
        """Takes these in too, and has the server refuse what is too much."""
        self._parts.http, self._parts.instances = http, instances
        http.shed(self.overload)

    def uses(self) -> Iterable[LimitUse]:
        """Every limit, by name."""
        for name, used in LIMITS:
            yield LimitUse(name, self._most(name), used(self._parts) if used else None, self._refused(name))

    def _use(self, name: str) -> Callable[[], Use]:
        used = dict(LIMITS)[name]
        assert used is not None
        most = self._most(name)
        return lambda: Use(name, used(self._parts), most)

    def _most(self, name: str) -> int:
        block, _, field = name.partition(".")
        settings = getattr(self._config, block)
        # Durations have their unit in their name; what is shown of them is whole seconds.
        most: float = getattr(settings, field) if hasattr(settings, field) else getattr(settings, f"{field}_s")
        return math.ceil(most)

    def _refused(self, name: str) -> int:
        if name == "http.watchers_max":
            return self._parts.answers.watchers.refused_count
        block, _, field = name.partition(".")
        if block == "dns_config":
            return self._parts.dns.refused.get(field, 0)
        own = self._parts.http.refused.get(name, 0) if self._parts.http else 0
        return own + self._refused_elsewhere(name)

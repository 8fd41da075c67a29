"""What this agent counts, gathered when it is asked for. A new metric is one line in `Metrics.read`."""

from __future__ import annotations

import collections
import functools
from collections.abc import Callable, Iterable, Sequence

from regista.agent.alert_metrics import AlertMetrics
from regista.agent.config import AgentConfig
from regista.agent.dns import DnsCounting, read_dns_metrics
from regista.agent.health_metrics import HealthMetrics
from regista.agent.log import Log
from regista.agent.log_listeners import LogListeners
from regista.agent.metric_shapes import counter, counters, gauge
from regista.agent.notifying import Notifying
from regista.agent.store_state import StoreState
from regista.agent.stream_metrics import StreamMetrics
from regista.agent.webhook_metrics import WebhookMetrics
from regista.catalog import Catalog
from regista.health import Scheduler
from regista.model import KINDS, Batch
from regista.protocols.consul import DEGRADED_REASONS, STANDINGS, Metric, PresentStanding
from regista.protocols.http import Answers, HttpServer, ResponseCache


class Metrics:
    """Reads the counters of the agent's parts.

    Args:
        threshold_default: see `HealthMetrics`.
        more: read the metrics of further parts.

    Attributes:
        http: set once it is made.
    """

    def __init__(
        self,
        catalog: Catalog,
        scheduler: Scheduler,
        answers: Answers,
        listeners: LogListeners,
        *,
        standing: PresentStanding,
        threshold_default: float,
        store: StoreState,
        uptime_s: Callable[[], float],
        more: Sequence[Callable[[], Iterable[Metric]]] = (),
    ) -> None:
        self.http: HttpServer | None = None
        self._catalog = catalog
        self._health = HealthMetrics(catalog, scheduler, threshold_default=threshold_default)
        self._answers = answers
        self._listeners = listeners
        self._standing = standing
        self._store = store
        self._uptime_s = uptime_s
        self._more = tuple(more)
        self._commits_count = 0
        self._changes: collections.Counter[str] = collections.Counter()
        catalog.subscribe(self._on_batch)

    def add(self, *more: Callable[[], Iterable[Metric]]) -> None:
        """Reads the metrics of these too."""
        self._more += more

    def read(self) -> Iterable[Metric]:
        """Every metric, as of now."""
        catalog, http, watchers = self._catalog, self.http, self._answers.watchers
        yield gauge("uptime_seconds", "Since the agent started.", self._uptime_s())
        yield gauge("catalog_index", "The index of the last transaction.", catalog.index)
        yield gauge("catalog_nodes", "Registered nodes.", len(catalog.nodes))
        yield gauge("catalog_services", "Names of registered services.", len(catalog.service_indexes.by_name))
        yield gauge("catalog_instances", "Registered instances.", len(catalog.services))
        yield gauge("catalog_topics", "What answers may depend on.", len(catalog.topics))
        yield counter("commits", "Transactions committed.", self._commits_count)
        yield counters("changes", "Records written or deleted, by kind.", "kind", self._changes, KINDS)
        yield gauge("answers_stale_seconds", "For how long nothing could be written.", self._store.stale_s() or 0)
        yield counter("answers_encoded", "Answers that had to be made.", self._answers.encoded_count)
        yield gauge("answers_waiting", "Blocking queries that wait.", self._answers.waiting_count)
        text = "Answers about health, by how far they can be relied on."
        yield counters("answers_given", text, "standing", self._standing.given, STANDINGS)
        text = "Answers that hold others than were asked for, by why."
        yield counters("answers_degraded", text, "reason", self._standing.degraded, DEGRADED_REASONS)
        yield gauge("watchers", "Clients that follow something, each for each thing.", watchers.count)
        yield counter("watchers_refused", "Watchers beyond what is kept.", watchers.refused_count)
        text = "Drains that waited for the watchers, by outcome."
        yield counters("drain_waits", text, "outcome", watchers.outcomes, ("abandoned", "laggards", "passed"))
        yield gauge("http_connections", "Open connections.", http.connection_count if http else 0)
        yield counter("http_requests", "Requests begun.", http.requests_count if http else 0)
        text = "Clients that took nothing of their stream for too long, and lost their connection."
        yield counter("streams_dropped", text, http.stalled_count if http else 0)
        yield from _response_cache(http.responses) if http else ()
        yield gauge("log_listeners", "Clients that follow the log.", len(self._listeners))
        yield from self._health.read()
        for read in self._more:
            yield from read()

    def _on_batch(self, batch: Batch) -> None:
        self._commits_count += 1
        for change in batch.changes:
            self._changes[change.record.kind] += 1


def _response_cache(responses: ResponseCache) -> Iterable[Metric]:
    yield gauge("response_cache_entries", "Requests whose response is kept ready.", len(responses))
    yield gauge("response_cache_bytes", "What these responses take in memory, roughly.", responses.kept_bytes)
    yield counter("response_cache_hits", "Responses that were ready.", responses.hits_count)
    text = "Responses that might have been ready, but were not there or no longer true."
    yield counter("response_cache_misses", text, responses.misses_count)
    yield counter("response_cache_evictions", "Responses that made room for others.", responses.evictions_count)


def make_metrics(
    log: Log,
    scheduler: Scheduler,
    answers: Answers,
    listeners: LogListeners,
    *,
    news: Notifying,
    dns: DnsCounting,
    config: AgentConfig,
    uptime_s: Callable[[], float],
) -> Metrics:
    """The metrics of an agent, from all its parts."""
    return Metrics(
        log.catalog,
        scheduler,
        answers,
        listeners,
        standing=log.standing,
        threshold_default=config.degrading.panic_threshold_percent,
        store=log.state,
        uptime_s=uptime_s,
        more=(
            functools.partial(read_dns_metrics, dns),
            StreamMetrics(news.feed, news.watches).read,
            WebhookMetrics(news.webhooks.states, lambda: news.webhooks.in_flight).read,
            AlertMetrics(
                news.alerts.engine.counts, lambda: news.alerts.desk.left_out, news.alerts.desk.channel_states
            ).read,
        ),
    )

"""What this agent counts, gathered when it is asked for. A new metric is one line in `Metrics.read`."""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Mapping

from regista.agent.log_listeners import LogListeners
from regista.catalog import Catalog
from regista.health import Scheduler
from regista.model import Batch
from regista.protocols.consul import Metric
from regista.protocols.http import Answers, HttpServer


class Metrics:
    """Reads the counters of the agent's parts.

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
        uptime_s: Callable[[], float],
    ) -> None:
        self.http: HttpServer | None = None
        self._catalog = catalog
        self._scheduler = scheduler
        self._answers = answers
        self._listeners = listeners
        self._uptime_s = uptime_s
        self._commits_count = 0
        self._changes: collections.Counter[str] = collections.Counter()
        catalog.subscribe(self._on_batch)

    def read(self) -> Iterable[Metric]:
        """Every metric, as of now."""
        catalog, health, http = self._catalog, self._scheduler.counters, self.http
        indexes = catalog.check_indexes
        yield _gauge("uptime_seconds", "Since the agent started.", self._uptime_s())
        yield _gauge("catalog_index", "The index of the last transaction.", catalog.index)
        yield _gauge("catalog_nodes", "Registered nodes.", len(catalog.nodes))
        yield _gauge("catalog_services", "Names of registered services.", len(catalog.service_indexes.by_name))
        yield _gauge("catalog_instances", "Registered instances.", len(catalog.services))
        checks = {status: len(indexes.by_status[status]) for status in sorted(indexes.by_status)}
        yield Metric("catalog_checks", "Registered checks.", _labelled("status", checks))
        yield _gauge("catalog_topics", "What answers may depend on.", len(catalog.topics))
        yield _counter("commits", "Transactions committed.", self._commits_count)
        yield _counters("changes", "Records written or deleted, by kind.", "kind", self._changes)
        yield _counter("answers_encoded", "Answers that had to be made.", self._answers.encoded_count)
        yield _gauge("answers_waiting", "Blocking queries that wait.", self._answers.waiting_count)
        yield _gauge("http_connections", "Open connections.", http.connection_count if http else 0)
        yield _counter("http_requests", "Requests begun.", http.requests_count if http else 0)
        yield _gauge("log_listeners", "Clients that follow the log.", len(self._listeners))
        yield Metric(
            "probes",
            "Results of probes, by kind of check and status.",
            tuple(({"kind": kind, "status": status}, n) for (kind, status), n in sorted(health.probes.items())),
            is_counter=True,
        )
        yield _counter("probes_ignored", "Failed probes of while the agent stalled.", health.probes_ignored)
        yield _counter("probes_late", "Probes that began over a second late.", health.late_starts)
        yield _counters(
            "transitions", "Changes of a check's status, by the new one.", "status", health.transitions
        )
        yield _counters("expiries", "TTLs that ran out, by what had them.", "of", health.expiries)
        yield _counters("deregistrations", "Instances removed, by why.", "reason", health.deregistrations)

    def _on_batch(self, batch: Batch) -> None:
        self._commits_count += 1
        for change in batch.changes:
            self._changes[change.record.kind] += 1


def _gauge(name: str, text: str, value: float) -> Metric:
    return Metric(name, text, (({}, value),))


def _counter(name: str, text: str, value: float) -> Metric:
    return Metric(name, text, (({}, value),), is_counter=True)


def _counters(name: str, text: str, label: str, values: Mapping[str, float]) -> Metric:
    return Metric(name, text, _labelled(label, values), is_counter=True)


def _labelled(label: str, values: Mapping[str, float]) -> tuple[tuple[dict[str, str], float], ...]:
    return tuple(({label: each}, values[each]) for each in sorted(values))

"""`docs/reference/metrics.md`, made from what an agent without anything registered counts.

Run `python -m regista.agent.metrics_reference` at the root of the repository after changing a metric.
"""

from __future__ import annotations

import collections
import functools
import logging
import math
import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

import aiohttp

from regista.agent.alert_metrics import AlertMetrics
from regista.agent.dns import read_dns_metrics
from regista.agent.everywhere import Everywhere
from regista.agent.limit_metrics import FollowingMetrics, LimitMetrics
from regista.agent.limits import LIMITS
from regista.agent.log_listeners import LogListeners
from regista.agent.metrics import Metrics
from regista.agent.own_door import OwnDoor
from regista.agent.pages import write_page
from regista.agent.store_state import StoreState
from regista.agent.stream_metrics import StreamMetrics
from regista.agent.webhook_metrics import WebhookMetrics
from regista.agent.worker_process import WorkerProcess
from regista.agent.worker_wire import NOTHING_COUNTED
from regista.catalog import Catalog
from regista.health import HealthSettings, Scheduler, Writer
from regista.model import Subscription
from regista.notify import ChannelState, CourierState, Watches, WebhookState
from regista.protocols.consul import Metric, PresentStanding
from regista.protocols.dns import COUNTED_RCODES, COUNTED_TYPES, DnsCounters
from regista.protocols.http import CALM, Answers, Watchers
from regista.protocols.native import Answering, EventFeed, InstanceFeed, LimitUse, StreamSettings
from regista.store import LogTail

FILE = Path("docs/reference/metrics.md")

_INTRODUCTION = """\
# Metrics

<!-- Made by `python -m regista.agent.metrics_reference`; change src/regista/agent/*metrics.py instead. -->

`GET /v1/agent/metrics?format=prometheus` gives these as Prometheus' text, and so does the path alone for a
Prometheus server. Without that they are JSON in Consul's shape, where `regista_probes_total` is called
`regista.probes`. [prometheus.yml](../../examples/monitoring/prometheus.yml) and two dashboards for Grafana,
[grafana-health.json](../../examples/monitoring/grafana-health.json) and
[grafana-events.json](../../examples/monitoring/grafana-events.json), are made for them.

Counters (`…_total`) begin with 0 at each start of the agent. Labels take the values that are listed, and no
others: no metric grows with the number of services, instances or callers. Those of webhooks have a value for
each subscription, of which there are `notify.subscriptions_max` at the most, and those of alerts for each channel,
`alerts.channels_max` at the most; answers over DNS are counted for each of the first thousand services that are
asked for. Each agent counts what it does itself.
"""

_A_WEBHOOK = WebhookState(
    subscription=Subscription(id="its id", name="its name", url="", secret=""),
    courier=CourierState(),
    index=0,
    behind=0,
    behind_s=0.0,
    attempts=0,
    is_failing=False,
)

_GROUPS = (
    (
        "Instances and checks",
        ("instances", "services_panicking", "catalog_checks", "transitions", "deregistrations"),
    ),
    ("Probes", ("probe", "stall")),
    ("What is made of results", ("results_withheld", "checks_flapping", "flaps_", "abst")),
    (
        "What silence ends",
        ("expiries", "ending", "protection", "verifications", "instances_suspect", "store_away"),
    ),
    ("What callers report", ("reported_requests", "reports_unknown", "eject")),
    ("Drains and those who follow", ("drain", "watchers")),
    ("Answers", ("answers_", "http_")),
    ("Limits and load", ("limit_", "load_")),
    ("DNS", ("dns_",)),
    ("Followers of instances", ("follow",)),
    ("Listeners and watches", ("event", "streams_", "watches", "watch_")),
    ("Webhooks", ("webhook",)),
    ("Alerts", ("alert",)),
    ("The catalog, and the agent", ("",)),
)
"""Titles, and how the names below them begin; of several that fit a name, the longest counts."""


def described_metrics() -> Sequence[Metric]:
    """Every metric of an agent that has just begun."""
    catalog = Catalog()
    scheduler = Scheduler(
        catalog=catalog,
        node="",
        writer=cast("Writer", None),  # nothing is written
        settings=HealthSettings(),
        clock=_at_the_start,
        wall_clock=_at_the_start,
        rng=random.Random(0),  # noqa: S311 - nothing is drawn
        probes={},
    )
    answers = Answers(catalog.topics, bytes_max=0, revisions_max=0, waiting_max=0, waiting_setting="")
    listeners = LogListeners(lambda _: logging.Formatter(), listeners_max=0, lines_max=0, on_level=lambda: None)
    store = StoreState(_at_the_start)
    metrics = Metrics(
        catalog,
        scheduler,
        answers,
        listeners,
        standing=PresentStanding(catalog, store.stale_s, settling_s=0.0, clock=_at_the_start),
        threshold_default=0.0,
        store=store,
        uptime_s=_at_the_start,
        more=(
            functools.partial(read_dns_metrics, _NoNames()),
            FollowingMetrics(_no_followers(catalog)).read,
            LimitMetrics(_NoLoad()).read,
            Everywhere((_a_worker(),)).read_metrics,
            StreamMetrics(_a_feed(), Watches(OwnDoor(), cast("aiohttp.ClientSession", None))).read,
            WebhookMetrics(lambda: (_A_WEBHOOK,), lambda: 0).read,
            AlertMetrics(
                lambda: {"firing": 0, "pending": 0}, lambda: 0, lambda: {"its name": ChannelState()}
            ).read,
        ),
    )
    return tuple(metrics.read())


def _a_worker() -> WorkerProcess:
    """One that has counted nothing."""
    worker = WorkerProcess(1, clock=_at_the_start)
    worker.counted = NOTHING_COUNTED
    return worker


def _a_feed() -> EventFeed:
    """One that nobody listens to."""
    tail = cast("LogTail", None)  # nothing is read
    return EventFeed(
        tail,
        source="",
        streams_max=0,
        heartbeat_s=0.0,
        backlog_bytes_max=0,
        clock=_at_the_start,
        wall_clock=_at_the_start,
    )


def _no_followers(catalog: Catalog) -> InstanceFeed:
    """A feed that nobody follows."""
    answering = Answering(lambda _instance: b"", lambda _topic, _is_empty: "", 0.0)
    return InstanceFeed(catalog, answering, StreamSettings(), watchers=_no_watchers(), life="")


def _no_watchers() -> Watchers:
    return Watchers(watchers_max=0, return_s=0.0, barriers_max=0, forget_refused_s=0.0)


class _NoLoad:
    """Limits of which nothing is in use."""

    level = CALM
    lag_s = 0.0
    shed: Mapping[str, int] = {}

    def uses(self) -> Iterable[LimitUse]:
        """Every limit that an agent has."""
        return (LimitUse(name, 0, 0 if used else None, 0) for name, used in LIMITS)


class _NoNames:
    """A DNS server that has been asked for nothing, but for what shows the labels."""

    connection_count = ready_count = 0

    def counters(self) -> DnsCounters:
        """A count with each type, code and transport, and one with a service."""
        answers = [(each, "NOERROR", "udp") for each in COUNTED_TYPES]
        answers += [("A", each, "tcp") for each in COUNTED_RCODES]
        return DnsCounters(
            answers=collections.Counter(dict.fromkeys(answers, 0)), services=collections.Counter({"its name": 0})
        )


def render() -> str:
    """The whole page."""
    groups: dict[str, list[Metric]] = {title: [] for title, _ in _GROUPS}
    for metric in described_metrics():
        groups[_title(metric.name)].append(metric)
    return "\n".join(
        [_INTRODUCTION, *(line for title, found in groups.items() for line in _section(title, found))]
    )


def _title(name: str) -> str:
    fitting = [(len(each), title) for title, beginnings in _GROUPS for each in beginnings if name.startswith(each)]
    return max(fitting)[1]


def _section(title: str, metrics: Iterable[Metric]) -> Iterable[str]:
    yield f"## {title}\n"
    yield "| Metric | Type | Labels | What |"
    yield "| --- | --- | --- | --- |"
    for metric in metrics:
        yield f"| `{metric.full_name}` | {metric.type} | {_labels(metric)} | {metric.text} |"
    yield ""


def _labels(metric: Metric) -> str:
    if metric.histogram is not None:
        bounds = ", ".join(
            "+Inf" if math.isinf(bound) else f"{bound:g}" for bound, _ in metric.histogram.buckets()
        )
        return f"`le`: {bounds}"
    values: dict[str, dict[str, None]] = {}
    for labels, _ in metric.values:
        for name, value in labels.items():
            values.setdefault(name, {})[f"`{value}`"] = None
    return "; ".join(f"`{name}`: {', '.join(known)}" for name, known in values.items())


def _at_the_start() -> float:
    return 0.0


def main() -> None:
    """Writes the page, below the working directory or to the file named as the argument."""
    write_page(render, file=FILE)


if __name__ == "__main__":
    main()

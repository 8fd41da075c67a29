"""/v1/agent/metrics: what the agent counts, as Consul's JSON and as Prometheus' text.

Source: Consul 1.9 (behaviour) for the JSON; Prometheus' text format 0.0.4.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Iterator
from typing import Any

from regista.health import Histogram
from regista.protocols.consul.context import Context, Metric
from regista.protocols.consul.parameters import PRETTY
from regista.protocols.consul.reads import json_response
from regista.protocols.http import Parameter, Request, Response, Route

_PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PROMETHEUS_ACCEPTED = ("application/openmetrics-text", "text/plain;version=0.0.4", "text/plain;version=0.4.0")


class Metrics:
    """The handler."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The path answered here."""
        form = Parameter("format", "`prometheus` for Prometheus' text instead of JSON.")
        return (
            Route(
                "GET",
                "/v1/agent/metrics",
                self.metrics,
                "What the agent counts",
                parameters=(PRETTY, form),
                access="agent:read",
                load="control",
            ),
        )

    def metrics(self, request: Request) -> Response:
        """GET agent/metrics: every count since the start, and what there is now."""
        found = list(self._context.metrics())
        accepted = request.headers.get("Accept", "").replace(" ", "").startswith(_PROMETHEUS_ACCEPTED)
        if request.parameters.first("format") == "prometheus" or accepted:
            return Response(200, encode_prometheus(found).encode(), _PROMETHEUS_TYPE)
        now_s = self._context.wall_clock()
        return json_response(
            request, encode_metrics(found, now_s=now_s, uptime_s=now_s - self._context.identity.started_s)
        )


def encode_metrics(metrics: Iterable[Metric], *, now_s: float, uptime_s: float) -> dict[str, Any]:
    """The metrics in Consul's shape; a counter's numbers are those since the start of the agent.

    Args:
        now_s: seconds since the epoch.
        uptime_s: since the start.
    """
    gauges: list[dict[str, Any]] = []
    counters: list[dict[str, Any]] = []
    samples: list[dict[str, Any]] = []
    for metric in metrics:
        name = f"regista.{metric.name.replace('_', '.')}"
        if metric.histogram is not None:
            samples.append({"Name": name} | _sample(metric.histogram, uptime_s))
        for labels, value in metric.values:
            if metric.is_counter:
                rate = value / max(uptime_s, 1.0)
                each = 1 if value else 0
                count = {"Name": name, "Count": int(value), "Rate": rate, "Sum": value, "Min": each, "Max": each}
                counters.append(count | {"Mean": each, "Stddev": 0, "Labels": labels})
            else:
                gauges.append({"Name": name, "Value": value, "Labels": labels})
    moment = dt.datetime.fromtimestamp(now_s, dt.UTC)
    return {
        "Timestamp": moment.strftime("%Y-%m-%d %H:%M:%S +0000 UTC"),
        "Gauges": gauges,
        "Points": [],
        "Counters": counters,
        "Samples": samples,
    }


def encode_prometheus(metrics: Iterable[Metric]) -> str:
    """The metrics as lines."""
    lines: list[str] = []
    for metric in metrics:
        name = metric.full_name
        lines.append(f"# HELP {name} {_escaped(metric.text)}")
        lines.append(f"# TYPE {name} {metric.type}")
        if metric.histogram is not None:
            lines += _histogram_lines(name, metric.histogram)
        for labels, value in metric.values:
            pairs = ",".join(f'{key}="{_escaped(each, quotes=True)}"' for key, each in labels.items())
            lines.append(f"{name}{{{pairs}}} {value}" if pairs else f"{name} {value}")
    return "".join(f"{line}\n" for line in lines)


def _sample(histogram: Histogram, uptime_s: float) -> dict[str, Any]:
    return {
        "Count": histogram.count,
        "Rate": histogram.total / max(uptime_s, 1.0),
        "Sum": histogram.total,
        "Min": histogram.least,
        "Max": histogram.most,
        "Mean": histogram.mean,
        "Stddev": histogram.deviation,
        "Labels": {},
    }


def _histogram_lines(name: str, histogram: Histogram) -> Iterator[str]:
    for bound, count in histogram.buckets():
        yield f'{name}_bucket{{le="{"+Inf" if math.isinf(bound) else bound}"}} {count}'
    yield f"{name}_sum {histogram.total}"
    yield f"{name}_count {histogram.count}"


def _escaped(text: str, *, quotes: bool = False) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text

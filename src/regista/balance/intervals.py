"""The rules that look at a whole interval: which hosts stand out among the others, and by what numbers."""

from __future__ import annotations

import dataclasses
import functools
import statistics
from collections.abc import Callable, Mapping

from regista.balance.hosts import Host, Rule
from regista.balance.parameters import OutlierParameters

_ROUNDING = 1e-9
"""Percent. Hosts with the same rate must not be below their own mean because floats are rounded."""


@dataclasses.dataclass(frozen=True, slots=True)
class Suspect:
    """A host that a rule finds.

    Attributes:
        badness: the higher, the worse, among the suspects of one rule.
        because: the numbers, as a sentence without a full stop; made when asked for.
    """

    host: str
    rule: Rule
    badness: float
    because: Callable[[], str]


def find_suspects(hosts: Mapping[str, Host], parameters: OutlierParameters) -> list[Suspect]:
    """Who stands out in this interval, rule by rule, the worst of each first; hosts that are out don't count.

    Source: Envoy, outlier detection (documented behaviour); worst first, and the rule for latency, are Regista's.
    """
    present = {key: host for key, host in hosts.items() if host.until_s is None}
    answered = {key: (host.successes, host.requests) for key, host in present.items()}
    rules = [
        _below_mean(answered, parameters, "success_rate"),
        _above_share(answered, parameters, "failure_percentage"),
    ]
    if parameters.split_external_local_origin_errors:
        reached = {key: (host.reached, host.attempts) for key, host in present.items()}
        rules += [
            _below_mean(reached, parameters, "local_origin_success_rate"),
            _above_share(reached, parameters, "failure_percentage_local_origin"),
        ]
    rules.append(_slow(present, parameters))
    return [suspect for found in rules for suspect in sorted(found, key=lambda each: (-each.badness, each.host))]


def _below_mean(counts: Mapping[str, tuple[int, int]], parameters: OutlierParameters, rule: Rule) -> list[Suspect]:
    """Those whose successes are rarer than usual by so many standard deviations of the population."""
    rates = {
        key: 100.0 * good / total
        for key, (good, total) in counts.items()
        if total >= parameters.success_rate_request_volume
    }
    if len(rates) < parameters.success_rate_minimum_hosts:
        return []
    mean = statistics.fmean(rates.values())
    deviation = statistics.fmean([(rate - mean) ** 2 for rate in rates.values()]) ** 0.5
    least = mean - deviation * parameters.success_rate_stdev_factor / 1000

    def because(key: str) -> str:
        return (
            f"{rates[key]:.1f} % of {counts[key][1]} requests went well, below {least:.1f} %: the mean of "
            f"{len(rates)} instances is {mean:.1f} %, the standard deviation {deviation:.1f}"
        )

    return [
        Suspect(key, rule, -rate, functools.partial(because, key))
        for key, rate in rates.items()
        if rate < least - _ROUNDING
    ]


def _above_share(
    counts: Mapping[str, tuple[int, int]], parameters: OutlierParameters, rule: Rule
) -> list[Suspect]:
    """Those of whose requests at least so many in a hundred failed."""
    threshold = parameters.failure_percentage_threshold
    enough = {
        key: (total - good, total)
        for key, (good, total) in counts.items()
        if total >= parameters.failure_percentage_request_volume
    }
    if len(enough) < parameters.failure_percentage_minimum_hosts:
        return []

    def because(key: str) -> str:
        bad, total = enough[key]
        return f"{bad} of {total} requests failed, at least {threshold} %"

    return [
        Suspect(key, rule, bad / total, functools.partial(because, key))
        for key, (bad, total) in enough.items()
        if bad * 100 >= threshold * total
    ]


def _slow(present: Mapping[str, Host], parameters: OutlierParameters) -> list[Suspect]:
    """Those whose successes take much longer than is usual; failures can be fast or slow for other reasons."""
    means = {
        key: host.latency_ms / host.timed
        for key, host in present.items()
        if host.timed >= parameters.latency_request_volume
    }
    if len(means) < parameters.latency_minimum_hosts:
        return []
    median = statistics.median(means.values())
    most = max(median * parameters.latency_factor / 1000, parameters.latency_minimum_s * 1000)

    def because(key: str) -> str:
        return (
            f"its mean latency of {means[key]:.1f} ms over {present[key].timed} requests is above {most:.1f} ms; "
            f"the median of {len(means)} instances is {median:.1f} ms"
        )

    return [
        Suspect(key, "latency", mean, functools.partial(because, key))
        for key, mean in means.items()
        if mean > most
    ]

"""How metrics are written down: a line each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

from regista.health import Histogram
from regista.protocols.consul import Metric


def gauge(name: str, text: str, value: float) -> Metric:
    """What there is now."""
    return Metric(name, text, (({}, value),))


def gauges(name: str, text: str, label: str, values: Mapping[str, float], known: Iterable[str] = ()) -> Metric:
    """What there is now, by a label; each value that is known shows, with zero where there is none."""
    return Metric(name, text, _labelled(label, values, known))


def counter(name: str, text: str, value: float) -> Metric:
    """What has happened since the start."""
    return Metric(name, text, (({}, value),), is_counter=True)


def counters(name: str, text: str, label: str, values: Mapping[str, float], known: Iterable[str] = ()) -> Metric:
    """What has happened since the start, by a label; see `gauges`.

    A count that appears only with its first event has no rate then: whoever asks for one misses that event.
    """
    return Metric(name, text, _labelled(label, values, known), is_counter=True)


def counters_by_two(
    name: str,
    text: str,
    labels: tuple[str, str],
    values: Mapping[tuple[str, str], float],
    known: tuple[Iterable[str], Iterable[str]],
) -> Metric:
    """As `counters`, with two labels."""
    first, second = labels
    pairs = sorted({*values, *product(*known)})
    samples = tuple(({first: one, second: other}, values.get((one, other), 0)) for one, other in pairs)
    return Metric(name, text, samples, is_counter=True)


def histogram(name: str, text: str, values: Histogram) -> Metric:
    """How something is distributed."""
    return Metric(name, text, histogram=values)


def _labelled(
    label: str, values: Mapping[str, float], known: Iterable[str]
) -> tuple[tuple[dict[str, str], float], ...]:
    return tuple(({label: each}, values.get(each, 0)) for each in sorted({*values, *known}))

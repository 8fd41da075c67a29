"""The metrics: each is documented, named as Prometheus wants it, and has labels that cannot grow without end."""

import re
from pathlib import Path

from regista.agent.metrics_reference import FILE, described_metrics, render

ROOT = Path(__file__).parents[3]

_UNITS_SPELT_OTHERWISE = re.compile(r"_(ms|milliseconds|minutes|s|kb|mb|percent|total)$")
_SAMPLES_MAX = 64
"""Of one metric: enough for every kind of check with every status."""


def test_the_page_of_metrics_is_current():
    """docs/reference/metrics.md is what an agent counts."""
    on_disk = (ROOT / FILE).read_text(encoding="utf-8")
    assert on_disk == render(), f"{FILE} is not current; run: python -m regista.agent.metrics_reference"


def test_names_follow_prometheus_conventions():
    """Names are small letters and underscores, in base units, each once; a counter's total is added at the door."""
    metrics = described_metrics()
    names = [metric.name for metric in metrics]
    assert len(set(names)) == len(names)
    for metric in metrics:
        assert re.fullmatch(r"[a-z]+(_[a-z0-9]+)*", metric.name), metric.name
        assert not _UNITS_SPELT_OTHERWISE.search(metric.name), metric.name
        assert metric.text.endswith("."), metric.name
        assert metric.histogram is None or metric.name.endswith("_seconds"), metric.name


def test_every_label_shows_its_values_from_the_start():
    """An agent that has counted nothing shows each series at zero, so that its first event has a rate."""
    for metric in described_metrics():
        if metric.histogram is None:
            assert 0 < len(metric.values) <= _SAMPLES_MAX, metric.name

"""Metrics in their two forms."""

from regista.health import Histogram
from regista.protocols.consul import Metric
from regista.protocols.consul.metrics import encode_metrics, encode_prometheus

METRICS = (
    Metric("catalog_index", "The index.", (({}, 7),)),
    Metric("probes", 'A "text"\nwith \\.', (({"kind": 'a"b\\\n', "status": "passing"}, 3),), is_counter=True),
    Metric("expiries", "None yet.", (), is_counter=True),
)


def test_prometheus_text_has_help_type_and_escaped_labels():
    """Each metric has its two comment lines, counters end in _total, and no value can break a line."""
    assert encode_prometheus(METRICS).splitlines() == [
        "# HELP regista_catalog_index The index.",
        "# TYPE regista_catalog_index gauge",
        "regista_catalog_index 7",
        '# HELP regista_probes_total A "text"\\nwith \\\\.',
        "# TYPE regista_probes_total counter",
        'regista_probes_total{kind="a\\"b\\\\\\n",status="passing"} 3',
        "# HELP regista_expiries_total None yet.",
        "# TYPE regista_expiries_total counter",
    ]


def test_the_json_has_consuls_shape():
    """Gauges have a value; counters have a count since the start, and the rate that follows from it."""
    found = encode_metrics(METRICS, now_s=1_700_000_000.0, uptime_s=6.0)
    assert found["Timestamp"] == "2023-11-14 22:13:20 +0000 UTC"
    assert found["Gauges"] == [{"Name": "regista.catalog.index", "Value": 7, "Labels": {}}]
    (counter,) = found["Counters"]
    assert (counter["Count"], counter["Rate"], counter["Name"]) == (3, 0.5, "regista.probes")


def lateness():
    histogram = Histogram((0.005, 1.0))
    for value in (0.001, 0.003, 0.5, 2.0):
        histogram.observe(value)
    return Metric("probe_lateness_seconds", "How late.", histogram=histogram)


def test_a_histogram_is_buckets_sum_and_count():
    """Buckets are cumulative and end with +Inf, which is the count."""
    assert encode_prometheus([lateness()]).splitlines() == [
        "# HELP regista_probe_lateness_seconds How late.",
        "# TYPE regista_probe_lateness_seconds histogram",
        'regista_probe_lateness_seconds_bucket{le="0.005"} 2',
        'regista_probe_lateness_seconds_bucket{le="1.0"} 3',
        'regista_probe_lateness_seconds_bucket{le="+Inf"} 4',
        "regista_probe_lateness_seconds_sum 2.504",
        "regista_probe_lateness_seconds_count 4",
    ]


def test_a_histogram_is_a_sample_in_the_json():
    """Consul's shape has samples: count, sum, extremes, mean and deviation."""
    (sample,) = encode_metrics([lateness()], now_s=1.0, uptime_s=4.0)["Samples"]
    assert sample["Name"] == "regista.probe.lateness.seconds"
    assert (sample["Count"], sample["Sum"], sample["Min"], sample["Max"]) == (4, 2.504, 0.001, 2.0)
    assert (sample["Mean"], sample["Rate"]) == (0.626, 0.626)

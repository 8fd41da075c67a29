"""Metrics in their two forms."""

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

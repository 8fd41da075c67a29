"""The examples for monitoring name what an agent really has."""

import json
import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "monitoring"
DASHBOARDS = ("grafana-health.json", "grafana-events.json")

each_dashboard = pytest.mark.parametrize("name", DASHBOARDS)

_METRIC = re.compile(r"regista_[a-z_]+")
_SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="[^"]*",?)*)\})? (-?[0-9.e+-]+|\+Inf)')
_GROUPED = re.compile(r"\bby \(([a-z, ]+)\)")
_OF_PROMETHEUS = {"job", "instance"}


@pytest.fixture(scope="module")
def exposed(shared_agent):
    """The agent's text as Prometheus gets it: the labels of each name that a sample has."""
    # Metrics of subscriptions and channels have a value for each.
    hook = {"name": "hook", "url": "http://127.0.0.1:9/", "secret": "a secret of this test"}
    assert shared_agent.request("POST", "/v1/regista/subscriptions", hook).status in (200, 201)
    channel = {"kind": "alertmanager", "url": "http://127.0.0.1:9"}
    assert shared_agent.put("/v1/regista/alerts/channels/am", channel).status == 200
    reply = shared_agent.get("/v1/agent/metrics", headers={"Accept": "text/plain;version=0.0.4"})
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    names = {}
    for line in reply.text.splitlines():
        if not line.startswith("#"):
            sample = _SAMPLE.fullmatch(line)
            assert sample, line
            names.setdefault(sample[1], set()).update(re.findall(r'([a-z]+)="', sample[2] or ""))
    return names


def dashboard(name):
    return json.loads((EXAMPLES / name).read_text(encoding="utf-8"))


def expressions(name):
    """Each of a dashboard's expressions, with the title of its panel."""
    board = dashboard(name)
    found = [(panel["title"], each["expr"]) for panel in board["panels"] for each in panel.get("targets", ())]
    found += [(each["name"], each["expr"]) for each in board["annotations"]["list"]]
    found += [(each["name"], each["definition"]) for each in board["templating"]["list"] if "definition" in each]
    return found


@each_dashboard
def test_a_dashboard_names_metrics_and_labels_that_exist(exposed, name):
    """Every metric of a dashboard's PromQL is in the agent's output, with the labels that it is grouped by."""
    found = expressions(name)
    assert len(found) > 15
    for title, expression in found:
        names = _METRIC.findall(expression)
        assert names, (title, expression)
        for metric in names:
            assert metric in exposed, f"{title}: there is no {metric}"
        labels = {label.strip() for group in _GROUPED.findall(expression) for label in group.split(",")}
        known = _OF_PROMETHEUS.union(*(exposed[metric] for metric in names))
        assert labels <= known, f"{title}: {labels - known}"


@each_dashboard
def test_legends_name_labels_that_are_left(name):
    """A legend's {{label}} is one that its expression groups by."""
    for panel in dashboard(name)["panels"]:
        for target in panel.get("targets", ()):
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                assert f"by ({label})" in target["expr"], (panel["title"], target)


@each_dashboard
def test_a_dashboard_can_be_laid_out(name):
    """Panels have ids of their own, a place within the 24 columns, and none covers another."""
    taken, ids = set(), set()
    for panel in dashboard(name)["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24, panel["title"]
        assert not cells & taken, panel["title"]
        assert panel["id"] not in ids, panel["title"]
        taken |= cells
        ids.add(panel["id"])


SHOWN = {
    "grafana-health.json": (
        "instances",
        "flap",
        "protection",
        "expir",
        "probe",
        "late",
        "ejection",
        "drain",
        "degraded",
    ),
    "grafana-events.json": ("listener", "delivered", "retried", "dead", "lag", "alert", "watch"),
}


@pytest.mark.parametrize(("name", "what"), [(name, what) for name in SHOWN for what in SHOWN[name]])
def test_a_dashboard_shows_each_thing_that_it_is_for(name, what):
    """There is a panel for each of what an operator looks for."""
    assert any(what in f"{title} {expression}".lower() for title, expression in expressions(name))


def test_the_scrape_configuration_is_answered(shared_agent):
    """The path and the parameter in prometheus.yml give Prometheus' text."""
    text = (EXAMPLES / "prometheus.yml").read_text(encoding="utf-8")
    path = re.search(r"metrics_path: (\S+)", text)[1]
    form = re.search(r"format: \[(\w+)\]", text)[1]
    reply = shared_agent.get(f"{path}?format={form}")
    assert reply.status == 200
    assert "# TYPE regista_probe_lateness_seconds histogram" in reply.text


def test_the_page_of_examples_names_metrics_that_exist(exposed):
    """Each expression that is proposed for an alert is about something that is there."""
    page = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert all(name in exposed for name in _METRIC.findall(page))

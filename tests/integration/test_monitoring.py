"""The examples for monitoring name what an agent really has."""

import json
import re
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "monitoring"
DASHBOARD = EXAMPLES / "grafana-health.json"

_METRIC = re.compile(r"regista_[a-z_]+")
_SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z]+="[^"]*",?)*)\})? (-?[0-9.e+-]+|\+Inf)')
_GROUPED = re.compile(r"\bby \(([a-z, ]+)\)")
_OF_PROMETHEUS = {"job", "instance"}


@pytest.fixture(scope="module")
def exposed(shared_agent):
    """The agent's text as Prometheus gets it: the labels of each name that a sample has."""
    reply = shared_agent.get("/v1/agent/metrics", headers={"Accept": "text/plain;version=0.0.4"})
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    names = {}
    for line in reply.text.splitlines():
        if not line.startswith("#"):
            sample = _SAMPLE.fullmatch(line)
            assert sample, line
            names.setdefault(sample[1], set()).update(re.findall(r'([a-z]+)="', sample[2] or ""))
    return names


def dashboard():
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))


def expressions():
    """Each of the dashboard's expressions, with the title of its panel."""
    board = dashboard()
    found = [(panel["title"], each["expr"]) for panel in board["panels"] for each in panel.get("targets", ())]
    found += [(each["name"], each["expr"]) for each in board["annotations"]["list"]]
    found += [(each["name"], each["definition"]) for each in board["templating"]["list"] if "definition" in each]
    return found


def test_the_dashboard_names_metrics_and_labels_that_exist(exposed):
    """Every metric of the dashboard's PromQL is in the agent's output, with the labels that it is grouped by."""
    assert len(expressions()) > 40
    for title, expression in expressions():
        names = _METRIC.findall(expression)
        assert names, (title, expression)
        for name in names:
            assert name in exposed, f"{title}: there is no {name}"
        labels = {label.strip() for group in _GROUPED.findall(expression) for label in group.split(",")}
        known = _OF_PROMETHEUS.union(*(exposed[name] for name in names))
        assert labels <= known, f"{title}: {labels - known}"


def test_legends_name_labels_that_are_left():
    """A legend's {{label}} is one that its expression groups by."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            for label in re.findall(r"{{(\w+)}}", target["legendFormat"]):
                assert f"by ({label})" in target["expr"], (panel["title"], target)


def test_the_dashboard_can_be_laid_out():
    """Panels have ids of their own, a place within the 24 columns, and none covers another."""
    taken, ids = set(), set()
    for panel in dashboard()["panels"]:
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


@pytest.mark.parametrize(
    "what", ["instances", "flap", "protection", "expir", "probe", "late", "ejection", "drain", "degraded"]
)
def test_the_dashboard_shows_each_thing_of_health(what):
    """There is a panel for each of what an operator of health looks for."""
    assert any(what in f"{title} {expression}".lower() for title, expression in expressions())


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

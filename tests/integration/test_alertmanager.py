"""Alerts with the real Alertmanager and the real Prometheus, as Debian has them."""

import contextlib
import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from tests.agents import eventually, running_agent
from tests.alert_mailbox import json_mailbox
from tests.ports import free_port

from regista.agent.metrics_reference import described_metrics

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "monitoring"
ALERTS = "/v1/regista/alerts"

ALERTMANAGER = shutil.which("prometheus-alertmanager")
PROMETHEUS = shutil.which("prometheus")
PROMTOOL = shutil.which("promtool")

needs_alertmanager = pytest.mark.skipif(
    ALERTMANAGER is None, reason="there is no prometheus-alertmanager; scripts/test installs it where it may"
)
needs_prometheus = pytest.mark.skipif(
    PROMETHEUS is None or PROMTOOL is None, reason="there is no prometheus; scripts/test installs it where it may"
)


def ask(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.loads(answer.read() or b"null")
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def running(command, folder):
    """A program until the end of the block; its log is shown beside a test that failed."""
    log = folder / "log"
    with log.open("wb") as opened:
        process = subprocess.Popen(command, stdout=opened, stderr=opened, stdin=subprocess.DEVNULL, cwd=folder)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        sys.stdout.write(log.read_text(errors="replace")[-4000:])


@contextlib.contextmanager
def running_alertmanager(folder, receiver_port):
    """An Alertmanager that groups by node and tells a webhook receiver soon; its address."""
    folder.mkdir()
    config = folder / "alertmanager.yml"
    config.write_text(
        "route: {receiver: box, group_by: [node], group_wait: 1s, group_interval: 1s, repeat_interval: 1h}\n"
        f"receivers: [{{name: box, webhook_configs: [{{url: 'http://127.0.0.1:{receiver_port}/'}}]}}]\n"
    )
    address = f"127.0.0.1:{free_port()}"
    command = [
        ALERTMANAGER,
        f"--config.file={config}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--cluster.listen-address=",
    ]
    with running(command, folder):
        eventually(lambda: ask(f"http://{address}/api/v2/status"), within_s=20)
        yield address


@needs_alertmanager
def test_alertmanager_receives_groups_and_resolves(tmp_path):
    """Alerts appear there with their labels, are told together by it, are kept up, and are resolved with the end."""
    config = {"alerts": {"interval": "50ms", "resend": "1s"}}
    with (
        json_mailbox() as box,
        running_alertmanager(tmp_path / "am", box.port) as address,
        running_agent(tmp_path / "agent", keeps_data=True, config=config) as agent,
    ):
        channel = {"kind": "alertmanager", "url": f"http://{address}"}
        assert agent.put(f"{ALERTS}/channels/am", channel).status == 200
        assert agent.request("POST", f"{ALERTS}/channels/am/test").json["sent"]
        assert box.next()["alerts"][0]["labels"]["alertname"] == "regista-test"
        rule = {
            "kind": "check_critical_for",
            "for": "100ms",
            "severity": "critical",
            "labels": {"team": "web"},
            "annotations": {"summary": "{instance} is down"},
            "channels": ["am"],
        }
        assert agent.put(f"{ALERTS}/rules/down", rule).status == 200
        for number in range(20):
            check = {"CheckID": f"c{number}", "TTL": "600s", "Status": "critical"}
            agent.register(Name="web", ID=f"web-{number}", Check=check)
        found = eventually(lambda: _down(address, 20), within_s=20)
        first = next(each for each in found if each["labels"]["instance"] == "web-7")
        assert first["labels"] == {
            "alertname": "down",
            "severity": "critical",
            "team": "web",
            "service": "web",
            "instance": "web-7",
            "node": "n1",
            "check": "c7",
        }
        assert first["annotations"] == {"summary": "web-7 is down"}
        assert first["generatorURL"] == f"http://{agent.http}{ALERTS}"
        told = _told_of(box, "firing", 20)
        assert told["groupLabels"] == {"node": "n1"}
        # It is told again and again that they last: the end that is given moves on.
        eventually(
            lambda: min(each["endsAt"] for each in _down(address, 20)) > max(each["endsAt"] for each in found)
        )
        agent.kill()
        agent.start()
        for number in range(20):
            agent.put(f"/v1/agent/check/pass/c{number}")
        told = _told_of(box, "resolved", 20)
        assert {each["status"] for each in told["alerts"]} == {"resolved"}
        eventually(lambda: not ask(f"http://{address}/api/v2/alerts?filter=alertname%3Ddown"))


def _down(address, count):
    found = ask(f"http://{address}/api/v2/alerts?filter=alertname%3Ddown") or []
    return found if len(found) == count else None


def _told_of(box, status, count):
    """The first message of the Alertmanager's that is about so many alerts in this status."""
    end_s = time.monotonic() + 30
    while True:
        message = box.next(within_s=max(0.1, end_s - time.monotonic()))
        if message["status"] == status and len(message["alerts"]) == count:
            return message


@needs_prometheus
def test_the_example_rules_are_valid():
    """Prometheus' own tool finds nothing wrong with them, and they name metrics that there are."""
    subprocess.run([PROMTOOL, "check", "rules", EXAMPLES / "regista-alerts.yml"], check=True, timeout=30)
    names = set(re.findall(r"regista_[a-z_]+", (EXAMPLES / "regista-alerts.yml").read_text()))
    there = {metric.full_name for metric in described_metrics()}
    assert {name.removesuffix("_bucket") for name in names} <= there


@needs_prometheus
def test_a_real_prometheus_loads_the_examples_and_evaluates_them(tmp_path):
    """With the example's job and rules it scrapes an agent, and every rule is evaluated without an error."""
    with running_agent(tmp_path / "agent") as agent:
        scrape = (EXAMPLES / "prometheus.yml").read_text().replace("127.0.0.1:8500", agent.http)
        rules = EXAMPLES / "regista-alerts.yml"
        config = tmp_path / "prometheus.yml"
        config.write_text(
            "global: {evaluation_interval: 1s}\n"
            f"rule_files: ['{rules}']\n" + scrape.replace("scrape_interval: 15s", "scrape_interval: 1s")
        )
        address = f"127.0.0.1:{free_port()}"
        command = [
            PROMETHEUS,
            f"--config.file={config}",
            f"--storage.tsdb.path={tmp_path / 'tsdb'}",
            f"--web.listen-address={address}",
        ]
        with running(command, tmp_path):
            groups = eventually(lambda: _evaluated(address), within_s=30)
            found = [rule for group in groups for rule in group["rules"]]
            assert len(found) == rules.read_text().count("- alert:")
            assert {each["health"] for each in found} == {"ok"}
            sample = eventually(lambda: _query(address, "regista_alerts"), within_s=20)
            assert {each["metric"]["state"] for each in sample} == {"firing", "pending"}
            agent.kill()
            eventually(lambda: _is_pending(address, "RegistaDown"), within_s=30)
            agent.start()


def _evaluated(address):
    found = ask(f"http://{address}/api/v1/rules")
    groups = found["data"]["groups"] if found else []
    rules = [rule for group in groups for rule in group["rules"]]
    return groups if rules and all(each["health"] != "unknown" for each in rules) else None


def _query(address, expression):
    found = ask(f"http://{address}/api/v1/query?query={expression}")
    return found["data"]["result"] if found else None


def _is_pending(address, name):
    found = ask(f"http://{address}/api/v1/alerts")
    return any(each["labels"]["alertname"] == name for each in (found["data"]["alerts"] if found else ()))

"""Whole answers of the Consul door, compared to the letter with what is known of Consul.

Each `golden/<group>.json` is a conversation with one fresh agent. Of an answer everything counts: the status, every
header, and the body with the order of its keys, `null` against `[]`, and the defaults that were filled in. What can't
be known beforehand (ids, indexes, times, hashes, ports) has a placeholder in both.

A step is `do` (method and path), `send` (the body: text as it is, all else as JSON), `status`, `headers` (the name of a
set in HEADERS, or an object) and one of `json`, `text`, `says` (what the raw body contains), `keys` (of an
object whose values depend on the machine), `binary` (not looked into) or none for an empty body. `consul` is the status of Consul 1.9 where the caller's mistake is told better by another one; `keep` names
a value of the answer that later steps write as `{name}`; `departs` says why the expectation is not what Consul does.
"""

import json
import re
from pathlib import Path

import pytest
from tests.agents import running_agent

from regista.agent.routes import described_routes

HERE = Path(__file__).parent
CONSUL_DOOR = "regista.protocols.consul"
GROUPS = sorted((HERE / "golden").glob("*.json"))

JSON = {"content-type": "application/json"}
TEXT = {"content-type": "text/plain; charset=utf-8"}
LEAD = {"x-consul-knownleader": "true", "x-consul-lastcontact": "0"}
# Consul 1.9 leaves the consistency out of some views; later versions tell it on all.
VIEW = {"x-consul-index": "<index>", **LEAD, "x-consul-effective-consistency": "leader"}
HEADERS = {
    "none": {},
    "text": TEXT,
    "json": JSON,
    "indexed": JSON | VIEW,
    "failed": TEXT | VIEW,
    "absent": VIEW,
    "lead": JSON | LEAD,
    "snapshot": VIEW | {"content-type": "application/x-gzip"},
    "event": JSON | {"x-consul-index": "<index>"},
    "raw": VIEW
    | {"content-type": "text/plain", "x-content-type-options": "nosniff", "content-security-policy": "sandbox"},
}

# Sent with every answer by the server's outer shell, which has tests of its own.
SHELL_HEADERS = {"date", "server", "content-length", "connection", "vary", "transfer-encoding"}

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| \+0000 UTC)")
PORT = re.compile(r"(?<=127\.0\.0\.1:)\d{4,5}")
PLACEHOLDERS = ((UUID, "<uuid>"), (TIME, "<time>"), (PORT, "<port>"))
INDEX_KEYS = {"CreateIndex", "ModifyIndex", "LastIndex", "LTime"}
# What Regista tells beside Consul's keys.
OWN_KEYS = {"Manager", "Incarnation", "ServiceManager", "ServiceIncarnation", "RegistaVersion"}
PORT_KEYS = {"Port", "port", "wan_join_port"}
EPHEMERAL_PORT_MIN = 32768


def normalised(value, key=""):
    """The value with placeholders for what differs from run to run; an index of 0 stays, as it means something."""
    if isinstance(value, dict):
        return {normalised(name): normalised(inner, name) for name, inner in value.items() if name not in OWN_KEYS}
    if isinstance(value, list):
        return [normalised(inner, key) for inner in value]
    if key in INDEX_KEYS and isinstance(value, int):
        return "<index>" if value else 0
    if key in PORT_KEYS and int(value) >= EPHEMERAL_PORT_MIN:
        return "<port>"
    if key == "ContentHash":
        return "<hash>"
    if isinstance(value, str):
        for pattern, placeholder in PLACEHOLDERS:
            value = pattern.sub(placeholder, value)
    return value


def normalised_headers(headers):
    found = {
        name: normalised(value)
        for name, value in headers.items()
        if name not in SHELL_HEADERS and not name.startswith("x-regista-")
    }
    if int(found.get("x-consul-index", 0)) > 0:
        found["x-consul-index"] = "<index>"
    if "x-consul-contenthash" in found:
        found["x-consul-contenthash"] = "<hash>"
    return found


class Conversation:
    """Holds one group's conversation with `agent`, and gathers in `problems` what is not as expected."""

    def __init__(self, agent):
        self.problems = []
        self._agent = agent
        self._kept = {}

    def run(self, step):
        method, path = self._filled(step["do"]).split(" ", 1)
        sent = step.get("send")
        content = None if sent is None else sent.encode() if isinstance(sent, str) else sent
        if isinstance(content, dict | list):
            content = self._filled(json.dumps(content)).encode()
        reply = self._agent.request(method, path, content)
        self._keep(step, reply)
        if reply.status != step["status"]:
            self._tell(step, "status", step["status"], f"{reply.status} {reply.text[:200]}")
        expected = step["headers"]
        expected = HEADERS[expected] if isinstance(expected, str) else expected
        if (headers := normalised_headers(reply.headers)) != expected:
            self._tell(step, "headers", expected, headers)
        self._compare_bodies(step, reply)

    def _compare_bodies(self, step, reply):
        if "says" in step:
            if step["says"] not in reply.text:
                self._tell(step, "body says", step["says"], reply.text)
        elif "keys" in step:
            if (found := [key for key in reply.json if key not in OWN_KEYS]) != step["keys"]:
                self._tell(step, "keys", step["keys"], found)
        elif step.get("binary"):
            assert reply.body
        elif "json" in step:
            # Text, for `==` of objects does not see the order of keys.
            found = json.dumps(normalised(reply.json)) if reply.status == step["status"] else reply.text
            if found != (expected := json.dumps(step["json"])):
                self._tell(step, "body", expected, found)
        elif step.get("text", "") != reply.text:
            self._tell(step, "text", step.get("text", ""), reply.text)

    def _keep(self, step, reply):
        for name, path in step.get("keep", {}).items():
            value = reply.json
            for part in path.split("."):
                value = value[int(part)] if isinstance(value, list) else value[part]
            self._kept[name] = str(value)

    def _filled(self, text):
        for name, value in self._kept.items():
            text = text.replace("{" + name + "}", value)
        return text

    def _tell(self, step, what, expected, found):
        self.problems.append(f"{step['do']}: {what}\n  expected {expected}\n  found    {found}")


@pytest.mark.parametrize("path", GROUPS, ids=lambda path: path.stem)
def test_answers_are_whole(path, tmp_path):
    """Each answer of a group has the status, the headers and the body that are known of Consul, key by key."""
    group = json.loads(path.read_text())
    with running_agent(tmp_path, config=group["config"]) as agent:
        conversation = Conversation(agent)
        for step in group["steps"]:
            conversation.run(step)
    assert not conversation.problems, "\n".join(conversation.problems)


# Routes that no conversation reaches, and where they are tested instead.
UNREACHED = {
    "DELETE /v1/agent/service/drain/": "Consul has no such path; tests/integration has its drains.",
    "PUT /v1/agent/service/drain/": "Consul has no such path; tests/integration has its drains.",
    "PUT /v1/agent/leave": "The agent ends with it; tests/integration asks it of an agent of its own.",
    "PUT /v1/agent/service/renew/": "Consul has no such path; tests/integration has its renewals.",
}


def conversed():
    """Method and path of every request of the recordings and of the golden conversations."""
    for path in (HERE / "recorded").glob("*.json"):
        for step in json.loads(path.read_text())["steps"]:
            if request := step.get("request"):
                yield request["method"], request["path"].partition("?")[0]
    for path in GROUPS:
        for step in json.loads(path.read_text())["steps"]:
            method, target = step["do"].split(" ", 1)
            yield method, target.partition("?")[0]


def reached(routes):
    """The method and pattern of those routes that some conversation asks, by the router's own rule."""
    patterns = {route.pattern for route in routes}
    for method, path in conversed():
        pattern = path
        while pattern not in patterns and "/" in pattern.rstrip("/"):
            pattern = pattern.rstrip("/").rpartition("/")[0] + "/"
        yield method, pattern


def test_every_route_is_reached():
    """Each route of the Consul door is asked in a recording or here, but for those that say why not."""
    routes = [route for route in described_routes() if route.handler.__module__.startswith(CONSUL_DOOR)]
    missing = {f"{route.method} {route.pattern}" for route in routes} - {
        " ".join(each) for each in reached(routes)
    }
    assert missing == set(UNREACHED)


STEP_KEYS = {
    "do",
    "send",
    "status",
    "consul",
    "headers",
    "json",
    "text",
    "says",
    "keys",
    "binary",
    "keep",
    "departs",
}


def test_steps_are_well_formed():
    """No step has a key that is not described above, and where Consul's status is told it is another one."""
    for path in GROUPS:
        for step in json.loads(path.read_text())["steps"]:
            assert step.keys() <= STEP_KEYS, step["do"]
            assert step.get("consul") != step["status"], step["do"]


def test_departures_have_a_reason():
    """What is expected to differ from Consul says why, in a sentence."""
    reasons = [
        step["departs"] for path in GROUPS for step in json.loads(path.read_text())["steps"] if "departs" in step
    ]
    assert all(len(reason) > 20 and reason.endswith(".") for reason in reasons)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"ID": "40e4a748-2192-161a-0510-9bf59fe950b5", "Manager": "agent"}, {"ID": "<uuid>"}),
        ({"CreateIndex": 7, "ModifyIndex": 0}, {"CreateIndex": "<index>", "ModifyIndex": 0}),
        ({"Address": "127.0.0.1:40123", "Port": 40123}, {"Address": "127.0.0.1:<port>", "Port": "<port>"}),
        ({"Port": 8080, "At": "2026-11-24T06:00:00Z"}, {"Port": 8080, "At": "<time>"}),
        ([None, [], {}, "", False], [None, [], {}, "", False]),
    ],
)
def test_the_normaliser_replaces_what_varies_only(value, shown):
    """Ids, indexes, times and ports that were given out become placeholders; all else stays."""
    assert json.dumps(normalised(value)) == json.dumps(shown)

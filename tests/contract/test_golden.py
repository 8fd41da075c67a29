"""Whole answers of the Consul door, compared to the letter with what is known of Consul.

Each `golden/<group>.json` is a conversation with one fresh agent. Of an answer everything counts: the status, every
header, and the body with the order of its keys, `null` against `[]`, and the defaults that were filled in. What can't
be known beforehand (ids, indexes, times, hashes, ports) has a placeholder in both.

A step is `do` (method and path), `send` (the body: text as it is, all else as JSON), `status`, `headers` (the name of a
set in HEADERS, or an object) and one of `json`, `text`, `says` (words that an error's text contains) or none for an
empty body. `consul` is the status of Consul 1.9 where the caller's mistake is told better by another one; `keep` names
a value of the answer that later steps write as `{name}`; `departs` says why the expectation is not what Consul does.
"""

import http
import json
import re
from pathlib import Path

import pytest
from regista.protocols.consul import consul_routes
from tests.agents import running_agent

HERE = Path(__file__).parent
GROUPS = sorted((HERE / "golden").glob("*.json"))

JSON = {"content-type": "application/json"}
INDEXED = {**JSON, "x-consul-index": "<index>", "x-consul-knownleader": "true", "x-consul-lastcontact": "0"}
HEADERS = {
    "none": {},
    "text": {"content-type": "text/plain; charset=utf-8"},
    "json": JSON,
    "indexed": INDEXED,
    "consistent": {**INDEXED, "x-consul-effective-consistency": "leader"},
    "absent": {name: value for name, value in INDEXED.items() if name != "content-type"},
}

# Sent with every answer by the server's outer shell, which has tests of its own.
SHELL_HEADERS = {"date", "content-length", "connection", "vary", "transfer-encoding", "x-consul-default-acl-policy"}

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| \+0000 UTC)")
PORT = re.compile(r"(?<=127\.0\.0\.1:)\d{4,5}")
PLACEHOLDERS = ((UUID, "<uuid>"), (TIME, "<time>"), (PORT, "<port>"))
INDEX_KEYS = {"CreateIndex", "ModifyIndex", "Index", "LastIndex", "LTime"}


def normalised(value, key=""):
    """The value with placeholders for what differs from run to run; an index of 0 stays, as it means something."""
    if isinstance(value, dict):
        return {normalised(name): normalised(inner, name) for name, inner in value.items()}
    if isinstance(value, list):
        return [normalised(inner, key) for inner in value]
    if key in INDEX_KEYS and isinstance(value, int):
        return "<index>" if value else 0
    if key == "ContentHash":
        return "<hash>"
    if isinstance(value, str):
        for pattern, placeholder in PLACEHOLDERS:
            value = pattern.sub(placeholder, value)
    return value


def normalised_headers(headers):
    found = {name: normalised(value) for name, value in headers.items() if name not in SHELL_HEADERS}
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
        elif "json" in step:
            # Text, for `==` of objects does not see the order of keys.
            found = json.dumps(normalised(reply.json)) if reply.body[:1] in b'{["tfn0123456789' else reply.text
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
UNREACHED = {}


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

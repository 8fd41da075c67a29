"""`regista alerts`, against an agent that says what the test wants."""

import json

PATH = "/v1/regista/alerts"


def alert(**given):
    found = {
        "id": "a1",
        "rule": "down",
        "state": "firing",
        "severity": "critical",
        "annotations": {"summary": "web-1 is\x1b[31m down"},
        "sentence": "",
        "since": "2026-11-24T07:00:00.000Z",
        "resolved_at": None,
        "silenced_by": [],
    }
    return {**found, **given}


def answer(*alerts, left_out=0, not_followed=0):
    return {"alerts": list(alerts), "alerts_left_out": left_out, "not_followed": not_followed}


def test_what_is_wrong_is_a_table(regista, agent):
    """Without a further word, alerts are listed; what they say can't steer the terminal."""
    agent.say(PATH, answer(alert(), alert(state="pending", silenced_by=["s"]), left_out=3, not_followed=1))
    result = regista("alerts", "--limit", "2")
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["State", "Severity", "Rule", "Since", "Until", "What"]
    assert lines[1].startswith("firing              critical  down")
    assert "\x1b" not in result.stdout
    assert lines[2].startswith("pending (silenced)")
    assert result.stderr == (
        "There are 3 more: --limit 5\nMore is wrong than is followed; see alerts.active_max.\n"
    )


def test_nothing_is_wrong(regista, agent):
    """An empty list is told on standard error."""
    agent.say(PATH, answer())
    result = regista("alerts", "list", "--state", "firing", "--rule", "down", "--history")
    assert (result.stdout, result.stderr) == ("", "There are no alerts.\n")
    assert agent.asked[0].target == f"{PATH}?limit=1000&state=firing&rule=down&history=true"


def test_rules(regista, agent):
    """Rules are listed, read, written from a file, and deleted."""
    rule = {
        "name": "down",
        "kind": "flapping",
        "text": "tells when a check changes too often",
        "for": "30s",
        "severity": "warning",
        "channels": ["ops"],
        "enabled": True,
        "pending": 1,
        "firing": 2,
    }
    agent.say(f"{PATH}/rules", [rule, {**rule, "name": "off", "enabled": False, "channels": []}])
    assert regista("alerts", "rules", "list").stdout == (
        "Name  Kind      For  Severity  Channels  Now\n"
        "down  flapping  30s  warning   ops       1 pending, 2 firing\n"
        "off   flapping  30s  warning   -         off\n"
    )
    agent.say(f"{PATH}/rules/down", rule)
    assert json.loads(regista("alerts", "rules", "read", "down").stdout) == rule
    agent.say(f"{PATH}/rules/down", rule, method="PUT")
    result = regista("alerts", "rules", "write", "down", '{"kind": "flapping"}')
    assert result.stdout == "Wrote rule down: it tells when a check changes too often.\n"
    assert agent.asked[-1].body == {"kind": "flapping"}
    agent.say(f"{PATH}/rules/down", {}, method="DELETE")
    assert regista("alerts", "rules", "delete", "down").stdout == "Deleted rule down.\n"
    assert regista("alerts", "rules", "write", "down", "{").exit_code == 1


def test_channels(regista, agent):
    """Channels are listed as the agent shows them, and tried."""
    channel = {"name": "ops", "kind": "apprise", "url": "slack://***", "sent": 3, "failed": 1, "problem": ""}
    agent.say(f"{PATH}/channels", [channel])
    assert regista("alerts", "channels", "list").stdout == (
        "Name  Kind     URL          Sent  Failed  Problem\nops   apprise  slack://***  3     1       -\n"
    )
    agent.say(f"{PATH}/channels/ops", channel, method="PUT")
    assert "regista alerts channels test ops" in regista("alerts", "channels", "write", "ops", "{}").stdout
    came = ({"sent": True, "problem": ""}, {"sent": False, "problem": "it is away"})
    agent.say(f"{PATH}/channels/ops/test", *came, method="POST")
    assert regista("alerts", "channels", "test", "ops").stdout == "Channel ops took the message.\n"
    failed = regista("alerts", "channels", "test", "ops")
    assert (failed.exit_code, "The message was not sent: it is away." in failed.stderr) == (1, True)
    agent.say(f"{PATH}/channels/ops", {}, method="DELETE")
    assert regista("alerts", "channels", "delete", "ops").stdout == "Deleted channel ops.\n"


def test_silences(regista, agent):
    """A silence is made of matchers and a duration, listed, and ended."""
    silence = {
        "id": "s1",
        "state": "active",
        "matchers": ["node=db-1"],
        "starts": "2026-11-24T07:00:00.000Z",
        "ends": "2026-11-24T09:00:00.000Z",
        "author": "me",
        "comment": "new disks",
    }
    agent.say(f"{PATH}/silences", silence, method="POST")
    result = regista(
        "alerts", "silence", "add", "--for", "2h", "--author", "me", "--comment", "new disks", "node=db-1"
    )
    assert result.stdout == "Silence s1 lasts from 2026-11-24T07:00:00.000Z to 2026-11-24T09:00:00.000Z.\n"
    assert agent.asked[-1].body == {
        "matchers": ["node=db-1"],
        "duration": "2h",
        "comment": "new disks",
        "author": "me",
    }
    agent.say(f"{PATH}/silences", [silence])
    assert "node=db-1" in regista("alerts", "silence", "list").stdout
    agent.say(f"{PATH}/silences/s1", {}, method="DELETE")
    assert regista("alerts", "silence", "delete", "s1").stdout == "Deleted silence s1.\n"

"""`regista maint`, `info`, `reload` and `leave`."""

import pytest


@pytest.mark.parametrize(
    ("arguments", "target", "text"),
    [
        (
            ["--enable", "--reason", "new disk"],
            "maintenance?enable=true&reason=new+disk",
            "Node maintenance is now enabled",
        ),
        (["--disable"], "maintenance?enable=false", "Node maintenance is now disabled"),
        (
            ["--enable", "--service", "w/1"],
            "service/maintenance/w%2F1?enable=true",
            'Service maintenance is now enabled for "w/1"',
        ),
    ],
)
def test_maintenance(regista, agent, arguments, target, text):
    """The node or one instance is put into maintenance or out of it."""
    agent.say(f"/v1/agent/{target.partition('?')[0]}", b"", method="PUT")
    result = regista("maint", *arguments)
    assert (result.exit_code, result.stdout) == (0, f"{text}\n")
    assert agent.asked[0].target == f"/v1/agent/{target}"


def test_what_is_in_maintenance(regista, agent):
    """Without flags the node and the instances in maintenance are listed, with the reason."""
    agent.say(
        "/v1/agent/checks",
        {
            "_service_maintenance:w1": {"Node": "n1", "ServiceID": "w1", "Notes": "slow\n\x1b[31m"},
            "_node_maintenance": {"Node": "n1", "ServiceID": "", "Notes": "disk"},
            "other": {"Node": "n1", "ServiceID": "", "Notes": ""},
        },
    )
    assert regista("maint").stdout == (
        "Node:\n  Name:   n1\n  Reason: disk\n\nService:\n  ID:     w1\n  Reason: slow [31m\n\n"
    )


@pytest.mark.parametrize(
    "arguments", [["--enable", "--disable"], ["--disable", "--reason", "x"], ["--service", "a"]]
)
def test_flags_that_do_not_fit(regista, agent, arguments):
    """What makes no sense is a usage error, and nothing is sent."""
    assert regista("maint", *arguments).exit_code == 2
    assert agent.asked == []


def test_info(regista, agent):
    """The numbers stand below their groups, sorted."""
    agent.say("/v1/agent/self", {"Stats": {"raft": {"term": "2", "index": "9"}, "agent": {"checks": 1}}})
    assert regista("info").stdout == "agent:\n\tchecks = 1\nraft:\n\tindex = 9\n\tterm = 2\n"


@pytest.mark.parametrize(
    ("verb", "text"), [("reload", "Configuration reload triggered"), ("leave", "Graceful leave complete")]
)
def test_reload_and_leave(regista, agent, verb, text):
    """The agent is told, and its refusal passed on."""
    agent.say(f"/v1/agent/{verb}", b"", method="PUT")
    agent.say(f"/v1/agent/{verb}", b"no", method="PUT", status=500)
    assert regista(verb).stdout == f"{text}\n"
    assert regista(verb).exit_code == 1

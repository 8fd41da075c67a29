"""`regista session`."""

import pytest

SESSION = {
    "ID": "s-1", "Name": "deploy", "Node": "n1", "TTL": "30s", "Behavior": "release", "LockDelay": 15000000000,
    "NodeChecks": ["serfHealth"], "CreateIndex": 9,
}  # fmt: skip


def test_creating_sends_only_what_is_given(regista, agent):
    """The flags become the session's fields, and its id is printed."""
    agent.say("/v1/session/create", {"ID": "s-1"}, method="PUT")
    result = regista(
        "session", "create", "--name", "d", "--ttl", "30s", "--lock-delay", "0s", "--behavior", "delete",
        "--node", "n1", "--check", "a", "--check", "b",
    )  # fmt: skip
    assert (result.exit_code, result.stdout) == (0, "s-1\n")
    assert agent.asked[0].body == {
        "Name": "d", "TTL": "30s", "LockDelay": "0s", "Behavior": "delete", "Node": "n1", "Checks": ["a", "b"]
    }  # fmt: skip
    regista("session", "create")
    assert agent.asked[1].body == {}


def test_listing(regista, agent):
    """Sessions stand in a table; --node asks for those of one node; none is no error."""
    agent.say("/v1/session/list", [SESSION], [])
    agent.say("/v1/session/node/n1", [SESSION])
    assert regista("session", "list").stdout == (
        "ID   Name    Node  TTL  Behavior\ns-1  deploy  n1    30s  release\n"
    )
    result = regista("session", "list")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "There are no sessions.\n")
    assert regista("session", "list", "--node", "n1", "--json").stdout.startswith('[{"ID": "s-1"')


def test_one_session(regista, agent):
    """A session's facts stand in two columns; one that is not there is an error."""
    agent.say("/v1/session/info/s-1", [SESSION], [])
    result = regista("session", "info", "s-1")
    assert "Name         deploy\n" in result.stdout
    assert "LockDelay    15s\nChecks       serfHealth\n" in result.stdout
    result = regista("session", "info", "s-1")
    assert (result.exit_code, result.stderr) == (1, "There is no session s-1.\n")


@pytest.mark.parametrize(("verb", "text"), [("renew", "Renewed"), ("destroy", "Destroyed")])
def test_renewing_and_destroying(regista, agent, verb, text):
    """The id is put to the verb's path."""
    agent.say(f"/v1/session/{verb}/s-1", [SESSION], method="PUT")
    assert regista("session", verb, "s-1").stdout == f"{text} session: s-1\n"

"""`regista query`."""

import pytest

QUERY = {"ID": "q-1", "Name": "web", "Service": {"Service": "web", "Tags": ["v1", "!v2"], "OnlyPassing": True}}


def test_defining(regista, agent, tmp_path):
    """A definition is sent as it is, and the id of a new query printed."""
    agent.say("/v1/query", {"ID": "q-1"}, method="POST")
    agent.say("/v1/query/q-1", b"", method="PUT")
    (tmp_path / "q.json").write_text('{"Name": "web"}')
    assert regista("query", "create", f"@{tmp_path / 'q.json'}").stdout == "q-1\n"
    assert regista("query", "update", "q-1", "-", stdin='{"Name": "x"}').stdout == "Updated query: q-1\n"
    assert [asked.body for asked in agent.asked] == [{"Name": "web"}, {"Name": "x"}]
    assert regista("query", "create", "{").exit_code == 1


def test_looking(regista, agent):
    """Queries stand in a table, and one is shown as JSON."""
    agent.say("/v1/query", [QUERY], [])
    agent.say("/v1/query/q-1", [QUERY])
    assert regista("query", "list").stdout == (
        "ID   Name  Service  Tags    Only passing\nq-1  web   web      v1,!v2  yes\n"
    )
    assert regista("query", "list").stderr == "There are no queries.\n"
    assert regista("query", "read", "q-1").stdout.startswith('{\n    "ID": "q-1",\n')


def test_running(regista, agent, instance):
    """The instances that a query finds stand in a table; none is no error."""
    agent.say("/v1/query/web/execute", {"Nodes": [instance("web-1")]}, {"Nodes": []})
    result = regista("query", "execute", "--limit", "1", "--near", "_agent", "web")
    assert result.stdout == "Instance  Address      Node\nweb-1     10.0.0.1:80  n1\n"
    assert agent.asked[0].target == "/v1/query/web/execute?limit=1&near=_agent"
    assert regista("query", "execute", "web").stderr == "The query finds no instances.\n"


@pytest.mark.parametrize("status", [200, 404])
def test_deleting(regista, agent, status):
    """A deleted query is told; one that the agent does not know is an error."""
    agent.say("/v1/query/q-1", b"", method="DELETE", status=status)
    result = regista("query", "delete", "q-1")
    assert (result.exit_code, result.stdout) == ((0, "Deleted query: q-1\n") if status == 200 else (1, ""))

"""`regista event`."""


def test_firing(regista, agent, tmp_path):
    """The payload is sent as it is, with the filters that were given."""
    agent.say("/v1/event/fire/de%20ploy", {"ID": "e-1"}, method="PUT")
    result = regista(
        "event", "fire", "--node", "n.*", "--service", "web", "--tag", "a", "de ploy", "-", stdin=b"\xff"
    )
    assert (result.exit_code, result.stdout) == (0, "Event ID: e-1\n")
    assert agent.asked[0].data == b"\xff"
    assert agent.asked[0].target == "/v1/event/fire/de%20ploy?node=n.%2A&service=web&tag=a"


def test_listing(regista, agent):
    """Events stand in a table with what they carry; none is no error."""
    agent.say("/v1/event/list", [{"ID": "e-1", "Name": "deploy", "LTime": 2, "Payload": "djE="}], [])
    assert regista("event", "list", "--name", "deploy").stdout == (
        "ID   Name    LTime  Payload\ne-1  deploy  2      v1\n"
    )
    assert agent.asked[0].target == "/v1/event/list?name=deploy"
    result = regista("event", "list")
    assert (result.exit_code, result.stdout) == (0, "")

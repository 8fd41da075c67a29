"""`regista members`."""

import pytest

TAGS = {"role": "consul", "dc": "dc1", "build": "1.9.0:abc", "vsn": "2", "segment": ""}
SERVER = {"Name": "n2", "Addr": "10.0.0.1", "Port": 8301, "Status": 1, "Tags": TAGS}
CLIENT = {
    "Name": "n1",
    "Addr": "::1",
    "Port": 8301,
    "Status": 4,
    "Tags": {"role": "node", "dc": "dc1", "vsn": "2"},
}


def test_the_table(regista, agent):
    """Members stand by name, with the words of their states."""
    agent.say("/v1/agent/members", [SERVER, CLIENT])
    assert regista("members").stdout == (
        "Node  Address        Status  Type    Build  Protocol  DC   Segment\n"
        "n1    [::1]:8301     failed  client  < 0.3  2         dc1  <default>\n"
        "n2    10.0.0.1:8301  alive   server  1.9.0  2         dc1  <all>\n"
    )
    assert regista("members", "--detailed", "--status", "alive").stdout == (
        "Node  Address        Status  Tags\n"
        "n2    10.0.0.1:8301  alive   build=1.9.0:abc,dc=dc1,role=consul,segment=,vsn=2\n"
    )


@pytest.mark.parametrize(("pattern", "code"), [("alive", 0), ("left", 2), ("aliv", 2), ("(", 2)])
def test_no_match_is_exit_code_2(regista, agent, pattern, code):
    """The status must match as a whole; none that does is exit code 2."""
    agent.say("/v1/agent/members", [SERVER])
    assert regista("members", "--status", pattern).exit_code == code


def test_parameters(regista, agent):
    """--wan and --segment are asked of the agent."""
    agent.say("/v1/agent/members", [SERVER])
    regista("members", "--wan", "--segment", "s")
    assert agent.asked[0].target == "/v1/agent/members?wan=1&segment=s"

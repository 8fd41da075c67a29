"""`regista report`."""

import pytest


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        (["--outcome", "connect"], {"Outcome": "connect", "Count": 1}),
        (["--outcome", "503", "--count", "4"], {"Outcome": 503, "Count": 4}),
        (
            ["--outcome", "success", "--latency-ms", "12.5", "--node", "n1"],
            {"Outcome": "success", "Count": 1, "LatencyMs": 12.5, "Node": "n1"},
        ),
    ],
)
def test_a_report_is_sent(regista, agent, arguments, sent):
    """Nothing is said where it was taken."""
    agent.say("/v1/regista/report", {"Accepted": 1, "Unknown": 0}, method="PUT")
    result = regista("report", "web", "w1", *arguments)
    assert (result.exit_code, result.stdout) == (0, "")
    assert agent.asked[0].body == {"Reports": [{"Service": "web", "ID": "w1", **sent}]}


def test_an_unknown_instance_is_an_error(regista, agent):
    """A script should notice that nobody is judged by what it says."""
    agent.say("/v1/regista/report", {"Accepted": 0, "Unknown": 1}, method="PUT")
    result = regista("report", "web", "w1", "--outcome", "success")
    assert result.exit_code == 1
    assert 'no instance "w1" of service "web" is known' in result.stderr


def test_an_unknown_outcome_is_refused(regista, agent):
    """Before anything is sent."""
    result = regista("report", "web", "w1", "--outcome", "broken")
    assert result.exit_code == 2
    assert not agent.asked

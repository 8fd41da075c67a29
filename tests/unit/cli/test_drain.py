"""`regista services drain`."""

import pytest

PATH = "/v1/agent/service/drain/web-1"
LAGGARD = {
    "Address": "10.0.0.7:5000",
    "UserAgent": "old-client",
    "Asks": "/v1/health/service/web?passing",
    "Index": 12,
    "State": "answered",
    "Since": "2026-11-24T07:08:09.123Z",
}


def answer(*laggards, watchers=3, complete=True):
    return {
        "ID": "web-1",
        "Service": "web",
        "Index": 12,
        "Ends": "2026-11-24T07:08:39.000Z",
        "Watchers": watchers,
        "Passed": watchers - len(laggards),
        "Complete": complete,
        "Laggards": list(laggards),
    }


def test_a_drain_that_all_watchers_know_of(regista, agent):
    """It says until when the instance is there, and ends with 0."""
    agent.say(PATH, answer(), method="PUT")
    result = regista("services", "drain", "web-1", "--for", "1m", "--wait", "5s", "--reason", "new disk")
    assert result.exit_code == 0
    assert result.stdout == (
        "Draining service: web-1, deregistered at 2026-11-24T07:08:39.000Z\n"
        "3 of 3 watchers of web have passed index 12.\n"
    )
    assert agent.asked[0].line == f"PUT {PATH}?for=1m&wait=5s&reason=new+disk"


def test_laggards_are_listed_and_end_it_with_1(regista, agent):
    """With what an operator needs to find them."""
    agent.say(PATH, answer(LAGGARD, complete=False), method="PUT")
    result = regista("services", "drain", "web-1", "--wait", "5s")
    assert result.exit_code == 1
    assert "2 of 3 watchers" in result.stdout
    assert "http.watchers_max" in result.stdout
    assert result.stdout.splitlines()[-1].split() == [
        "10.0.0.7:5000",
        "old-client",
        "answered",
        "2026-11-24T07:08:09.123Z",
        "/v1/health/service/web?passing",
    ]


def test_who_does_not_wait_does_not_fail(regista, agent):
    """Without --wait the laggards are only told."""
    agent.say(PATH, answer(LAGGARD), method="PUT")
    assert regista("services", "drain", "web-1").exit_code == 0
    assert agent.asked[0].line == f"PUT {PATH}"


def test_laggards_that_are_not_listed_are_counted(regista, agent):
    """The agent lists a thousand at the most."""
    agent.say(PATH, answer(LAGGARD, watchers=5) | {"Passed": 1}, method="PUT")
    assert regista("services", "drain", "web-1", "--wait", "1s").stdout.endswith("and 3 more\n")


def test_a_drain_is_cancelled(regista, agent):
    """By DELETE."""
    agent.say(PATH, b"", method="DELETE")
    result = regista("services", "drain", "web-1", "--cancel")
    assert (result.exit_code, result.stdout) == (0, "Drain cancelled: web-1\n")
    assert agent.asked[0].line == f"DELETE {PATH}"


@pytest.mark.parametrize(
    "arguments", [["--cancel", "--wait", "1s"], ["--wait", "soon"], ["--cancel", "--for", "1s"]]
)
def test_flags_that_do_not_fit(regista, agent, arguments):
    """What makes no sense is a usage error, and nothing is sent."""
    assert regista("services", "drain", "web-1", *arguments).exit_code == 2
    assert agent.asked == []

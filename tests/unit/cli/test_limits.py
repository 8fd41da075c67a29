"""`regista limits`."""

LIMITS = {
    "limits": [
        {"name": "http.connections_max", "max": 20000, "used": 12, "refused": 0},
        {"name": "http.waiting_max", "max": 20000, "used": 20000, "refused": 31},
        {"name": "http.body_bytes_max", "max": 1048576, "used": None, "refused": 2},
    ],
    "overload": {
        "refused_classes": [],
        "cause": None,
        "lag_ms": 0,
        "refused": {"dashboard": 0, "list": 0, "watch": 0, "read": 0, "registration": 0},
    },
}


def test_every_limit_is_a_line(regista, agent):
    """With how much is in use, where that means something."""
    agent.say("/v1/regista/limits", LIMITS)
    result = regista("limits")
    assert result.exit_code == 0
    rows = [line.split() for line in result.stdout.splitlines()]
    assert rows == [
        ["Limit", "Max", "Used", "Refused"],
        ["http.connections_max", "20000", "12", "-"],
        ["http.waiting_max", "20000", "20000", "31"],
        ["http.body_bytes_max", "1048576", "-", "2"],
    ]


def test_those_that_were_reached_can_be_listed_alone(regista, agent):
    """For a look at what goes wrong."""
    agent.say("/v1/regista/limits", LIMITS)
    assert "connections" not in regista("limits", "--refused").stdout


def test_what_is_refused_for_the_load_is_said(regista, agent):
    """Now, and since the start."""
    cause = {"name": "overload.lag", "max": 2000, "used": 1300}
    load = {**LIMITS["overload"], "refused_classes": ["dashboard", "list"], "cause": cause}
    load["refused"] = {**load["refused"], "list": 7}
    agent.say("/v1/regista/limits", {**LIMITS, "overload": load})
    told = regista("limits").stdout
    assert "Refused because there was too much to do: 7 list." in told
    assert "Refused now: dashboard, list, for overload.lag (1300 of 2000)." in told


def test_json_is_given_as_it_is(regista, agent):
    """For programs."""
    agent.say("/v1/regista/limits", LIMITS)
    assert '"name": "http.waiting_max"' in regista("limits", "--json").stdout

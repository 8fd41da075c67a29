"""`regista health summary`, and the name that stands for a command as a rule."""

import pytest

STATES = ("passing", "warning", "critical", "draining", "maintenance")


def counts(**given):
    found = {state: given.get(state, 0) for state in STATES}
    return {**found, "all": sum(found.values())}


def listed(name, status, **more):
    found = {"name": name, "status": status, "instances": counts(**{status: 2}), "flapping": 0, "suspects": 0}
    return {**found, "ejected": 0, "panic": {"is_on": False, "threshold_percent": 0}, **more}


def summary(**given):
    found = {
        "store": {"writable": True, "unwritable_s": None, "outages": 0},
        "agent": {"node": "n1", "stalls": 0, "stalled_s": 0, "abstains": None, "protection_enabled": True},
        "protections": [],
        "nodes": counts(passing=1),
        "services": counts(passing=1, critical=1),
        "instances": counts(passing=2, critical=2),
        "panicking": 0,
        "flapping": 0,
        "suspects": 0,
        "ejected": 0,
        "by": "service",
        "list": [listed("api", "passing"), listed("web", "critical")],
        "next": None,
    }
    return {**found, **given}


def test_everything_in_two_tables(regista, agent):
    """Counts come first, then each service with its instances by status; nothing odd, nothing else."""
    agent.say("/v1/regista/health/summary", summary())
    result = regista("health", "summary")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == (
        "           All  Passing  Warning  Critical  Draining  Maintenance\n"
        "nodes      1    1        -        -         -         -\n"
        "services   2    1        -        1         -         -\n"
        "instances  4    2        -        2         -         -\n"
        "\n"
        "Service  Status    Instances  Passing  Warning  Critical  Draining  Maintenance  Remarks\n"
        "api      passing   2          2        -        -         -         -\n"
        "web      critical  2          -        -        2         -         -\n"
    )
    assert agent.asked[0].target == "/v1/regista/health/summary?by=service&limit=100"


def test_what_is_odd_is_told_in_sentences(regista, agent):
    """A store that can't be written, protections, panics and marks each have a line, and a word in the table."""
    web = listed("web", "critical", flapping=1, panic={"is_on": True, "threshold_percent": 50})
    held = {"sentence": "3 of 10 instances of service web are silent and kept."}
    agent.say(
        "/v1/regista/health/summary",
        summary(
            store={"writable": False, "unwritable_s": 12.5, "outages": 1},
            agent={
                "node": "n1",
                "stalls": 0,
                "stalled_s": 0,
                "abstains": "It doubts itself.",
                "protection_enabled": False,
            },
            protections=[held],
            panicking=1,
            flapping=1,
            list=[web],
            next="web",
        ),
    )
    result = regista("health", "summary")
    assert "The store can't be written since 12.5s: answers are stale.\n" in result.stdout
    assert (
        "It doubts itself.\n"
        "Mass-expiry protection is switched off; `regista health protection on` switches it on.\n"
        "3 of 10 instances of service web are silent and kept.\n"
    ) in result.stdout
    assert "1 service gives out all its instances, as too few are passing.\n" in result.stdout
    assert result.stdout.endswith("  panic, 1 flapping\n")
    assert result.stderr == "There are more: --after web\n"


def test_options_are_the_servers_parameters(regista, agent):
    """Each option is a parameter, and --json prints what the server said."""
    agent.say("/v1/regista/health/summary", b'{"a":1}')
    options = ("--by", "node", "--status", "critical", "--after", "n1", "--limit", "5", "--json")
    assert regista("health", "summary", *options).stdout == '{"a":1}\n'
    assert agent.asked[0].target == "/v1/regista/health/summary?by=node&status=critical&after=n1&limit=5"


@pytest.mark.parametrize("option", [("--by", "shoe"), ("--status", "well"), ("--limit", "0"), ("--limit", "1001")])
def test_bad_options_are_refused(regista, option):
    """A word that the server would refuse is told before it is asked."""
    assert regista("health", "summary", *option).exit_code == 2


def test_a_service_may_be_called_as_a_command_is(regista, agent):
    """`of` says that the next word is a service's name; without it the first word that is no command is one."""
    for name in ("summary", "of", "web"):
        agent.say(f"/v1/health/service/{name}", [])
    assert regista("health", "of", "summary").stderr == "No instances of summary.\n"
    assert regista("health", "of", "of").stderr == "No instances of of.\n"
    assert regista("health", "--passing", "web").stderr == "No passing instances of web.\n"


def test_help_is_that_of_the_group(regista):
    """`regista health --help` tells both."""
    text = regista("health", "--help").stdout
    assert "summary" in text
    assert "regista health NAME" in text

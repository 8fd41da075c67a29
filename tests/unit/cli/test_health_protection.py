"""`regista health protection`, against an agent that says what the test wants."""

PATH = "/v1/regista/health/protection"


def state(**given):
    found = {"enabled": True, "protections": [], "suspects_count": 0, "suspects": []}
    return {**found, **given}


def suspect(number):
    return {"service": "web", "id": f"web-{number}", "node": "n1", "why": "It is silent."}


def test_nothing_is_kept(regista, agent):
    """Where nothing is kept, one line says so."""
    agent.say(PATH, state())
    result = regista("health", "protection", "show")
    assert result.stdout == "Protection is on, and nothing is kept for it.\n"
    assert agent.asked[0].target == f"{PATH}?limit=100"


def test_what_is_kept(regista, agent):
    """Each protection is a sentence, each kept instance a row; how many more there are goes to standard error."""
    agent.say(
        PATH,
        state(
            protections=[{"sentence": "60 of 100 are silent and kept."}],
            suspects_count=60,
            suspects=[suspect(1), suspect(2)],
        ),
    )
    result = regista("health", "protection", "show", "--limit", "2")
    assert result.stdout == (
        "60 of 100 are silent and kept.\n"
        "Instance  Service  Node  Why it is kept\n"
        "web-1     web      n1    It is silent.\n"
        "web-2     web      n1    It is silent.\n"
    )
    assert result.stderr == "There are 58 more: --limit 60\n"


def test_the_switch(regista, agent):
    """`off` and `on` ask for it with a PUT, and say what is so afterwards."""
    agent.say(PATH, state(enabled=False), method="PUT")
    result = regista("health", "protection", "off")
    assert result.stdout == "Protection is switched off: what falls silent goes, however many at once.\n"
    agent.say(PATH, state(), method="PUT")
    assert regista("health", "protection", "on").exit_code == 0
    assert [(each.method, each.target) for each in agent.asked] == [
        ("PUT", f"{PATH}?enabled=false&limit=0"),
        ("PUT", f"{PATH}?enabled=true&limit=0"),
    ]

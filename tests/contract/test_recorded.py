"""Every recorded conversation with a real Consul, held with an agent of ours."""

import json
from pathlib import Path

import pytest
from tests.agents import running_agent
from tests.contract.replay import Replay

HERE = Path(__file__).parent
SCENARIOS = sorted((HERE / "recorded").glob("*.json"))
DEPARTURES = json.loads((HERE / "departures.json").read_text())

CACHES = {"cached": {}, "uncached": {"http": {"answers_bytes_max": 0}}}


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_agent_answers_as_consul_did(path, cache, tmp_path):
    """Each step is answered as recorded, with and without kept answers, but where departures.json says why not."""
    scenario = json.loads(path.read_text())
    with running_agent(tmp_path, config=CACHES[cache] | scenario["config"]) as agent:
        outcomes = Replay(agent.http).run(scenario)
    assert outcomes
    problems = []
    for outcome in outcomes:
        is_meant = f"{path.stem}/{outcome.step}" in DEPARTURES
        if is_meant and not outcome.hard:
            problems.append(f"{outcome.step} {outcome.what}: no longer departs; take it out of departures.json")
        if not is_meant:
            problems += [f"{outcome.step} {outcome.what}: {text}" for text in outcome.hard]
    assert not problems, "\n".join(problems)


def test_departures_are_of_steps_that_exist():
    """Every line of departures.json names a step of a scenario, and gives a reason in a sentence."""
    steps = set()
    for path in SCENARIOS:
        for number, step in enumerate(json.loads(path.read_text())["steps"]):
            name = step.get("label") or (f"join {step['join']}" if "join" in step else str(number))
            steps.add(f"{path.stem}/{name}")
    assert set(DEPARTURES) - steps == set()
    assert all(len(reason) > 20 and reason.endswith(".") for reason in DEPARTURES.values())

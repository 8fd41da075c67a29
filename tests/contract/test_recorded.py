"""Every recorded conversation with a real Consul, held with an agent of ours."""

import json
from pathlib import Path

import pytest
from tests.agents import running_agent
from tests.contract.replay import Answer, Bindings, Replay, compare

HERE = Path(__file__).parent
SCENARIOS = sorted((HERE / "recorded").glob("*.json"))
SOME = [path for path in SCENARIOS if not path.stem.startswith("dns")][::3]
"""Every third scenario, for a start of three processes takes a second or two."""

DEPARTURES = json.loads((HERE / "departures.json").read_text())

CACHES = {
    "cached": {},
    "uncached": {"http": {"answers_bytes_max": 0}, "dns_config": {"cache_entries_max": 0}},
}


@pytest.mark.parametrize("cache", CACHES)
@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_the_agent_answers_as_consul_did(path, cache, tmp_path):
    """Each step is answered as recorded, with and without kept answers, but where departures.json says why not."""
    scenario = json.loads(path.read_text())
    with running_agent(tmp_path, config=CACHES[cache] | scenario["config"]) as agent:
        outcomes = Replay(agent.http, agent.dns).run(scenario)
    assert outcomes
    problems = []
    for outcome in outcomes:
        is_meant = f"{path.stem}/{outcome.step}" in DEPARTURES
        if is_meant and not outcome.hard:
            problems.append(f"{outcome.step} {outcome.what}: no longer departs; take it out of departures.json")
        if not is_meant:
            problems += [f"{outcome.step} {outcome.what}: {text}" for text in outcome.hard]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("path", SOME, ids=lambda path: path.stem)
def test_an_agent_with_workers_answers_as_consul_did(path, tmp_path):
    """The same holds of an agent whose connections go to three processes, as the system wills."""
    scenario = json.loads(path.read_text())
    with running_agent(tmp_path, config={"workers": 2} | scenario["config"]) as agent:
        outcomes = Replay(agent.http, agent.dns).run(scenario)
    problems = [
        f"{outcome.step} {outcome.what}: {text}"
        for outcome in outcomes
        if f"{path.stem}/{outcome.step}" not in DEPARTURES
        for text in outcome.hard
    ]
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


ID_A, ID_B = "11111111-2222-4333-8444-555555555555", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"


def answer(body, status=200, form="json", **headers):
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, form, body)


@pytest.mark.parametrize(
    ("recorded", "live", "grades"),
    [
        (answer({"a": [1, "x", None]}), answer({"a": [1, "x", None], "b": 2}), ""),
        (answer({"a": 1}), answer({}), "h"),
        (answer({"a": None}), answer({"a": []}), "h"),
        (answer({"a": []}), answer({"a": {}}), "h"),
        (answer({"a": 0}), answer({"a": False}), "h"),
        (answer({"a": "1"}), answer({"a": 1}), "h"),
        (answer([1, 2]), answer([2, 1]), "hh"),
        (answer([1, 2]), answer([1]), "h"),
        (answer({"ModifyIndex": 5}), answer({"ModifyIndex": 9}), ""),
        (answer({"ModifyIndex": 5}), answer({"ModifyIndex": 0}), "h"),
        (answer({"ID": ID_A, "Other": ID_A}), answer({"ID": ID_B, "Other": ID_B}), ""),
        (answer({"ID": ID_A, "Other": ID_A}), answer({"ID": ID_B, "Other": ID_A}), "h"),
        (
            answer([{"ContentHash": "a"}, {"ContentHash": "a"}]),
            answer([{"ContentHash": "x"}, {"ContentHash": "x"}]),
            "",
        ),
        (
            answer([{"ContentHash": "a"}, {"ContentHash": "a"}]),
            answer([{"ContentHash": "x"}, {"ContentHash": "y"}]),
            "h",
        ),
        (answer({"At": "2020-01-01T00:00:00Z"}), answer({"At": "2026-11-24T06:00:00Z"}), ""),
        (answer({"At": "2020-01-01T00:00:00Z"}), answer({"At": "today"}), "h"),
        (answer({"Output": "a"}), answer({"Output": "b"}), "s"),
        (answer("a", 400, "text"), answer("b", 400, "text"), "s"),
        (answer("a", 200, "text"), answer("b", 200, "text"), "h"),
        (answer("a", 500, "text"), answer("b", 404, "text"), "s"),
        (answer("a", 404, "text"), answer("b", 400, "text"), "h"),
        (answer("", 200, "text"), answer("b", 500, "text"), "h"),
        (
            answer({}, content_type="application/json"),
            answer({}, content_type="application/json; charset=utf-8"),
            "",
        ),
        (answer({}, content_type="application/json"), answer({}, content_type="text/plain"), "h"),
        (answer({}, x_consul_index="5"), answer({}, x_consul_index="7"), ""),
        (answer({}, x_consul_index="5"), answer({}), "h"),
        (answer({}, x_consul_knownleader="true"), answer({}), "s"),
        (answer({}, date="now"), answer({}), ""),
        (answer({}), answer("{}", form="text"), "h"),
    ],
)
def test_the_replayer_sees_what_counts(recorded, live, grades):
    """A difference is seen, and is hard or soft as the recordings' own description says."""
    found = "".join("h" if each.is_hard else "s" for each in compare(recorded, live, Bindings()))
    assert found == grades


def test_the_replayer_compares_sets_and_leaves_out_what_it_is_told():
    """`unordered` makes lists of objects sets, and `ignore` takes paths out."""
    recorded, live = (
        answer([{"ID": "a", "n": 1}, {"ID": "b", "n": 2}]),
        answer([{"ID": "b", "n": 2}, {"ID": "a", "n": 3}]),
    )
    assert len(list(compare(recorded, live, Bindings(), unordered=True))) == 1
    assert list(compare(recorded, live, Bindings(), unordered=True, ignore=("json.*.n",))) == []

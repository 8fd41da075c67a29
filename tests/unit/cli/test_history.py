"""`regista history` and `regista explain`."""

CHANGE = {
    "index": 7,
    "time": "2026-11-24T07:08:09.123Z",
    "cause": {"kind": "request", "actor": "", "source": "10.0.0.7", "path": "PUT /v1/x", "reason": "roll\nback"},
    "change": "deleted",
    "kind": "service",
    "key": "n1/web-1",
    "before": {},
    "after": None,
}


def page(*changes, cursor=None):
    return {"from": 0, "to": 9, "floor": 0, "changes": list(changes), "next": cursor}


def test_changes_are_listed_with_their_causes(regista, agent):
    """Each change is a line with who made it and why; where to go on is said on standard error."""
    by_clock = CHANGE | {"index": 8, "cause": CHANGE["cause"] | {"kind": "expiry", "reason": "late"}}
    agent.say("/v1/regista/history", page(CHANGE, by_clock, cursor="8.1"))
    result = regista("history", "--service", "web", "--from", "3", "--limit", "2")
    assert agent.asked[0].target == "/v1/regista/history?from=3&service=web&limit=2"
    assert result.stdout == (
        "Index  Time                      Change   Kind     Key       By                  Why\n"
        "7      2026-11-24T07:08:09.123Z  deleted  service  n1/web-1  10.0.0.7 PUT /v1/x  roll back\n"
        "8      2026-11-24T07:08:09.123Z  deleted  service  n1/web-1  expiry              late\n"
    )
    assert result.stderr == "There is more: go on with --from 8.1\n"


def test_no_change_is_no_error(regista, agent):
    """An empty page says so on standard error."""
    agent.say("/v1/regista/history", page())
    result = regista("history")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "Nothing changed.\n")


def test_an_instances_life_is_told_in_lines(regista, agent):
    """`explain instance` prints the sentences of the chain, and nothing that steers the terminal."""
    agent.say("/v1/regista/explain/instance/web-1", {"chain": ["It was \x1b[2Jregistered.", "It is gone."]})
    result = regista("explain", "instance", "web-1", "--node", "n2")
    assert agent.asked[0].target == "/v1/regista/explain/instance/web-1?node=n2"
    assert result.stdout == "It was [2Jregistered.\nIt is gone.\n"


def test_each_instance_is_judged(regista, agent):
    """`explain service` asks as a caller would, and shows what decided for each instance."""

    def finding(parameter, holds):
        return {"parameter": parameter, "wanted": "w", "holds": holds, "because": f"{parameter} is so"}

    of = {"node": "n1", "service": "web", "incarnation": "i"}
    instances = [
        {"id": "a", "included": True, "findings": [finding("tag", True)], **of},
        {"id": "b", "included": False, "findings": [finding("tag", True), finding("passing", False)], **of},
        {"id": "c", "included": True, "findings": [], **of},
    ]
    gone = [{"id": "d", "node": "n1", "reason": "was deregistered", "time": "2026-11-24T07:08:09.123Z"}]
    agent.say("/v1/regista/explain/service/web", {"instances": instances, "gone": gone})
    result = regista("explain", "service", "web", "--tag", "w", "--passing", "--version", "^1")
    assert agent.asked[0].target == "/v1/regista/explain/service/web?tag=w&version=%5E1&passing=1"
    assert result.stdout == (
        "Instance  Node  Answer  Because\n"
        "a         n1    yes     tag w: tag is so\n"
        "b         n1    no      passing w: passing is so\n"
        "c         n1    yes     nothing else was asked for\n"
        "d         n1    gone    was deregistered, 2026-11-24T07:08:09.123Z\n"
    )


def test_an_unknown_service_is_no_error(regista, agent):
    """Nothing known of a service is said on standard error."""
    agent.say("/v1/regista/explain/service/web", {"instances": [], "gone": []})
    result = regista("explain", "service", "web")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "No instances of web are known.\n")

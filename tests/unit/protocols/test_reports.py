"""Reports of callers, as they come in: objects and lists; and what is wrong with others."""

import json

import pytest

from regista.balance import OutcomeReport
from regista.health import PassiveSettings
from regista.model import BadInput, TooLarge
from regista.protocols.http import Parameters, Request
from regista.protocols.native.reports import decode_reports, read_reports


def decode(value, *, reports_max=10):
    return decode_reports(
        value if isinstance(value, bytes) else json.dumps(value).encode(), reports_max=reports_max
    )


FULL = {"Service": "web", "ID": "w1", "Node": "n1", "Outcome": "timeout", "Count": 3, "LatencyMs": 12.5}


def test_objects_and_lists_say_the_same():
    """In a list the values stand in the order service, id, outcome, count, latency, node."""
    report = OutcomeReport("web", "w1", "timeout", 3, 12.5, "n1")
    assert decode({"Reports": [FULL]}) == [report]
    assert decode({"Rows": [["web", "w1", "timeout", 3, 12.5, "n1"]]}) == [report]
    assert decode({"Rows": [["web", "w1"]], "Reports": [FULL]}) == [report, OutcomeReport("web", "w1")]
    assert decode({"Reports": [{"Service": "web", "ID": "w1", "Outcome": 503}]})[0].outcome == 503
    assert decode({"Reports": [{"Service": "web", "ID": "w1", "LatencyMs": 4}]})[0] == OutcomeReport(
        "web", "w1", "success", 1, 4.0, ""
    )
    assert decode({}) == []


WRONG = [
    ({"Reports": [FULL, FULL, FULL, FULL | {"Outcome": "bad"}]}, "Reports[3].Outcome"),
    ({"Reports": [FULL | {"Outcome": 99}]}, "Reports[0].Outcome"),
    ({"Reports": [FULL | {"Outcome": 600}]}, "Reports[0].Outcome"),
    ({"Reports": [FULL | {"Outcome": True}]}, "Reports[0].Outcome"),
    ({"Reports": [FULL | {"Outcome": None}]}, "Reports[0].Outcome"),
    ({"Reports": [FULL | {"Count": 0}]}, "Reports[0].Count"),
    ({"Reports": [FULL | {"Count": -5}]}, "Reports[0].Count"),
    ({"Reports": [FULL | {"Count": 1.5}]}, "Reports[0].Count"),
    ({"Reports": [FULL | {"Count": 10**30}]}, "Reports[0].Count"),
    ({"Reports": [FULL | {"LatencyMs": "12ms"}]}, "Reports[0].LatencyMs"),
    ({"Reports": [FULL | {"LatencyMs": -1}]}, "Reports[0].LatencyMs"),
    ({"Reports": [FULL | {"LatencyMs": 1e9}]}, "Reports[0].LatencyMs"),
    (b'{"Reports":[{"Service":"web","ID":"w1","LatencyMs":1e999}]}', "Reports[0].LatencyMs"),
    (b'{"Reports":[{"Service":"web","ID":"w1","LatencyMs":NaN}]}', ""),
    ({"Reports": [FULL | {"Service": 7}]}, "Reports[0].Service"),
    ({"Reports": [FULL | {"Service": ""}]}, "Reports[0].Service"),
    ({"Reports": [FULL | {"ID": "x" * 513}]}, "Reports[0].ID"),
    ({"Reports": [FULL | {"Node": ["n1"]}]}, "Reports[0].Node"),
    ({"Reports": [FULL | {"Nodes": "n1"}]}, "Reports[0]"),
    ({"Reports": [{"Service": "web"}]}, "Reports[0]"),
    ({"Reports": ["web"]}, "Reports[0]"),
    ({"Reports": {"Service": "web"}}, "Reports"),
    ({"Reports": None}, "Reports"),
    ({"Rows": [["web", "w1"], ["web", "w1", "bad"]]}, "Rows[1].Outcome"),
    ({"Rows": [["web", "w1", "5xx", 0]]}, "Rows[0].Count"),
    ({"Rows": [["web", "w1", "5xx", 1, -1]]}, "Rows[0].LatencyMs"),
    ({"Rows": [["web", "w1", "5xx", 1, None, 1]]}, "Rows[0].Node"),
    ({"Rows": [["web", "w1", "5xx", 1, None, "n1", 1]]}, "Rows"),
    ({"Rows": [["web"]]}, "Rows[0]"),
    ({"Row": []}, ""),
    ([FULL], ""),
    (b"", ""),
    (b"{", ""),
    (b'{"Reports":[]} {}', ""),
    (b'{"Reports":[{"Service":"\xff"}]}', ""),
    (b"[" * 100_000, ""),
    ({"Reports": [FULL] * 11}, "Reports"),
    ({"Rows": [["web", "w1"]] * 11}, "Rows"),
]


@pytest.mark.parametrize(("body", "field"), WRONG)
def test_what_is_wrong_is_named(body, field):
    """By the field as the caller may spell it, also where it stands in a list without names."""
    with pytest.raises(BadInput) as caught:
        decode(body)
    assert caught.value.field == field
    assert len(str(caught.value)) < 200


async def test_a_body_that_is_too_large_is_refused():
    """With the setting that says so."""

    async def read(bytes_max):
        raise TooLarge("the body is too large; send less", limit_bytes=bytes_max)

    request = Request("PUT", "/v1/regista/report", Parameters(), {}, read)
    with pytest.raises(TooLarge, match=r"passive\.report_bytes_max") as caught:
        await read_reports(request, PassiveSettings(report_bytes_max=2000))
    assert caught.value.limit_bytes == 2000

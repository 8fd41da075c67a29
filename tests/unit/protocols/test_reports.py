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


FULL = {"service": "web", "id": "w1", "node": "n1", "outcome": "timeout", "count": 3, "latency_ms": 12.5}


def test_objects_and_lists_say_the_same():
    """In a list the values stand in the order service, id, outcome, count, latency, node."""
    report = OutcomeReport("web", "w1", "timeout", 3, 12.5, "n1")
    assert decode({"reports": [FULL]}) == [report]
    assert decode({"rows": [["web", "w1", "timeout", 3, 12.5, "n1"]]}) == [report]
    assert decode({"rows": [["web", "w1"]], "reports": [FULL]}) == [report, OutcomeReport("web", "w1")]
    assert decode({"reports": [{"service": "web", "id": "w1", "outcome": 503}]})[0].outcome == 503
    assert decode({"reports": [{"service": "web", "id": "w1", "latency_ms": 4}]})[0] == OutcomeReport(
        "web", "w1", "success", 1, 4.0, ""
    )
    assert decode({}) == []


WRONG = [
    ({"reports": [FULL, FULL, FULL, FULL | {"outcome": "bad"}]}, "reports[3].outcome"),
    ({"reports": [FULL | {"outcome": 99}]}, "reports[0].outcome"),
    ({"reports": [FULL | {"outcome": 600}]}, "reports[0].outcome"),
    ({"reports": [FULL | {"outcome": True}]}, "reports[0].outcome"),
    ({"reports": [FULL | {"outcome": None}]}, "reports[0].outcome"),
    ({"reports": [FULL | {"count": 0}]}, "reports[0].count"),
    ({"reports": [FULL | {"count": -5}]}, "reports[0].count"),
    ({"reports": [FULL | {"count": 1.5}]}, "reports[0].count"),
    ({"reports": [FULL | {"count": 10**30}]}, "reports[0].count"),
    ({"reports": [FULL | {"latency_ms": "12ms"}]}, "reports[0].latency_ms"),
    ({"reports": [FULL | {"latency_ms": -1}]}, "reports[0].latency_ms"),
    ({"reports": [FULL | {"latency_ms": 1e9}]}, "reports[0].latency_ms"),
    (b'{"reports":[{"service":"web","id":"w1","latency_ms":1e999}]}', "reports[0].latency_ms"),
    (b'{"reports":[{"service":"web","id":"w1","latency_ms":NaN}]}', ""),
    ({"reports": [FULL | {"service": 7}]}, "reports[0].service"),
    ({"reports": [FULL | {"service": ""}]}, "reports[0].service"),
    ({"reports": [FULL | {"id": "x" * 513}]}, "reports[0].id"),
    ({"reports": [FULL | {"node": ["n1"]}]}, "reports[0].node"),
    ({"reports": [FULL | {"nodes": "n1"}]}, "reports[0]"),
    ({"reports": [{"service": "web"}]}, "reports[0]"),
    ({"reports": ["web"]}, "reports[0]"),
    ({"reports": {"service": "web"}}, "reports"),
    ({"reports": None}, "reports"),
    ({"rows": [["web", "w1"], ["web", "w1", "bad"]]}, "rows[1].outcome"),
    ({"rows": [["web", "w1", "5xx", 0]]}, "rows[0].count"),
    ({"rows": [["web", "w1", "5xx", 1, -1]]}, "rows[0].latency_ms"),
    ({"rows": [["web", "w1", "5xx", 1, None, 1]]}, "rows[0].node"),
    ({"rows": [["web", "w1", "5xx", 1, None, "n1", 1]]}, "rows[0]"),
    ({"rows": [["web", "w1"], ["web", "w1", "5xx", 1, None, "n1", 1]]}, "rows[1]"),
    (b'{"rows":[["web","w1","5xx",1,null,"n1",1],', "rows"),
    (b'{"rows":[["web","w1","5xx",1,null,"n1",1]],"rows":[]}', "rows"),
    ({"rows": [["web"]]}, "rows[0]"),
    ({"Row": []}, "Row"),
    ([FULL], ""),
    (b"", ""),
    (b"{", ""),
    (b'{"reports":[]} {}', ""),
    (b'{"reports":[{"service":"\xff"}]}', ""),
    (b"[" * 100_000, ""),
    ({"reports": [FULL] * 11}, "reports"),
    ({"rows": [["web", "w1"]] * 11}, "rows"),
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

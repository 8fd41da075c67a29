"""/v1/regista/report and /v1/regista/health/passive: what callers found, and what it comes to.

A body has reports as objects (`reports`), or as lists of the same values in order (`rows`), which take a third of
the bytes; or both. It may be packed with gzip.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from regista.balance import (
    OUTCOMES,
    PARAMETERS,
    Code,
    Count,
    LatencyMs,
    Name,
    Outcome,
    OutcomeReport,
    OutlierParameters,
)
from regista.health import HostState, PassiveSettings, PassiveState
from regista.model import BadInput, Forbidden, TooLarge, format_duration, format_time
from regista.protocols.http import Parameter, Request, Response, Route
from regista.protocols.native.bodies import invalid, misfit
from regista.protocols.native.context import Context
from regista.protocols.native.encode import Json, json_response
from regista.protocols.native.parameters import PRETTY, read_limit

_HOSTS_MAX = 1000
"""Instances in one answer where the caller names no limit; as many as a screen can bear."""

_HOSTS_LIMIT_MAX = 100_000


class _Report(msgspec.Struct, forbid_unknown_fields=True):
    service: Name
    id: Name
    outcome: Outcome | Code = "success"
    count: Count = 1
    latency_ms: LatencyMs | None = None
    node: str = ""


class _Reports(msgspec.Struct, forbid_unknown_fields=True):
    reports: list[_Report] = []
    rows: list[OutcomeReport] = []


class _AnyRows(msgspec.Struct):
    rows: list[list[Any]] = []


_FIELDS: Final = tuple(field.encode_name for field in msgspec.structs.fields(_Report))
_ROW_FIELD = re.compile(r"^(rows\[[0-9]+\])\[([0-9])\]")
assert [field.name for field in msgspec.structs.fields(_Report)] == [
    field.name for field in msgspec.structs.fields(OutcomeReport)
]

_OUTCOME = ".outcome"

_decode = msgspec.json.Decoder(_Reports).decode


class Reports:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "PUT",
                "/v1/regista/report",
                self.report,
                "Takes what callers of services found of their instances",
                parameters=(PRETTY,),
                access="service:read",
                body="json",
            ),
            Route(
                "GET",
                "/v1/regista/health/passive",
                self.passive,
                "What callers' reports come to at present: counts, and who is out until when",
                parameters=(
                    Parameter("service", "Only this service."),
                    Parameter("limit", f"How many instances at the most; {_HOSTS_MAX}.", "integer"),
                    PRETTY,
                ),
                access="operator:read",
                load="dashboard",
            ),
        )

    async def report(self, request: Request) -> Response:
        """PUT regista/report: how many reports were of known instances, and how many were not."""
        settings = self._context.passive_settings
        if not settings.enabled:
            raise Forbidden("reports are not taken here; set passive.enabled to true in the agent's configuration")
        accepted, unknown = self._context.passive.report(await read_reports(request, settings))
        return json_response(request, {"accepted": accepted, "unknown": unknown})

    def passive(self, request: Request) -> Response:
        """GET regista/health/passive: each service that is reported, with its parameters and instances."""
        hosts_max = read_limit(request, default=_HOSTS_MAX, least=1, most=_HOSTS_LIMIT_MAX)
        states = self._context.passive.states(request.parameters.first("service"))
        hosts_count = sum(len(state.hosts) for state in states)
        return json_response(
            request,
            {
                "services": list(_services(states, hosts_max=hosts_max)),
                "instances_left_out": max(0, hosts_count - hosts_max),
            },
        )


async def read_reports(request: Request, settings: PassiveSettings) -> list[OutcomeReport]:
    """The reports in a request's body; the server has unpacked it, if it was packed.

    Raises:
        BadInput: they are not what they must be.
        TooLarge: they are more bytes than may be, once unpacked.
    """
    bytes_max = settings.report_bytes_max
    try:
        body = await request.body(bytes_max)
    except TooLarge as error:
        raise TooLarge(
            f"the body is larger than {bytes_max} bytes, packed or not; send fewer reports at once, or raise "
            "passive.report_bytes_max in the agent's configuration",
            limit_bytes=bytes_max,
            limit="passive.report_bytes_max",
            used=error.used,
        ) from error
    return decode_reports(body, reports_max=settings.reports_max)


def decode_reports(body: bytes, *, reports_max: int) -> list[OutcomeReport]:
    """The reports in a body.

    Raises:
        BadInput: they are not what they must be, and then the field is named as `reports[3].outcome`; or more than
            `reports_max`.
    """
    try:
        found = _decode(body)
    except msgspec.ValidationError as error:
        path, problem = misfit(error)
        field = _field(path)
        if field.endswith(_OUTCOME):
            problem = f"it is one of {', '.join(OUTCOMES)}, or the status code of an HTTP answer, as a number"
        elif not field and problem.startswith("Expected `array` of at most"):
            field = _long_row(body)
        raise invalid(field, problem) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadInput(f"Request decode failed: {error}") from error
    count = len(found.reports) + len(found.rows)
    if count > reports_max:
        raise BadInput(
            f"there are {count} reports; at most {reports_max} are taken at once (passive.reports_max)",
            field="reports" if found.reports else "rows",
        )
    return [OutcomeReport(*msgspec.structs.astuple(each)) for each in found.reports] + found.rows


def _long_row(body: bytes) -> str:
    """The first row with too many values, which msgspec 0.22 does not name; `rows` if the rest can't be read."""
    try:
        rows = msgspec.json.decode(body, type=_AnyRows).rows
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        rows = []
    at = next((number for number, row in enumerate(rows) if len(row) > len(_FIELDS)), None)
    return "rows" if at is None else f"rows[{at}]"


def _field(path: str) -> str:
    """The field as the caller may name it, also where it stands in a list."""
    match = _ROW_FIELD.match(path)
    return f"{match[1]}.{_FIELDS[int(match[2])]}" if match and int(match[2]) < len(_FIELDS) else path


def _services(states: Sequence[PassiveState], *, hosts_max: int) -> Iterator[Json]:
    for state in states:
        hosts = list(islice(state.hosts, hosts_max))
        hosts_max -= len(hosts)
        yield {
            "service": state.service,
            "instances": state.instances,
            "ejected": state.ejected,
            "ejected_max": state.ejected_max,
            "interval_left_ms": round(state.interval_left_s * 1000),
            "detected": state.detected,
            "withheld": state.withheld,
            "parameters": _parameters(state.parameters),
            "hosts": [_host(host) for host in hosts],
        }


def _host(host: HostState) -> Json:
    until_s = host.ejected_until_s
    return {
        "node": host.node,
        "id": host.id,
        "ejected_until": format_time(until_s) if until_s is not None else None,
        "rule": host.rule or None,
        "ejections_in_a_row": host.ejections,
        "in_a_row": host.in_a_row,
        "interval": {
            "requests": host.requests,
            "failures": host.failures,
            "latency_ms": round(host.latency_ms, 3) if host.latency_ms is not None else None,
        },
    }


def _parameters(parameters: OutlierParameters) -> Json:
    """By the names that they have in a service's configuration entry."""
    shown: Json = {}
    for name, doc in PARAMETERS.items():
        value = getattr(parameters, doc.field)
        shown[name] = format_duration(value) if doc.kind == "duration" else value
    return shown

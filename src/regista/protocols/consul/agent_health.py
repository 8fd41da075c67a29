"""/v1/agent/health/service/…: how the instances of this agent's node are, in one word and one status code.

For load balancers and probes that understand a status code and nothing else.

Source: Consul 1.9 (recorded answers).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from regista.catalog import Catalog, is_maintenance
from regista.model import CRITICAL, PASSING, WARNING, Check, Entry, Service, node_item_key
from regista.protocols.consul.context import Context
from regista.protocols.consul.encode import agent_service
from regista.protocols.consul.parameters import FORMAT, LOCAL_READ
from regista.protocols.consul.reads import JSON, refuse_namespaces, required_argument
from regista.protocols.http import Request, Response, Route, encode_json

_MAINTENANCE = "maintenance"
_WORST_LAST = (PASSING, WARNING, CRITICAL, _MAINTENANCE)
_STATUSES = {PASSING: 200, WARNING: 429, CRITICAL: 503, _MAINTENANCE: 503}

_NOT_RUN: dict[str, Any] = {
    "Interval": "0s",
    "Timeout": "0s",
    "DeregisterCriticalServiceAfter": "0s",
    "HTTP": "",
    "Header": None,
    "Method": "",
    "Body": "",
    "TLSSkipVerify": False,
    "TCP": "",
}
"""What stands for every check's definition on these paths, whatever it is."""


class AgentHealth:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "GET",
                "/v1/agent/health/service/id/",
                self.by_id,
                "How one instance of this node is, as a status code",
                argument="service_id",
                parameters=(*LOCAL_READ, FORMAT),
                access="service:read",
                is_replicated=True,
            ),
            Route(
                "GET",
                "/v1/agent/health/service/name/",
                self.by_name,
                "How a service's instances on this node are, as a status code",
                argument="service",
                parameters=(*LOCAL_READ, FORMAT),
                access="service:read",
                is_replicated=True,
            ),
        )

    def by_id(self, request: Request) -> Response:
        """GET agent/health/service/id/{id}: one instance; 404 for an unknown one."""
        refuse_namespaces(request)
        wanted = required_argument(request, "Bad request: Missing serviceID")
        entry = self._context.catalog.services.get(node_item_key(self._context.identity.node_name, wanted))
        if entry is None or entry.record.manager == "server":
            nothing = {"AggregatedStatus": CRITICAL, "Service": None, "Checks": None}
            return _response(request, 404, f"ServiceId {wanted} not found", nothing)
        status, shape = self._verdict(entry)
        return _response(request, _STATUSES[status], status, shape)

    def by_name(self, request: Request) -> Response:
        """GET agent/health/service/name/{name}: all instances, and the status of the worst; 404 for none."""
        refuse_namespaces(request)
        wanted = required_argument(request, "Bad request: Missing service Name")
        node_key = self._context.identity.node_name.lower()
        group = self._context.catalog.service_indexes.by_name.get(wanted.lower())
        verdicts = [
            self._verdict(entry)
            for entry in (group.ordered() if group else ())
            if entry.record.node.lower() == node_key and entry.record.manager != "server"
        ]
        if not verdicts:
            return _response(request, 404, f"ServiceName {wanted} Not Found", [])
        worst = _worst(status for status, _ in verdicts)
        return _response(request, _STATUSES[worst], worst, [shape for _, shape in verdicts])

    def _verdict(self, entry: Entry[Service]) -> tuple[str, dict[str, Any]]:
        """The worst status among the checks that speak for an instance, and what is shown of them."""
        context = self._context
        checks = [each for each in context.catalog.check_entries(entry.record) if each.record.manager != "server"]
        status = _worst(_status_of(each.record) for each in checks)
        return status, {
            "AggregatedStatus": status,
            "Service": agent_service(entry, context.identity.datacenter),
            "Checks": [_check(context.catalog, each) for each in checks],
        }


def _status_of(check: Check) -> str:
    if is_maintenance(check):
        return _MAINTENANCE
    return check.status if check.status in _STATUSES else CRITICAL


def _worst(statuses: Iterable[str]) -> str:
    return max(statuses, key=_WORST_LAST.index, default=PASSING)


def _check(catalog: Catalog, entry: Entry[Check]) -> dict[str, Any]:
    check = entry.record
    return {
        "Node": check.node,
        "CheckID": check.id,
        "Name": check.name,
        "Status": check.status,
        "Notes": check.notes,
        "Output": catalog.output(entry),
        "ServiceID": check.service_id,
        "ServiceName": check.service_name,
        "ServiceTags": check.service_tags or None,
        "Type": "",
        "Definition": _NOT_RUN,
        "CreateIndex": 0,
        "ModifyIndex": 0,
    }


def _response(request: Request, status: int, reason: str, shape: Any) -> Response:
    headers = (("X-Consul-Reason", reason if reason.isascii() and reason.isprintable() else "not found"),)
    wants_text = request.parameters.first("format") == "text" or request.headers.get("Accept", "").startswith(
        "text/plain"
    )
    if wants_text:
        return Response(status, reason.encode(), "text/plain", headers)
    return Response(status, encode_json(shape, pretty="pretty" in request.parameters), JSON, headers)

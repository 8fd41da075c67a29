"""GET /v1/regista/health/summary: how everything is, in numbers, with the services or nodes one by one.

What the log tells is counted once for all who ask, again only where something changed, and can be waited for. How
the store and the agent itself are is of the moment: it is put in front of that, and wakes nobody.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from regista.catalog import (
    CHECKS,
    CONFIG_ENTRIES,
    NODES,
    SERVICES,
    STATES,
    Counts,
    State,
    Tallies,
    Tally,
    add_counts,
)
from regista.model import BadInput
from regista.protocols.http import Parameter, Request, Response, Route, encode_json
from regista.protocols.native.context import Context
from regista.protocols.native.encode import Json
from regista.protocols.native.parameters import read_limit
from regista.protocols.native.protection import protection_object

_LISTED = 100
"""Services or nodes on a page where the caller names no limit."""

_LISTED_MAX = 1000

_TOPICS = (SERVICES, CHECKS, NODES, CONFIG_ENTRIES)

_BY = ("service", "node")


@dataclasses.dataclass(frozen=True, slots=True)
class _Page:
    """Which services or nodes are listed.

    Attributes:
        name: of the only one, in small letters; "" for all.
        state: that they must be in; "" for any.
        after: they come behind this name, in small letters.
    """

    by: str
    name: str
    state: str
    after: str
    limit: int


class Summary:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tallies = Tallies(context.catalog, threshold_default=context.degrading.panic_threshold_percent)

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "GET",
                "/v1/regista/health/summary",
                self.summary,
                "How everything is: nodes, services and instances by status, protections, the store and the agent",
                parameters=(
                    *self._context.read_parameters,
                    Parameter("by", f"What is listed: {' or '.join(_BY)}; service."),
                    Parameter("service", "Lists this service only."),
                    Parameter("node", "Lists this node only, with `by=node`."),
                    Parameter("status", f"Lists those in this status only: {', '.join(STATES)}."),
                    Parameter("after", "Lists what comes behind this name, as `next` of the page before says."),
                    Parameter("limit", f"How many are listed at the most; {_LISTED}.", "integer"),
                ),
                access="service:read",
                load="dashboard",
            ),
        )

    def summary(self, request: Request) -> Response | Awaitable[Response]:
        """GET regista/health/summary."""
        page = _read_page(request)
        answering = self._context.answer_read(
            request, topics=_TOPICS, find=lambda: self._counted(page), key=repr(page)
        )
        if isinstance(answering, Response):
            return self._with_present(request, answering)
        return self._later(request, answering)

    async def _later(self, request: Request, answering: Awaitable[Response]) -> Response:
        return self._with_present(request, await answering)

    # ---- what the log tells ----

    def _counted(self, page: _Page) -> Json:
        services, node_states = self._tallies.services(), self._tallies.node_states()
        if page.by == "node":
            listed = _listed_nodes(self._tallies.nodes(), node_states, page)
        else:
            listed = _listed_services(services, page)
        shown = list(_take(listed, page.limit + 1))
        return {
            "nodes": _counts_object(_counts_of(node_states.values())),
            "services": _counts_object(_counts_of(tally.worst for tally in services.values())),
            "instances": _counts_object(add_counts(*(tally.instances for tally in services.values()))),
            "panicking": sum(tally.is_panicking for tally in services.values()),
            "flapping": sum(tally.flapping for tally in services.values()),
            "suspects": sum(tally.suspects for tally in services.values()),
            "ejected": sum(tally.ejected for tally in services.values()),
            "by": page.by,
            "list": shown[: page.limit],
            "next": shown[page.limit - 1]["name"] if len(shown) > page.limit else None,
        }

    # ---- what is of the moment ----

    def _with_present(self, request: Request, response: Response) -> Response:
        """The response with the store, the agent and its protections in front."""
        context = self._context
        stale_s = context.store.stale_s()
        present = {
            "store": {
                "writable": stale_s is None,
                "unwritable_s": None if stale_s is None else round(stale_s, 1),
                "outages": context.store.outages,
            },
            "agent": {
                "node": context.node_name,
                "stalls": context.hearing.stalls,
                "stalled_s": round(context.hearing.stalled_s, 1),
                "abstains": context.deadlines.abstention or None,
                "protection_enabled": context.guard.is_protection_enabled,
            },
            "protections": [protection_object(each) for each in context.guard.protections()],
        }
        body = encode_json(present)[:-1] + b"," + response.body.lstrip()[1:]
        if "pretty" in request.parameters:
            body = msgspec.json.format(body, indent=4) + b"\n"
        return msgspec.structs.replace(response, body=body, gzipped=None)


def _listed_services(services: Mapping[str, Tally], page: _Page) -> Iterator[Json]:
    for key, tally in services.items():
        if not _is_on(page, key, tally.worst):
            continue
        yield {
            "name": tally.name,
            "status": tally.worst,
            **_tally_object(tally),
            "panic": {"is_on": tally.is_panicking, "threshold_percent": tally.panic_threshold},
        }


def _listed_nodes(nodes: Mapping[str, Tally], states: Mapping[str, State], page: _Page) -> Iterator[Json]:
    for key, tally in nodes.items():
        if _is_on(page, key, states[key]):
            yield {"name": tally.name, "status": states[key], **_tally_object(tally)}


def _is_on(page: _Page, key: str, state: State) -> bool:
    return key > page.after and page.name in ("", key) and page.state in ("", state)


def _tally_object(tally: Tally) -> Json:
    return {
        "instances": _counts_object(tally.instances),
        "flapping": tally.flapping,
        "suspects": tally.suspects,
        "ejected": tally.ejected,
    }


def _counts_object(counts: Counts) -> Json:
    return {**dict(zip(STATES, counts, strict=True)), "all": sum(counts)}


def _counts_of(states: Iterable[State]) -> Counts:
    counts = dict.fromkeys(STATES, 0)
    for state in states:
        counts[state] += 1
    passing, warning, critical, draining, maintenance = counts.values()
    return passing, warning, critical, draining, maintenance


def _take(items: Iterator[Any], count: int) -> Iterator[Any]:
    for _, item in zip(range(count), items, strict=False):
        yield item


def _read_page(request: Request) -> _Page:
    parameters = request.parameters
    by = parameters.first("by", "service")
    if by not in _BY:
        raise BadInput(f"Invalid by: it is {' or '.join(_BY)}", field="by")
    if by != "node" and "node" in parameters:
        raise BadInput("Invalid node: it is for by=node", field="node")
    if by == "node" and "service" in parameters:
        raise BadInput("Invalid service: nodes are listed by node", field="service")
    state = parameters.first("status")
    if state and state not in STATES:
        raise BadInput(f"Invalid status: it is one of {', '.join(STATES)}", field="status")
    limit = read_limit(request, default=_LISTED, least=1, most=_LISTED_MAX)
    return _Page(by, parameters.first(by).lower(), state, parameters.first("after").lower(), limit)

"""/v1/agent/service/drain/…: taking an instance out before it ends, and knowing when its callers have heard of it.

Regista's own. Of the paths of Consul's, only maintenance is near, which tells nobody who has seen it.
"""

from __future__ import annotations

from typing import Any

from regista.catalog import cancel_drain, drain_check, drain_service, drain_topics
from regista.model import BadInput, Cause, NotFound, format_duration, format_time, node_item_key, parse_duration_s
from regista.protocols.consul.context import Context
from regista.protocols.consul.parameters import NS, PRETTY
from regista.protocols.consul.reads import json_response, refuse_namespaces, required_argument, truth_of
from regista.protocols.http import REASON, Laggard, Parameter, Passage, Request, Response, Route, request_cause

_LAGGARDS_MAX = 1000
"""How many are listed; the numbers in the answer count all. More than a person reads or a program acts upon."""

_MISSING = "ServiceID missing: give the id after the last slash of the path"


class AgentDrain:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "PUT",
                "/v1/agent/service/drain/",
                self.drain,
                "Takes an instance out, and deregisters it after a while",
                argument="service_id",
                parameters=(
                    NS,
                    Parameter("for", "How long until it is deregistered, such as `30s`.", "duration"),
                    Parameter(
                        "wait", "Answers once every watcher knows, or after this time, such as `30s`.", "duration"
                    ),
                    Parameter("enable", "`false` cancels the drain.", "boolean"),
                    REASON,
                    PRETTY,
                ),
                access="service:write",
            ),
            Route(
                "DELETE",
                "/v1/agent/service/drain/",
                self.cancel,
                "Cancels the drain of an instance",
                argument="service_id",
                parameters=(NS, REASON),
                access="service:write",
            ),
        )

    async def drain(self, request: Request) -> Response:
        """PUT agent/service/drain/{id}: who follows the instance's service, and who may not know it yet."""
        context = self._context
        if not _is_enabled(request):
            return await self.cancel(request)
        refuse_namespaces(request)
        service_id = required_argument(request, _MISSING)
        for_s = self._for_s(request)
        wait_s = self._wait_s(request)
        watchers = context.answers.watchers
        if wait_s > 0:
            watchers.check_room()
        cause = request_cause(request)
        node = context.identity.node_name
        now_s = context.wall_clock()
        await context.writer.write(
            lambda catalog: drain_service(
                catalog, node, service_id, for_s=for_s, asked_by=_told_cause(cause), now_s=now_s
            ),
            cause=cause,
        )
        service = context.catalog.services.get(node_item_key(node, service_id))
        check = drain_check(context.catalog, service.record) if service else None
        if service is None or check is None:
            raise NotFound(f'"{service_id}" was deregistered, or its drain cancelled, at the same moment.')
        # A drain that is asked for again took the instance out when it was asked for first.
        index = check.create_index
        passage = await watchers.wait_passed(drain_topics(context.catalog, service), index, wait_s=wait_s)
        answer = {
            "ID": service.record.id,
            "Service": service.record.name,
            "Index": index,
            "Ends": format_time(now_s + for_s),
            **self._passage(passage),
        }
        return json_response(request, answer, (("X-Consul-Index", str(index)),))

    async def cancel(self, request: Request) -> Response:
        """DELETE agent/service/drain/{id}: an empty 200, also for an instance that does not drain."""
        context = self._context
        refuse_namespaces(request)
        service_id = required_argument(request, _MISSING)
        await context.writer.write(
            lambda catalog: cancel_drain(catalog, context.identity.node_name, service_id),
            cause=request_cause(request),
        )
        return Response()

    def _passage(self, passage: Passage) -> dict[str, Any]:
        now_s = self._context.wall_clock()
        return {
            "Watchers": passage.watchers,
            "Passed": passage.watchers - len(passage.laggards),
            "Complete": passage.is_complete,
            "Laggards": [_told_laggard(each, now_s) for each in passage.laggards[:_LAGGARDS_MAX]],
        }

    def _for_s(self, request: Request) -> float:
        settings = self._context.drain_settings
        seconds = _seconds(request, "for", default=settings.for_default_s)
        most_s = settings.for_max_s
        if not 0 < seconds <= most_s:
            raise BadInput(
                f"Invalid for: {format_duration(seconds)} is not above 0s and at most {format_duration(most_s)} "
                "(drain.for_max in the agent's configuration)",
                field="for",
            )
        return seconds

    def _wait_s(self, request: Request) -> float:
        seconds = _seconds(request, "wait", default=0.0)
        if seconds < 0:
            raise BadInput(f"Invalid wait: {format_duration(seconds)} is below 0s", field="wait")
        return min(seconds, self._context.settings.wait_max_s)


def _seconds(request: Request, name: str, *, default: float) -> float:
    text = request.parameters.first(name)
    if not text:
        return default
    try:
        return parse_duration_s(text)
    except ValueError as error:
        raise BadInput(f'Invalid {name}: "{text}": write it as 30s, 1m30s or 500ms', field=name) from error


def _is_enabled(request: Request) -> bool:
    text = request.parameters.first("enable", "true")
    is_enabled = truth_of(text)
    if is_enabled is None:
        raise BadInput(f'Invalid value for enable: "{text}"', field="enable")
    return is_enabled


def _told_cause(cause: Cause) -> str:
    """Who asked, and why."""
    return (cause.source or "a client") + (f' ("{cause.reason}")' if cause.reason else "")


def _told_laggard(laggard: Laggard, now_s: float) -> dict[str, Any]:
    return {
        "Address": laggard.remote,
        "UserAgent": laggard.user_agent,
        "Asks": laggard.asks,
        "Index": laggard.index,
        "State": laggard.state,
        "Since": format_time(now_s - laggard.for_s),
    }

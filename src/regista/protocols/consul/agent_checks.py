"""/v1/agent/check…: the checks of this agent's node.

Source: Consul 1.9 (behaviour).
"""

from __future__ import annotations

from collections.abc import Awaitable

from regista.catalog import HEALTH_CHECK_FIELDS, deregister_check, register_check
from regista.model import CRITICAL, PASSING, WARNING, Status
from regista.protocols.consul.check_kinds import refuse_kind
from regista.protocols.consul.context import Context
from regista.protocols.consul.decode_check import read_check, read_status
from regista.protocols.consul.encode import agent_check
from regista.protocols.consul.parameters import FILTER, LOCAL_READ, NOTE, NS
from regista.protocols.consul.reads import json_response, read_options, refuse_namespaces, required_argument
from regista.protocols.http import REASON, Handler, Request, Response, Route, decode_json, request_cause

_ID_MISSING = "CheckID missing: give the id after the last slash of the path"


class AgentChecks:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context
        # The answer to nearly all that services say, whose bytes are made once.
        self._done = Response(forms={})
        self.passing = self._report(PASSING)
        self.warning = self._report(WARNING)
        self.critical = self._report(CRITICAL)

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "GET",
                "/v1/agent/checks",
                self.checks,
                "The checks of this agent's node, by id",
                parameters=(*LOCAL_READ, FILTER),
                access="node:read",
                load="list",
                is_replicated=True,
            ),
            Route(
                "PUT",
                "/v1/agent/check/register",
                self.register,
                "Registers a check on this agent's node",
                parameters=(NS, REASON),
                access="service:write",
                body="json",
            ),
            Route(
                "PUT",
                "/v1/agent/check/deregister/",
                self.deregister,
                "Deregisters a check",
                argument="check_id",
                parameters=(NS, REASON),
                access="service:write",
            ),
            *(
                Route(
                    "PUT",
                    f"/v1/agent/check/{verb}/",
                    handler,
                    f"Reports a TTL check as {status}",
                    argument="check_id",
                    parameters=(NS, NOTE, REASON),
                    access="service:write",
                    load="renewal",
                )
                for verb, status, handler in (
                    ("pass", "passing", self.passing),
                    ("warn", "warning", self.warning),
                    ("fail", "critical", self.critical),
                )
            ),
            Route(
                "PUT",
                "/v1/agent/check/update/",
                self.update,
                "Reports a TTL check's status and output",
                argument="check_id",
                parameters=(NS, REASON),
                access="service:write",
                body="json",
                load="renewal",
            ),
        )

    async def register(self, request: Request) -> Response:
        """PUT agent/check/register: an empty 200."""
        context = self._context
        refuse_namespaces(request)
        body = await request.body(context.settings.body_bytes_max)
        check = read_check(decode_json(body), node=context.identity.node_name, manager="agent")
        refuse_kind(check, context.kind_rule)
        await context.writer.write(lambda catalog: register_check(catalog, check), cause=request_cause(request))
        context.health.renew_check(check.key)
        return Response()

    async def deregister(self, request: Request) -> Response:
        """PUT agent/check/deregister/{id}: an empty 200, also for an id that is not there."""
        context = self._context
        refuse_namespaces(request)
        check_id = required_argument(request, _ID_MISSING)
        await context.writer.write(
            lambda catalog: deregister_check(catalog, context.identity.node_name, check_id),
            cause=request_cause(request),
        )
        return Response()

    async def update(self, request: Request) -> Response:
        """PUT agent/check/update/{id}: status and output in the body; an empty 200."""
        refuse_namespaces(request)
        check_id = required_argument(request, _ID_MISSING)
        body = await request.body(self._context.settings.body_bytes_max)
        status, output = read_status(decode_json(body))
        await self._context.health.report(check_id, status, output, cause=request_cause(request))
        return Response()

    def checks(self, request: Request) -> Response:
        """GET agent/checks: the checks of this node by id, but for the server's own."""
        context = self._context
        options = read_options(request, context, HEALTH_CHECK_FIELDS)
        on_node = context.catalog.check_indexes.by_node.get(context.identity.node_name.lower(), {})
        found = {
            entry.record.id: agent_check(context.catalog, entry)
            for entry in on_node.values()
            if entry.record.manager != "server"
        }
        wanted = {
            each: shape for each, shape in sorted(found.items()) if not options.keeps or options.keeps(shape)
        }
        return json_response(request, wanted)

    def _report(self, status: Status) -> Handler:
        """The handler of agent/check/pass, warn or fail: an empty 200."""

        def handle(request: Request) -> Response | Awaitable[Response]:
            refuse_namespaces(request)
            check_id = required_argument(request, _ID_MISSING)
            writing = self._context.health.report_nowait(
                check_id, status, request.parameters.first("note"), cause=request_cause(request)
            )
            return self._done if writing is None else self._done_after(writing)

        return handle

    async def _done_after(self, writing: Awaitable[None]) -> Response:
        await writing
        return self._done

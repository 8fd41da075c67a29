"""/v1/agent/service…: the instances of this agent's node.

Source: Consul 1.9 (behaviour). `renew`, DELETE on deregister, incarnations and hashes are Regista's.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import msgspec

from regista.catalog import (
    AGENT_SERVICE_FIELDS,
    check_incarnation,
    deregister_service,
    node_topic,
    register_service,
)
from regista.model import NotFound, Service, StaleIncarnation, format_duration, node_item_key
from regista.protocols.consul.check_kinds import refuse_kinds
from regista.protocols.consul.context import Context
from regista.protocols.consul.decode import read_service
from regista.protocols.consul.encode import agent_service, content_hash, registration_hash
from regista.protocols.consul.parameters import FILTER, HASH, INCARNATION, LOCAL_READ, NS, PRETTY, WAIT
from regista.protocols.consul.reads import (
    JSON,
    json_response,
    read_options,
    refuse_namespaces,
    required_argument,
)
from regista.protocols.http import (
    REASON,
    Headers,
    Parameter,
    Request,
    Response,
    Route,
    View,
    decode_json,
    encode_json,
    request_cause,
    text_response,
)


class AgentServices:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "GET",
                "/v1/agent/services",
                self.services,
                "The instances of this agent's node, by id",
                parameters=(*LOCAL_READ, FILTER),
                access="service:read",
                load="list",
                is_replicated=True,
            ),
            Route(
                "GET",
                "/v1/agent/service/",
                self.service,
                "One instance of this agent's node",
                argument="service_id",
                parameters=(*LOCAL_READ, HASH, WAIT),
                access="service:read",
                is_replicated=True,
            ),
            Route(
                "PUT",
                "/v1/agent/service/register",
                self.register,
                "Registers an instance with its checks on this agent's node",
                parameters=(
                    NS,
                    REASON,
                    Parameter("replace-existing-checks", "Drops checks that are not named.", "boolean"),
                ),
                access="service:write",
                body="json",
            ),
            *(
                Route(
                    method,
                    "/v1/agent/service/deregister/",
                    self.deregister,
                    "Deregisters an instance with its checks",
                    argument="service_id",
                    parameters=(NS, INCARNATION, REASON),
                    access="service:write",
                )
                for method in ("PUT", "DELETE")
            ),
            Route(
                "PUT",
                "/v1/agent/service/renew/",
                self.renew,
                "Renews the TTL of an instance; nothing is written",
                argument="service_id",
                parameters=(PRETTY, INCARNATION, HASH),
                access="service:write",
                load="renewal",
            ),
        )

    async def register(self, request: Request) -> Response:
        """PUT agent/service/register: an empty 200, with the incarnation and hash that a renewal can name."""
        context = self._context
        refuse_namespaces(request)
        body = await request.body(context.settings.body_bytes_max)
        wanted = read_service(decode_json(body), node=context.identity.node_name, manager="agent")
        refuse_kinds(wanted, context.kind_rule)
        registration = msgspec.structs.replace(
            wanted,
            replace_checks=request.parameters.first("replace-existing-checks", "no") in ("", "true"),
            new_incarnation=context.new_id(),
        )
        await context.writer.write(
            lambda catalog: register_service(catalog, registration, now_s=context.wall_clock()),
            cause=request_cause(request),
        )
        key = wanted.service.key
        context.health.renew_service(key)
        sidecar_checks = wanted.sidecar.checks if wanted.sidecar else ()
        for check in (*wanted.checks, *(sidecar_checks or ())):
            if check.type == "ttl":
                context.health.renew_check(check.key)
        return Response(headers=self._identity_headers(key))

    async def deregister(self, request: Request) -> Response:
        """PUT or DELETE agent/service/deregister/{id}: an empty 200, also for an id that is not there."""
        context = self._context
        refuse_namespaces(request)
        service_id = required_argument(request, "ServiceID missing: give the id after the last slash of the path")
        await context.writer.write(
            lambda catalog: deregister_service(
                catalog,
                context.identity.node_name,
                service_id,
                reason="was deregistered through the agent's API",
                now_s=context.wall_clock(),
                incarnation=request.parameters.first("incarnation"),
            ),
            cause=request_cause(request),
        )
        return Response()

    def renew(self, request: Request) -> Response:
        """PUT agent/service/renew/{id}: the instance's TTL begins again; nothing is written.

        Answers which registration the server holds, so that a caller whose hash differs registers again.
        """
        context = self._context
        service_id = required_argument(request, "ServiceID missing: give the id after the last slash of the path")
        key = node_item_key(context.identity.node_name, service_id)
        incarnation = request.parameters.first("incarnation")
        if incarnation:
            check_incarnation(context.catalog, context.identity.node_name, service_id, incarnation)
        entry = context.catalog.services.get(key)
        if entry is None:
            raise NotFound(
                f'Unknown service ID "{service_id}": it is not registered, or no longer. Register it again.'
            )
        service = entry.record
        if incarnation not in ("", service.incarnation):
            raise StaleIncarnation(
                f'instance "{service_id}" is incarnation {service.incarnation}, not {incarnation}; register again',
                incarnation=incarnation,
            )
        context.health.renew_service(key)
        held = self._hash(key, service)
        return json_response(
            request,
            {
                "ID": service.id,
                "Incarnation": service.incarnation,
                "TTL": format_duration(service.ttl_s),
                "Hash": held,
                "HashMatches": request.parameters.first("hash", held) == held,
            },
        )

    def services(self, request: Request) -> Response:
        """GET agent/services: the instances of this node by id, but for the server's own."""
        context = self._context
        options = read_options(request, context, AGENT_SERVICE_FIELDS)
        on_node = context.catalog.service_indexes.by_node.get(context.identity.node_name.lower(), {})
        found = {
            entry.record.id: agent_service(entry, context.identity.datacenter)
            for entry in on_node.values()
            if entry.record.manager != "server"
        }
        wanted = {
            each: shape for each, shape in sorted(found.items()) if not options.keeps or options.keeps(shape)
        }
        return json_response(request, wanted)

    def service(self, request: Request) -> Response | Awaitable[Response]:
        """GET agent/service/{id}: one instance; with `hash`, waits until its content is another."""
        wanted_hash = request.parameters.first("hash")
        options = read_options(request, self._context)
        if not wanted_hash:
            return self._service_now(request)
        return self._wait_for_service(request, wanted_hash, options.wait_s)

    async def _wait_for_service(self, request: Request, known_hash: str, wait_s: float) -> Response:
        context = self._context
        entry = context.catalog.services.get(node_item_key(context.identity.node_name, request.argument))
        if entry is not None and content_hash(entry.record) == known_hash:
            view = View(
                key=f"agent/service\x00{request.argument}",
                topics=(node_topic(context.identity.node_name),),
                encode=lambda: encode_json(self._find(request.argument)),
            )
            # The index now, so that only a change of the bytes ends the wait.
            after_index = context.answers.get(view).index
            wait_s *= 1 + context.wait_jitter() / 16
            await context.answers.wait(view, after_index=after_index, wait_s=wait_s)
        return self._service_now(request)

    def _service_now(self, request: Request) -> Response:
        found = self._find(request.argument)
        if found is None:
            return text_response(404, f"unknown service ID: {request.argument}")
        body = encode_json(found, pretty="pretty" in request.parameters)
        return Response(200, body, JSON, (("X-Consul-Contenthash", found["ContentHash"]),))

    def _find(self, service_id: str) -> dict[str, Any] | None:
        context = self._context
        entry = context.catalog.services.get(node_item_key(context.identity.node_name, service_id))
        if entry is None or entry.record.manager == "server":
            return None
        return agent_service(entry, context.identity.datacenter, with_hash=True)

    def _identity_headers(self, key: str) -> Headers:
        entry = self._context.catalog.services.get(key)
        if entry is None:
            return ()
        service = entry.record
        return (
            ("X-Regista-Incarnation", service.incarnation.encode("ascii", "replace").decode()),
            ("X-Regista-Hash", self._hash(key, service)),
        )

    def _hash(self, key: str, service: Service) -> str:
        checks = self._context.catalog.check_indexes.by_instance.get(key, ())
        return registration_hash(service, (entry.record for entry in checks))

"""/v1/query…: prepared queries.

Source: Consul 1.9 (behaviour); what it answers with 500 for a mistake of the caller is 400 or 404 here.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import msgspec

from regista.catalog import (
    QUERIES,
    Available,
    answer_query,
    create_query,
    delete_query,
    find_query,
    is_uuid,
    query_topic,
    replace_query,
    service_topic,
)
from regista.model import BadInput, Entry, NotFound, PreparedQuery
from regista.protocols.consul.context import Context
from regista.protocols.consul.decode_query import check_query, read_query
from regista.protocols.consul.encode import health_entry
from regista.protocols.consul.encode_mesh import in_key_order
from regista.protocols.consul.labels import degraded_headers
from regista.protocols.consul.parameters import NEAR, NS, PRETTY, READ
from regista.protocols.consul.reads import (
    ReadOptions,
    answer_view,
    check_datacenter,
    contact_fields,
    index_headers,
    json_response,
    read_options,
    truth_of,
)
from regista.protocols.http import (
    REASON,
    Parameter,
    Request,
    Response,
    Route,
    decode_json,
    request_cause,
    text_response,
)

Answering = Response | Awaitable[Response]

_EXECUTE = "/execute"
_EXPLAIN = "/explain"
_EXECUTED_INDEX = 1
"""Executions have no index to wait for (Consul 1.9)."""

_LIMIT = Parameter("limit", "How many instances at the most, with `/execute`.", "integer")
_CONNECT = Parameter(
    "connect", "Only the mesh's proxies, with `/execute`; refused, as there is no mesh.", "boolean"
)

_LOOKUP_FAILED = "failed prepared query lookup: index error: UUID must be 36 characters"


class Queries:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._catalog = context.catalog

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        writing: tuple[Parameter, ...] = (NS, PRETTY, REASON)
        return (
            Route(
                "GET",
                "/v1/query",
                self.list,
                "The prepared queries",
                parameters=READ,
                access="query:read",
                load="list",
                is_replicated=True,
            ),
            Route(
                "POST",
                "/v1/query",
                self.create,
                "Keeps a prepared query",
                parameters=writing,
                access="query:write",
                body="json",
            ),
            Route(
                "GET",
                "/v1/query/",
                self.read,
                "A prepared query; executes it, or explains it, with `/execute` or `/explain` behind it",
                argument="query",
                parameters=(*READ, NEAR, _LIMIT, _CONNECT),
                access="query:read",
                is_replicated=True,
            ),
            Route(
                "PUT",
                "/v1/query/",
                self.replace,
                "Replaces a prepared query",
                argument="query",
                parameters=writing,
                access="query:write",
                body="json",
            ),
            Route(
                "DELETE",
                "/v1/query/",
                self.delete,
                "Deletes a prepared query",
                argument="query",
                parameters=writing,
                access="query:write",
            ),
        )

    # ---- keeping ----

    def list(self, request: Request) -> Answering:
        """GET query: all of them, by id."""
        options = read_options(request, self._context)
        entries = self._catalog.queries.entries

        def find() -> Any:
            return [_shown(entries[key]) for key in sorted(entries)]

        return answer_view(request, self._context, options, topics=(QUERIES,), find=find)

    async def create(self, request: Request) -> Response:
        """POST query: the id of the new one."""
        query = await self._read_body(request)
        if query.id:
            raise BadInput("ID must be empty when creating a new prepared query", field="ID")
        query = msgspec.structs.replace(query, id=self._context.new_id())
        check_query(query)
        await self._context.writer.write(
            lambda catalog: create_query(catalog, query), cause=request_cause(request)
        )
        return json_response(request, {"ID": query.id})

    async def replace(self, request: Request) -> Response:
        """PUT query/{id}: an empty answer; the id in the body has no meaning."""
        if request.argument.endswith((_EXECUTE, _EXPLAIN)):
            return _only_read(request)
        query_id = self._id(request)
        query = msgspec.structs.replace(await self._read_body(request), id=query_id)
        if query_id in self._catalog.queries.entries:
            check_query(query)
        await self._context.writer.write(
            lambda catalog: replace_query(catalog, query), cause=request_cause(request)
        )
        return Response()

    async def delete(self, request: Request) -> Response:
        """DELETE query/{id}: an empty answer."""
        if request.argument.endswith((_EXECUTE, _EXPLAIN)):
            return _only_read(request)
        query_id = self._id(request)
        await self._context.writer.write(
            lambda catalog: delete_query(catalog, query_id), cause=request_cause(request)
        )
        return Response()

    async def _read_body(self, request: Request) -> PreparedQuery:
        check_datacenter(request.parameters.first("dc"), self._context)
        return read_query(decode_json(await request.body(self._context.settings.body_bytes_max)))

    def _id(self, request: Request) -> str:
        if not is_uuid(request.argument):
            raise BadInput(f"Prepared Query lookup failed: {_LOOKUP_FAILED}")
        return request.argument.lower()

    # ---- asking ----

    def read(self, request: Request) -> Answering:
        """GET query/{id}, query/{id or name}/execute, query/{id or name}/explain."""
        if request.argument.endswith(_EXECUTE):
            return self._ask(request, request.argument.removesuffix(_EXECUTE), is_executed=True)
        if request.argument.endswith(_EXPLAIN):
            return self._ask(request, request.argument.removesuffix(_EXPLAIN), is_executed=False)
        options = read_options(request, self._context)
        if not is_uuid(request.argument):
            raise BadInput(_LOOKUP_FAILED)
        query_id = request.argument.lower()

        def find() -> Any:
            entry = self._catalog.queries.entries.get(query_id)
            return None if entry is None else [_shown(entry)]

        return answer_view(
            request,
            self._context,
            options,
            topics=(query_topic(query_id),),
            find=find,
            missing="Query not found",
        )

    def _ask(self, request: Request, id_or_name: str, *, is_executed: bool) -> Answering:
        options = read_options(request, self._context)
        # A bad parameter is told before anything is waited for.
        limit = _limit(request.parameters.first("limit"))
        _refuse_connect(request)
        if options.consistency == "consistent":
            return self._ask_later(request, options, id_or_name, limit, is_executed=is_executed)
        return self._answer(request, options, id_or_name, limit, is_executed=is_executed)

    async def _ask_later(
        self, request: Request, options: ReadOptions, id_or_name: str, limit: int, *, is_executed: bool
    ) -> Response:
        await self._context.writer.barrier()
        return self._answer(request, options, id_or_name, limit, is_executed=is_executed)

    def _answer(
        self, request: Request, options: ReadOptions, id_or_name: str, limit: int, *, is_executed: bool
    ) -> Response:
        entry = find_query(self._catalog, id_or_name)
        if entry is None:
            raise NotFound("Query not found")
        headers = index_headers(self._context, _EXECUTED_INDEX, options.consistency)
        if is_executed:
            answer, found = self._executed(request, options, entry.record, limit)
            topic = service_topic(entry.record.service)
            degraded = degraded_headers(found.findings)
            is_empty = not found.instances
            headers += self._context.standing.label(topic, is_empty=is_empty, headers=degraded) + degraded
        else:
            answer = {"Query": _shown(entry)}
        answer |= contact_fields(options.consistency, self._context.standing.stale_s())
        return json_response(request, answer, headers)

    def _executed(
        self, request: Request, options: ReadOptions, query: PreparedQuery, limit: int
    ) -> tuple[dict[str, Any], Available]:
        datacenter = self._context.identity.datacenter
        found = answer_query(
            self._catalog,
            query,
            near=self._near(request, options.near or query.near),
            limit=limit,
            shuffle=self._context.shuffle,
            threshold_default=self._context.degrading.panic_threshold_percent,
        )
        nodes = [_without_tags(health_entry(self._catalog, each, datacenter)) for each in found.instances]
        answer = {
            "Service": query.service,
            "Nodes": nodes,
            "DNS": {"TTL": query.dns_ttl},
            "Datacenter": datacenter,
            # Other datacenters are not known, and unknown ones are passed over without being counted.
            "Failovers": 0,
        }
        return answer, found

    def _near(self, request: Request, near: str) -> str:
        """The node that is meant by `near`, "" for none."""
        if near == "_agent":
            return self._context.identity.node_name
        if near != "_ip":
            return near
        forwarded = request.headers.get("X-Forwarded-For", "").partition(",")[0].strip()
        address = forwarded or request.client
        nodes = self._catalog.nodes.values()
        return next((entry.record.name for entry in nodes if entry.record.address == address), "")


def _without_tags(shown: dict[str, Any]) -> dict[str, Any]:
    """An instance as the health paths show it, but with null for no tags, as Consul has it only here."""
    shown["Service"]["Tags"] = shown["Service"]["Tags"] or None
    for check in shown["Checks"]:
        check["ServiceTags"] = check["ServiceTags"] or None
    return shown


def _only_read(request: Request) -> Response:
    """The answer to a write to what can only be read, `/execute` and `/explain`."""
    return text_response(405, f"method {request.method} not allowed", (("Allow", "GET"),))


def _limit(text: str) -> int:
    if not text:
        return 0
    digits = text[1:] if text[0] in "+-" else text
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 18:
        raise BadInput(f'Bad limit: strconv.Atoi: parsing "{text[:100]}": invalid syntax', field="limit")
    return max(0, int(text))


def _refuse_connect(request: Request) -> None:
    text = request.parameters.first("connect")
    is_wanted = truth_of(text) if text else False
    if is_wanted is None:
        raise BadInput(
            f"Error parsing 'connect' value: strconv.ParseBool: parsing \"{text[:100]}\": invalid syntax",
            field="connect",
        )
    if is_wanted:
        raise BadInput(
            "connect is not supported by this version of Regista: queries find instances, and no proxies",
            field="connect",
        )


def _shown(entry: Entry[PreparedQuery]) -> dict[str, Any]:
    query = entry.record
    return {
        "ID": query.id,
        "Name": query.name,
        "Session": query.session,
        "Token": query.token,
        "Template": {
            "Type": query.template_type,
            "Regexp": query.template_regexp,
            "RemoveEmptyTags": query.drops_empty_tags,
        },
        "Service": {
            "Service": query.service,
            "Failover": {"NearestN": query.failover_nearest_n, "Datacenters": query.failover_datacenters},
            "OnlyPassing": query.only_passing,
            "IgnoreCheckIDs": query.ignore_check_ids,
            "Near": query.near,
            "Tags": query.tags,
            "NodeMeta": in_key_order(query.node_meta),
            "ServiceMeta": in_key_order(query.service_meta),
            "Connect": False,
        },
        "DNS": {"TTL": query.dns_ttl},
        "CreateIndex": entry.create_index,
        "ModifyIndex": entry.modify_index,
    }

"""/v1/txn: several operations on keys, nodes, instances and checks, all of them or none.

Source: Consul 1.9 (behaviour).
"""

from __future__ import annotations

from typing import Any

from regista.catalog import Catalog, Operation, Outcome, Result, is_read_only, plan_operations
from regista.model import Check, Entry, KvEntry, Node, Service, Transaction
from regista.protocols.consul.context import Context
from regista.protocols.consul.decode_txn import read_operations
from regista.protocols.consul.encode import health_check, node_object, node_service
from regista.protocols.consul.encode_kv import kv_object
from regista.protocols.consul.kv import read_body
from regista.protocols.consul.parameters import CONSISTENT, DC, NS, PRETTY, STALE
from regista.protocols.consul.reads import JSON, contact_fields, contact_headers, read_options
from regista.protocols.http import REASON, Headers, Request, Response, Route, encode_json, request_cause


class Transactions:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "PUT",
                "/v1/txn",
                self.put,
                "Several operations, all of them or none",
                parameters=(DC, NS, PRETTY, STALE, CONSISTENT, REASON),
                access="key:write",
                body="json",
            ),
        )

    async def put(self, request: Request) -> Response:
        """PUT txn: what the operations gave, or with 409 each of them that can't be made."""
        context = self._context
        options = read_options(request, context)
        limits = context.kv_settings
        most = max(limits.transaction_bytes_max, limits.value_bytes_max)
        body = await read_body(
            request, bytes_max=most, limit="kv.transaction_bytes_max", setting="txn_max_req_len"
        )
        operations = read_operations(body, context)
        if is_read_only(operations):
            if options.consistency == "consistent":
                await context.writer.barrier()
            outcome = self._plan(context.catalog, operations)
            stale_s = context.standing.stale_s()
            # Consul says no consistency here, whichever was wanted.
            answer = self._body(outcome, 0) | contact_fields("", stale_s)
            return _response(answer, contact_headers(stale_s), is_pretty=options.is_pretty)
        outcome, index = await self._write(request, operations)
        return _response(self._body(outcome, index), (), is_pretty=options.is_pretty)

    async def _write(self, request: Request, operations: list[Operation]) -> tuple[Outcome, int]:
        """What the operations came to, and the index at which they did."""
        context = self._context
        cause = request_cause(request)
        outcome = Outcome((), (), Transaction(), 0)

        def plan(catalog: Catalog) -> Transaction:
            nonlocal outcome
            outcome = self._plan(catalog, operations)
            return outcome.transaction

        index = await context.writer.write(plan, cause=cause)
        if outcome.errors:
            # Refused on what this replica knows; it may be behind what another server has acknowledged.
            await context.writer.barrier()
            index = await context.writer.write(plan, cause=cause)
        return outcome, index

    def _plan(self, catalog: Catalog, operations: list[Operation]) -> Outcome:
        context = self._context
        return plan_operations(catalog, operations, delays=context.lock_delays, now_s=context.wall_clock())

    def _body(self, outcome: Outcome, index: int) -> dict[str, Any]:
        """The answer; what the transaction changed has the index at which it came into force."""
        if outcome.errors:
            errors = [{"OpIndex": position, "What": problem} for position, problem in outcome.errors]
            return {"Results": None, "Errors": errors}
        shown = [self._shown(result, {outcome.next_index: index}) for result in outcome.results]
        return {"Results": shown, "Errors": None}

    def _shown(self, result: Result, indexes: dict[int, int]) -> dict[str, Any]:
        entry = result.entry
        create_index = indexes.get(entry.create_index, entry.create_index)
        modify_index = indexes.get(entry.modify_index, entry.modify_index)
        record = entry.record
        if isinstance(record, KvEntry):
            return {"KV": kv_object(Entry(record, create_index, modify_index), shows_value=result.shows_value)}
        if isinstance(record, Node):
            node = Entry(record, create_index, modify_index)
            return {"Node": node_object(node, self._context.identity.datacenter)}
        # An empty list of tags is null here.
        if isinstance(record, Service):
            found = node_service(Entry(record, create_index, modify_index))
            return {"Service": found | {"Tags": record.tags or None}}
        assert isinstance(record, Check)
        found = health_check(self._context.catalog, Entry(record, create_index, modify_index))
        return {"Check": found | {"ServiceTags": record.service_tags or None}}


def _response(body: dict[str, Any], headers: Headers, *, is_pretty: bool) -> Response:
    return Response(409 if body["Errors"] else 200, encode_json(body, pretty=is_pretty), JSON, headers)

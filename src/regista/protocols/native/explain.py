"""GET /v1/regista/explain/…: why an instance is in an answer or not, why it is here, and why it is gone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from regista.catalog import Catalog, DegradedFinding, explain_lookup
from regista.model import (
    BadInput,
    Batch,
    Compacted,
    Entry,
    NotFound,
    Service,
    Tombstone,
    format_time,
    node_item_key,
)
from regista.protocols.http import Parameter, Request, Response, Route
from regista.protocols.native.chain import ends, told_end, told_instance
from regista.protocols.native.context import Context
from regista.protocols.native.encode import (
    Json,
    json_response,
    judged_object,
    moment_object,
    record_object,
    tombstone_object,
)
from regista.protocols.native.facts import CheckFacts, InstanceFacts
from regista.protocols.native.parameters import PRETTY

_ENDED_MAX = 20
"""Of how many ended incarnations is told; the newest."""

_TOMBSTONES_LOOKED_AT_MAX = 50_000
"""The newest; a few milliseconds' work."""

AT = Parameter("at", "Answers as of then: an index, or a time such as `2026-11-24T07:08:09Z`.")


class Explain:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "GET",
                "/v1/regista/explain/service/",
                self.service,
                "Why each instance is in the answer of health/service, or is not",
                argument="service",
                parameters=(*self._context.question_parameters, AT, PRETTY),
                access="service:read",
                load="list",
            ),
            Route(
                "GET",
                "/v1/regista/explain/instance/",
                self.instance,
                "Why an instance is here, what would remove it and when; or why it is gone",
                argument="service_id",
                parameters=(
                    Parameter("node", "The instance's node, if its id is on several; this agent's comes first."),
                    PRETTY,
                ),
                access="service:read",
                load="list",
            ),
        )

    async def service(self, request: Request) -> Response:
        """GET regista/explain/service/{name}: each instance of it, judged by each parameter."""
        context = self._context
        question = context.read_question(request)
        at = request.parameters.first("at")
        catalog = await context.past.at(at) if at else context.catalog
        available = question.available(catalog)
        included = {each.service.record.key for each in available.instances}
        instances = []
        for judged in explain_lookup(catalog, question.lookup):
            extra: tuple[Json, ...] = ()
            if question.filter_text:
                is_kept = question.keeps(catalog, judged.instance)
                because = "it meets the expression" if is_kept else "it does not meet the expression"
                extra = (
                    {"parameter": "filter", "wanted": question.filter_text, "holds": is_kept, "because": because},
                )
            is_included = judged.instance.service.record.key in included
            if is_included and not judged.is_wanted:
                extra += tuple(_degraded_object(each) for each in available.findings)
            instances.append(judged_object(judged, extra, is_included=is_included))
        name = question.lookup.name.lower()
        ended = _ended(catalog, lambda tombstone: tombstone.name.lower() == name)
        return json_response(
            request,
            {
                "service": question.lookup.name,
                "index": catalog.index,
                "degraded": [str(each) for each in available.findings],
                "instances": instances,
                "gone": [tombstone_object(each) for each in ended],
            },
        )

    async def instance(self, request: Request) -> Response:
        """GET regista/explain/instance/{id}: what is known of it, and the same in sentences."""
        service_id = request.argument
        if not service_id:
            raise BadInput("Missing instance id: give it after the last slash of the path")
        catalog = self._context.catalog
        node = request.parameters.first("node")
        entry = self._find(service_id, node)
        if entry is not None:
            node = entry.record.node
        ended = _ended(catalog, lambda tombstone: _is_of(tombstone, service_id, node))
        if entry is None and not ended:
            where = f" on node {node}" if node else ""
            raise NotFound(
                f'no instance "{service_id}"{where} is registered, and the end of none is remembered. Look at '
                "/v1/regista/history for what is older, or spell it otherwise."
            )
        facts = await self._gather(entry) if entry is not None else None
        sentences = [told_end(each) for each in reversed(ended)]
        sentences += told_instance(facts) if facts is not None else ["It is not registered now."]
        return json_response(
            request,
            {
                "id": service_id,
                "node": node or ended[0].node,
                "state": "registered" if entry is not None else "gone",
                "instance": self._instance_object(facts) if facts is not None else None,
                "gone": [tombstone_object(each) for each in ended],
                "chain": sentences,
            },
        )

    def _find(self, service_id: str, node: str) -> Entry[Service] | None:
        """The instance on the node; without one, on this agent's, or on the only one that has it."""
        catalog = self._context.catalog
        entry = catalog.services.get(node_item_key(node or self._context.node_name, service_id))
        if entry is not None or node:
            return entry
        keys = (node_item_key(each.record.name, service_id) for each in catalog.nodes.values())
        found = [catalog.services[key] for key in keys if key in catalog.services]
        if len(found) > 1:
            names = ", ".join(each.record.node for each in found[:_ENDED_MAX])
            raise BadInput(f'"{service_id}" is on several nodes; add ?node= with one of {names}', field="node")
        return found[0] if found else None

    async def _gather(self, entry: Entry[Service]) -> InstanceFacts:
        deadlines = self._context.deadlines
        # Taken in one go, before anything is waited for.
        key = entry.record.key
        lease_left_s = deadlines.lease_left_s(key)
        suspicion = self._context.catalog.marks.of("suspect").get(key, "")
        checks = [
            CheckFacts(
                each,
                None,
                deadlines.heartbeat_left_s(each.record.key),
                deadlines.reap_left_s(each.record.key),
                deadlines.told_hold(each.record.key),
            )
            for each in self._context.catalog.check_entries(entry.record)
        ]
        return InstanceFacts(
            entry=entry,
            created=await self._batch(entry.create_index),
            changed=await self._batch(entry.modify_index),
            checks=tuple(
                [dataclasses.replace(each, changed=await self._batch(each.entry.modify_index)) for each in checks]
            ),
            lease_left_s=lease_left_s,
            suspicion=suspicion,
        )

    async def _batch(self, index: int) -> Batch | None:
        """The transaction with this index, if it is still known."""
        try:
            found = await self._context.log.changes(index - 1, batches_max=1)
        except Compacted:
            return None
        return found[0] if found and found[0].index == index else None

    def _instance_object(self, facts: InstanceFacts) -> Json:
        entry = facts.entry
        return {
            "record": record_object(entry.record),
            "registered": _moment(facts.created, entry.create_index),
            "changed": _moment(facts.changed, entry.modify_index),
            "checks": [self._check_object(each) for each in facts.checks],
            "suspect": facts.suspicion or None,
            "removed_if": []
            if entry.record.manager == "server"
            else [
                {"by": by, "at": self._time_in(left_s), "condition": condition}
                for by, left_s, condition in ends(facts)
            ],
        }

    def _check_object(self, facts: CheckFacts) -> Json:
        check = facts.entry.record
        return {
            "id": check.id,
            "of": "instance" if check.service_id else "node",
            "status": check.status,
            "output": self._context.catalog.output(facts.entry),
            "changed": _moment(facts.changed, facts.entry.modify_index),
            "critical_at": self._time_in(facts.heartbeat_left_s),
            "reap_at": self._time_in(facts.reap_left_s),
            "hold": facts.hold or None,
        }

    def _time_in(self, left_s: float | None) -> str | None:
        return None if left_s is None else format_time(self._context.wall_clock() + left_s)


def _degraded_object(finding: DegradedFinding) -> Json:
    """Why an instance is in the answer that is not as was asked for."""
    if finding.fallback:
        because = "nothing else was found, and this would do"
        return {"parameter": "fallback", "wanted": finding.fallback, "holds": True, "because": because}
    because = (
        f"only {finding.usable} of {finding.of} are passing, which is below the panic threshold of "
        f"{finding.threshold:g}%, so all are given out"
    )
    return {"parameter": "panic", "wanted": f"{finding.threshold:g}%", "holds": True, "because": because}


def _moment(batch: Batch | None, index: int) -> Json:
    """When and by whom; time and cause are null where the log no longer has it."""
    return moment_object(batch) if batch else {"index": index, "time": None, "cause": None}


def _ended(catalog: Catalog, is_wanted: Callable[[Tombstone], bool]) -> list[Tombstone]:
    """The newest ends of incarnations, newest first."""
    found: list[Tombstone] = []
    for entry in _newest(catalog):
        if is_wanted(entry.record):
            found.append(entry.record)
            if len(found) == _ENDED_MAX:
                break
    return found


def _newest(catalog: Catalog) -> Iterator[Entry[Tombstone]]:
    for count, entry in enumerate(reversed(catalog.tombstones.values())):
        if count == _TOMBSTONES_LOOKED_AT_MAX:
            return
        yield entry


def _is_of(tombstone: Tombstone, service_id: str, node: str) -> bool:
    return tombstone.id.lower() == service_id.lower() and node.lower() in ("", tombstone.node.lower())

"""/v1/catalog/… and /v1/health/…: who is registered, where, and how they are.

Source: Consul 1.9 (behaviour); the parameter `meta` on services is Regista's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from regista.catalog import (
    CHECKS,
    NODES,
    SERVICES,
    Lookup,
    check_list,
    find_instances,
    node_list,
    node_topic,
    service_tags,
    service_topic,
)
from regista.model import BadInput, Entry, Node
from regista.protocols.consul.context import Context
from regista.protocols.consul.encode import (
    catalog_service,
    health_check,
    health_entry,
    node_object,
    node_service,
)
from regista.protocols.consul.reads import (
    ReadOptions,
    answer_view,
    index_headers,
    json_response,
    pairs,
    read_options,
    required_argument,
    wants_passing,
)
from regista.protocols.http import Request, Response, error_response

Answering = Response | Awaitable[Response]

_NODE_ID_CHARACTERS_MIN = 2


class CatalogReads:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._catalog = context.catalog
        self._datacenter = context.identity.datacenter

    # ---- /v1/catalog ----

    def datacenters(self, request: Request) -> Response:
        """GET catalog/datacenters: their names, this agent's first."""
        return json_response(request, [self._datacenter])

    def nodes(self, request: Request) -> Answering:
        """GET catalog/nodes."""
        options = read_options(request, self._context)

        def find() -> Any:
            entries = node_list(self._catalog, meta=options.node_meta, near=options.near)
            return [node_object(entry, self._datacenter) for entry in entries]

        return answer_view(request, self._context, options, topics=(NODES,), find=find)

    def services(self, request: Request) -> Answering:
        """GET catalog/services: names to tags."""
        options = read_options(request, self._context)
        topics = (SERVICES, NODES) if options.node_meta else (SERVICES,)
        return answer_view(
            request,
            self._context,
            options,
            topics=topics,
            find=lambda: service_tags(self._catalog, node_meta=options.node_meta),
        )

    def service(self, request: Request) -> Answering:
        """GET catalog/service/{name}: the instances, without their health."""
        required_argument(request, "Missing service name")
        options = read_options(request, self._context)
        lookup = self._lookup(request, options)

        def find() -> Any:
            return [
                catalog_service(instance, self._datacenter) for instance in find_instances(self._catalog, lookup)
            ]

        return self._answer_service(request, options, lookup, find)

    def node(self, request: Request) -> Answering:
        """GET catalog/node/{name or id}: a node and its services by id; null for an unknown one."""

        def shape(node: Entry[Node] | None, services: list[dict[str, Any]]) -> Any:
            if node is None:
                return None
            by_id = {service["ID"]: service for service in services}
            return {"Node": node_object(node, self._datacenter), "Services": by_id}

        return self._answer_node(request, shape)

    def node_services(self, request: Request) -> Answering:
        """GET catalog/node-services/{name or id}: a node and a list of its services."""

        def shape(node: Entry[Node] | None, services: list[dict[str, Any]]) -> Any:
            found = node_object(node, self._datacenter) if node else None
            return {"Node": found, "Services": services or None}

        return self._answer_node(request, shape)

    # ---- /v1/health ----

    def health_service(self, request: Request) -> Answering:
        """GET health/service/{name}: the instances with their nodes and checks."""
        required_argument(request, "Missing service name")
        options = read_options(request, self._context)
        try:
            passing_only = wants_passing(request)
        except BadInput as error:
            # Consul looks at this parameter after the query, so its refusal carries an index.
            index = self._catalog.topics.index((service_topic(request.argument),))
            return error_response(error, index_headers(index, options.consistency))
        lookup = self._lookup(request, options, passing_only=passing_only)

        def find() -> Any:
            return [
                health_entry(self._catalog, instance, self._datacenter)
                for instance in find_instances(self._catalog, lookup)
            ]

        return self._answer_service(request, options, lookup, find)

    def health_checks(self, request: Request) -> Answering:
        """GET health/checks/{service}: the checks of its instances, without those of their nodes."""
        name = required_argument(request, "Missing service name")
        indexes = self._catalog.check_indexes
        return self._answer_checks(
            request, lambda: indexes.by_service_name.get(name.lower()), (service_topic(name),)
        )

    def health_node(self, request: Request) -> Answering:
        """GET health/node/{name}: every check on a node."""
        name = required_argument(request, "Missing node name")
        indexes = self._catalog.check_indexes
        return self._answer_checks(request, lambda: indexes.by_node.get(name.lower()), (node_topic(name),))

    def health_state(self, request: Request) -> Answering:
        """GET health/state/{status}: every check in a status, or in `any`."""
        status = required_argument(request, "Missing check state: any, passing, warning or critical")
        catalog = self._catalog
        if status == "any":
            return self._answer_checks(request, lambda: catalog.checks, (CHECKS,))
        return self._answer_checks(request, lambda: catalog.check_indexes.by_status.get(status), (CHECKS,))

    # ---- shared ----

    def _lookup(self, request: Request, options: ReadOptions, *, passing_only: bool = False) -> Lookup:
        return Lookup(
            name=request.argument,
            tags=tuple(request.parameters.all("tag")),
            meta=pairs(request, "meta"),
            node_meta=options.node_meta,
            passing_only=passing_only,
            near=options.near,
        )

    def _answer_service(
        self, request: Request, options: ReadOptions, lookup: Lookup, find: Callable[[], Any]
    ) -> Answering:
        return answer_view(
            request,
            self._context,
            options,
            topics=(service_topic(lookup.name),),
            find=find,
            key=f"{lookup.tags}{lookup.meta}{lookup.passing_only}",
        )

    def _answer_checks(self, request: Request, checks: Callable[[], Any], topics: tuple[str, ...]) -> Answering:
        options = read_options(request, self._context)

        def find() -> Any:
            entries = check_list(self._catalog, checks(), node_meta=options.node_meta, near=options.near)
            return [health_check(self._catalog, entry) for entry in entries]

        if options.node_meta:
            topics = (*topics, NODES)
        return answer_view(request, self._context, options, topics=topics, find=find)

    def _answer_node(
        self, request: Request, shape: Callable[[Entry[Node] | None, list[dict[str, Any]]], Any]
    ) -> Answering:
        wanted = required_argument(request, "Missing node name")
        options = read_options(request, self._context)
        known = self._find_node(wanted)

        def find() -> Any:
            node = self._find_node(wanted)
            key = node.record.key if node else ""
            services = self._catalog.service_indexes.by_node.get(key, {})
            return shape(node, [node_service(services[each]) for each in sorted(services)])

        # Asked for by id, an unknown node can only be noticed among all nodes.
        topics = (node_topic(known.record.name if known else wanted), *(() if known else (NODES,)))
        return answer_view(request, self._context, options, topics=topics, find=find)

    def _find_node(self, wanted: str) -> Entry[Node] | None:
        """The node of that name, or the only one whose id begins so."""
        node = self._catalog.nodes.get(wanted.lower())
        if node is None and len(wanted) >= _NODE_ID_CHARACTERS_MIN:
            by_id = self._catalog.node_indexes.by_id
            found = [by_id[each] for each in by_id if each.startswith(wanted.lower())]
            node = found[0] if len(found) == 1 else None
        return node

"""/v1/catalog/… and /v1/health/…: who is registered, where, and how they are.

Source: Consul 1.9 (behaviour); the parameter `meta` on services is Regista's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from regista.catalog import (
    CHECK_SERVICE_NODE_FIELDS,
    CHECKS,
    COORDINATES,
    HEALTH_CHECK_FIELDS,
    NODE_FIELDS,
    NODE_SERVICE_FIELDS,
    NODES,
    SERVICE_NODE_FIELDS,
    SERVICES,
    check_list,
    checks_of,
    node_list,
    node_topic,
    service_tags,
    service_topic,
    with_id,
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
from regista.protocols.consul.health_parts import HealthParts
from regista.protocols.consul.labels import Labelled, check_headers
from regista.protocols.consul.parameters import (
    AT,
    CACHED,
    FALLBACK,
    FILTER,
    LISTS,
    META,
    NODE_META,
    PASSING,
    PLAIN_LISTS,
    PRETTY,
    READ,
    TAG,
    VERSION,
)
from regista.protocols.consul.past import at_any_time
from regista.protocols.consul.questions import Search, answer_search, read_fallbacks, read_lookup
from regista.protocols.consul.reads import (
    ReadOptions,
    answer_view,
    index_headers,
    json_response,
    kept,
    read_options,
    required_argument,
    wants_passing,
)
from regista.protocols.http import Request, Response, Route, error_response

Answering = Response | Awaitable[Response]

_NODE_ID_CHARACTERS_MIN = 2


class CatalogReads:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._catalog = context.catalog
        self._datacenter = context.identity.datacenter
        self._parts = HealthParts(self._catalog, self._datacenter, bytes_max=context.settings.parts_bytes_max)

    @property
    def context(self) -> Context:
        """What it was made with."""
        return self._context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (*self._catalog_routes(), *self._health_routes())

    def _catalog_routes(self) -> tuple[Route, ...]:
        return (
            Route(
                "GET",
                "/v1/catalog/datacenters",
                self.datacenters,
                "The known datacenters",
                parameters=(PRETTY, CACHED),
                is_replicated=True,
            ),
            Route(
                "GET",
                "/v1/catalog/nodes",
                at_any_time(self, CatalogReads.nodes),
                "The nodes",
                parameters=(*PLAIN_LISTS, AT),
                access="node:read",
                load="list",
                is_replicated=True,
            ),
            Route(
                "GET",
                "/v1/catalog/services",
                at_any_time(self, CatalogReads.services),
                "The names of all services, with their tags",
                parameters=(*READ, CACHED, FILTER, NODE_META, AT),
                access="service:read",
                load="list",
                is_replicated=True,
            ),
            Route(
                "GET",
                "/v1/catalog/service/",
                at_any_time(self, CatalogReads.service),
                "The instances of a service, without their health",
                argument="service",
                parameters=(*LISTS, CACHED, TAG, META, VERSION, FALLBACK, AT),
                access="service:read",
                is_replicated=True,
            ),
            Route(
                "GET",
                "/v1/catalog/node/",
                at_any_time(self, CatalogReads.node),
                "A node and its services, by id",
                argument="node",
                parameters=(*READ, FILTER, AT),
                access="node:read",
                is_replicated=True,
            ),
            Route(
                "GET",
                "/v1/catalog/node-services/",
                at_any_time(self, CatalogReads.node_services),
                "A node and its services, as a list",
                argument="node",
                parameters=(*READ, FILTER, AT),
                access="node:read",
                is_replicated=True,
            ),
        )

    def _health_routes(self) -> tuple[Route, ...]:
        return (
            Route(
                "GET",
                "/v1/health/service/",
                at_any_time(self, CatalogReads.health_service),
                "The instances of a service, with their health",
                argument="service",
                parameters=(*LISTS, CACHED, PASSING, TAG, META, VERSION, FALLBACK, AT),
                access="service:read",
                is_replicated=True,
            ),
            Route(
                "GET",
                "/v1/health/checks/",
                at_any_time(self, CatalogReads.health_checks),
                "The checks of a service's instances",
                argument="service",
                parameters=(*LISTS, AT),
                access="service:read",
                is_replicated=True,
            ),
            Route(
                "GET",
                "/v1/health/node/",
                at_any_time(self, CatalogReads.health_node),
                "The checks on a node",
                argument="node",
                parameters=(*READ, FILTER, AT),
                access="node:read",
                is_replicated=True,
            ),
            Route(
                "GET",
                "/v1/health/state/",
                at_any_time(self, CatalogReads.health_state),
                "The checks in a status",
                argument="status",
                parameters=(*LISTS, AT),
                access="node:read",
                load="list",
                is_replicated=True,
            ),
        )

    # ---- /v1/catalog ----

    def datacenters(self, request: Request) -> Response:
        """GET catalog/datacenters: their names, this agent's first."""
        options = read_options(request, self._context, is_namespaced=False)
        is_anew = options.is_anew
        headers = self._context.cached_questions.ask(request.path, is_anew=is_anew) if options.is_cached else ()
        return json_response(request, [self._datacenter], headers)

    def nodes(self, request: Request) -> Answering:
        """GET catalog/nodes."""
        options = read_options(request, self._context, NODE_FIELDS, is_namespaced=False)

        def find() -> Any:
            entries = node_list(self._catalog, meta=options.node_meta, near=options.near)
            return kept(options, (node_object(entry, self._datacenter) for entry in entries))

        topics = (NODES, *_near_topics(options))
        return answer_view(request, self._context, options, topics=topics, find=find, is_lasting=True)

    def services(self, request: Request) -> Answering:
        """GET catalog/services: names to tags, of the instances that a filter keeps."""
        options = read_options(request, self._context, SERVICE_NODE_FIELDS)
        topics = (SERVICES, NODES) if options.node_meta or options.keeps else (SERVICES,)

        def find() -> Any:
            wanted = options.keeps
            keeps = wanted and (lambda instance: wanted(catalog_service(instance, self._datacenter)))
            return service_tags(self._catalog, node_meta=options.node_meta, keeps=keeps)

        return answer_view(
            request,
            self._context,
            options,
            topics=topics,
            find=find,
            is_cacheable=True,
            is_lasting=True,
        )

    def service(self, request: Request) -> Answering:
        """GET catalog/service/{name}: the instances, without their health."""
        required_argument(request, "Missing service name")
        options = read_options(request, self._context, SERVICE_NODE_FIELDS)
        search = Search(read_lookup(request, options), read_fallbacks(request), is_about_health=False)
        return answer_search(
            request, self._context, options, search, lambda each: catalog_service(each, self._datacenter)
        )

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
        options = read_options(request, self._context, CHECK_SERVICE_NODE_FIELDS)
        try:
            passing_only = wants_passing(request)
        except BadInput as error:
            # Consul looks at this parameter after the query, so its refusal carries an index.
            index = self._catalog.topics.index((service_topic(request.argument),))
            return error_response(error, index_headers(self._context, index, options.consistency))
        search = Search(read_lookup(request, options, passing_only=passing_only), read_fallbacks(request))
        return answer_search(
            request,
            self._context,
            options,
            search,
            lambda each: health_entry(self._catalog, each, self._datacenter),
            parts=self._parts,
        )

    def health_checks(self, request: Request) -> Answering:
        """GET health/checks/{service}: the checks of its instances, without those of their nodes.

        Where there is no service of that name, of the instances with that id.
        """
        name = required_argument(request, "Missing service name")
        topics = dict.fromkeys(service_topic(entry.record.name) for entry in with_id(self._catalog, name))
        return self._answer_checks(
            request,
            lambda: checks_of(self._catalog, name),
            (service_topic(name), *topics),
            # Which instances have that id is told by no topic of theirs, but while there is a service they do
            # not matter.
            is_lasting=name.lower() in self._catalog.service_indexes.by_name,
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

    def _answer_checks(
        self, request: Request, checks: Callable[[], Any], topics: tuple[str, ...], *, is_lasting: bool = True
    ) -> Answering:
        options = read_options(request, self._context, HEALTH_CHECK_FIELDS)

        def find() -> Labelled:
            entries = check_list(self._catalog, checks(), node_meta=options.node_meta, near=options.near)
            shown = kept(options, (health_check(self._catalog, entry) for entry in entries))
            return Labelled(shown, check_headers(self._catalog, entries))

        standing_of = "" if topics[0] == CHECKS else topics[0]
        if options.node_meta:
            topics = (*topics, NODES)
        topics = (*topics, *_near_topics(options))
        return answer_view(
            request,
            self._context,
            options,
            topics=topics,
            find=find,
            standing_of=standing_of,
            is_lasting=is_lasting,
        )

    def _answer_node(
        self, request: Request, shape: Callable[[Entry[Node] | None, list[dict[str, Any]]], Any]
    ) -> Answering:
        wanted = required_argument(request, "Missing node name")
        options = read_options(request, self._context, NODE_SERVICE_FIELDS)
        known = self._find_node(wanted)

        def find() -> Any:
            node = self._find_node(wanted)
            key = node.record.key if node else ""
            services = self._catalog.service_indexes.by_node.get(key, {})
            return shape(node, kept(options, (node_service(services[each]) for each in sorted(services))))

        # Asked for by id, an unknown node can only be noticed among all nodes.
        topics = (node_topic(known.record.name if known else wanted), *(() if known else (NODES,)))
        # Whose id begins so may be told by another node's topic later.
        is_lasting = known is None or known.record.key == wanted.lower()
        return answer_view(request, self._context, options, topics=topics, find=find, is_lasting=is_lasting)

    def _find_node(self, wanted: str) -> Entry[Node] | None:
        """The node of that name, or the only one whose id begins so."""
        node = self._catalog.nodes.get(wanted.lower())
        if node is None and len(wanted) >= _NODE_ID_CHARACTERS_MIN:
            by_id = self._catalog.node_indexes.by_id
            found = [by_id[each] for each in by_id if each.startswith(wanted.lower())]
            node = found[0] if len(found) == 1 else None
        return node


def _near_topics(options: ReadOptions) -> tuple[str, ...]:
    """What the order by distance depends on: where all nodes are."""
    return (COORDINATES,) if options.near else ()

"""Paths that follow the service mesh: health/connect, health/ingress, catalog/connect, catalog/gateway-services.

Source: Consul 1.9 (behaviour).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any

from regista.catalog import (
    CHECK_SERVICE_NODE_FIELDS,
    CHECKS,
    CONFIG_ENTRIES,
    COORDINATES,
    NODES,
    SERVICE_NODE_FIELDS,
    SERVICES,
    GatewayService,
    Instance,
    Lookup,
    find_instances,
    gateway_services,
    ingress_gateways,
    mesh_topic,
)
from regista.protocols.consul.context import Context
from regista.protocols.consul.encode import catalog_service, health_entry
from regista.protocols.consul.parameters import CACHED, LISTS, META, PASSING, READ, TAG, VERSION
from regista.protocols.consul.questions import read_lookup
from regista.protocols.consul.reads import (
    ReadOptions,
    answer_view,
    kept,
    read_options,
    required_argument,
    wants_passing,
)
from regista.protocols.http import Request, Response, Route

Answering = Response | Awaitable[Response]

_NO_NAME = "Missing service name"


class MeshReads:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._catalog = context.catalog
        self._datacenter = context.identity.datacenter

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "GET",
                "/v1/health/connect/",
                self.health_connect,
                "The instances that a service is reached through within the mesh, with their health",
                argument="service",
                parameters=(*LISTS, CACHED, PASSING, TAG, META, VERSION),
                access="service:read",
            ),
            Route(
                "GET",
                "/v1/health/ingress/",
                self.health_ingress,
                "The ingress gateways that let a service through, with their health",
                argument="service",
                parameters=(*LISTS, CACHED, PASSING, TAG, META, VERSION),
                access="service:read",
            ),
            Route(
                "GET",
                "/v1/catalog/connect/",
                self.catalog_connect,
                "The instances that a service is reached through within the mesh",
                argument="service",
                parameters=(*LISTS, CACHED, TAG, META, VERSION),
                access="service:read",
            ),
            Route(
                "GET",
                "/v1/catalog/gateway-services/",
                self.gateway_services,
                "The services that a gateway lets through",
                argument="gateway",
                parameters=READ,
                access="service:read",
            ),
        )

    def health_connect(self, request: Request) -> Answering:
        """GET health/connect/{name}: its proxies and native instances, with nodes and checks."""
        name = required_argument(request, _NO_NAME)
        options = read_options(request, self._context, CHECK_SERVICE_NODE_FIELDS)
        found = read_lookup(request, options, passing_only=wants_passing(request))
        lookup = dataclasses.replace(found, within_mesh=True)
        return self._answer(
            request, options, (mesh_topic(name),), lookup, self._healthy(options, lambda: [lookup])
        )

    def health_ingress(self, request: Request) -> Answering:
        """GET health/ingress/{name}: the ingress gateways that let it through, with nodes and checks."""
        name = required_argument(request, _NO_NAME)
        options = read_options(request, self._context, CHECK_SERVICE_NODE_FIELDS)
        lookup = read_lookup(request, options, passing_only=wants_passing(request))

        def gateways() -> list[Lookup]:
            names = ingress_gateways(self._catalog, name)
            return [dataclasses.replace(lookup, name=each) for each in names]

        # Which gateways these are may change while the caller waits; the answer's bytes say whether they did.
        topics = (CONFIG_ENTRIES, SERVICES, CHECKS, NODES)
        return self._answer(request, options, topics, lookup, self._healthy(options, gateways))

    def catalog_connect(self, request: Request) -> Answering:
        """GET catalog/connect/{name}: its proxies and native instances, without their health."""
        name = required_argument(request, _NO_NAME)
        options = read_options(request, self._context, SERVICE_NODE_FIELDS)
        lookup = dataclasses.replace(read_lookup(request, options), within_mesh=True)

        def find() -> Any:
            found = find_instances(self._catalog, lookup)
            return kept(options, (catalog_service(each, self._datacenter) for each in found))

        return self._answer(request, options, (mesh_topic(name),), lookup, find)

    def gateway_services(self, request: Request) -> Answering:
        """GET catalog/gateway-services/{gateway}: what its configuration entry lets through; null for nothing."""
        name = required_argument(request, "Missing gateway name")
        options = read_options(request, self._context)
        return answer_view(
            request,
            self._context,
            options,
            topics=(CONFIG_ENTRIES, SERVICES),
            find=lambda: [_gateway_service(each) for each in gateway_services(self._catalog, name)] or None,
        )

    def _healthy(self, options: ReadOptions, lookups: Callable[[], list[Lookup]]) -> Callable[[], Any]:
        def find() -> Any:
            found: list[Instance] = []
            for lookup in lookups():
                found += find_instances(self._catalog, lookup)
            return kept(options, (health_entry(self._catalog, each, self._datacenter) for each in found))

        return find

    def _answer(
        self,
        request: Request,
        options: ReadOptions,
        topics: tuple[str, ...],
        lookup: Lookup,
        find: Callable[[], Any],
    ) -> Answering:
        version = lookup.version.text if lookup.version else None
        key = f"{lookup.tags}{lookup.meta}{version}{lookup.passing_only}"
        if options.near:
            topics = (*topics, COORDINATES)
        return answer_view(request, self._context, options, topics=topics, find=find, key=key, is_cacheable=True)


def _gateway_service(found: GatewayService) -> dict[str, Any]:
    """A service of a gateway; what is empty is left out, but for the first three."""
    entry = found.gateway
    details = {
        "Port": found.listener.get("Port"),
        "Protocol": found.listener.get("Protocol"),
        **{name: found.wish.get(name) for name in ("Hosts", "CAFile", "CertFile", "KeyFile", "SNI")},
        "FromWildcard": found.is_from_wildcard,
    }
    return {
        "Gateway": {"Name": entry.record.name},
        "Service": {"Name": found.name},
        "GatewayKind": entry.record.entry_kind,
        **{name: value for name, value in details.items() if value},
        "CreateIndex": entry.create_index,
        "ModifyIndex": entry.modify_index,
    }

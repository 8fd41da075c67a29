"""Paths that follow the service mesh: health/connect, health/ingress, catalog/connect, catalog/gateway-services.

Source: Consul 1.9 (behaviour).
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import msgspec

from regista.catalog import (
    CHECK_SERVICE_NODE_FIELDS,
    CHECKS,
    CONFIG_ENTRIES,
    NODES,
    SERVICE_NODE_FIELDS,
    SERVICES,
    FilterFields,
    GatewayService,
    Instance,
    Lookup,
    gateway_services,
    ingress_gateways,
    mesh_topic,
)
from regista.protocols.consul.context import Context
from regista.protocols.consul.encode import catalog_service, health_entry
from regista.protocols.consul.parameters import CACHED, FALLBACK, LISTS, META, PASSING, READ, TAG, VERSION
from regista.protocols.consul.questions import Search, answer_search, read_fallbacks, read_lookup
from regista.protocols.consul.reads import (
    ReadOptions,
    answer_view,
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
                parameters=(*LISTS, CACHED, PASSING, TAG, META, VERSION, FALLBACK),
                access="service:read",
                is_replicated=True,
            ),
            Route(
                "GET",
                "/v1/health/ingress/",
                self.health_ingress,
                "The ingress gateways that let a service through, with their health",
                argument="service",
                parameters=(*LISTS, CACHED, PASSING, TAG, META, VERSION, FALLBACK),
                access="service:read",
                is_replicated=True,
            ),
            Route(
                "GET",
                "/v1/catalog/connect/",
                self.catalog_connect,
                "The instances that a service is reached through within the mesh",
                argument="service",
                parameters=(*LISTS, CACHED, TAG, META, VERSION, FALLBACK),
                access="service:read",
                is_replicated=True,
            ),
            Route(
                "GET",
                "/v1/catalog/gateway-services/",
                self.gateway_services,
                "The services that a gateway lets through",
                argument="gateway",
                parameters=READ,
                access="service:read",
                is_replicated=True,
            ),
        )

    def health_connect(self, request: Request) -> Answering:
        """GET health/connect/{name}: its proxies and native instances, with nodes and checks."""
        options = self._options(request, CHECK_SERVICE_NODE_FIELDS)
        found = read_lookup(request, options, passing_only=wants_passing(request))
        lookup = msgspec.structs.replace(found, within_mesh=True)
        search = Search(lookup, read_fallbacks(request), topic_of=mesh_topic)
        return answer_search(request, self._context, options, search, self._with_health)

    def health_ingress(self, request: Request) -> Answering:
        """GET health/ingress/{name}: the ingress gateways that let it through, with nodes and checks."""
        options = self._options(request, CHECK_SERVICE_NODE_FIELDS)
        lookup = read_lookup(request, options, passing_only=wants_passing(request))

        def gateways_for(service: str) -> list[Lookup]:
            names = ingress_gateways(self._catalog, service)
            return [msgspec.structs.replace(lookup, name=each) for each in names]

        # Which gateways these are may change while the caller waits; the answer's bytes say whether they did.
        topics = (CONFIG_ENTRIES, SERVICES, CHECKS, NODES)
        search = Search(lookup, read_fallbacks(request), wide_topics=topics, lookups_for=gateways_for)
        return answer_search(request, self._context, options, search, self._with_health)

    def catalog_connect(self, request: Request) -> Answering:
        """GET catalog/connect/{name}: its proxies and native instances, without their health."""
        options = self._options(request, SERVICE_NODE_FIELDS)
        lookup = msgspec.structs.replace(read_lookup(request, options), within_mesh=True)
        search = Search(lookup, read_fallbacks(request), topic_of=mesh_topic, is_about_health=False)
        return answer_search(
            request, self._context, options, search, lambda each: catalog_service(each, self._datacenter)
        )

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
            is_lasting=True,
        )

    def _options(self, request: Request, fields: FilterFields) -> ReadOptions:
        required_argument(request, _NO_NAME)
        return read_options(request, self._context, fields)

    def _with_health(self, instance: Instance) -> dict[str, Any]:
        return health_entry(self._catalog, instance, self._datacenter)


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

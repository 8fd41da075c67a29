"""/v1/catalog/register and deregister: nodes, instances and checks that no agent keeps.

Source: Consul 1.9 (behaviour); what it answers with 500 for a mistake of the caller is 400 here.
"""

from __future__ import annotations

import uuid
from typing import Any

from regista.catalog import (
    Catalog,
    CatalogEntry,
    deregister_check,
    deregister_node,
    deregister_service,
    register_in_catalog,
)
from regista.model import BadInput, Check, Node, Service, ServiceAddress, Transaction, Weights
from regista.protocols.consul.catalog_definitions import kind_of_definition, read_definition
from regista.protocols.consul.context import Context
from regista.protocols.consul.decode import ADDRESS_FIELDS, CONNECT_FIELDS, TAGS_MAX, checked_meta
from regista.protocols.consul.decode_check import refuse_own_id
from regista.protocols.consul.decode_mesh import PROXY_FIELDS, check_kind, read_proxy
from regista.protocols.consul.fields import (
    Fields,
    flag,
    free_text,
    ignored,
    integer,
    known_name,
    list_of,
    map_of,
    name,
    object_of,
    port,
    read_object,
    text,
)
from regista.protocols.consul.parameters import NS, PRETTY
from regista.protocols.consul.reads import check_datacenter, json_response, refuse_namespaces
from regista.protocols.http import REASON, Request, Response, Route, decode_json, request_cause

CATALOG_SERVICE_FIELDS: Fields = {
    "ID": name,
    "Service": name,
    "Tags": list_of(text, "[]string", TAGS_MAX),
    "Address": text,
    "TaggedAddresses": map_of(object_of(ADDRESS_FIELDS)),
    "Meta": map_of(free_text),
    "Port": port,
    "Weights": object_of({"Passing": integer, "Warning": integer}),
    "EnableTagOverride": flag,
    "Kind": name,
    "Proxy": object_of(PROXY_FIELDS),
    "Connect": object_of(CONNECT_FIELDS),
    # What an answer shows of an instance beside these, so that what was read can be written back.
    "Datacenter": ignored,
    "ContentHash": ignored,
    "CreateIndex": ignored,
    "ModifyIndex": ignored,
}

CATALOG_CHECK_FIELDS: Fields = {
    "Node": name,
    "CheckID": name,
    "Name": name,
    "Status": text,
    "Notes": free_text,
    "Output": free_text,
    "ServiceID": name,
    "ServiceName": name,
    "ServiceTags": list_of(text, "[]string", TAGS_MAX),
    "Type": text,
    "Definition": read_definition,
    # Not in Consul 1.9, but in every check that its official client in Go writes today.
    "ExposedPort": ignored,
    "CreateIndex": ignored,
    "ModifyIndex": ignored,
}

_REGISTER_FIELDS: Fields = {
    "ID": text,
    "Node": name,
    "Address": text,
    "Datacenter": text,
    "TaggedAddresses": map_of(text),
    "NodeMeta": map_of(free_text),
    "Service": object_of(CATALOG_SERVICE_FIELDS),
    "Check": object_of(CATALOG_CHECK_FIELDS),
    "Checks": list_of(object_of(CATALOG_CHECK_FIELDS), "HealthChecks", 1024),
    "SkipNodeUpdate": flag,
    "Token": ignored,
    "CreateIndex": ignored,
    "ModifyIndex": ignored,
}

_DEREGISTER_FIELDS: Fields = {
    "Node": known_name,
    "ServiceID": known_name,
    "CheckID": known_name,
    "Datacenter": text,
    "Address": ignored,
    "Token": ignored,
}


class CatalogWrites:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "PUT",
                "/v1/catalog/register",
                self.register,
                "Writes a node, an instance and checks that no agent keeps",
                parameters=(NS, PRETTY, REASON),
                access="node:write",
                body="json",
            ),
            Route(
                "PUT",
                "/v1/catalog/deregister",
                self.deregister,
                "Deregisters a node, an instance or a check",
                parameters=(NS, PRETTY, REASON),
                access="node:write",
                body="json",
            ),
        )

    async def register(self, request: Request) -> Response:
        """PUT catalog/register: `true` once all of it is written."""
        found = await self._read(request, _REGISTER_FIELDS)
        cause = request_cause(request)
        entry = self._entry(found)
        await self._context.writer.write(lambda catalog: register_in_catalog(catalog, entry), cause=cause)
        return json_response(request, value=True)

    async def deregister(self, request: Request) -> Response:
        """PUT catalog/deregister: an instance, a check, or a whole node; `true`, also if it was not there."""
        found = await self._read(request, _DEREGISTER_FIELDS)
        node: str = found["Node"]
        context = self._context
        reason = "was deregistered through the catalog's API"

        def plan(catalog: Catalog) -> Transaction:
            if found.get("ServiceID"):
                now_s = context.wall_clock()
                return deregister_service(catalog, node, found["ServiceID"], reason=reason, now_s=now_s)
            if found.get("CheckID"):
                return deregister_check(catalog, node, found["CheckID"])
            return deregister_node(catalog, node, reason=reason, now_s=context.wall_clock())

        await context.writer.write(plan, cause=request_cause(request))
        return json_response(request, value=True)

    async def _read(self, request: Request, fields: Fields) -> dict[str, Any]:
        refuse_namespaces(request)
        body = await request.body(self._context.settings.body_bytes_max)
        found = read_object(decode_json(body), fields)
        if not found.get("Node"):
            raise BadInput("Must provide node", field="Node")
        check_datacenter(found.get("Datacenter", ""), self._context)
        return found

    def _entry(self, found: dict[str, Any]) -> CatalogEntry:
        node_name: str = found["Node"]
        node = None
        if not found.get("SkipNodeUpdate"):
            if not found.get("Address"):
                raise BadInput("Must provide address if SkipNodeUpdate is not set", field="Address")
            node = Node(
                name=node_name,
                id=read_node_id(found.get("ID", "")),
                address=found["Address"],
                tagged_addresses=found.get("TaggedAddresses"),
                meta=found.get("NodeMeta"),
            )
        checks = [*found.get("Checks", ()), *([found["Check"]] if any(found.get("Check", {}).values()) else ())]
        return CatalogEntry(
            node_name=node_name,
            node=node,
            service=read_catalog_service(found["Service"], node_name) if found.get("Service") else None,
            checks=tuple(_new_catalog_check(check, node_name) for check in checks),
            new_incarnation=self._context.new_id(),
        )


def read_node_id(node_id: str) -> str:
    """The id of a node, in its usual form; "" for none.

    Raises:
        BadInput: it is no UUID.
    """
    if not node_id:
        return ""
    try:
        return str(uuid.UUID(node_id))
    except ValueError as error:
        raise BadInput(f'Bad node ID: "{node_id}" is no UUID', field="ID") from error


def read_catalog_service(found: dict[str, Any], node: str) -> Service:
    """The instance that these fields describe.

    Raises:
        BadInput: they describe none.
    """
    if not found.get("Service"):
        raise BadInput("Must provide service name with ID", field="Service.Service")
    check_kind(found)
    weights = found.get("Weights")
    return Service(
        node=node,
        id=found.get("ID") or found["Service"],
        name=found["Service"],
        tags=found.get("Tags", ()),
        address=found.get("Address", ""),
        port=found.get("Port", 0),
        meta=checked_meta(found.get("Meta")),
        # Consul makes 1/1 of weights that it does not like, here.
        weights=Weights(weights["Passing"], weights.get("Warning", 0))
        if weights and weights.get("Passing", 0) > 0 and weights.get("Warning", 0) >= 0
        else Weights(),
        tagged_addresses={
            tag: ServiceAddress(each.get("Address", ""), each.get("Port", 0))
            for tag, each in found.get("TaggedAddresses", {}).items()
        }
        or None,
        enable_tag_override=found.get("EnableTagOverride", False),
        service_kind=found.get("Kind", ""),
        proxy=read_proxy(found["Proxy"]) if found.get("Proxy") else None,
        is_native=found.get("Connect", {}).get("Native", False),
    )


def _new_catalog_check(found: dict[str, Any], node: str) -> Check:
    check = read_catalog_check(found, node)
    refuse_own_id(check.id, "Check.CheckID")
    return check


def read_catalog_check(found: dict[str, Any], node: str) -> Check:
    """The check that these fields describe.

    Raises:
        BadInput: they describe none.
    """
    if found.get("Node", node).lower() != node.lower():
        raise BadInput(f'check node "{found["Node"]}" does not match node "{node}"', field="Check.Node")
    check_id = found.get("CheckID") or found.get("Name")
    if not check_id:
        raise BadInput("Must provide CheckID or Name of a check", field="Check.CheckID")
    definition = found.get("Definition", {})
    return Check(
        node=node,
        id=check_id,
        name=found.get("Name", ""),
        status=found.get("Status") or "critical",
        notes=found.get("Notes", ""),
        output=found.get("Output", ""),
        service_id=found.get("ServiceID", ""),
        type=found.get("Type") or kind_of_definition(definition),
        shown_definition=definition or None,
    )

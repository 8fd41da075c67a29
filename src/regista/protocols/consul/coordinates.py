"""/v1/coordinate/…: where nodes are in the network, as whoever measures it says.

Source: Consul 1.9 (behaviour).
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from regista.catalog import COORDINATES, coordinate_topic, set_coordinate
from regista.model import BadInput, Coordinate, Entry
from regista.protocols.consul.context import Context
from regista.protocols.consul.fields import Fields, list_of, name, number, object_of, read_object, text
from regista.protocols.consul.parameters import DC, PLAIN_READ, PRETTY, SEGMENT
from regista.protocols.consul.reads import (
    answer_view,
    check_datacenter,
    json_response,
    read_options,
    required_argument,
)
from regista.protocols.http import REASON, Request, Response, Route, decode_json, request_cause

Answering = Response | Awaitable[Response]

DIMENSIONS = 8
"""Of every coordinate, as in Serf; distances of fewer mean less, and of more cost more."""

_ORIGIN = Coordinate(node="", vec=(0.0,) * DIMENSIONS, error=1.5, height=1e-05)
"""Where a node is before anybody has measured it, as Serf has it."""

_UPDATE_FIELDS: Fields = {
    "Node": name,
    "Segment": name,
    "Datacenter": text,
    "Coord": object_of(
        {
            "Vec": list_of(number, "[]float64", 1024),
            "Error": number,
            "Adjustment": number,
            "Height": number,
        }
    ),
}


class Coordinates:
    """The handlers."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._catalog = context.catalog

    def routes(self) -> tuple[Route, ...]:
        """The paths answered here."""
        return (
            Route(
                "GET",
                "/v1/coordinate/datacenters",
                self.datacenters,
                "Where the servers of each datacenter are",
                parameters=(PRETTY,),
                load="list",
                is_replicated=True,
            ),
            Route(
                "GET",
                "/v1/coordinate/nodes",
                self.nodes,
                "Where all nodes are",
                parameters=(*PLAIN_READ, SEGMENT),
                access="node:read",
                load="list",
                is_replicated=True,
            ),
            Route(
                "GET",
                "/v1/coordinate/node/",
                self.node,
                "Where a node is",
                argument="node",
                parameters=(*PLAIN_READ, SEGMENT),
                access="node:read",
                is_replicated=True,
            ),
            Route(
                "PUT",
                "/v1/coordinate/update",
                self.update,
                "Says where a node is",
                parameters=(DC, REASON),
                access="node:write",
                body="json",
            ),
        )

    def datacenters(self, request: Request) -> Response:
        """GET coordinate/datacenters: this one, with its server; at the origin until somebody has measured it."""
        identity = self._context.identity
        known = self._catalog.coordinates.of_node(identity.node_name)
        shown = _coordinate(known[0].record if known else _ORIGIN, identity.node_name)
        return json_response(
            request, [{"Datacenter": identity.datacenter, "AreaID": "wan", "Coordinates": [shown]}]
        )

    def nodes(self, request: Request) -> Answering:
        """GET coordinate/nodes: every coordinate, by node and segment."""
        options = read_options(request, self._context, is_namespaced=False)
        segment = request.parameters.first("segment")
        wants_all = "segment" not in request.parameters

        def find() -> Any:
            entries = self._catalog.coordinates.entries
            found = [entries[key].record for key in sorted(entries)]
            return [_coordinate(each, each.node) for each in found if wants_all or each.segment == segment]

        return answer_view(
            request, self._context, options, topics=(COORDINATES,), find=find, key=f"{wants_all}{segment}"
        )

    def node(self, request: Request) -> Answering:
        """GET coordinate/node/{name}: a node's coordinates, one for each segment; 404 without a body for none."""
        wanted = required_argument(request, "Missing node name")
        options = read_options(request, self._context, is_namespaced=False)
        segment = request.parameters.first("segment")
        wants_all = "segment" not in request.parameters

        def find() -> Any:
            found: list[Entry[Coordinate]] = self._catalog.coordinates.of_node(wanted)
            shown = [
                _coordinate(entry.record, wanted)
                for entry in found
                if wants_all or entry.record.segment == segment
            ]
            return shown or None

        return answer_view(
            request,
            self._context,
            options,
            topics=(coordinate_topic(wanted),),
            find=find,
            key=f"{wants_all}{segment}",
            missing="",
        )

    async def update(self, request: Request) -> Response:
        """PUT coordinate/update: an empty answer; the place of a node that is not registered is dropped."""
        context = self._context
        body = await request.body(context.settings.body_bytes_max)
        found = read_object(decode_json(body), _UPDATE_FIELDS)
        check_datacenter(found.get("Datacenter") or request.parameters.first("dc"), context)
        coordinate = _read_coordinate(found)
        await context.writer.write(
            lambda catalog: set_coordinate(catalog, coordinate), cause=request_cause(request)
        )
        return Response()


def _read_coordinate(found: dict[str, Any]) -> Coordinate:
    if not found.get("Node"):
        raise BadInput("Must provide node", field="Node")
    if "Coord" not in found:
        raise BadInput("Must provide coordinate: Coord is missing", field="Coord")
    coordinate = found["Coord"]
    vec: tuple[float, ...] = coordinate.get("Vec", ())
    if len(vec) != DIMENSIONS:
        raise BadInput(f"incompatible coordinate: Vec has {len(vec)} numbers, not {DIMENSIONS}", field="Coord.Vec")
    return Coordinate(
        node=found["Node"],
        segment=found.get("Segment", ""),
        vec=vec,
        error=coordinate.get("Error", 0.0),
        adjustment=coordinate.get("Adjustment", 0.0),
        height=coordinate.get("Height", 0.0),
    )


def _coordinate(coordinate: Coordinate, node: str) -> dict[str, Any]:
    return {
        "Node": node,
        "Segment": coordinate.segment,
        "Coord": {
            "Vec": [_plain(each) for each in coordinate.vec],
            "Error": _plain(coordinate.error),
            "Adjustment": _plain(coordinate.adjustment),
            "Height": _plain(coordinate.height),
        },
    }


def _plain(number: float) -> float:
    """The number as Go writes it: without a fraction where it has none."""
    return int(number) if number.is_integer() and abs(number) < 2**53 else number

"""Network distance between nodes, and sorting by it."""

from __future__ import annotations

import math
from collections.abc import Callable

from regista.catalog.coordinates import CoordinateShelf
from regista.model import Coordinate, Entry

ITSELF = -math.inf
"""In the place of a distance, for a node from itself: nothing is nearer."""
UNKNOWN = math.inf
"""In the place of a distance, for a node of which nobody said where it is."""


def distance_s(a: Coordinate, b: Coordinate) -> float:
    """The estimated round trip between two nodes, in seconds; the same in both directions.

    Adjustments count only as far as they leave something of the distance.

    Source: Serf's `coordinate` package (Vivaldi with heights and adjustments); Dabek et al., "Vivaldi: A
    Decentralized Network Coordinate System", 2004.
    """
    raw_s = math.dist(a.vec, b.vec) + a.height + b.height
    adjusted_s = raw_s + a.adjustment + b.adjustment
    return adjusted_s if adjusted_s > 0 else raw_s


def distance_from(coordinates: CoordinateShelf, near: str) -> Callable[[str], float]:
    """How far another node is from the node `near`: `ITSELF`, seconds, or `UNKNOWN`.

    A sort by it keeps nodes of unknown distance in their order behind the others, and changes no order if nobody
    knows where `near` is, but that `near` itself comes first.

    Returns:
        A function of a node's name, which remembers what it has worked out.
    """
    near_key = near.lower()
    here = coordinates.by_node.get(near_key, {})
    if not here:
        return lambda node: ITSELF if node.lower() == near_key else UNKNOWN
    known: dict[str, float] = {near_key: ITSELF}

    def distance(node: str) -> float:
        node_key = node.lower()
        found = known.get(node_key)
        if found is None:
            found = known[node_key] = _between(here, coordinates.by_node.get(node_key, {}))
        return found

    return distance


def _between(
    here: dict[str, Entry[Coordinate]],
    there: dict[str, Entry[Coordinate]],
) -> float:
    """The distance in the segment that both nodes are in.

    Source: Consul 1.9, `lib.CoordinateSet.Intersect`: a node with one segment says which; only servers have more,
    and those have all.
    """
    segment = ""
    for coordinates in (here, there):
        if len(coordinates) == 1:
            (segment,) = coordinates
    if segment not in here or segment not in there:
        return UNKNOWN
    return distance_s(here[segment].record, there[segment].record)

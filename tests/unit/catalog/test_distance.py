"""Network distance, and what is sorted by it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.catalog.test_queries import catalog_of

from regista.catalog import (
    Lookup,
    check_list,
    deregister_node,
    find_instances,
    node_list,
    set_coordinate,
    take_over_node,
)
from regista.catalog.distance import ITSELF, UNKNOWN, distance_from, distance_s
from regista.model import Batch, Check, Coordinate, Node, Service

numbers = st.floats(-1e6, 1e6)
coordinates = st.builds(
    Coordinate,
    node=st.just("n"),
    vec=st.tuples(*[numbers] * 8),
    adjustment=numbers,
    height=st.floats(0, 1e6),
)


def at(node, x, *, segment="", height=0.0, adjustment=0.0):
    return Coordinate(node=node, segment=segment, vec=(x, *[0.0] * 7), height=height, adjustment=adjustment)


@pytest.mark.parametrize(
    ("a", "b", "wanted_s"),
    [
        (at("a", 0.0), at("b", 0.5), 0.5),
        (at("a", 0.0, height=0.1), at("b", 0.5, height=0.2), 0.8),
        (at("a", 0.0, adjustment=-0.1), at("b", 0.5, adjustment=0.2), 0.6),
        (at("a", 0.0, adjustment=-0.3), at("b", 0.5, adjustment=-0.2), 0.5),
        (at("a", 0.0, adjustment=-9.0), at("b", 0.5, height=0.1), 0.6),
        (
            Coordinate(node="a", vec=(3.0, *[0.0] * 7)),
            Coordinate(node="b", vec=(0.0, 4.0, *[0.0] * 6)),
            5.0,
        ),
    ],
)
def test_the_distance_is_vivaldis(a, b, wanted_s):
    """Euclid's distance, heights on top, and adjustments as far as they leave something of it."""
    assert distance_s(a, b) == pytest.approx(wanted_s)


@given(coordinates, coordinates)
def test_the_distance_is_the_same_both_ways(a, b):
    """From a to b is as far as from b to a, and never less than nothing."""
    assert distance_s(a, b) == pytest.approx(distance_s(b, a))
    assert distance_s(a, b) >= 0
    assert math.isfinite(distance_s(a, b))


PLACES = catalog_of(
    *(Node(name=name) for name in ("n1", "n2", "n3", "n4", "n5")),
    *(Service(node=node, id="w", name="web") for node in ("n1", "n2", "n3", "n4", "n5")),
    *(Check(node=node, id="c", name="c") for node in ("n1", "n2", "n3", "n4", "n5")),
    at("n1", 0.9),
    at("N3", 0.0),
    at("n4", 0.1),
    at("n5", 5.0),
)


def test_nearer_nodes_come_first():
    """The node itself, then by distance, then those of which nobody knows where they are."""
    wanted = ["n3", "n4", "n1", "n5", "n2"]
    assert [entry.record.name for entry in node_list(PLACES, near="N3")] == wanted
    assert [entry.record.node for entry in check_list(PLACES, PLACES.checks, near="n3")] == wanted
    found = find_instances(PLACES, Lookup("web", near="n3"))
    assert [instance.service.record.node for instance in found] == wanted


def test_a_node_that_is_nowhere_changes_no_order():
    """Nobody is nearer to an unknown place; a known node without coordinates itself still comes first."""
    assert [entry.record.name for entry in node_list(PLACES, near="absent")] == ["n1", "n2", "n3", "n4", "n5"]
    assert [entry.record.name for entry in node_list(PLACES, near="n2")] == ["n2", "n1", "n3", "n4", "n5"]


def test_distances_are_within_a_segment():
    """A node with one segment says which; a node that is not in it is at an unknown distance."""
    catalog = catalog_of(
        at("server", 0.0), at("server", 1.0, segment="alpha"), at("a", 2.0, segment="alpha"), at("b", 2.0)
    )
    distance = distance_from(catalog.coordinates, "a")
    assert distance("a") == ITSELF
    assert distance("server") == 1.0
    assert distance("b") == UNKNOWN
    assert distance_from(catalog.coordinates, "server")("b") == 2.0


def applied(catalog, transaction):
    catalog.apply(Batch(catalog.index + 1, 0.0, transaction.changes))


def test_the_place_of_an_unknown_node_is_dropped():
    """A coordinate is kept for a node that is there, under its spelling, and for no other."""
    catalog = catalog_of(Node(name="Here"))
    assert set_coordinate(catalog, at("absent", 1.0)).changes == ()
    applied(catalog, set_coordinate(catalog, at("here", 1.0)))
    assert [entry.record.node for entry in catalog.coordinates.of_node("HERE")] == ["Here"]
    assert set_coordinate(catalog, at("here", 1.0)).changes == ()


def test_coordinates_go_and_move_with_their_node():
    """A deregistered node leaves no coordinate; a node that was given another name keeps its own."""
    catalog = catalog_of(Node(name="n1"), Node(name="n2"), at("n1", 1.0), at("n2", 2.0))
    applied(catalog, deregister_node(catalog, "n1", reason="left", now_s=0.0))
    assert list(catalog.coordinates.by_node) == ["n2"]
    applied(catalog, take_over_node(catalog, "n2", Node(name="n9")))
    assert [entry.record.vec[0] for entry in catalog.coordinates.of_node("n9")] == [2.0]
    assert list(catalog.coordinates.by_node) == ["n9"]

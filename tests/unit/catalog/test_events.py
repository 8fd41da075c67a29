"""User events: the ring, its index, and who an event is for."""

import pytest

from regista.catalog import EVENTS, Event, EventRing, events_index, is_for, read_filters
from regista.catalog.topics import Topics
from regista.model import BadInput, Service

ID = "428ad284-aae3-8cef-4936-752d0ae3fab5"


def ring_of(count, *, events_max=256):
    ring = EventRing(Topics(), events_max=events_max)
    for number in range(count):
        ring.add(Event(id=ID, name=f"e{number % 3}"), is_kept=True)
    return ring


def test_the_ring_keeps_the_latest_events():
    """Beyond its size the oldest go, and the latest are at the end."""
    ring = ring_of(10, events_max=4)
    assert [event.ltime for event in ring.named()] == [8, 9, 10, 11]
    assert [event.ltime for event in ring.named("e0")] == [8, 11]
    assert ring.named("e") == []


def test_the_index_tells_the_last_event():
    """Both halves of the last event's id, one upon the other; 1 where there is none."""
    assert events_index([]) == 1
    assert events_index([Event(id=ID, name="deploy")]) == 845735177014507098


def test_an_event_for_others_counts_but_is_not_kept():
    """An event that is not for this agent takes its place in the order, and wakes nobody."""
    topics = Topics()
    woken = []
    topics.watch((EVENTS,), lambda: woken.append(1))
    ring = EventRing(topics, events_max=2)
    ring.add(Event(id=ID, name="theirs"), is_kept=False)
    assert (ring.named(), woken) == ([], [])
    ring.add(Event(id=ID, name="ours"), is_kept=True)
    assert [event.ltime for event in ring.named()] == [3]
    assert woken == [1]


def test_an_event_outdates_earlier_answers():
    """Answers that were kept for the list of events are not good any more after one."""
    topics = Topics()
    topics.watch((EVENTS,), lambda: None)
    ring = EventRing(topics, events_max=2)
    before = topics.version((EVENTS,))
    ring.add(Event(id=ID, name="ours"), is_kept=True)
    assert topics.version((EVENTS,)) != before


SERVICES = (Service(node="n1", id="w", name="web", tags=("v1", "eu")), Service(node="n1", id="d", name="db"))


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, True),
        ({"node_filter": "^n"}, True),
        ({"node_filter": "1"}, True),
        ({"node_filter": "^1"}, False),
        ({"service_filter": "e"}, True),
        ({"service_filter": "^web$", "tag_filter": "^e"}, True),
        ({"service_filter": "^db$", "tag_filter": "v"}, False),
        ({"service_filter": "api"}, False),
        ({"node_filter": "x", "service_filter": "web"}, False),
    ],
)
def test_filters_are_patterns_of_this_agent(filters, wanted):
    """An event is for a node whose name fits, with a service that fits, with a tag that fits, anywhere in the name."""
    event = Event(id=ID, name="e", **filters)
    assert is_for(read_filters(event), "n1", SERVICES) is wanted


@pytest.mark.parametrize(
    ("filters", "problem"),
    [
        ({"tag_filter": "x"}, "Cannot provide tag filter without service filter"),
        ({"node_filter": "("}, "Invalid node filter: error parsing regexp: missing closing ): `(`"),
        ({"service_filter": "[a"}, "Invalid service filter: error parsing regexp: missing closing ]: `[a`"),
        (
            {"service_filter": "a", "tag_filter": "*"},
            "Invalid tag filter: error parsing regexp: missing argument to repetition operator: `*`",
        ),
    ],
)
def test_a_filter_that_is_no_pattern_is_told(filters, problem):
    """The text of a refused filter is Consul's."""
    with pytest.raises(BadInput) as caught:
        read_filters(Event(id=ID, name="e", **filters))
    assert str(caught.value) == problem

"""What listeners with the same filter are told: which filters an event is held against."""

import msgspec
import pytest

from regista.catalog import EventFilter, change_events
from regista.model import Batch, Put, Service
from regista.protocols.native.event_channels import Channels

WEB = Service(node="n1", id="w", name="Web", tags=("v1",))


def event_of(before, after):
    (event,) = change_events(Batch(2, 0.0, (Put(after, before, 1, 1),)))
    return event


@pytest.mark.parametrize("services", [{"web"}, {"shop"}, {"web", "shop"}])
def test_a_change_of_service_is_told_once_to_those_who_name_either(services):
    """The channel of the old service, of the new one, and of both, are found, each once."""
    channels = Channels()
    channel = channels.of(EventFilter(services=frozenset(services)))
    channels.of(EventFilter(services=frozenset(("api",))))
    event = event_of(WEB, msgspec.structs.replace(WEB, name="Shop"))
    assert channels.interested(event) == [channel]


@pytest.mark.parametrize(
    "wanted",
    [
        {"services": {"web"}, "tags": {"v1"}},
        {"nodes": {"n1"}, "tags": {"v1"}},
        {"types": {"service.updated"}, "tags": {"v1"}},
        {"tags": {"v1"}},
        {},
    ],
)
def test_a_change_of_tags_is_told_to_those_who_follow_the_old_ones(wanted):
    """Whatever the filter is noted under, its channel is found."""
    channels = Channels()
    channel = channels.of(EventFilter(**{field: frozenset(words) for field, words in wanted.items()}))
    assert channels.interested(event_of(WEB, msgspec.structs.replace(WEB, tags=("v2",)))) == [channel]

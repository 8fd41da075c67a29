"""User events: short messages for whoever asks, kept in memory until newer ones push them out.

They are not registered: an agent that ends forgets them, and nobody else has them.
"""

from __future__ import annotations

import dataclasses
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from uuid import UUID

from regista.catalog.filter_patterns import compile_search
from regista.catalog.topics import EVENTS, Topics
from regista.model import BadInput, Service

NO_EVENTS_INDEX = 1
_FIRST_LTIME = 2
"""A Consul server spends the first time on announcing itself as the leader."""


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """One event.

    Attributes:
        id: a UUID.
        node_filter, service_filter, tag_filter: patterns of those that it is for; "" for all.
        ltime: its place in the order of all events of this agent; 0 for one that has not been added yet.
    """

    id: str
    name: str
    payload: bytes = b""
    node_filter: str = ""
    service_filter: str = ""
    tag_filter: str = ""
    ltime: int = 0


class EventRing:
    """The latest events, oldest first.

    Args:
        topics: where those who wait for events are woken.
        events_max: how many are kept.
    """

    def __init__(self, topics: Topics, *, events_max: int) -> None:
        self._topics = topics
        self._events: deque[Event] = deque(maxlen=events_max)
        self._ltime = _FIRST_LTIME

    def add(self, event: Event, *, is_kept: bool) -> None:
        """Counts the event, and keeps it if it is for this agent."""
        ltime = self._ltime
        self._ltime += 1
        if is_kept:
            self._events.append(dataclasses.replace(event, ltime=ltime))
            # No transaction tells of it, so what was answered before is out of date by this alone.
            self._topics.refresh((EVENTS,))
            self._topics.wake((EVENTS,))

    def named(self, name: str = "") -> list[Event]:
        """The events of exactly this name, or all for ""; oldest first."""
        return [event for event in self._events if not name or event.name == name]


def events_index(events: list[Event]) -> int:
    """What callers compare to see whether there are newer events: it tells the last one, and has no order.

    Source: Consul 1.9, event/list (behaviour): both halves of the last event's UUID, one upon the other.
    """
    if not events:
        return NO_EVENTS_INDEX
    number = UUID(events[-1].id).int
    return (number >> 64) ^ (number & (2**64 - 1))


def read_filters(event: Event) -> Mapping[str, Callable[[str], bool]]:
    """Whether a text fits, for `node`, `service` and `tag` where the event has such a pattern.

    Raises:
        BadInput: in Consul's words.
    """
    if event.tag_filter and not event.service_filter:
        raise BadInput("Cannot provide tag filter without service filter", field="tag")
    patterns = {"node": event.node_filter, "service": event.service_filter, "tag": event.tag_filter}
    filters = {}
    for name, pattern in patterns.items():
        if pattern:
            try:
                filters[name] = compile_search(pattern)
            except ValueError as error:
                raise BadInput(f"Invalid {name} filter: error parsing regexp: {error}", field=name) from None
    return filters


def is_for(filters: Mapping[str, Callable[[str], bool]], node: str, services: Iterable[Service]) -> bool:
    """Whether an event with these filters is for the node that has these services.

    Raises:
        BadInput: a pattern is too costly for these names.
    """
    node_fits = filters.get("node")
    if node_fits is not None and not node_fits(node):
        return False
    service_fits, tag_fits = filters.get("service"), filters.get("tag")
    if service_fits is None:
        return True
    return any(
        service_fits(service.name) and (tag_fits is None or any(tag_fits(tag) for tag in service.tags))
        for service in services
    )

"""Which events somebody wants, and how far they have come: the same for every way of hearing events."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from regista.catalog.change_events import EVENT_TYPES, ChangeEvent, ServiceData


@dataclasses.dataclass(frozen=True, slots=True)
class EventPlace:
    """How far a listener has come: through `position` of the transaction `index`, or all of it if that is None."""

    index: int
    position: int | None = None

    @property
    def read_from(self) -> int:
        """The index after which there may be something left to hear; a log begins after 0."""
        return self.index if self.position is None else max(0, self.index - 1)

    def is_past(self, event: ChangeEvent) -> bool:
        """Whether the event has been heard."""
        if event.index != self.index:
            return event.index < self.index
        return self.position is None or event.position <= self.position


@dataclasses.dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events a listener wants; an empty set or text is for all.

    Attributes:
        types: of `EVENT_TYPES`.
        services, nodes, statuses: lower-cased.
        tags: lower-cased; one of them must be there.
    """

    types: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    statuses: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()
    key_prefix: str = ""

    def admits(self, event: ChangeEvent) -> bool:
        """Whether this is one; an event that has no service is not wanted by who names services, and so on.

        An update that takes an instance away from a service or tag is one for those who follow these: they would
        take it for theirs for ever.
        """
        data = event.data
        return (
            (not self.types or event.type in self.types)
            and _is_named(self.nodes, getattr(data, "node", None))
            and _is_named(self.statuses, getattr(data, "status", None))
            and (not self.key_prefix or getattr(data, "key", "").startswith(self.key_prefix))
            and (
                self._is_instance(getattr(data, "service", None), getattr(data, "tags", ()))
                or (isinstance(data, ServiceData) and self._was_instance(data))
            )
        )

    def _was_instance(self, data: ServiceData) -> bool:
        """Whether an update has changed an instance that was wanted."""
        if data.was_service is None and data.was_tags is None:
            return False
        service = data.service if data.was_service is None else data.was_service
        return self._is_instance(service, data.tags if data.was_tags is None else data.was_tags)

    def _is_instance(self, service: str | None, tags: Iterable[str]) -> bool:
        """Whether an instance of this service with these tags is wanted."""
        return _is_named(self.services, service) and (
            not self.tags or not self.tags.isdisjoint(tag.lower() for tag in tags)
        )


def _is_named(names: frozenset[str], name: str | None) -> bool:
    return not names or (name is not None and name.lower() in names)


def types_like(word: str) -> frozenset[str]:
    """The types that a word means: a type itself, or all of a room (`service`, `service.*`); none if neither."""
    room = word.removesuffix(".*")
    return frozenset(each for each in EVENT_TYPES if each == word or each.partition(".")[0] == room)

"""The shelf of dead letters, and what a subscription's words mean as a filter of events."""

from __future__ import annotations

from regista.catalog.event_filters import EventFilter, types_like
from regista.catalog.shelves import Shelf
from regista.model import DeadLetter, Entry, Subscription


class DeadLetterShelf(Shelf[DeadLetter]):
    """Dead letters by subscription, in the order in which they came.

    Attributes:
        by_subscription: by the subscription's id, then by key; read only for everybody else.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by_subscription: dict[str, dict[str, Entry[DeadLetter]]] = {}

    def add(self, key: str, entry: Entry[DeadLetter]) -> None:
        """Notes an entry that was just put among the records."""
        self.by_subscription.setdefault(entry.record.subscription, {})[key] = entry

    def remove(self, key: str, entry: Entry[DeadLetter]) -> None:
        """Drops an entry that was noted before."""
        of_one = self.by_subscription[entry.record.subscription]
        del of_one[key]
        if not of_one:
            del self.by_subscription[entry.record.subscription]

    def of(self, subscription: str) -> list[Entry[DeadLetter]]:
        """Those of a subscription, oldest first."""
        return sorted(self.by_subscription.get(subscription, {}).values(), key=_age)


def _age(entry: Entry[DeadLetter]) -> int:
    """By creation: one that was sent again in vain is written again, and keeps its place."""
    return entry.create_index


def event_filter(subscription: Subscription) -> EventFilter:
    """Which events a subscription wants; a word for types that no version knows is for no event."""
    types = frozenset(each for word in subscription.types for each in types_like(word) or {word})
    return EventFilter(
        types=types,
        services=_small(subscription.services),
        tags=_small(subscription.tags),
        statuses=_small(subscription.statuses),
        nodes=_small(subscription.nodes),
        key_prefix=subscription.key_prefix,
    )


def _small(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(word.lower() for word in words)

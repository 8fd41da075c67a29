"""Where the replica keeps the records of one kind; a kind with more than one way of finding it has its own shelf.

A new kind of record is a shelf (this one, if keys are enough) and a line in `Catalog`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, TypeVar

from regista.model import Change, Entry, Record

R = TypeVar("R", bound=Record)


class Shelf(Generic[R]):
    """The entries of one kind by key.

    Attributes:
        entries: read only for everybody else.
    """

    def __init__(self) -> None:
        self.entries: dict[str, Entry[R]] = {}

    def put(self, key: str, entry: Entry[R]) -> None:
        """Keeps an entry under a key that is free."""
        self.entries[key] = entry
        self.add(key, entry)

    def take(self, key: str) -> Entry[R] | None:
        """Gives up the entry under a key, if there is one."""
        entry = self.entries.pop(key, None)
        if entry is not None:
            self.remove(key, entry)
        return entry

    def add(self, key: str, entry: Entry[R]) -> None:
        """Notes an entry that was just put, by whatever else it is looked for."""

    def remove(self, key: str, entry: Entry[R]) -> None:
        """Drops an entry that was noted before."""

    def begin(self, floor_index: int) -> None:
        """Is told, before a replica is filled, that the log says nothing of what was up to `floor_index`."""

    def note(self, change: Change, index: int) -> None:
        """Is told of each change of this kind, and after a start again of those in the log, in their order."""

    def topics(self, record: R) -> Iterable[str]:  # noqa: ARG002 - kinds that nobody waits for have none
        """What answers a change of this record may alter."""
        return ()

    def has_topic(self, room: str, name: str) -> bool:  # noqa: ARG002 - see above
        """Whether any record stands behind the topic `room/name`."""
        return False

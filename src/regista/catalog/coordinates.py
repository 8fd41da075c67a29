"""Where nodes are in the network: the shelf of coordinates, and the plan that writes one."""

from __future__ import annotations

from collections.abc import Iterable

from regista.catalog.shelves import Shelf
from regista.catalog.topics import COORDINATES, coordinate_topic
from regista.model import Coordinate, Entry


class CoordinateShelf(Shelf[Coordinate]):
    """Coordinates by node and segment.

    Attributes:
        by_node: by the node's name in small letters, then by segment; read only for everybody else.
    """

    def __init__(self) -> None:
        super().__init__()
        self.by_node: dict[str, dict[str, Entry[Coordinate]]] = {}

    def add(self, key: str, entry: Entry[Coordinate]) -> None:  # noqa: ARG002 - the record tells its key
        """Notes an entry that was just put among the records."""
        record = entry.record
        self.by_node.setdefault(record.node.lower(), {})[record.segment] = entry

    def remove(self, key: str, entry: Entry[Coordinate]) -> None:  # noqa: ARG002 - the record tells its key
        """Drops an entry that was noted before."""
        record = entry.record
        segments = self.by_node[record.node.lower()]
        del segments[record.segment]
        if not segments:
            del self.by_node[record.node.lower()]

    def topics(self, record: Coordinate) -> Iterable[str]:
        """The list of coordinates, and those of its node."""
        return COORDINATES, coordinate_topic(record.node)

    def has_topic(self, room: str, name: str) -> bool:
        """Whether there are coordinates of that node."""
        return room == "coordinate" and name in self.by_node

    def of_node(self, node: str) -> list[Entry[Coordinate]]:
        """A node's coordinates, by segment."""
        segments = self.by_node.get(node.lower(), {})
        return [segments[segment] for segment in sorted(segments)]

"""Which names end other names: `b.node` exists as long as there is a node `a.b`, though it has no record."""

from __future__ import annotations

from collections.abc import Iterator

from regista.catalog import Catalog
from regista.model import Node, PreparedQuery, Record
from regista.protocols.dns.following import follow_records

_KINDS = (Node.kind, PreparedQuery.kind)


class SuffixIndex:
    """What names of nodes and prepared queries have behind one of their dots; kept in step with the replica."""

    def __init__(self, catalog: Catalog) -> None:
        # The keys of the records, by kind and what their names end with.
        self._keys: dict[tuple[str, str], set[str]] = {}
        for node in catalog.nodes.values():
            self._add(node.record)
        for query in catalog.queries.entries.values():
            self._add(query.record)
        follow_records(catalog, _KINDS, add=self._add, remove=self._remove)

    def has_node_below(self, name: str) -> bool:
        """Whether the name of a node ends with a dot and this name."""
        return (Node.kind, name.lower()) in self._keys

    def has_query_below(self, name: str) -> bool:
        """The same for the name of a prepared query."""
        return (PreparedQuery.kind, name.lower()) in self._keys

    def _add(self, record: Record) -> None:
        for end in _ends(record):
            self._keys.setdefault(end, set()).add(record.key)

    def _remove(self, record: Record) -> None:
        for end in _ends(record):
            keys = self._keys.get(end, set())
            keys.discard(record.key)
            if not keys:
                self._keys.pop(end, None)


def _ends(record: Record) -> Iterator[tuple[str, str]]:
    if isinstance(record, (Node, PreparedQuery)):
        _, dot, rest = record.name.lower().partition(".")
        while dot:
            yield record.kind, rest
            _, dot, rest = rest.partition(".")

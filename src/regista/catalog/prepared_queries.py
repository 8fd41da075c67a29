"""The shelf of prepared queries."""

from __future__ import annotations

from collections.abc import Iterable

from regista.catalog.shelves import Shelf
from regista.catalog.topics import QUERIES, query_topic
from regista.model import Entry, PreparedQuery


class QueryShelf(Shelf[PreparedQuery]):
    """Prepared queries by id, templates by what names begin with, and all by the session that they end with."""

    def __init__(self) -> None:
        super().__init__()
        self._templates: dict[str, Entry[PreparedQuery]] = {}
        self.by_session: dict[str, dict[str, Entry[PreparedQuery]]] = {}

    def add(self, key: str, entry: Entry[PreparedQuery]) -> None:
        """Notes an entry that was just put among the records."""
        query = entry.record
        if query.template_type:
            self._templates[query.name.lower()] = entry
        if query.session:
            self.by_session.setdefault(query.session, {})[key] = entry

    def remove(self, key: str, entry: Entry[PreparedQuery]) -> None:
        """Drops an entry that was noted before."""
        query = entry.record
        name = query.name.lower()
        # One transaction may give the name to another template before this one is taken away.
        if query.template_type and self._templates.get(name) is entry:
            del self._templates[name]
        if query.session:
            bound = self.by_session[query.session]
            del bound[key]
            if not bound:
                del self.by_session[query.session]

    def topics(self, record: PreparedQuery) -> Iterable[str]:
        """The list of queries, and the query itself."""
        return QUERIES, query_topic(record.id)

    def has_topic(self, room: str, name: str) -> bool:
        """Whether there is a query of that id."""
        return room == "query" and name in self.entries

    def template_for(self, name: str) -> Entry[PreparedQuery] | None:
        """The template with the longest name that `name` begins with, in any case; costs O(length of the name)."""
        if not self._templates:
            return None
        name = name.lower()
        for length in range(len(name), -1, -1):
            found = self._templates.get(name[:length])
            if found is not None:
                return found
        return None

"""What a replica keeps beside the log, as names and texts: for those who bring it to another replica.

Outputs that are newer than their checks' records, and marks. Each is known by what it is and its record's key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from regista.catalog.marks import MARKS, Mark
from regista.catalog.replica import Catalog

OUTPUT = "output"


class Asides:
    """What is kept beside the log of one replica."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def names(self) -> Iterable[tuple[str, str]]:
        """What is said, and the key of the record that it is said of."""
        return tuple(self._names())

    def text(self, name: tuple[str, str]) -> str:
        """What is said now; "" for no such mark, and for the output of a check that is gone."""
        what, key = name
        if what == OUTPUT:
            entry = self._catalog.checks.get(key)
            return self._catalog.output(entry) if entry is not None else ""
        return self._catalog.marks.of(cast("Mark", what)).get(key, "")

    def say(self, what: str, key: str, text: str) -> None:
        """Has the replica say it too; does nothing of a record that is gone."""
        if what == OUTPUT:
            self._catalog.set_output(key, text)
            return
        mark = cast("Mark", what)
        entry = self._catalog.find(MARKS[mark], key)
        if entry is not None:
            self._catalog.set_mark(mark, entry.record, text)

    def _names(self) -> Iterator[tuple[str, str]]:
        for key in self._catalog.outputs:
            yield OUTPUT, key
        for mark in MARKS:
            for key in self._catalog.marks.of(mark):
                yield mark, key

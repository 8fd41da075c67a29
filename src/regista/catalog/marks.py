"""Marks: what this agent has to say of a check or an instance that no status can say, each a sentence.

Marks are kept beside the log, like outputs: setting one writes nothing and wakes nobody, readers see it at once,
and a restart forgets it. Whoever sets a mark takes it back; one whose record is gone goes with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

Mark: TypeAlias = Literal["flapping", "suspect"]
"""`flapping`: a check that is held at its worse state. `suspect`: an instance that would be gone if the agent
trusted its own ears."""

MARKS: Mapping[Mark, str] = MappingProxyType({"flapping": "check", "suspect": "service"})
"""Every mark, with the kind of the records that may have it."""


class Marks:
    """Sentences by mark and the key of the record."""

    __slots__ = ("_by_mark",)

    def __init__(self) -> None:
        self._by_mark: dict[Mark, dict[str, str]] = {mark: {} for mark in MARKS}

    def of(self, mark: Mark) -> Mapping[str, str]:
        """The sentences of all records that have the mark, by key; read only."""
        return self._by_mark[mark]

    def set(self, mark: Mark, key: str, sentence: str) -> bool:
        """Keeps the sentence, or none if it is ""; whether that is another than before."""
        marked = self._by_mark[mark]
        if marked.get(key, "") == sentence:
            return False
        if sentence:
            marked[key] = sentence
        else:
            del marked[key]
        return True

    def drop(self, kind: str, key: str) -> None:
        """Forgets all marks of a record that is gone."""
        for mark, marked in self._by_mark.items():
            if marked and MARKS[mark] == kind:
                marked.pop(key, None)

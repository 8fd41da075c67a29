"""What the groups of a pattern match in a name.

The engine of `filter_patterns` tells whether a pattern matches, and forgets how. This one goes back and forth as
Python's does, but never comes twice to the same place of the pattern at the same place of the text, so its time
is bounded by the length of the one times that of the other.

Source: RE2, `bitstate.cc`.
"""

from __future__ import annotations

from typing import TypeAlias

from regista.catalog.filter_patterns import (
    Assertion,
    Characters,
    Choice,
    Group,
    Pattern,
    Repeat,
    holds,
    kind_of,
    parse_pattern,
)

INSTRUCTIONS_MAX = 500
TEXT_CHARACTERS_MAX = 512
assert INSTRUCTIONS_MAX * TEXT_CHARACTERS_MAX < 300_000, "the steps of the costliest search, a tenth of a second"

Read: TypeAlias = tuple[Characters | Assertion, int]
"""A character or condition, and the instruction behind it."""
Save: TypeAlias = tuple[int, int]
"""Where to note the place in the text, and the instruction behind it."""
Fork: TypeAlias = tuple[int, ...]
"""Instructions, the best first."""


class Captures:
    """A pattern whose groups can be asked for.

    Raises:
        ValueError: it is no pattern, or too large a one; with the words that Go uses.
    """

    _MATCH = 0

    def __init__(self, pattern: str) -> None:
        self._reads: dict[int, Read] = {}
        self._saves: dict[int, Save] = {}
        self._forks: dict[int, Fork] = {}
        self._count = 1
        self._groups_count = 0
        self._entry = self._write(Group(parse_pattern(pattern), 0), self._MATCH)

    def search(self, text: str) -> tuple[str, ...]:
        """The leftmost match and what each group has of it, "" for one that has no part; empty for no match.

        A text above `TEXT_CHARACTERS_MAX` has none.
        """
        if len(text) > TEXT_CHARACTERS_MAX:
            return ()
        seen: set[tuple[int, int]] = set()
        for start in range(len(text) + 1):
            places = self._search_from(text, start, seen)
            if places is not None:
                return tuple(
                    text[places[2 * group] : places[2 * group + 1]] if 2 * group + 1 in places else ""
                    for group in range(self._groups_count + 1)
                )
        return ()

    def _search_from(self, text: str, start: int, seen: set[tuple[int, int]]) -> dict[int, int] | None:
        """The places that the best match from `start` notes; None for no match."""
        pending: list[tuple[int, int, dict[int, int]]] = [(self._entry, start, {})]
        while pending:
            number, at, places = pending.pop()
            if number == self._MATCH:
                return places
            if (number, at) in seen:
                continue
            seen.add((number, at))
            if number in self._forks:
                pending += [(each, at, places) for each in reversed(self._forks[number])]
            elif number in self._saves:
                slot, after = self._saves[number]
                pending.append((after, at, {**places, slot: at}))
            else:
                part, after = self._reads[number]
                character = text[at] if at < len(text) else None
                if isinstance(part, Assertion):
                    if holds(part, kind_of(text[at - 1]) if at else "", character):
                        pending.append((after, at, places))
                elif character is not None and part.has(character):
                    pending.append((after, at + 1, places))
        return None

    # ---- writing the instructions, from the last to the first ----

    def _write(self, part: Pattern, after: int) -> int:
        """The number of the instruction where `part` begins, if it goes on at `after`."""
        if isinstance(part, Characters | Assertion):
            number = self._new()
            self._reads[number] = (part, after)
            return number
        if isinstance(part, Choice):
            return self._fork(*(self._write(each, after) for each in part.parts))
        if isinstance(part, Repeat):
            return self._write_repeat(part, after)
        if isinstance(part, Group):
            self._groups_count = max(self._groups_count, part.number)
            end = self._save(2 * part.number + 1, after)
            return self._save(2 * part.number, self._write(part.part, end))
        for each in reversed(part.parts):
            after = self._write(each, after)
        return after

    def _write_repeat(self, repeat: Repeat, after: int) -> int:
        end = after
        if repeat.most is None:
            loop = self._new()
            self._forks[loop] = self._preferred(repeat, self._write(repeat.part, loop), end)
            after = loop
        else:
            for _ in range(repeat.most - repeat.least):
                after = self._fork(*self._preferred(repeat, self._write(repeat.part, after), end))
        for _ in range(repeat.least):
            begin = self._write(repeat.part, after)
            if begin == after:  # an empty part; repeats of it within each other would be written without end
                break
            after = begin
        return after

    def _preferred(self, repeat: Repeat, more: int, enough: int) -> Fork:
        return (enough, more) if repeat.is_lazy else (more, enough)

    def _fork(self, *ways: int) -> int:
        number = self._new()
        self._forks[number] = ways
        return number

    def _save(self, slot: int, after: int) -> int:
        number = self._new()
        self._saves[number] = (slot, after)
        return number

    def _new(self) -> int:
        if self._count > INSTRUCTIONS_MAX:
            raise ValueError(f"expression too large: over {INSTRUCTIONS_MAX} steps with repetitions written out")
        self._count += 1
        return self._count - 1

"""The patterns behind `matches`: RE2's syntax, and an engine that reads each character of a value once.

`matches` has an engine of its own, because Python's goes back and forth: it takes exponential time for some
patterns, and time in a high power of the value's length for harmless ones, such as `.*-.*-.*-.*x`. So refusing
nested repetitions would not be enough, and refusing a second one too much. This engine reads each character of a
value once, as RE2 does. The package google-re2 would do, too, but has no wheels for musl, whose users would need a
C++ compiler to start an agent, and is not faster for names of usual length.

Source: RE2's syntax page and Go's `regexp/syntax`.
"""

from __future__ import annotations

import dataclasses
import enum
import re
from collections.abc import Callable
from typing import Any, TypeAlias

from regista.catalog.filter_grammar import FILTER_DEPTH_MAX, Match, bad_filter, quote

Filter: TypeAlias = Callable[[Any], bool]

PATTERN_CHARACTERS_MAX = 512
"""The length of the longest names that a pattern may look for."""
_REPEATS_MAX = 1000
"""What RE2 allows a counted repeat."""


class Assertion(enum.Enum):
    """A condition on a place between two characters."""

    TEXT_START = enum.auto()
    TEXT_END = enum.auto()
    LINE_START = enum.auto()
    LINE_END = enum.auto()
    WORD_BOUNDARY = enum.auto()
    NO_WORD_BOUNDARY = enum.auto()


Ranges: TypeAlias = tuple[tuple[int, int], ...]
"""Code points, from the first to the last of each pair."""


@dataclasses.dataclass(frozen=True, slots=True)
class Characters:
    """One character of a set.

    Attributes:
        folds_case: whether the other case of a character counts for it.
    """

    ranges: Ranges
    is_negated: bool = False
    folds_case: bool = False

    def has(self, character: str) -> bool:
        """Whether it is one of them."""
        spellings = {character, character.lower(), character.upper()} if self.folds_case else {character}
        codes = [ord(each) for each in spellings if len(each) == 1]
        return any(low <= code <= high for low, high in self.ranges for code in codes) != self.is_negated


@dataclasses.dataclass(frozen=True, slots=True)
class Sequence:
    """One part after the other."""

    parts: tuple[Pattern, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Choice:
    """One of the parts."""

    parts: tuple[Pattern, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Repeat:
    """The part from `least` to `most` times; `most` is None where nothing bounds it.

    Attributes:
        is_lazy: whether a match with fewer is better; it matters for what groups match, not for whether.
    """

    part: Pattern
    least: int
    most: int | None
    is_lazy: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Group:
    """The part, which a caller may ask for by its number; from 1, in the order of the opening parentheses."""

    part: Pattern
    number: int


Pattern: TypeAlias = Assertion | Characters | Sequence | Choice | Repeat | Group


def parse_pattern(text: str) -> Pattern:
    r"""The tree of a pattern in RE2's syntax.

    Missing are `\Q…\E` and the classes behind `\p`, because Python has no table of Unicode's scripts.

    Raises:
        ValueError: with the words that Go uses, which clients of Consul know.

    Source: RE2's syntax page; Go 1.26, `regexp/syntax`, for limits and errors.
    """
    if len(text) > PATTERN_CHARACTERS_MAX:
        raise ValueError(f"expression too large: more than {PATTERN_CHARACTERS_MAX} characters")
    return _PatternParser(text).parse()


_CODE_POINT_LAST = 0x10FFFF
_ANY: Ranges = ((0, _CODE_POINT_LAST),)
_LINE_BREAK: Ranges = ((10, 10),)

# RE2's classes know only ASCII, and its \s has no vertical tab.
_PERL_CLASSES: dict[str, Ranges] = {
    "d": ((48, 57),),
    "s": ((9, 10), (12, 13), (32, 32)),
    "w": ((48, 57), (65, 90), (95, 95), (97, 122)),
}
_POSIX_CLASSES: dict[str, Ranges] = {
    "alnum": ((48, 57), (65, 90), (97, 122)),
    "alpha": ((65, 90), (97, 122)),
    "ascii": ((0, 127),),
    "blank": ((9, 9), (32, 32)),
    "cntrl": ((0, 31), (127, 127)),
    "digit": ((48, 57),),
    "graph": ((33, 126),),
    "lower": ((97, 122),),
    "print": ((32, 126),),
    "punct": ((33, 47), (58, 64), (91, 96), (123, 126)),
    "space": ((9, 13), (32, 32)),
    "upper": ((65, 90),),
    "word": _PERL_CLASSES["w"],
    "xdigit": ((48, 57), (65, 70), (97, 102)),
}
_ESCAPED_ASSERTIONS = {
    "A": Assertion.TEXT_START,
    "z": Assertion.TEXT_END,
    "b": Assertion.WORD_BOUNDARY,
    "B": Assertion.NO_WORD_BOUNDARY,
}
_CONTROL = {"a": 7, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11}
_COUNTED = re.compile(r"\{([0-9]+)(,?)([0-9]*)\}")
_GROUP_HEAD = re.compile(r"\((?:\?(?:P?<[A-Za-z0-9_]+>|([imsU]*)(?:-([imsU]+))?([:)]))|(?!\?))")
_POSIX_CLASS = re.compile(r"\[:(\^?)([^:\]]*):\]")
_CODE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|x\{([0-9a-fA-F]{1,8})\}|(0[0-7]{0,2}|[1-7][0-7]{1,2}))")


class _PatternParser:
    """A reader of one pattern. Each method leaves `_at` behind what it has read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._groups_count = 0
        self._is_lazy = False
        self._flags: frozenset[str] = frozenset()

    def parse(self) -> Pattern:
        tree = self._choice()
        if self._at < len(self._text):
            raise ValueError(f"unexpected ): `{self._text}`")
        return tree

    def _choice(self) -> Pattern:
        choices: list[list[Pattern]] = [[]]
        while self._at < len(self._text) and self._text[self._at] != ")":
            start = self._at
            if self._text[start] == "|":
                self._at += 1
                choices.append([])
            elif self._bounds() is not None:
                raise ValueError(f"missing argument to repetition operator: `{self._text[start : self._at]}`")
            else:
                choices[-1] += self._repeated()
        sequences = tuple(parts[0] if len(parts) == 1 else Sequence(tuple(parts)) for parts in choices)
        return sequences[0] if len(sequences) == 1 else Choice(sequences)

    def _repeated(self) -> list[Pattern]:
        """The next atom with the repetition that may follow it; an empty list for a group that only sets flags."""
        atoms = self._atom()
        start = self._at
        bounds = self._bounds() if atoms else None
        if bounds is None:
            return atoms
        is_lazy = self._is_lazy
        if self._bounds() is not None:
            raise ValueError(f"invalid nested repetition operator: `{self._text[start : self._at]}`")
        return [Repeat(atoms[0], *bounds, is_lazy)]

    def _bounds(self) -> tuple[int, int | None] | None:
        """The bounds of the repetition that comes next; None if none does."""
        counted = _COUNTED.match(self._text, self._at)
        if counted is not None:
            least = int(counted[1])
            most = int(counted[3]) if counted[3] else None if counted[2] else least
            if max(least, most or 0) > _REPEATS_MAX or (most is not None and most < least):
                raise ValueError(f"invalid repeat count: `{counted[0]}`")
            self._at = counted.end()
        elif self._text.startswith(("*", "+", "?"), self._at):
            least = 1 if self._text[self._at] == "+" else 0
            most = 1 if self._text[self._at] == "?" else None
            self._at += 1
        else:
            return None
        # A `?` behind it asks for the shortest match; the flag U turns the meaning round.
        is_marked = self._text.startswith("?", self._at)
        self._at += is_marked
        self._is_lazy = is_marked != ("U" in self._flags)
        return (least, most)

    def _atom(self) -> list[Pattern]:
        mark = self._text[self._at]
        if mark == "(":
            return self._group()
        if mark == "[":
            return [self._class()]
        if mark == "\\":
            return [self._escape()]
        self._at += 1
        if mark == ".":
            return [Characters(_ANY if "s" in self._flags else _complement(_LINE_BREAK))]
        if mark == "^":
            return [Assertion.LINE_START if "m" in self._flags else Assertion.TEXT_START]
        if mark == "$":
            return [Assertion.LINE_END if "m" in self._flags else Assertion.TEXT_END]
        return [self._characters(((ord(mark), ord(mark)),))]

    def _group(self) -> list[Pattern]:
        head = _GROUP_HEAD.match(self._text, self._at)
        if head is None:
            written = self._text[self._at : self._at + 3]
            raise ValueError(f"invalid or unsupported Perl syntax: `{written}`; RE2's patterns have no lookaround")
        self._at = head.end()
        flags_before = self._flags
        self._flags = (flags_before | set(head[1] or "")) - set(head[2] or "")
        if head[3] == ")":
            return []
        number = 0
        if head[3] is None:
            self._groups_count += 1
            number = self._groups_count
        self._depth += 1
        if self._depth > FILTER_DEPTH_MAX:
            raise ValueError(f"expression nests too deeply: more than {FILTER_DEPTH_MAX} parentheses")
        tree = self._choice()
        if self._at == len(self._text):
            raise ValueError(f"missing closing ): `{self._text}`")
        self._at += 1
        self._depth -= 1
        self._flags = flags_before
        return [Group(tree, number) if number else tree]

    def _escape(self) -> Pattern:
        assertion = _ESCAPED_ASSERTIONS.get(self._text[self._at + 1 : self._at + 2])
        if assertion is not None:
            self._at += 2
            return assertion
        ranges = self._perl_class()
        if ranges is None:
            code = self._escaped_code()
            ranges = ((code, code),)
        return self._characters(ranges)

    def _class(self) -> Characters:
        start = self._at
        is_negated = self._text.startswith("^", start + 1)
        first = start + 1 + is_negated
        self._at = first
        ranges: Ranges = ()
        while self._at == first or not self._text.startswith("]", self._at):
            if self._at >= len(self._text):
                raise ValueError(f"missing closing ]: `{self._text[start:]}`")
            ranges += self._posix_class() or self._perl_class() or (self._range(),)
        self._at += 1
        return self._characters(ranges, is_negated=is_negated)

    def _posix_class(self) -> Ranges | None:
        named = _POSIX_CLASS.match(self._text, self._at)
        if named is None:
            return None
        ranges = _POSIX_CLASSES.get(named[2])
        if ranges is None:
            raise ValueError(f"invalid character class range: `{named[0]}`")
        self._at = named.end()
        return _complement(ranges) if named[1] else ranges

    def _perl_class(self) -> Ranges | None:
        letter = self._text[self._at + 1 : self._at + 2]
        if not self._text.startswith("\\", self._at) or letter.lower() not in _PERL_CLASSES:
            return None
        self._at += 2
        ranges = _PERL_CLASSES[letter.lower()]
        return _complement(ranges) if letter.isupper() else ranges

    def _range(self) -> tuple[int, int]:
        start = self._at
        low = high = self._class_code()
        if self._text.startswith("-", self._at) and self._text[self._at + 1 : self._at + 2] not in ("", "]"):
            self._at += 1
            high = self._class_code()
        if high < low:
            raise ValueError(f"invalid character class range: `{self._text[start : self._at]}`")
        return (low, high)

    def _class_code(self) -> int:
        if self._text.startswith("\\", self._at):
            return self._escaped_code()
        self._at += 1
        return ord(self._text[self._at - 1])

    def _escaped_code(self) -> int:
        """The one character that an escape stands for."""
        coded = _CODE.match(self._text, self._at)
        written = coded[0] if coded else self._text[self._at : self._at + 2]
        letter = written[1:2]
        if not letter:
            raise ValueError("trailing backslash at end of expression: ``")
        if coded is not None:
            code = int(coded[3], 8) if coded[3] else int(coded[1] or coded[2], 16)
        elif letter in _CONTROL or (letter.isascii() and not letter.isalnum()):
            code = _CONTROL.get(letter, ord(letter))
        else:
            code = _CODE_POINT_LAST + 1
        if code > _CODE_POINT_LAST:
            hint = "; RE2's patterns have no backreferences" if letter.isdigit() else ""
            raise ValueError(f"invalid escape sequence: `{written}`{hint}")
        self._at += len(written)
        return code

    def _characters(self, ranges: Ranges, *, is_negated: bool = False) -> Characters:
        return Characters(ranges, is_negated, folds_case="i" in self._flags)


def _complement(ranges: Ranges) -> Ranges:
    """All other characters; the ranges are in order and apart, and do not reach the last one."""
    firsts = [0, *(high + 1 for _, high in ranges)]
    lasts = [*(low - 1 for low, _ in ranges), _CODE_POINT_LAST]
    return tuple((first, last) for first, last in zip(firsts, lasts, strict=True) if first <= last)


_INSTRUCTIONS_MAX = 2_000
"""Of all patterns in a filter, with their counted repetitions written out."""
_LOOKS_MAX = 400_000
"""Instructions and ranges of characters looked at for all values, about a fifth of a second. A usual pattern
takes some thousand however many values there are, because what a character leads to is remembered."""
_TRANSITIONS_MAX = 10_000
"""Remembered for one pattern, some megabytes at the most; then it begins anew."""


class Allowance:
    """What the patterns of one filter may still use up together."""

    def __init__(self) -> None:
        self.instructions = _INSTRUCTIONS_MAX
        self.looks = _LOOKS_MAX


def compile_pattern(match: Match, allowance: Allowance) -> Filter:
    """Whether a text matches the pattern in a term.

    Raises:
        BadInput: it is no pattern, or too large a one.
    """
    try:
        return _Automaton(match.value, allowance).search
    except ValueError as error:
        raise bad_filter(
            f"Failed to compile regular expression {quote(match.value)}: error parsing regexp: {error} "
            f"({match.position})"
        ) from None


def compile_search(pattern: str) -> Callable[[str], bool]:
    """Whether the pattern matches anywhere in a text, outside of filters.

    Raises:
        ValueError: it is no pattern, or too large a one; with the words that Go uses.
    """
    return _Automaton(pattern, Allowance()).search


class _State(dict[str, "_State"]):
    """Where the automaton is after some characters; maps the next character to the state after it, once known.

    Attributes:
        instructions: where the search can be, before conditions on the next character are looked at.
        before: the last character as far as conditions tell it apart: "" for none, a line break, `w` for any of
            a word, or a space.
        is_match_at_end: whether the value may end here; None if nobody asked.
    """

    __slots__ = ("_automaton", "before", "instructions", "is_match_at_end")

    def __init__(self, automaton: _Automaton, instructions: tuple[int, ...], before: str) -> None:
        super().__init__()
        self._automaton = automaton
        self.instructions = instructions
        self.before = before
        self.is_match_at_end: bool | None = None

    def __missing__(self, character: str) -> _State:
        return self._automaton.step(self, character)


class _Automaton:
    """A pattern as a machine that is in many places at once, and remembers which sets of places follow each other.

    The places are numbered instructions of four kinds: read a character, go on at several others, go on if a
    condition holds, and `_MATCH`. Each character of a value leads from one set of them to the next, at a cost that
    depends on the pattern only; a set and character met before cost one look into a dictionary.

    Source: Ken Thompson, "Regular expression search algorithm", 1968; Russ Cox, "Regular Expression Matching Can
    Be Simple And Fast", 2007.
    """

    _MATCH = 0

    def __init__(self, pattern: str, allowance: Allowance) -> None:
        self._pattern = pattern
        self._allowance = allowance
        self._reads: dict[int, tuple[Characters, int]] = {}
        self._forks: dict[int, tuple[int, ...]] = {}
        self._conditions: dict[int, tuple[Assertion, int]] = {}
        self._count = 1
        self._entry = self._write(parse_pattern(pattern), self._MATCH)
        self._matched = _State(self, (), "")
        self._start = _State(self, (), "")
        self._states: dict[tuple[tuple[int, ...], str], _State] = {}
        self._transitions = 0

    def search(self, value: str) -> bool:
        """Whether the pattern matches anywhere in the value."""
        state = self._start
        matched = self._matched
        for character in value:
            state = state[character]
            if state is matched:
                return True
        if state.is_match_at_end is None:
            state.is_match_at_end = self._visit(state, None)[0]
        return state.is_match_at_end

    # ---- writing the instructions, from the last to the first ----

    def _write(self, part: Pattern, after: int) -> int:
        """The number of the instruction where `part` begins, if it goes on at `after`."""
        if isinstance(part, Characters):
            return self._add(self._reads, (part, after))
        if isinstance(part, Assertion):
            return self._add(self._conditions, (part, after))
        if isinstance(part, Choice):
            return self._add(self._forks, tuple(self._write(each, after) for each in part.parts))
        if isinstance(part, Repeat):
            return self._write_repeat(part, after)
        if isinstance(part, Group):
            return self._write(part.part, after)
        for each in reversed(part.parts):
            after = self._write(each, after)
        return after

    def _write_repeat(self, repeat: Repeat, after: int) -> int:
        end = after
        copies = repeat.least if repeat.most is None else repeat.most
        if repeat.most is None:
            loop = self._add(self._forks, ())
            begin = self._write(repeat.part, loop)
            self._forks[loop] = (begin, end)
            after = begin if copies else loop
            copies -= 1
        for count in range(copies, 0, -1):
            begin = self._write(repeat.part, after)
            if begin == after:  # an empty part; repeats of it within each other would be written without end
                break
            after = self._add(self._forks, (begin, end)) if count > repeat.least else begin
        return after

    def _add(self, kind: dict[int, Any], instruction: tuple[Any, ...]) -> int:
        self._allowance.instructions -= 1
        if self._allowance.instructions < 0:
            raise ValueError(f"expression too large: over {_INSTRUCTIONS_MAX} steps with repetitions written out")
        number = self._count
        self._count += 1
        kind[number] = instruction
        return number

    # ---- running ----

    def step(self, state: _State, character: str) -> _State:
        """The state after `state` and this character, which `state` learns."""
        is_match, following = self._visit(state, character)
        if self._transitions >= _TRANSITIONS_MAX:
            self._forget()
        self._transitions += 1
        after = self._matched
        if not is_match:
            before = ""
            if self._conditions:
                before = kind_of(character)
            key = (tuple(sorted(following)), before)
            known = self._states.get(key)
            after = self._states.setdefault(key, _State(self, *key)) if known is None else known
        state[character] = after
        return after

    def _visit(self, state: _State, character: str | None) -> tuple[bool, set[int]]:
        """Whether the pattern matches up to the character, None for the end, and where it can be behind it."""
        pending = [self._entry, *state.instructions]
        seen: set[int] = set()
        following: set[int] = set()
        while pending and self._MATCH not in seen:
            number = pending.pop()
            if number in seen:
                continue
            seen.add(number)
            if number in self._reads:
                characters, after = self._reads[number]
                self._allowance.looks -= len(characters.ranges)
                if character is not None and characters.has(character):
                    following.add(after)
            elif number in self._forks:
                pending += self._forks[number]
            elif number != self._MATCH:
                condition, after = self._conditions[number]
                if holds(condition, state.before, character):
                    pending.append(after)
        self._allowance.looks -= len(seen)
        if self._allowance.looks < 0:
            raise bad_filter(
                f"the pattern {quote(self._pattern)} is too costly for the values here; use fewer repetitions"
            )
        return self._MATCH in seen, following

    def _forget(self) -> None:
        for state in (self._start, *self._states.values()):
            state.clear()
        self._states.clear()
        self._transitions = 0


def kind_of(character: str) -> str:
    """A character as far as conditions tell it apart: a line break, `w` for any of a word, or a space."""
    return "\n" if character == "\n" else "w" if _is_of_word(character) else " "


def holds(condition: Assertion, before: str, character: str | None) -> bool:
    """Whether the condition holds between a character of the kind `before`, "" for none, and the next one."""
    if condition is Assertion.TEXT_START:
        return before == ""
    if condition is Assertion.TEXT_END:
        return character is None
    if condition is Assertion.LINE_START:
        return before in ("", "\n")
    if condition is Assertion.LINE_END:
        return character in (None, "\n")
    is_boundary = (before == "w") != (character is not None and _is_of_word(character))
    return is_boundary == (condition is Assertion.WORD_BOUNDARY)


def _is_of_word(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "_")

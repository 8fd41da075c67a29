"""Versions and ranges of them, as npm and Cargo users write them: `^1.2`, `~1.2.3`, `>=1 <3 || 5.x`, `1.2 - 2`.

    range      := part ( "||" part )*
    part       := comparator ( [ ,] comparator )* | partial " - " partial | ""      all must hold; "" is any
    comparator := ( "" | "=" | "<" | "<=" | ">" | ">=" | "~" | "^" ) partial
    partial    := "v"? number ( "." number ( "." number pre? build? )? )?           number may be x, X or *
    pre        := "-" identifiers      build := "+" identifiers, which count for nothing

A pre-release (`1.3.0-rc.1`) is in a range only where a comparator of the same part names a pre-release of the
same three numbers: who asks for `^1.2` wants no release candidate of 1.3.

Source: Semantic Versioning 2.0.0, and the ranges of node-semver 7 (behaviour).
"""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import TypeAlias

from regista.model import BadInput

RANGE_CHARACTERS_MAX = 256
"""Many times a range that a person writes; bounds the work for one request."""

_NUMBER_DIGITS_MAX = 15
"""Longer numbers are no versions, and would take long to read."""

Key: TypeAlias = tuple[int, int, int, tuple[tuple[int, int, str], ...]]
"""A version's place in the order: its numbers, then its pre-release identifiers. See `_release_key`."""

_IDENTIFIERS = r"[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*"
_NUMBER = rf"[0-9]{{1,{_NUMBER_DIGITS_MAX}}}"
_PLACE = rf"(?:{_NUMBER}|[xX*])"
_VERSION = re.compile(
    rf"[vV=]?({_NUMBER})(?:\.({_NUMBER}))?(?:\.({_NUMBER}))?(?:-({_IDENTIFIERS}))?(?:\+{_IDENTIFIERS})?"
)
_PARTIAL = rf"[vV]?({_PLACE})(?:\.({_PLACE})(?:\.({_PLACE})(?:-({_IDENTIFIERS}))?(?:\+{_IDENTIFIERS})?)?)?"
_COMPARATOR = re.compile(rf"(<=|>=|<|>|=|~>|~|\^)?\s*{_PARTIAL}(?=[\s,]|$)")
_HYPHEN = re.compile(rf"{_PARTIAL}\s+-\s+{_PARTIAL}")
_SEPARATOR = re.compile(r"[\s,]*")

# A release comes after all its pre-releases, whose identifiers begin with 0 or 1.
_RELEASE = ((2, 0, ""),)
_FIRST_OF_ALL = ((-1, 0, ""),)


@dataclasses.dataclass(frozen=True, slots=True)
class _Bound:
    """Versions at or above `low`, and below `high`.

    Attributes:
        named: the releases whose pre-releases were named.
    """

    low: Key
    high: Key | None
    named: frozenset[tuple[int, int, int]]


@dataclasses.dataclass(frozen=True, slots=True)
class VersionRange:
    """Which versions are wanted.

    Attributes:
        text: as it was written.
    """

    text: str
    _parts: tuple[tuple[_Bound, ...], ...]

    def admits(self, version: str) -> bool:
        """Whether a version is in the range; false for a text that is none."""
        key = parse_version(version)
        return key is not None and any(_is_within(key, part) for part in self._parts)


def parse_range(text: str) -> VersionRange:
    """The range that a caller wrote.

    Raises:
        BadInput: it is none, with the part that can't be read.
    """
    if len(text) > RANGE_CHARACTERS_MAX:
        raise BadInput(f"Invalid version: a range has at most {RANGE_CHARACTERS_MAX} characters", field="version")
    return VersionRange(text, tuple(_parse_part(part.strip()) for part in text.split("||")))


@functools.lru_cache(maxsize=4096)  # a fleet has few versions, and each is looked at for each question
def parse_version(text: str) -> Key | None:
    """A version's place in the order; missing numbers are 0, and what is no version is None."""
    found = _VERSION.fullmatch(text.strip())
    if found is None:
        return None
    numbers = (int(found[1]), int(found[2] or 0), int(found[3] or 0))
    return *numbers, _pre_release(found[4])


def _pre_release(text: str | None) -> tuple[tuple[int, int, str], ...]:
    """Identifiers in their order: numbers by value and before words, words by their letters."""
    if text is None:
        return _RELEASE
    return tuple(
        (0, int(each), "") if each.isdigit() and len(each) <= _NUMBER_DIGITS_MAX else (1, 0, each)
        for each in text.split(".")
    )


def _is_within(key: Key, part: tuple[_Bound, ...]) -> bool:
    if not all(bound.low <= key and (bound.high is None or key < bound.high) for bound in part):
        return False
    return key[3] == _RELEASE or any(key[:3] in bound.named for bound in part)


def _parse_part(text: str) -> tuple[_Bound, ...]:
    hyphen = _HYPHEN.fullmatch(text)
    if hyphen is not None:
        return _compare(">=", hyphen.groups()[:4]), _compare("<=", hyphen.groups()[4:])
    bounds = []
    at = 0
    while at < len(text):
        found = _COMPARATOR.match(text, at)
        if found is None:
            raise BadInput(
                f'Invalid version: "{text[at:]}" is no range; write it as ^1.2, ~1.2.3, >=1.2 <2, 1.x or '
                "1.2 - 1.4, with || between alternatives",
                field="version",
            )
        bounds.append(_compare(found[1] or "", found.groups()[1:]))
        separator = _SEPARATOR.match(text, found.end())
        assert separator is not None, "the pattern matches the empty text too"
        at = separator.end()
    return tuple(bounds)


def _compare(operator: str, partial: tuple[str | None, ...]) -> _Bound:
    """What one comparator asks for."""
    numbers = _numbers(partial[:3])
    pre = partial[3] if len(numbers) == 3 else None
    full = (*numbers, 0, 0, 0)[:3]
    release = (full[0], full[1], full[2])
    named = frozenset({release}) if pre is not None else frozenset()
    # A missing number stands for all there are, so the first is a release and the end is the next number's start.
    low: Key = (*release, _pre_release(pre)) if pre is not None else (*release, _RELEASE)
    start: Key = low if pre is not None else (*release, _FIRST_OF_ALL)
    after = _after(numbers) if len(numbers) < 3 else _next_after(low)
    nothing: Key = (0, 0, 0, _FIRST_OF_ALL)
    if operator == ">=":
        return _Bound(low, None, named)
    if operator == ">":
        return _Bound(after if after is not None else _NOWHERE, None, named)
    if operator == "<":
        return _Bound(nothing, start if numbers else nothing, named)
    if operator == "<=":
        return _Bound(nothing, after, named)
    if operator == "^":
        return _Bound(low, _after(_caret_prefix(numbers)), named)
    if operator in ("~", "~>"):
        return _Bound(low, _after(numbers[:2]), named)
    return _Bound(low, after, named)


_NOWHERE: Key = (10 ** (_NUMBER_DIGITS_MAX + 1), 0, 0, _RELEASE)


def _numbers(places: tuple[str | None, ...]) -> tuple[int, ...]:
    """The numbers before the first that is left open."""
    numbers: list[int] = []
    for place in places:
        if place is None or place in "xX*":
            break
        numbers.append(int(place))
    return tuple(numbers)


def _caret_prefix(numbers: tuple[int, ...]) -> tuple[int, ...]:
    """The numbers that a caret keeps: up to the first that is not 0, or all that are given."""
    for count, number in enumerate(numbers, start=1):
        if number:
            return numbers[:count]
    return numbers


def _after(prefix: tuple[int, ...]) -> Key | None:
    """Where the versions that begin with these numbers end; None for no numbers, with which all begin."""
    if not prefix:
        return None
    raised = (*prefix[:-1], prefix[-1] + 1, 0, 0)[:3]
    return raised[0], raised[1], raised[2], _FIRST_OF_ALL


def _next_after(key: Key) -> Key:
    """The least place above a version."""
    return (*key[:3], (*key[3], (-1, 0, "")))

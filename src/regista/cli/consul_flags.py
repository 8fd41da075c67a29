"""Command lines as Go's package flag reads them: one dash or two, `-x v` or `-x=v`, flags first. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

HELP_FLAGS = frozenset(("h", "help"))

FlagValue = str | bool
"""A boolean for boolean flags, text for the others."""

_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))


class FlagError(Exception):
    """The command line can't be read; the text is Go's."""


class HelpWanted(Exception):
    """One of the flags asks for help."""


def parse_flags(words: Sequence[str], flags: Mapping[str, bool]) -> tuple[list[tuple[str, str | bool]], list[str]]:
    """The flags with their values, in order, and the arguments behind them.

    Args:
        flags: whether it is a boolean, by name.

    Raises:
        FlagError: see there.
        HelpWanted: see there.

    Source: Go's package flag.
    """
    found: list[tuple[str, FlagValue]] = []
    rest = list(words)
    while rest:
        word = rest[0]
        if len(word) < 2 or not word.startswith("-"):
            break
        rest.pop(0)
        if word == "--":
            break
        bare = word.removeprefix("-").removeprefix("-")
        name, sign, value = bare.partition("=")
        if not name or name.startswith("-"):
            raise FlagError(f"bad flag syntax: {word}")
        if name not in flags:
            if name in HELP_FLAGS:
                raise HelpWanted
            raise FlagError(f"flag provided but not defined: -{name}")
        if flags[name]:
            found.append((name, parse_boolean(value, name=name) if sign else True))
        elif sign:
            found.append((name, value))
        elif rest:
            found.append((name, rest.pop(0)))
        else:
            raise FlagError(f"flag needs an argument: -{name}")
    return found, rest


def parse_boolean(text: str, *, name: str) -> bool:
    """The truth of a word.

    Raises:
        FlagError: it is neither yes nor no.
    """
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise FlagError(f'invalid boolean value "{text}" for -{name}: parse error')

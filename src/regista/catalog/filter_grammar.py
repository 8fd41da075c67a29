"""The language of filters: text goes in, a tree comes out.

Knows no fields and no values; `filters` gives the trees a meaning.

    input    := ws? or ws? EOF
    or       := and ( WS "or" WS and )*              binds least
    and      := not ( WS "and" WS not )*
    not      := "not" WS not | group
    group    := "(" ws? or ws? ")" | match
    match    := selector ws? ("==" | "!=") ws? value
              | selector WS ["not" WS] ("contains" | "matches") WS value
              | selector WS "is" WS ["not" WS] "empty"
              | value WS ["not" WS] "in" WS selector
    selector := ident ( "." ident | "[" ws? string ws? "]" )*
    value    := selector, taken as it stands | number | string
    number   := "-"? ("0" | [1-9][0-9]*) ("." [0-9]+)?   before whitespace, ")" or the end
    string   := `"…"` with Go's escapes, up to the first `"` | "`…`" as it stands
    ident    := [a-zA-Z][a-zA-Z0-9_]*

Keywords are no reserved words: `"in" in in` looks for the key `in` in a map of that name, and where `not` can't be
the operator it is a word too. The first alternative that fits wins, so the parser goes back after a `not` that
leads nowhere; nowhere else can going back help. It keeps what was expected at the furthest place that any
alternative reached, because that is what the caller is told.

Source: Consul 1.9 with its filter library 0.1.2 (behaviour, recorded answers).
"""

from __future__ import annotations

import dataclasses
import enum
import re
from typing import TypeAlias

from regista.model import BadInput

FILTER_BYTES_MAX = 8 * 1024
"""Many times a filter that a person writes, and as much as most clients and proxies allow a whole address."""
FILTER_TERMS_MAX = 256
"""Each term costs up to a microsecond for each entry of an answer, and an answer may have thousands."""
FILTER_DEPTH_MAX = 64
"""Parentheses within each other, in expressions and in patterns. Reading and evaluating them takes some stack
frames each, of the thousand that Python has."""
_QUOTED_CHARACTERS_MAX = 64
"""How much of what the caller wrote an error repeats."""


def bad_filter(problem: str) -> BadInput:
    """The error for a filter that can't be used, beginning as Consul's do."""
    # A lone surrogate in the caller's text could not be sent back to him.
    text = problem.encode("utf-8", "replace").decode()
    return BadInput(f"Failed to create boolean expression evaluator: {text}", field="filter")


def quote(text: str) -> str:
    """The caller's text in double quotes, its end cut off if it is long."""
    return f'"{text if len(text) <= _QUOTED_CHARACTERS_MAX else text[:_QUOTED_CHARACTERS_MAX] + "…"}"'


class Operator(enum.Enum):
    """What a term asks of its field; `contains` is `in` with the sides changed."""

    EQUAL = "Equal"
    IN = "In"
    EMPTY = "Empty"
    MATCHES = "Matches"


@dataclasses.dataclass(frozen=True, slots=True)
class Match:
    """One term.

    Attributes:
        selector: the parts of the field's path.
        value: as text; "" for `is empty`.
        position: line and column where the term begins, for errors.
    """

    selector: tuple[str, ...]
    operator: Operator
    is_negated: bool
    value: str
    position: str

    @property
    def path(self) -> str:
        """The selector as it is usually written."""
        return ".".join(self.selector)

    @property
    def operator_name(self) -> str:
        """As Consul's errors call it: `Equal`, `Not In`, `Is Not Empty`."""
        negation = "Not " if self.is_negated else ""
        return f"{'Is ' if self.operator is Operator.EMPTY else ''}{negation}{self.operator.value}"


@dataclasses.dataclass(frozen=True, slots=True)
class Not:
    """True where the term is not."""

    term: Expression


@dataclasses.dataclass(frozen=True, slots=True)
class And:
    """True where all terms are; there are two at least."""

    terms: tuple[Expression, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Or:
    """True where one of the terms is; there are two at least."""

    terms: tuple[Expression, ...]


Expression: TypeAlias = Match | Not | And | Or


def parse_expression(text: str) -> Expression:
    """The tree of a filter.

    Raises:
        BadInput: a syntax error, with the place and what was expected there, or a limit is passed.
    """
    if len(text.encode("utf-8", "replace")) > FILTER_BYTES_MAX:
        raise bad_filter(f"the filter is longer than {FILTER_BYTES_MAX} bytes; ask with several shorter filters")
    return _ExpressionParser(text).parse()


class _NoMatch(Exception):
    """The alternative doesn't fit; another one may."""


_IDENT_HEAD = re.compile(r"[a-zA-Z]")
_IDENT_TAIL = re.compile(r"[a-zA-Z0-9_]*")
_SPACE = re.compile(r"[ \t\r\n]*")
_FRACTION = re.compile(r"\.[0-9]+")
_DIGITS = re.compile(r"[0-9]*")
_SPACE_EXPECTED = r"[ \t\r\n]"


class _ExpressionParser:
    """A reader of one text. Methods named after a rule leave `_at` behind it, or raise `_NoMatch`."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._furthest = 0
        self._expected: set[str] = set()
        self._terms = 0
        self._depth = 0

    def parse(self) -> Expression:
        try:
            self._skip_space()
            tree = self._or()
            self._skip_space()
            if self._at < len(self._text):
                raise self._miss("EOF")
        except _NoMatch:
            raise self._syntax_error() from None
        return tree

    # ---- rules ----

    def _or(self) -> Expression:
        terms = [self._and()]
        while self._joined_by("or"):
            terms.append(self._and())
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def _and(self) -> Expression:
        terms = [self._not()]
        while self._joined_by("and"):
            terms.append(self._not())
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def _not(self) -> Expression:
        starts = [self._at]
        while self._takes('"not"', "not") and self._skip_space():
            starts.append(self._at)
        # The last `not` before which an operand can stand is the innermost operator.
        while starts:
            self._at = starts[-1]
            try:
                term = self._group()
            except _NoMatch:
                starts.pop()
            else:
                return Not(term) if len(starts) % 2 == 0 else term
        raise _NoMatch

    def _group(self) -> Expression:
        if not self._takes('"("', "("):
            return self._match()
        self._depth += 1
        if self._depth > FILTER_DEPTH_MAX:
            raise bad_filter(
                f"{self._position()}: parentheses are nested deeper than {FILTER_DEPTH_MAX}; leave some out"
            )
        self._skip_space()
        tree = self._or()
        self._skip_space()
        if not self._takes('")"', ")"):
            raise self._broken("grouping", "Unmatched parentheses")
        self._depth -= 1
        return tree

    def _match(self) -> Match:
        start = self._at
        position = self._line_and_column(start)
        found = self._match_of_selector(position)
        if found is None:
            self._at = start
            found = self._match_of_value(position)
        self._terms += 1
        if self._terms > FILTER_TERMS_MAX:
            raise bad_filter(
                f"{self._position()}: more than {FILTER_TERMS_MAX} terms; ask with several shorter filters"
            )
        return found

    def _match_of_selector(self, position: str) -> Match | None:
        """One of the alternatives that begin with a selector; None if it is none of them."""
        selector = self._selector()
        if selector is None:
            return None
        has_space = self._skip_space()
        for word, is_negated in (("==", False), ("!=", True)):
            if self._takes(f'"{word}"', word):
                self._skip_space()
                return Match(selector, Operator.EQUAL, is_negated, self._value(), position)
        if not has_space:
            return None
        if self._takes_word("is"):
            is_negated = self._takes_word("not")
            if self._takes('"empty"', "empty"):
                return Match(selector, Operator.EMPTY, is_negated, "", position)
            return None
        is_negated = self._takes_word("not")
        for word, operator in (("contains", Operator.IN), ("matches", Operator.MATCHES)):
            if self._takes_word(word):
                return Match(selector, operator, is_negated, self._value(), position)
        return None

    def _match_of_value(self, position: str) -> Match:
        value = self._value()
        if not self._skip_space():
            raise _NoMatch
        is_negated = self._takes_word("not")
        if not self._takes_word("in"):
            raise _NoMatch
        selector = self._selector()
        if selector is None:
            raise self._broken("match", "Invalid selector", "after `in` comes the name of a field")
        return Match(selector, Operator.IN, is_negated, value, position)

    def _selector(self) -> tuple[str, ...] | None:
        first = self._ident()
        if first is None:
            return None
        parts = [first]
        while True:
            end = self._at
            if self._takes('"."', "."):
                part = self._ident()
            elif self._takes('"["', "["):
                part = self._index()
            else:
                return tuple(parts)
            if part is None:
                self._at = end
                return tuple(parts)
            parts.append(part)

    def _index(self) -> str:
        self._skip_space()
        key = self._string()
        if key is None:
            raise self._broken("index", "Invalid index", 'write the key in quotes, as in Meta["my-key"]')
        self._skip_space()
        if not self._takes('"]"', "]"):
            raise self._broken("index", "Unclosed index expression")
        return key

    def _ident(self) -> str | None:
        start = self._at
        if not _IDENT_HEAD.match(self._text, start):
            self._miss("[a-zA-Z]")
            return None
        self._takes_all(_IDENT_TAIL, "[a-zA-Z0-9_]")
        return self._text[start : self._at]

    def _value(self) -> str:
        selector = self._selector()
        if selector is not None:
            return ".".join(selector)
        number = self._number()
        if number is not None:
            return number
        value = self._string()
        if value is None:
            raise _NoMatch
        return value

    def _number(self) -> str | None:
        start = self._at
        self._takes('"-"', "-")
        if not self._takes('"0"', "0"):
            if self._text[self._at : self._at + 1] not in tuple("123456789"):
                self._miss("[1-9]")
                self._at = start
                return None
            self._takes_all(_DIGITS, "[0-9]")
        fraction = _FRACTION.match(self._text, self._at)
        self._at = fraction.end() if fraction else self._at
        if self._text[self._at : self._at + 1] not in ("", " ", "\t", "\r", "\n", ")"):
            raise self._broken("number", "Invalid number literal", "any other value needs quotes")
        return self._text[start : self._at]

    def _string(self) -> str | None:
        for mark in '"`':
            if self._takes(f'"{mark}"' if mark == "`" else r'"\""', mark):
                break
        else:
            return None
        start = self._at
        end = self._text.find(mark, start)
        if end < 0:
            self._at = len(self._text)
            raise self._broken("string", "Unterminated string literal")
        self._at = end + 1
        content = self._text[start:end]
        if mark == "`":
            return content.replace("\r", "")  # Go drops them, too
        try:
            return _unescape(content)
        except ValueError:
            raise self._broken("string", "Invalid string literal", "write it in backticks instead") from None

    # ---- what the rules are made of ----

    def _joined_by(self, word: str) -> bool:
        start = self._at
        if self._skip_space() and self._takes_word(word):
            return True
        self._at = start
        return False

    def _takes_word(self, word: str) -> bool:
        """Whether the word and whitespace come next; if so, goes behind them."""
        start = self._at
        if self._takes(f'"{word}"', word) and self._skip_space():
            return True
        self._at = start
        return False

    def _takes(self, expected: str, text: str) -> bool:
        if self._text.startswith(text, self._at):
            self._at += len(text)
            return True
        self._miss(expected)
        return False

    def _skip_space(self) -> bool:
        return self._takes_all(_SPACE, _SPACE_EXPECTED)

    def _takes_all(self, characters: re.Pattern[str], expected: str) -> bool:
        found = characters.match(self._text, self._at)
        assert found is not None, "a pattern that ends in a star matches everywhere"
        self._at = found.end()
        self._miss(expected)
        return bool(found[0])

    def _miss(self, expected: str) -> _NoMatch:
        """Notes what could have come next."""
        if self._at > self._furthest:
            self._furthest = self._at
            self._expected = set()
        if self._at == self._furthest:
            self._expected.add(expected)
        return _NoMatch()

    # ---- errors ----

    def _syntax_error(self) -> BadInput:
        self._at = self._furthest
        expected = sorted(self._expected - {"EOF"}) + sorted(self._expected & {"EOF"})
        listed = ", ".join(expected[:-1])
        options = f"{listed} or {expected[-1]}" if listed else expected[-1]
        return bad_filter(f"{self._position()}: no match found, expected: {options}{self._hint()}")

    def _broken(self, rule: str, problem: str, hint: str = "") -> BadInput:
        """The error of a rule that is begun rightly and can't go on; no other alternative would fit either."""
        return bad_filter(f'{self._position()}: rule "{rule}": {problem}{hint and "; " + hint}')

    def _hint(self) -> str:
        """What to do about the usual slips, from what stands at the furthest place."""
        rest = self._text[self._furthest :]
        word = _IDENT_TAIL.match(rest)
        if word is not None and word[0] in ("AND", "OR", "NOT", "IN", "IS", "CONTAINS", "MATCHES", "EMPTY"):
            return f"; write {word[0].lower()} in lower case"
        if rest[:1] == "'":
            return '; quote with " or `'
        if rest[:1] in ("=", "<", ">", "~", "!", "&", "|"):
            return "; there are ==, !=, in, contains, matches, is empty, and, or, not"
        if rest[:1] == ")":
            return "; no parenthesis is open here"
        if rest and "EOF" in self._expected and "[a-zA-Z0-9_]" in self._expected:
            return "; a value of other characters than letters, digits and _ needs quotes"
        return ""

    def _position(self) -> str:
        offset_bytes = len(self._text[: self._at].encode("utf-8", "replace"))
        return f"{self._line_and_column(self._at)} ({offset_bytes})"

    def _line_and_column(self, at: int) -> str:
        line = self._text.count("\n", 0, at) + 1
        column = at - self._text.rfind("\n", 0, at)
        return f"{line}:{column}"


_ESCAPES = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
}
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\])|([0-3][0-7]{2})|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))|[^\\\n]+"
)


def _unescape(content: str) -> str:
    """What stands between double quotes, as Go reads it; bytes that are no UTF-8 become U+FFFD.

    Raises:
        ValueError: a line break, or an escape that Go does not have.

    Source: the Go specification, "String literals".
    """
    if "\\" not in content and "\n" not in content:
        return content
    found = bytearray()
    at = 0
    while at < len(content):
        part = _ESCAPE.match(content, at)
        if part is None:
            raise ValueError("no such escape")
        at = part.end()
        letter, octal, byte, *code = part.groups()
        if letter is not None:
            found += _ESCAPES[letter].encode()
        elif octal is not None or byte is not None:
            found.append(int(octal, 8) if octal else int(byte, 16))
        elif any(code):
            found += chr(_code_point(code[0] or code[1])).encode()
        else:
            found += part[0].encode("utf-8", "replace")
    return found.decode("utf-8", "replace")


def _code_point(digits: str) -> int:
    code = int(digits, 16)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise ValueError("no such character")
    return code

"""The grammar of expressions and of patterns: what they are read as, and what is said of those that can't be read."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regista.catalog.filter_grammar import (
    FILTER_BYTES_MAX,
    FILTER_DEPTH_MAX,
    FILTER_TERMS_MAX,
    And,
    Match,
    Not,
    Or,
    parse_expression,
)
from regista.catalog.filter_patterns import PATTERN_CHARACTERS_MAX, Characters, parse_pattern
from regista.model import BadInput

PREFIX = "Failed to create boolean expression evaluator: "


def shown(tree) -> str:
    """The tree with every pair of parentheses, and each term as path, operator and value."""
    if isinstance(tree, Match):
        return f"{tree.path} {tree.operator_name} {tree.value}".rstrip()
    if isinstance(tree, Not):
        return f"not {shown(tree.term)}"
    word = " and " if isinstance(tree, And) else " or "
    assert isinstance(tree, And | Or)
    return f"({word.join(shown(term) for term in tree.terms)})"


def problem_of(text: str) -> str:
    """What is wrong with the text, without the words that every error begins with."""
    with pytest.raises(BadInput) as caught:
        parse_expression(text)
    assert caught.value.field == "filter"
    problem = str(caught.value)
    assert problem.startswith(PREFIX)
    return problem.removeprefix(PREFIX)


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a == 1", "a Equal 1"),
        ("a==1", "a Equal 1"),
        ("a!=b", "a Not Equal b"),
        (" \t\r\na == 1 \n", "a Equal 1"),
        ("a.b_2.C3 == x", "a.b_2.C3 Equal x"),
        ("a is empty", "a Is Empty"),
        ("a is not empty", "a Is Not Empty"),
        ("a contains b", "a In b"),
        ("a not contains b", "a Not In b"),
        ("b in a", "a In b"),
        ('"b" not in a', "a Not In b"),
        ("80 in a", "a In 80"),
        ("a matches b", "a Matches b"),
        ("a not matches b", "a Not Matches b"),
        ('a["my-key"] == b', "a.my-key Equal b"),
        ("a[ `x y` ].c == b", "a.x y.c Equal b"),
    ],
)
def test_a_term_in_each_of_its_forms(text, tree):
    """Each operator is read in every form that it has; `contains` and `in` are one."""
    assert shown(parse_expression(text)) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a == 1 or b == 2 and c == 3", "(a Equal 1 or (b Equal 2 and c Equal 3))"),
        ("a == 1 and b == 2 or c == 3", "((a Equal 1 and b Equal 2) or c Equal 3)"),
        ("a == 1 and (b == 2 or c == 3)", "(a Equal 1 and (b Equal 2 or c Equal 3))"),
        ("not a == 1 and b == 2", "(not a Equal 1 and b Equal 2)"),
        ("not (a == 1 and b == 2)", "not (a Equal 1 and b Equal 2)"),
        ("not not a == 1", "a Equal 1"),
        ("not not not a == 1", "not a Equal 1"),
        ("a == 1 and not b == 2 or not c == 3", "((a Equal 1 and not b Equal 2) or not c Equal 3)"),
        ("( ( (a == 1) ) )", "a Equal 1"),
        ("a == 1\nor\tb == 2", "(a Equal 1 or b Equal 2)"),
    ],
)
def test_precedence(text, tree):
    """`not` binds more than `and`, `and` more than `or`; parentheses more than all."""
    assert shown(parse_expression(text)) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a == and", "a Equal and"),
        ("or == 1 or not == 2", "(or Equal 1 or not Equal 2)"),
        ("in in in", "in In in"),
        ("is is empty", "is Is Empty"),
        ("not in a", "a In not"),
        ("not not in a", "not a In not"),
        ("not in in a", "not a In in"),
        ("not contains contains", "not In contains"),
        ("not is not empty", "not Is Not Empty"),
        ("nothing == 1", "nothing Equal 1"),
        ("a == 1 and android == 2", "(a Equal 1 and android Equal 2)"),
    ],
)
def test_a_keyword_is_a_word_where_no_operator_can_stand(text, tree):
    """No keyword is reserved: fields, keys and values may be called so."""
    assert shown(parse_expression(text)) == tree


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("web", "web"),
        ("web.example.com", "web.example.com"),
        ("0", "0"),
        ("-7", "-7"),
        ("80.25", "80.25"),
        ('""', ""),
        ("``", ""),
        ('"web-1"', "web-1"),
        ('"with `ticks`"', "with `ticks`"),
        ('`say "hi"`', 'say "hi"'),
        (r"`a\d`", r"a\d"),
        ("`a\r\nb`", "a\nb"),
        ('"tschüß 日本 🦀"', "tschüß 日本 🦀"),
        (r'"a\tb\\c\n"', "a\tb\\c\n"),
        (r'"\u00fc\U0001F980"', "ü🦀"),
        (r'"\x41\101"', "AA"),
        (r'"\xc3\xbc"', "ü"),
        (r'"\xff"', "�"),
    ],
)
def test_values(text, value):
    """A value is a bare word, a number, a string with Go's escapes, or a string in backticks without any."""
    tree = parse_expression(f"a == {text}")
    assert isinstance(tree, Match)
    assert tree.value == value
    assert isinstance(in_tree := parse_expression(f"{text} in a"), Match)
    assert in_tree.value == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Node ==", r'1:8 (7): no match found, expected: "-", "0", "\"", "`", [ \t\r\n], [1-9] or [a-zA-Z]'),
        ("Node == web-1", r'1:12 (11): no match found, expected: ".", "[", [ \t\r\n], [a-zA-Z0-9_] or EOF'),
        ("(Node == a", '1:11 (10): rule "grouping": Unmatched parentheses'),
        ('Node == "abc', '1:13 (12): rule "string": Unterminated string literal'),
        ("Node == 007", '1:10 (9): rule "number": Invalid number literal'),
        ("Port in 80", '1:9 (8): rule "match": Invalid selector'),
        ('Meta["a" == b', '1:10 (9): rule "index": Unclosed index expression'),
        ("Tags[0] == a", '1:6 (5): rule "index": Invalid index'),
        ("Meta.v", r'1:7 (6): no match found, expected: "!=", ".", "==", "[", [ \t\r\n] or [a-zA-Z0-9_]'),
        ("not", r'1:4 (3): no match found, expected: "!=", ".", "==", "[", [ \t\r\n] or [a-zA-Z0-9_]'),
        (" ", r'1:2 (1): no match found, expected: "(", "-", "0", "\"", "`", "not", [ \t\r\n], [1-9] or [a-zA-Z]'),
        (
            "Service = web",
            '1:9 (8): no match found, expected: "!=", "==", "contains", "in", "is", "matches", "not" or [ \\t\\r\\n]',
        ),
        ("Node == a\n or Üml == b", "2:5 (14): no match found"),
        ('"ü" in 80', '1:8 (8): rule "match": Invalid selector'),
        ("80and", '1:3 (2): rule "number": Invalid number literal'),
        ("(a==1)and(b==2)", "1:7 (6): no match found"),
        ("not(a == 1)", "1:4 (3): no match found"),
        ('"/Meta/my-key" == x', "1:16 (15): no match found"),
        ("a == 1 and", "1:11 (10): no match found"),
        ("a == 1 and or", "1:14 (13): no match found"),
        ("()", "1:2 (1): no match found"),
    ],
)
def test_a_syntax_error_names_place_and_expectation(text, problem):
    """An error begins in Consul's words: line, column, offset in bytes, and what could have stood there."""
    assert problem_of(text).startswith(problem)


@pytest.mark.parametrize(
    ("text", "advice"),
    [
        ("Node == a AND Node == b", "; write and in lower case"),
        ("Node == 'a'", '; quote with " or `'),
        ("Node = a", "; there are ==, !=, in, contains, matches, is empty, and, or, not"),
        ("Port > 80", "; there are ==, !=, in, contains, matches, is empty, and, or, not"),
        ("Node == web-1", "; a value of other characters than letters, digits and _ needs quotes"),
        ("Node == a)", "; no parenthesis is open here"),
        (r'Node == "a\"b"', "; write it in backticks instead"),
        (r'Node == "\ud800"', "; write it in backticks instead"),
        (r'Node == "\q"', "; write it in backticks instead"),
        ('Node == "a\nb\\n"', "; write it in backticks instead"),
        ("Node == 0x50", "; any other value needs quotes"),
        ("Meta[my-key] == a", '; write the key in quotes, as in Meta["my-key"]'),
    ],
)
def test_the_usual_slips_come_with_advice(text, advice):
    """Behind Consul's words stands what to do."""
    assert problem_of(text).endswith(advice)


def test_limits():
    """A filter has a limit on its length, its depth and its terms, and is told which one."""
    assert "longer than 8192 bytes" in problem_of("a" * (FILTER_BYTES_MAX + 1))
    assert "longer than 8192 bytes" in problem_of("ü" * (FILTER_BYTES_MAX // 2 + 1))
    parse_expression("(" * FILTER_DEPTH_MAX + "a == 1" + ")" * FILTER_DEPTH_MAX)
    assert "nested deeper than 64" in problem_of("(" * (FILTER_DEPTH_MAX + 1) + "a == 1")
    assert "nested deeper than 64" in problem_of("(" * FILTER_BYTES_MAX)
    assert "nested deeper than 64" in problem_of("not (" * (FILTER_BYTES_MAX // 5))
    assert shown(parse_expression("not " * 2001 + "a == 1")) == "not a Equal 1"
    parse_expression(" or ".join(["a == 1"] * FILTER_TERMS_MAX))
    assert "more than 256 terms" in problem_of(" or ".join(["a == 1"] * (FILTER_TERMS_MAX + 1)))


pieces = st.sampled_from(
    [
        *(
            "a",
            "Meta",
            ".",
            "[",
            "]",
            '"',
            "`",
            "\\",
            "x y",
            " ",
            "\n",
            "(",
            ")",
            "==",
            "!=",
            "=",
            "0",
            "7",
            "-",
            "é",
        ),
        *(
            " not ",
            " and ",
            " or ",
            " in ",
            " is ",
            " empty",
            " contains ",
            " matches ",
            "\\u00e9",
            "\ud800",
            "\x00",
        ),
    ]
)


@given(st.text(max_size=40) | st.lists(pieces, max_size=20).map("".join))
@settings(max_examples=120)
def test_no_text_raises_anything_else(text):
    """Whatever the text, it is read or refused as the caller's mistake, in words that can be sent."""
    try:
        parse_expression(text)
    except BadInput as error:
        str(error).encode()


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("(", "missing closing ): `(`"),
        ("(a", "missing closing ): `(a`"),
        ("a)", "unexpected ): `a)`"),
        ("[a", "missing closing ]: `[a`"),
        ("x[]", "missing closing ]: `[]`"),
        ("[a-", "missing closing ]: `[a-`"),
        ("[z-a]", "invalid character class range: `z-a`"),
        ("[[:foo:]]", "invalid character class range: `[:foo:]`"),
        ("*a", "missing argument to repetition operator: `*`"),
        ("a|{2}", "missing argument to repetition operator: `{2}`"),
        ("(?i)*", "missing argument to repetition operator: `*`"),
        ("a**", "invalid nested repetition operator: `**`"),
        ("a{2}+", "invalid nested repetition operator: `{2}+`"),
        ("a{1001}", "invalid repeat count: `{1001}`"),
        ("a{3,2}", "invalid repeat count: `{3,2}`"),
        ("\\", "trailing backslash at end of expression: ``"),
        ("[\\", "trailing backslash at end of expression: ``"),
        (r"\q", r"invalid escape sequence: `\q`"),
        (r"\Z", r"invalid escape sequence: `\Z`"),
        (r"\x{110000}", r"invalid escape sequence: `\x{110000}`"),
        (r"(a)\1", r"invalid escape sequence: `\1`; RE2's patterns have no backreferences"),
        (r"(?P<x>a)(?P=x)", "invalid or unsupported Perl syntax: `(?P`; RE2's patterns have no lookaround"),
        ("(?=a)", "invalid or unsupported Perl syntax: `(?=`; RE2's patterns have no lookaround"),
        ("(?<!a)", "invalid or unsupported Perl syntax: `(?<`; RE2's patterns have no lookaround"),
        ("a" * (PATTERN_CHARACTERS_MAX + 1), "expression too large: more than 512 characters"),
        ("(" * (FILTER_DEPTH_MAX + 1), "expression nests too deeply: more than 64 parentheses"),
    ],
)
def test_a_bad_pattern_is_refused_in_gos_words(pattern, problem):
    """What RE2 does not have is refused, with advice where a user of other engines may expect it."""
    with pytest.raises(ValueError) as caught:
        parse_pattern(pattern)
    assert str(caught.value) == problem


@pytest.mark.parametrize(
    ("pattern", "members", "others"),
    [
        ("a", "a", "bA"),
        (".", "aü ", "\n"),
        ("(?s:.)", "a\n", ""),
        ("(?i)ü", "üÜ", "u"),
        ("(?i)[^k]", "a", "kK"),
        ("[a-c-]", "abc-", "d"),
        ("[]a]", "]a", "b"),
        ("[^]a]", "b\n", "]a"),
        (r"[\]\\-]", "]\\-", "a"),
        ("[[:alpha:]_]", "aZ_", "1é"),
        ("[[:^alpha:]]", "1é", "a"),
        (r"\d", "09", "a٣"),
        (r"\D", "a٣", "7"),
        (r"[\D5]", "a5", "4"),
        (r"\s", " \t\n\f\r", "\v\u00a0"),
        (r"\w", "aZ_9", "é-"),
        (r"[^\w]", "é-", "a"),
        (r"\.", ".", "a"),
        (r"\x41", "A", "4"),
        (r"\x{1F980}", "🦀", "F"),
        (r"\101", "A", "1"),
        (r"\0", "\x00", "0"),
        (r"[\a\f\n\r\t\v]", "\a\f\n\r\t\v", "b"),
        ("{", "{", "a"),
    ],
)
def test_a_set_of_characters(pattern, members, others):
    """Classes hold what RE2's hold: only ASCII behind a backslash, and no vertical tab among the spaces."""
    characters = parse_pattern(pattern)
    assert isinstance(characters, Characters)
    assert all(characters.has(each) for each in members)
    assert not any(characters.has(each) for each in others)


@given(
    st.text(max_size=20)
    | st.lists(st.sampled_from(list("ab(?:)[]^-|*+{},2\\dpiPQ<>=!$.\n")), max_size=12).map("".join)
)
@settings(max_examples=120)
def test_no_pattern_raises_anything_else(pattern):
    """Whatever the pattern, it is read or refused with a ValueError."""
    with contextlib.suppress(ValueError):
        parse_pattern(pattern)

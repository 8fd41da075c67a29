"""Durations as Go reads and writes them."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from regista.model import format_duration, parse_duration_s

# What time.ParseDuration and Duration.String of Go 1.26 say: text, nanoseconds, the text that is printed.
GO_FACTS = [
    ("0", 0, "0s"),
    ("+0", 0, "0s"),
    ("-0", 0, "0s"),
    ("0s", 0, "0s"),
    ("00s", 0, "0s"),
    ("10s", 10_000_000_000, "10s"),
    ("+5s", 5_000_000_000, "5s"),
    ("-5s", -5_000_000_000, "-5s"),
    ("1m30s", 90_000_000_000, "1m30s"),
    ("1.5h", 5_400_000_000_000, "1h30m0s"),
    ("250ms", 250_000_000, "250ms"),
    ("3000000s", 3_000_000_000_000_000, "833h20m0s"),
    (".5s", 500_000_000, "500ms"),
    ("5.s", 5_000_000_000, "5s"),
    ("1µs", 1000, "1µs"),  # U+00B5
    ("1\u03bcs", 1000, "1µs"),
    ("1us", 1000, "1µs"),
    ("1500ns", 1500, "1.5µs"),
    ("100ns", 100, "100ns"),
    ("0.9ns", 0, "0s"),
    ("0.00000000001s", 0, "0s"),
    ("1m1m", 120_000_000_000, "2m0s"),
    ("1.5m0.5s", 90_500_000_000, "1m30.5s"),
    ("0.100000000000000000000h", 360_000_000_000, "6m0s"),
    ("2562047h", 9_223_369_200_000_000_000, "2562047h0m0s"),
]

GO_REFUSALS = [
    ("", 'time: invalid duration ""'),
    ("5", 'time: missing unit in duration "5"'),
    ("1.5.5s", 'time: missing unit in duration "1.5.5s"'),
    ("1h3", 'time: missing unit in duration "1h3"'),
    (".", 'time: invalid duration "."'),
    (".s", 'time: invalid duration ".s"'),
    ("-", 'time: invalid duration "-"'),
    ("-.", 'time: invalid duration "-."'),
    ("s", 'time: invalid duration "s"'),
    ("--5s", 'time: invalid duration "--5s"'),
    (" 1s", 'time: invalid duration " 1s"'),
    ("1s ", 'time: unknown unit "s " in duration "1s "'),
    ("1 s", 'time: unknown unit " s" in duration "1 s"'),
    ("1d", 'time: unknown unit "d" in duration "1d"'),
    ("1h1x", 'time: unknown unit "x" in duration "1h1x"'),
    ("1S", 'time: unknown unit "S" in duration "1S"'),
    ("10sm", 'time: unknown unit "sm" in duration "10sm"'),
    ("1e9s", 'time: unknown unit "e" in duration "1e9s"'),
    ("1_0s", 'time: unknown unit "_" in duration "1_0s"'),
    ("1,5s", 'time: unknown unit "," in duration "1,5s"'),
    ("\u0663s", r'time: invalid duration "\xd9\xa3s"'),  # an Arabic 3 is no digit
    ("5é", r'time: unknown unit "\xc3\xa9" in duration "5\xc3\xa9"'),
    ('1h"x', r'time: unknown unit "h\"x" in duration "1h\"x"'),
    ("1\x00s", r'time: unknown unit "\x00s" in duration "1\x00s"'),
    ("9223372037s", 'time: invalid duration "9223372037s"'),
    ("2562048h", 'time: invalid duration "2562048h"'),
    ("9223372036854775808ns", 'time: invalid duration "9223372036854775808ns"'),
    ("99999999999999999999s", 'time: invalid duration "99999999999999999999s"'),
    ("99999999999999999999x", 'time: invalid duration "99999999999999999999x"'),
]


@pytest.mark.parametrize(("text", "nanos", "_printed"), GO_FACTS)
def test_reads_what_go_reads(text, nanos, _printed):
    """A text that Go takes is read as the same number of nanoseconds."""
    assert parse_duration_s(text) == nanos / 1e9


@pytest.mark.parametrize(("_text", "nanos", "printed"), GO_FACTS)
def test_prints_what_go_prints(_text, nanos, printed):
    """A duration is written as Go writes it."""
    assert format_duration(nanos / 1e9) == printed


@pytest.mark.parametrize(("text", "words"), GO_REFUSALS)
def test_refuses_what_go_refuses(text, words):
    """A text that Go refuses is refused with Go's words."""
    with pytest.raises(ValueError) as caught:
        parse_duration_s(text)
    assert str(caught.value) == words


def test_the_least_duration_is_one_further_than_the_most():
    """-2^63 ns is a duration and 2^63 ns is none, as in 64-bit arithmetic."""
    assert parse_duration_s("-9223372036854775808ns") == -(2**63) / 1e9
    assert parse_duration_s("9223372036854775807ns") == pytest.approx(2**63 / 1e9)


def test_a_long_number_is_refused_without_being_read():
    """A number of a million digits costs no arithmetic and gets the usual words."""
    with pytest.raises(ValueError, match="time: invalid duration"):
        parse_duration_s("9" * 1_000_000 + "s")
    assert parse_duration_s("0." + "3" * 1_000_000 + "s") == 0.333333333


@given(st.integers(-(2**51), 2**51))
@example(0)
@example(999_999_999)
@example(59_999_999_999)
@example(3_600_000_000_000)
def test_what_is_printed_is_read_as_the_same(nanos):
    """A whole number of nanoseconds up to 26 days survives printing and reading exactly."""
    assert parse_duration_s(format_duration(nanos / 1e9)) == nanos / 1e9


@given(st.text(st.sampled_from("0123456789.+-hmsnuµ "), max_size=12))
def test_reading_gives_a_number_or_gos_refusal(text):
    """Whatever the text, the outcome is a number of seconds or a ValueError that begins with `time: `."""
    try:
        outcome: float | str = parse_duration_s(text)
    except ValueError as error:
        outcome = str(error)
    assert outcome.startswith("time: ") if isinstance(outcome, str) else abs(outcome) <= 2**63 / 1e9

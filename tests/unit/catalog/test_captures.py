"""What the groups of a pattern match."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.catalog.captures import Captures

PATTERNS = [
    r"^geo-(.*?)-([^\-]+?)$",
    r"(a|b)*c?",
    r"(a+)(a*)",
    r"(a+?)(a*)",
    r"x?(y{2,3})(y*)",
    r"(?:foo|(bar))+",
    r"^(.*)-(.*)$",
    r"\b(\w+)\b",
    r"(a)|(b)",
    r"(?i)(GEO)(?:-(x))?",
]


@pytest.mark.parametrize("pattern", PATTERNS)
@given(text=st.text("abcxy-geofr", max_size=12))
def test_groups_match_as_everywhere(pattern, text):
    """The leftmost match is found, and of its ways the same as by Python's engine; groups without a part give ""."""
    found = re.search(pattern, text)
    wanted = () if found is None else tuple(part or "" for part in (found[0], *found.groups()))
    assert Captures(pattern).search(text) == wanted


@pytest.mark.parametrize("pattern", ["(a*)*" * 20 + "b", "(a|aa)+(a|aa)+c", "(.*)-(.*)-(.*)-(.*)x", "(?:)*(a*)*!"])
def test_no_pattern_takes_long(pattern):
    """A pattern that takes Python's engine for ever is done in steps that its length bounds."""
    assert Captures(pattern).search("a" * 512) == ()


@pytest.mark.parametrize("pattern", ["(", "(?=a)", "a{900}", "(?:(?:a{30}){30}){30}"])
def test_what_is_no_pattern_or_too_large_is_refused(pattern):
    """A pattern that can't be read, or has too many steps, is a ValueError."""
    with pytest.raises(ValueError):
        Captures(pattern)


def test_empty_repetitions_cost_nothing():
    """Repetitions of nothing within each other are not written out."""
    assert Captures("(?:(?:(?:){1000}){1000}){1000}(a)").search("ba") == ("a", "a")


def test_a_longer_text_than_any_name_has_no_match():
    """A text beyond the limit is not searched."""
    assert Captures("a").search("a" * 513) == ()

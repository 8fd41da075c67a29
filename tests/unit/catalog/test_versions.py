"""Ranges of versions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.catalog import parse_range
from regista.catalog.versions import RANGE_CHARACTERS_MAX, parse_version
from regista.model import BadInput

CASES = {
    "^1.2": ("1.2.0 1.9.9 1.2 v1.2.3", "2.0.0 1.1.9 1.3.0-rc.1 2.0.0-rc.1 1.2.0-rc1"),
    "^0.2.3": ("0.2.3 0.2.9", "0.3.0 0.2.2"),
    "^0.0.3": ("0.0.3", "0.0.4 0.1.0"),
    "^0.0": ("0.0.0 0.0.9", "0.1.0"),
    "^0": ("0.9.9", "1.0.0"),
    "^1.2.3-beta.2": (
        "1.2.3-beta.2 1.2.3-beta.11 1.2.3 1.9.0",
        "1.2.3-beta.1 1.2.4-beta.2 1.2.3-alpha 2.0.0",
    ),
    "~1.2.3": ("1.2.3 1.2.9", "1.3.0 1.2.2"),
    "~1.2": ("1.2.0 1.2.9", "1.3.0"),
    "~1": ("1.0.0 1.9.0", "2.0.0 0.9.0"),
    ">=1.2 <2": ("1.2.0 1.9.9", "2.0.0 2.0.0-rc.1 1.1.0"),
    ">= 1.2, < 2": ("1.5.0", "2.0.0"),
    ">1.2": ("1.3.0 2.0.0", "1.2.9 1.2.0"),
    "<=1.2": ("1.2.9 0.1.0", "1.3.0"),
    "<1.2.3": ("1.2.2", "1.2.3 1.2.3-rc"),
    ">1.2.3": ("1.2.4", "1.2.3 1.2.3-a"),
    "1.x": ("1.0.0 1.9.0", "2.0.0"),
    "1.2.*": ("1.2.0 1.2.7", "1.3.0"),
    "*": ("0.0.0 9.9.9", "1.0.0-rc"),
    "": ("0.0.0 9.9.9", "1.0.0-rc abc 1.2.3.4"),
    "1.2 - 1.4": ("1.2.0 1.4.9", "1.5.0 1.1.9"),
    "1.2.3 - 2.3.4": ("1.2.3 2.3.4", "2.3.5"),
    "1 || 3.x": ("1.5.0 3.0.1", "2.0.0"),
    "=1.2.3": ("1.2.3 v1.2.3 1.2.3+build", "1.2.4 1.2.3-rc"),
    ">=1.0.0-rc.1": ("1.0.0-rc.1 1.0.0-rc.2 1.0.0 2.0.0", "2.0.0-rc.1 1.0.0-beta"),
    "<*": ("", "1.0.0"),
    ">*": ("", "1.0.0"),
}


@pytest.mark.parametrize("text", CASES)
def test_ranges(text):
    """Each form admits what node-semver's documentation says that it does, and nothing else."""
    wanted = parse_range(text)
    inside, outside = (versions.split() for versions in CASES[text])
    assert [version for version in inside if not wanted.admits(version)] == []
    assert [version for version in outside if wanted.admits(version)] == []


@pytest.mark.parametrize(
    "text", ["abc", "1.2.3.4", "^", "1..2", ">>1", "^1.2 foo", "1.2-rc", "1" * 300, "1 | 2", "9" * 20]
)
def test_what_is_no_range_is_told(text):
    """A range that can't be read names the parameter and says how ranges are written."""
    with pytest.raises(BadInput, match="Invalid version") as caught:
        parse_range(text)
    assert caught.value.field == "version"


def test_the_order_of_the_specification():
    """Pre-releases come in the order of section 11 of Semantic Versioning."""
    order = ("-alpha", "-alpha.1", "-alpha.beta", "-beta", "-beta.2", "-beta.11", "-rc.1", "")
    keys = [parse_version(f"1.0.0{suffix}") for suffix in order]
    assert keys == sorted(keys)
    assert len(set(keys)) == len(keys)


@given(st.text("0123456789.^~<>=|-xX* v+a", max_size=20), st.text("0123456789.-+rcv", max_size=12))
def test_any_text_is_a_range_or_refused(text, version):
    """Nothing that a caller can write makes anything but an answer or `BadInput`."""
    try:
        assert parse_range(text).admits(version) in (True, False)
    except BadInput:
        assert len(text) <= RANGE_CHARACTERS_MAX


@given(st.tuples(*[st.integers(0, 5)] * 3), st.tuples(*[st.integers(0, 5)] * 3))
def test_caret_tilde_and_comparisons_agree(low, version):
    """`^` and `~` are what their definitions make of `>=` and `<`."""
    major, minor, patch = low
    text, asked = ".".join(map(str, low)), ".".join(map(str, version))
    after_caret = f"{major + 1}" if major else f"0.{minor + 1}" if minor else f"0.0.{patch + 1}"
    assert parse_range(f"^{text}").admits(asked) == parse_range(f">={text} <{after_caret}").admits(asked)
    assert parse_range(f"~{text}").admits(asked) == parse_range(f">={text} <{major}.{minor + 1}").admits(asked)
    assert parse_range(f">{text}").admits(asked) == (version > low)
    assert parse_range(f"<={text}").admits(asked) == (version <= low)

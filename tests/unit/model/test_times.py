"""Moments and points of the log as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.model import BadInput, format_time, parse_point


@given(st.integers(0, 10**13))
def test_a_moment_is_read_back(milliseconds):
    """What `format_time` writes, `parse_point` reads, to the millisecond."""
    text = format_time(milliseconds / 1000)
    assert abs(parse_point(text, field="at") * 1000 - milliseconds) < 1


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("0", 0),
        ("17", 17),
        ("1970-01-01T00:00:10Z", 10.0),
        ("1970-01-01T01:00:10.5+01:00", 10.5),
        ("1970-01-01T01:00:10 01:00", 10.0),
        ("1970-01-01T00:00:10-00:30", 1810.0),
    ],
)
def test_points(text, point):
    """Digits are an index, RFC 3339 is a moment, also where the plus sign came as the space that it stands for."""
    found = parse_point(text, field="at")
    assert found == point
    assert type(found) is type(point)


@pytest.mark.parametrize(
    "text", ["", "-1", "1.5", "yesterday", "2026-11-24", "2026-11-24T07:08:09", "9" * 20, "²"]
)
def test_other_texts_are_refused(text):
    """A time without its zone, and whatever else is no point, is told with the parameter's name."""
    with pytest.raises(BadInput, match="Invalid from") as caught:
        parse_point(text, field="from")
    assert caught.value.field == "from"

"""Histograms: counts by bucket, and what can be told of all values."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.health import Histogram

BOUNDS = (0.1, 1.0, 10.0)

values = st.lists(st.floats(min_value=-5, max_value=50), max_size=30)


@given(values)
def test_buckets_count_what_is_at_or_below_their_bound(seen):
    """Each bucket holds all values up to its bound, and the last one all of them."""
    histogram = Histogram(BOUNDS)
    for value in seen:
        histogram.observe(value)
    assert list(histogram.buckets()) == [
        (bound, sum(value <= bound for value in seen)) for bound in (*BOUNDS, float("inf"))
    ]
    assert histogram.count == len(seen)


@given(values.filter(bool))
def test_it_knows_what_the_values_come_to(seen):
    """Sum, extremes, mean and deviation are those of the values."""
    histogram = Histogram(BOUNDS)
    for value in seen:
        histogram.observe(value)
    assert histogram.total == pytest.approx(sum(seen))
    assert (histogram.least, histogram.most) == (min(seen), max(seen))
    assert histogram.mean == pytest.approx(statistics.fmean(seen))
    assert histogram.deviation == pytest.approx(statistics.pstdev(seen), abs=1e-5)


def test_without_values_everything_is_zero():
    """Nothing seen is no error."""
    histogram = Histogram(BOUNDS)
    assert (histogram.count, histogram.total, histogram.mean, histogram.deviation) == (0, 0, 0, 0)
    assert [count for _, count in histogram.buckets()] == [0, 0, 0, 0]


def filled(seen):
    histogram = Histogram(BOUNDS)
    for value in seen:
        histogram.observe(value)
    return histogram


@given(values, values)
def test_what_two_have_counted_is_added(first, second):
    """One that is given another's values is as if it had seen them itself, also after a way as plain values."""
    both, whole = filled(first), filled(first + second)
    both.add(Histogram.of_parts(*filled(second).parts()))
    assert list(both.buckets()) == list(whole.buckets())
    assert (both.count, both.least, both.most) == (whole.count, whole.least, whole.most)
    assert (both.total, both.deviation) == pytest.approx((whole.total, whole.deviation), abs=1e-5)

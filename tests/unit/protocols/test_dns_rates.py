"""How many questions a source may ask."""

import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.protocols.dns.rates import Admission, SourceRates


def outcomes(rates, source, count, now_s=0.0):
    return collections.Counter(rates.admit(source, now_s) for _ in range(count))


def test_a_flood_is_slipped_and_dropped():
    """Above what it may have saved up, every other question is sent to TCP and the rest gets nothing."""
    found = outcomes(SourceRates(per_s=10, sources_max=100), "192.0.2.1", 120)
    assert found == {Admission.ANSWERED: 20, Admission.SLIPPED: 50, Admission.DROPPED: 50}


def test_a_source_a_little_above_its_rate_is_slipped_too():
    """Every other question above the rate is sent to TCP also where some in between are answered."""
    rates = SourceRates(per_s=8, sources_max=100)
    outcomes(rates, "192.0.2.1", 16)
    found = collections.Counter(rates.admit("192.0.2.1", number / 16) for number in range(1, 201))
    assert found == {Admission.ANSWERED: 100, Admission.SLIPPED: 50, Admission.DROPPED: 50}


def test_others_are_answered_during_a_flood():
    """The rate is each source's own."""
    rates = SourceRates(per_s=10, sources_max=100)
    outcomes(rates, "192.0.2.1", 1000)
    assert outcomes(rates, "192.0.2.2", 10) == {Admission.ANSWERED: 10}


def test_a_source_gets_its_rate_again():
    """After a second, a source that was limited may ask so many more."""
    rates = SourceRates(per_s=10, sources_max=100)
    outcomes(rates, "192.0.2.1", 1000)
    assert outcomes(rates, "192.0.2.1", 100, now_s=1.0)[Admission.ANSWERED] == 10


@pytest.mark.parametrize("source", ["127.0.0.1", "127.5.5.5", "::1"])
def test_this_machine_is_exempt(source):
    """Nobody else can send from these addresses."""
    assert outcomes(SourceRates(per_s=1, sources_max=1), source, 100) == {Admission.ANSWERED: 100}


def test_no_rate_is_no_limit():
    """0 switches it off."""
    assert outcomes(SourceRates(per_s=0, sources_max=1), "192.0.2.1", 100) == {Admission.ANSWERED: 100}


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(0, 1)), max_size=200))
def test_the_number_of_sources_is_bounded(questions):
    """However many there are, only so many are remembered, and none gets more than its rate allows."""
    rates = SourceRates(per_s=5, sources_max=3)
    now_s = 0.0
    for source, pause_s in questions:
        now_s += pause_s
        rates.admit(f"192.0.2.{source}", now_s)
    assert len(rates._buckets) <= 3

"""`?cached`: hits and misses, and what Cache-Control may say."""

import pytest

from regista.model import BadInput
from regista.protocols.consul.caching import HIT, MISS, CachedQuestions, must_revalidate


def test_the_first_who_asks_misses_and_the_next_hits():
    """A question is a hit once it was asked, unless it is to be fetched anew."""
    asked = CachedQuestions(10)
    assert [asked.ask("a"), asked.ask("a"), asked.ask("b")] == [MISS, HIT, MISS]
    assert asked.ask("a", is_anew=True) == MISS
    assert asked.ask("a") == HIT


def test_no_more_questions_are_remembered_than_may():
    """The question that nobody asked for longest is forgotten first."""
    asked = CachedQuestions(2)
    for key in ("a", "b", "a", "c"):
        asked.ask(key)
    assert [asked.ask("a"), asked.ask("b")] == [HIT, MISS]


@pytest.mark.parametrize(
    ("header", "is_wanted"),
    [
        ("", False),
        ("max-age=10", False),
        ("max-age=0", True),
        ("Must-Revalidate", True),
        ("max-age=5, stale-if-error=60", False),
        ("nonsense", False),
        ("max-age=-1", False),
    ],
)
def test_cache_control_is_read_as_consul_reads_it(header, is_wanted):
    """Directives are compared without regard to case, and unknown ones are passed over."""
    assert must_revalidate(header) is is_wanted


@pytest.mark.parametrize("header", ["max-age=abc", "max-age=", "max-age", "stale-if-error=1.5", 'max-age="5"'])
def test_an_age_that_is_no_number_is_refused(header):
    """In Consul's words."""
    with pytest.raises(BadInput, match="Invalid Cache-Control header"):
        must_revalidate(header)

"""What the tests' receiver of webhooks says of deliveries."""

from types import SimpleNamespace

from tests.receiver import firsts


def test_an_event_counts_where_it_came_first():
    """Also while only a part of what is delivered again has come."""
    deliveries = [SimpleNamespace(id=each) for each in "abcdab"]
    assert firsts(deliveries) == deliveries[:4]

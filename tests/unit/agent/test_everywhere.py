"""Who follows what in several processes, taken together."""

from __future__ import annotations

import pytest

from regista.agent.everywhere import Expected, join_followers
from regista.protocols.http import Follower, Laggard


def follower(state, *, has_passed, port=1, agent="curl", asks="/v1/health/service/web"):
    told = Laggard(f"10.0.0.1:{port}", agent, asks, index=5, state=state, for_s=1.0)
    return Follower(told, has_passed)


PASSED = follower("waiting", has_passed=True, port=2)


@pytest.mark.parametrize(
    ("processes", "watchers", "laggards"),
    [
        ([[], []], 0, 0),
        ([[PASSED], [PASSED]], 2, 0),
        ([[follower("answered", has_passed=False)], []], 1, 1),
        ([[follower("answered", has_passed=False)], [PASSED]], 1, 0),
        ([[follower("away", has_passed=False)], [], [PASSED]], 1, 0),
        ([[follower("waiting", has_passed=False)], [PASSED]], 2, 1),
        ([[follower("answered", has_passed=False), PASSED], []], 2, 1),
        ([[follower("answered", has_passed=False)] * 2, [PASSED]], 2, 1),
        ([[follower("answered", has_passed=False)], [follower("answered", has_passed=False)], [PASSED]], 2, 1),
        ([[follower("answered", has_passed=False, agent="other")], [PASSED]], 2, 1),
        ([[follower("answered", has_passed=False, asks="/v1/health/service/api")], [PASSED]], 2, 1),
    ],
)
def test_one_that_has_passed_elsewhere_speaks_for_one_that_has_yet_to_ask(processes, watchers, laggards):
    """A client that went on to another process is counted once, and one that waits is never taken for another."""
    present, lagging = join_followers(processes)
    assert (present.total(), len(lagging)) == (watchers, laggards)


def test_what_could_not_be_asked_makes_it_incomplete():
    """If a process could not be asked, the outcome says so."""
    assert not Expected(2.0).join([[PASSED]], is_complete=False, now_s=0).is_complete


def test_a_client_that_was_taken_for_another_is_waited_for():
    """Two clients of one program change processes, and one has asked again: the other is missed for a while."""
    waiting = follower("waiting", has_passed=False)
    away = follower("away", has_passed=False)
    expected = Expected(2.0)
    assert len(expected.join([[waiting], [waiting]], is_complete=True, now_s=0).laggards) == 2
    one_back = expected.join([[away], [PASSED]], is_complete=True, now_s=1)
    assert (one_back.watchers, one_back.laggards, expected.are_missing) == (2, (), True)
    both_back = expected.join([[], [PASSED, PASSED]], is_complete=True, now_s=2)
    assert (both_back.watchers, both_back.laggards, expected.are_missing) == (2, (), False)
    expected.join([[], [PASSED]], is_complete=True, now_s=3)
    assert expected.are_missing
    expected.join([[], [PASSED]], is_complete=True, now_s=5)
    assert not expected.are_missing

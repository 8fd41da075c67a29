"""Who follows what in several processes, taken together."""

from __future__ import annotations

import pytest

from regista.agent.everywhere import join_followers
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
    passage = join_followers(processes, is_complete=True)
    assert (passage.watchers, len(passage.laggards), passage.is_complete) == (watchers, laggards, True)


def test_what_could_not_be_asked_makes_it_incomplete():
    """If a process could not be asked, the outcome says so."""
    assert not join_followers([[PASSED]], is_complete=False).is_complete

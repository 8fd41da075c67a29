"""The rules of mass-expiry protection, pure; and that the guard keeps them whatever happens."""

import asyncio
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.health.fleet import Fleet

from regista.catalog import DRAIN_PREFIX
from regista.health.protection import (
    Limits,
    Scope,
    Verdict,
    View,
    decide_allowed,
    decide_confirmed,
    decide_ending,
    decide_phase,
)
from regista.model import CRITICAL, PASSING, Check, CheckDefinition

LIMITS = Limits(share=0.15, window_s=60.0, size_min=6, hold_s=600.0)

views = st.builds(
    View,
    is_protecting=st.booleans(),
    is_exempt=st.booleans(),
    lost=st.integers(0, 30),
    near=st.integers(0, 30),
    allowed=st.integers(1, 20),
)


@pytest.mark.parametrize(
    ("size", "allowed"), [(0, 0), (1, 1), (6, 1), (7, 2), (20, 3), (100, 15), (140, 21), (10_000, 1500)]
)
def test_share_is_rounded_up(size, allowed):
    """The share of a scope is rounded up, as Eureka does, so that one may always go."""
    assert decide_allowed(size, 0.15) == allowed


@given(st.integers(0, 100_000), st.integers(1, 100))
def test_share_is_never_more_than_one_above(size, percent):
    """What is allowed is the share, or less than one above."""
    allowed = decide_allowed(size, percent / 100)
    assert size * percent <= allowed * 100 < size * percent + 100


@given(st.lists(views, min_size=1, max_size=2), st.booleans(), st.booleans())
def test_ending_is_never_let_go_where_a_scope_protects(found, has_waited, is_graced):
    """A scope that protects holds; else an ending is let go in the end, and at once only where that is safe."""
    verdict = decide_ending(found, has_waited=has_waited, is_graced=is_graced)
    assert (verdict is Verdict.HOLD) == any(view.is_protecting for view in found)
    if verdict is Verdict.WAIT:
        assert not has_waited
    if verdict is Verdict.RELEASE and not has_waited:
        assert all(view.is_exempt or view.lost + view.near <= view.allowed for view in found)
        assert not is_graced


@given(st.sampled_from(["calm", "protecting", "verifying"]), views, st.booleans(), st.booleans())
def test_phases(phase, view, is_time_up, has_held):
    """Protection begins only above the share, ends when it is not any more, and never lasts beyond its time."""
    after = decide_phase(phase, view, is_time_up=is_time_up, has_held=has_held)
    is_too_many = not view.is_exempt and view.lost > view.allowed
    if phase == "calm":
        assert after == ("protecting" if is_too_many else "calm")
    elif phase == "protecting":
        assert (after == "calm") == (not is_too_many)
        assert after != "protecting" or not is_time_up
    else:
        assert (after == "calm") == (not has_held)


@given(st.lists(st.tuples(st.floats(0, 40), st.sampled_from([1, -1, 5, -5])), max_size=60))
def test_size_is_the_most_within_the_window(steps):
    """A scope remembers the largest size that it had within the window, and nothing before it."""
    scope = Scope("web", LIMITS)
    now_s, history = 0.0, [(-math.inf, 0)]
    for seconds, by in steps:
        now_s += seconds
        if scope.size + by >= 0:
            scope.resize(by, now_s)
            history.append((now_s, scope.size))
        ends = [*(at_s for at_s, _ in history[1:]), math.inf]
        most = max(
            size for (_, size), end_s in zip(history, ends, strict=True) if end_s >= now_s - LIMITS.window_s
        )
        assert scope.size_at_most(now_s) == most


def test_an_instance_counts_once():
    """A TTL check and a lease of the same instance are one loss, and so is one that went twice."""
    scope = Scope("web", LIMITS)
    scope.resize(10, 0.0)
    scope.add_pending("a")
    scope.add_pending("a")
    scope.note_went("a", 1.0)
    scope.note_went("b", 1.0)
    scope.note_went("b", 30.0)
    assert scope.view(["a", "c"], 30.0) == View(False, False, lost=2, near=1, allowed=2)
    scope.drop_pending("a")
    scope.drop_pending("a")
    assert scope.view([], 61.5).lost == 1
    assert scope.view([], 91.0).lost == 0


def check(check_id="c", *, status=CRITICAL, **definition):
    return Check(
        node="n", id=check_id, name="c", status=status, service_id="s", definition=CheckDefinition(**definition)
    )


REFUSED = "dial tcp 10.0.0.1:80: connect: connection refused"


@pytest.mark.parametrize(
    ("found", "output", "is_confirmed"),
    [
        (check(tcp="a:1"), REFUSED, True),
        (check(http="http://a"), f'Get "http://a": {REFUSED}', True),
        (check(tcp="a:1", status=PASSING), REFUSED, False),
        (check(ttl_s=10.0), REFUSED, False),
        (check(script_args=("x",)), REFUSED, False),
        (check(tcp="a:1"), "dial tcp 10.0.0.1:80: i/o timeout", False),
        (check(http="http://a"), f"HTTP GET http://a: 502 Bad Gateway Output: {REFUSED}", False),
        (check("_service_maintenance:s"), "", True),
        (check("_node_maintenance"), "", True),
        (Check(node="n", id=f"{DRAIN_PREFIX}s", name="d", type="drain", status=CRITICAL), "", True),
    ],
)
def test_what_confirms(found, output, is_confirmed):
    """A refusal that a probe met, maintenance and a drain confirm a loss; nothing else does."""
    assert bool(decide_confirmed([(check("x", ttl_s=1.0), ""), (found, output)])) == is_confirmed


# ---- whatever happens ----


async def _live_through(losses, size):
    """A fleet of that size in which at each moment so many more fall silent or speak up; what went when."""
    fleet = Fleet(ttl_s=6.0, protection_s_max=3600.0, protection_window_s=20.0).begin()
    fleet.add(size)
    await fleet.live(12)
    went, before = [], fleet.there
    for seconds, count in losses:
        if count > 0:
            fleet.silent.update([key for key in fleet.keys if key not in fleet.silent][:count])
        else:
            fleet.silent.difference_update(sorted(fleet.silent)[:-count])
        for _ in range(seconds):
            await fleet.live(1)
            went.append((fleet.now_s, len(before - fleet.there)))
            before = fleet.there
    return fleet, went


_EXEMPT_MOST = 5

moments = st.lists(st.tuples(st.integers(1, 12), st.integers(-8, 12)), min_size=1, max_size=8)


@settings(max_examples=40, deadline=None)
@given(moments, st.integers(6, 40))
def test_never_more_than_the_share_within_a_window(losses, size):
    """However instances fall silent and speak up, no window sees more of them go than the share.

    It holds for as long as the service is not so small as to be exempt, which it may become one by one.
    """
    fleet, went = asyncio.run(_live_through(losses, size))
    left = size
    for start_s, count in went:
        if left <= _EXEMPT_MOST:
            break
        left -= count
        assert sum(n for at_s, n in went if start_s <= at_s < start_s + 19) <= decide_allowed(size, 0.15)
    again, went_again = asyncio.run(_live_through(losses, size))
    assert (fleet.there, went) == (again.there, went_again)


@settings(max_examples=15, deadline=None)
@given(moments, st.integers(2, 5))
def test_small_services_lose_whoever_is_silent(losses, size):
    """An exempt service loses exactly those who are silent for their TTL, at once."""
    fleet, _ = asyncio.run(_live_through(losses, size))
    silent = set(fleet.silent)
    asyncio.run(_wait(fleet))
    assert not fleet.there & silent
    assert not fleet.scheduler.counters.endings_held


async def _wait(fleet):
    await fleet.live(9)

"""Who is given up when there is too much: the order, the thresholds, and the way back."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.protocols.http.admission import (
    CALM,
    SHED_ORDER,
    Level,
    LoadFacts,
    OverloadSettings,
    Use,
    class_of,
    decide_level,
    decide_refused,
)

SETTINGS = OverloadSettings()


def facts(*, lag_s=0.0, commits=0, waiting=0, connections=0):
    """An agent of which so many hundredths of each limit are in use."""
    return LoadFacts(
        lag_s,
        Use("store.commit_queue_max", commits, 100),
        Use("http.waiting_max", waiting, 100),
        Use("http.connections_max", connections, 100),
    )


def refused(**load):
    level = decide_level(facts(**load), SETTINGS, before=CALM, now_s=0.0)
    return [each for each in SHED_ORDER if decide_refused(each, level)]


@pytest.mark.parametrize(
    ("load", "given_up"),
    [
        ({}, 0),
        ({"lag_s": 0.99}, 0),
        ({"lag_s": 1.0}, 1),
        ({"lag_s": 1.2}, 2),
        ({"lag_s": 1.4}, 3),
        ({"lag_s": 1.7}, 4),
        ({"lag_s": 2.0}, 5),
        ({"lag_s": 200.0}, 5),
        ({"commits": 89}, 0),
        ({"commits": 90}, 1),
        ({"commits": 100}, 5),
        ({"connections": 90}, 1),
        ({"connections": 94}, 3),
        ({"connections": 100}, 3),
        ({"waiting": 90}, 1),
        ({"waiting": 100}, 2),
    ],
)
def test_classes_are_given_up_in_order(load, given_up):
    """Each threshold gives up one more; connections cost watches at the most, and places to wait lists."""
    assert refused(**load) == list(SHED_ORDER[:given_up])


loads = st.builds(
    facts,
    lag_s=st.floats(0, 10),
    commits=st.integers(0, 100),
    waiting=st.integers(0, 100),
    connections=st.integers(0, 100),
)


@given(st.lists(loads, max_size=30))
def test_renewals_and_control_are_never_given_up(course):
    """Whatever the load and however it came, what lives is kept alive, and what is wrong can be seen."""
    level = CALM
    for now_s, each in enumerate(course):
        level = decide_level(each, SETTINGS, before=level, now_s=float(now_s))
        assert not decide_refused("renewal", level)
        assert not decide_refused("control", level)
        assert (level.cause is None) == (level.count == 0)


@given(st.lists(loads, max_size=30))
def test_the_level_rises_at_once_and_falls_step_by_step(course):
    """It is never below what the load deserves, and never falls by more than one."""
    level = CALM
    for now_s, each in enumerate(course):
        before, level = level, decide_level(each, SETTINGS, before=level, now_s=float(now_s))
        deserved = decide_level(each, SETTINGS, before=CALM, now_s=0.0).count
        assert level.count >= deserved
        assert level.count >= before.count - 1


def test_what_was_given_up_comes_back_after_a_calm_time():
    """One class after each calm time, the most wanted first."""
    level = decide_level(facts(lag_s=1.2), SETTINGS, before=CALM, now_s=0.0)
    course = []
    for now_s in (1.0, 2.9, 3.0, 4.9, 5.0):
        level = decide_level(facts(), SETTINGS, before=level, now_s=now_s)
        course.append(level.count)
    assert course == [2, 2, 1, 1, 0]
    assert level == CALM


def test_a_load_around_the_threshold_changes_nothing():
    """Just below what had the level rise is not calm."""
    level = decide_level(facts(lag_s=1.0), SETTINGS, before=CALM, now_s=0.0)
    for now_s in range(1, 100):
        level = decide_level(facts(lag_s=0.95), SETTINGS, before=level, now_s=float(now_s))
    assert level.count == 1


def test_a_calm_time_that_is_interrupted_begins_anew():
    """Two calm halves with a peak between them are none."""
    level = decide_level(facts(lag_s=1.0), SETTINGS, before=CALM, now_s=0.0)
    for now_s, lag_s in ((1.0, 0.0), (2.5, 1.0), (3.0, 0.0), (4.5, 0.0)):
        level = decide_level(facts(lag_s=lag_s), SETTINGS, before=level, now_s=now_s)
    assert level.count == 1
    assert decide_level(facts(), SETTINGS, before=level, now_s=5.0) == CALM


def test_the_cause_is_what_is_worst():
    """It is what a refused caller is told."""
    level = decide_level(facts(lag_s=1.2, commits=99), SETTINGS, before=CALM, now_s=0.0)
    assert level.cause == Use("store.commit_queue_max", 99, 100)
    level = decide_level(facts(lag_s=1.8), SETTINGS, before=CALM, now_s=0.0)
    assert level.cause == Use("overload.lag", 1800, 2000)


def test_shares_can_be_switched_off():
    """At 100 percent nothing is refused before the limit itself is reached."""
    settings = dataclasses.replace(SETTINGS, begin_percent=100.0)
    assert decide_level(facts(commits=99, connections=99), settings, before=CALM, now_s=0.0) == Level()


@pytest.mark.parametrize(
    ("load", "waits", "expected"),
    [
        ("read", False, "read"),
        ("read", True, "watch"),
        ("list", True, "list"),
        ("dashboard", True, "dashboard"),
        ("renewal", True, "renewal"),
    ],
)
def test_a_read_that_waits_is_a_watch(load, waits, expected):
    """What is given up before watches is not better for waiting."""
    assert class_of(load, waits=waits) == expected

"""The verdicts of `regista.health.flapping`, with the thresholds that come before them."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.health import HealthSettings
from regista.health.decide import KEEP, decide_status, fresh_hysteresis
from regista.health.flapping import (
    RESULTS_COUNT,
    decide_flaps,
    flap_percent,
    fresh_flaps,
    told_flapping,
    told_unconfirmed,
)
from regista.model import CRITICAL, PASSING, STATUSES, WARNING, CheckDefinition

DEFAULTS = HealthSettings()
HIGH, LOW = DEFAULTS.flap_high_percent, DEFAULTS.flap_low_percent
BADNESS = [PASSING, WARNING, CRITICAL]
LETTERS = {"p": PASSING, "w": WARNING, "c": CRITICAL}


def states(observed, *, definition=None, start=CRITICAL, high=HIGH, low=LOW, is_held=True):
    """The memory after each result."""
    definition = definition or CheckDefinition()
    hysteresis = fresh_hysteresis(definition)
    flaps = fresh_flaps(start)
    after = []
    for number, status in enumerate(observed):
        hysteresis, verdict = decide_status(hysteresis, definition, status)
        flaps = decide_flaps(
            flaps, status, verdict, is_held=is_held, high_percent=high, low_percent=low, now_s=float(number)
        )
        after.append(flaps)
    return after


def undamped(observed, *, definition, start=CRITICAL):
    """The published status after each result as Consul would have it."""
    hysteresis = fresh_hysteresis(definition)
    status, published = start, []
    for seen in observed:
        hysteresis, verdict = decide_status(hysteresis, definition, seen)
        status = status if verdict is KEEP else verdict
        published.append(status)
    return published


def read(text):
    return [LETTERS[letter] for letter in text]


def shown(text, **more):
    """The first letters of the statuses that are shown after the results with these first letters."""
    return "".join(state.shown[0] for state in states(read(text), **more))


def changes_of(published, start):
    return sum(before != after for before, after in itertools.pairwise([start, *published]))


def flaps_of(after):
    return sum(
        state.is_flapping and not before.is_flapping
        for before, state in itertools.pairwise([fresh_flaps(PASSING), *after])
    )


# ---- the index ----


def test_index_of_extremes():
    """No change is 0 %, a change at every result 100 %."""
    assert flap_percent(0) == 0
    assert flap_percent((1 << 20) - 1) == pytest.approx(100)


def test_index_weighs_the_newest_most():
    """The newest change counts 1.2 of 20 places, the oldest 0.8."""
    assert flap_percent(1) == pytest.approx(6)
    assert flap_percent(1 << 19) == pytest.approx(4)


def test_four_changes_reach_the_high_limit_and_three_never_do():
    """With the default, the fourth change within 21 results begins the flapping, wherever the others are."""
    for others in itertools.combinations(range(1, 20), 3):
        assert flap_percent(1 | sum(1 << age for age in others)) >= HIGH
    for ages in itertools.combinations(range(20), 3):
        assert flap_percent(sum(1 << age for age in ages)) < HIGH


def test_one_change_is_below_the_low_limit_and_two_never_are():
    """With the default, flapping ends once at most one change is left among the last 21 results."""
    assert all(flap_percent(1 << age) < LOW for age in range(20))
    for ages in itertools.combinations(range(20), 2):
        assert flap_percent(sum(1 << age for age in ages)) >= LOW


# ---- single failures ----


def test_a_lone_failure_takes_two_successes():
    """A check that failed a single time is out at once, and back after the second success."""
    assert shown("pppcpp", start=PASSING) == "pppccp"
    (*_, state, _) = states(read("pppcpp"), start=PASSING)
    assert state.is_held
    assert not state.is_flapping
    assert told_unconfirmed(state) == (
        "Still critical after a single failure: one more success confirms that it is passing."
    )


def test_two_failures_are_over_at_the_first_success():
    """A check that failed twice in a row or more is back at once, as in Consul."""
    assert shown("ppccp") == "ppccp"
    assert shown("ppcccp") == "ppcccp"


def test_a_first_success_is_published_at_once():
    """A check that was critical from its registration on is passing at its first success, also after a failure."""
    assert shown("p") == "p"
    assert shown("cp") == "cp"


def test_a_first_failure_of_a_passing_check_is_a_lone_one():
    """A check that was registered as passing and fails its first probe takes two successes."""
    assert shown("cpp", start=PASSING) == "ccp"


def test_a_warning_confirms_a_success():
    """A warning is a success; the second of two says what is shown."""
    assert shown("ppcwp") == "ppccp"
    assert shown("ppcpw") == "ppccw"


def test_a_lone_failure_that_thresholds_swallow_holds_nothing():
    """A failure that changed no status needs no confirmation, and one that made a warning keeps it."""
    assert shown("pcpcp", definition=CheckDefinition(failures_before_critical=2)) == "ppppp"
    definition = CheckDefinition(failures_before_warning=1, failures_before_critical=3)
    assert shown("pcpp", definition=definition) == "pwwp"


# ---- flapping ----


def test_third_failure_is_the_only_transition():
    """p,f,f,f with a threshold of 3 changes the status once after the p, at the third f."""
    assert shown("pccc", definition=CheckDefinition(failures_before_critical=3)) == "pppc"


@pytest.mark.parametrize("start", STATUSES)
@pytest.mark.parametrize("period", ["pc", "cp"])
def test_an_hour_of_alternating_results(start, period):
    """Results that alternate for an hour change the status twice at most, from any start, and flap once."""
    after = states(read(period * 180), start=start)
    assert changes_of([state.shown for state in after], start) <= 2
    assert flaps_of(after) == 1
    assert after[-1].shown == CRITICAL


@pytest.mark.parametrize("period", ["ppc", "pcc", "ppcc", "pw", "ppppcccc", "pppppppppc"])
def test_an_hour_of_other_periods(period):
    """Results that change in any short period are held within two failures, and flap once."""
    after = states(read(period * 360)[:360])
    assert changes_of([state.shown for state in after], CRITICAL) <= 4
    assert flaps_of(after) == 1
    assert after[-1].is_flapping


def test_failing_and_recovering_twice_is_flapping():
    """Two failures of two results each are flapping at the second recovery, which is not shown any more."""
    after = states(read("pppccpppccp"), start=PASSING)
    assert [state.is_flapping for state in after].index(True) == 10
    assert after[-1].shown == CRITICAL
    assert after[-1].deserved == PASSING


def test_it_settles_by_itself():
    """A check that is steady again flaps no more once at most one change is among its last 21 results."""
    after = states(read("pcpcp" + "p" * 30), start=PASSING)
    ended = next(number for number, state in enumerate(after) if number > 5 and not state.is_flapping)
    assert after[ended - 1].shown == CRITICAL
    assert after[ended].shown == PASSING
    assert ended - 4 <= RESULTS_COUNT - 1
    assert flaps_of(after) == 1


def test_something_worse_applies_at_once():
    """A check that is held at a warning is critical at the first failure, and held there."""
    text = shown("pwpwpwpwcpw")
    assert text[7:] == "wccc"


def test_low_limit_above_the_high_one_counts_as_that():
    """Limits the wrong way round don't make a check flap at every second result."""
    after = states(read("pc" * 30), high=10, low=90)
    assert flaps_of(after) == 1


def test_unheld_checks_are_only_marked():
    """A check whose own word counts flaps as others do, and shows every result."""
    observed = read("pc" * 10)
    after = states(observed, is_held=False)
    assert [state.shown for state in after] == observed
    assert after[-1].is_flapping


def test_calm_checks_share_their_memory():
    """A check that is calm needs no memory of its own, also after its trouble is over."""
    assert states(read("ppp"))[-1] is states(read("pcpcp" + "p" * 40))[-1]


# ---- words ----


def test_told_flapping():
    """The sentence says what the check does, since when, and what ends it."""
    state = states(read("pcpcp"), start=PASSING)[-1]
    assert told_flapping(state, what="results", is_held=True, low_percent=LOW) == (
        "Flapping since 1970-01-01T00:00:04.000Z: its results changed 4 times within the last 21. It is held at "
        "critical, the worse state, and marked until they settle: until the flap index, 23% now, is below 8%, which "
        "20 equal results more bring about at the latest."
    )
    assert "It is not held, for its own word counts," in told_flapping(
        state, what="reports", is_held=False, low_percent=LOW
    )


def test_told_flapping_below_the_thresholds():
    """A check that thresholds keep passing is not said to be held."""
    definition = CheckDefinition(failures_before_critical=3)
    state = states(read("pcpcp"), start=PASSING, definition=definition)[-1]
    assert "It is passing, for it never failed often enough in a row, and marked" in told_flapping(
        state, what="results", is_held=True, low_percent=LOW
    )


# ---- any sequence ----

RESULTS = st.lists(st.sampled_from(STATUSES), max_size=120) | st.lists(
    st.tuples(st.sampled_from(STATUSES), st.integers(1, 25)), max_size=12
).map(lambda runs: [status for status, count in runs for _ in range(count)])
DEFINITIONS = st.builds(
    CheckDefinition,
    success_before_passing=st.integers(0, 4),
    failures_before_warning=st.integers(0, 3),
    failures_before_critical=st.integers(0, 4),
)
START = st.sampled_from(STATUSES)
LIMITS = st.sampled_from([(HIGH, LOW), (50.0, 25.0), (4.0, 4.0), (10.0, 90.0)])


@given(RESULTS, DEFINITIONS, START, LIMITS)
def test_damping_never_adds_a_transition(observed, definition, start, limits):
    """With damping there are at most as many changes of what is shown as without, whatever the limits."""
    high, low = limits
    damped = [state.shown for state in states(observed, definition=definition, start=start, high=high, low=low)]
    plain = undamped(observed, definition=definition, start=start)
    assert changes_of(damped, start) <= changes_of(plain, start)


@given(RESULTS, DEFINITIONS, START, st.sampled_from(STATUSES))
def test_settled_results_are_shown_within_21(observed, definition, start, settled):
    """Once all results are the same, 21 of them are enough for the status that they deserve."""
    observed = [*observed, *[settled] * RESULTS_COUNT]
    last = states(observed, definition=definition, start=start)[-1]
    assert not last.is_flapping
    assert last.shown == undamped(observed, definition=definition, start=start)[-1]


@given(RESULTS, DEFINITIONS, START)
def test_held_is_never_better_than_deserved(observed, definition, start):
    """What is shown is never better than what results and thresholds came to."""
    plain = undamped(observed, definition=definition, start=start)
    for state, status in zip(states(observed, definition=definition, start=start), plain, strict=True):
        assert state.deserved == status
        assert BADNESS.index(state.shown) >= BADNESS.index(status)


@given(RESULTS, START)
def test_held_is_the_worst_since_the_flapping_began(observed, start):
    """While a check without thresholds flaps, the worst of all results since the one before its start is shown."""
    worst = None
    before = fresh_flaps(start)
    for state in states(observed, start=start):
        if state.is_flapping:
            if not before.is_flapping:
                worst = max(before.shown, before.seen or start, key=BADNESS.index)
            worst = max(worst, state.seen, key=BADNESS.index)
            assert state.shown == worst
        before = state


@given(RESULTS, DEFINITIONS, START)
def test_same_results_same_verdicts(observed, definition, start):
    """The same results come to the same memory."""
    assert states(observed, definition=definition, start=start) == states(
        observed, definition=definition, start=start
    )

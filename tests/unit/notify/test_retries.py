"""What follows from an attempt to deliver something."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.notify.retries import (
    RETRY_AFTER_MAX_S,
    Outcome,
    RetryPolicy,
    Tries,
    decide_retry,
    parse_retry_after_s,
)

POLICY = RetryPolicy(first_s=1.0, most_s=300.0, attempts_max=100, refusals_max=10, age_max_s=86400.0)

policies = st.builds(
    RetryPolicy,
    first_s=st.floats(0.01, 3600),
    most_s=st.floats(0.01, 86400),
    attempts_max=st.integers(1, 200),
    refusals_max=st.integers(1, 200),
    age_max_s=st.floats(1, 30 * 86400),
)
failures = st.builds(
    Outcome,
    status=st.sampled_from([0, 301, 400, 404, 408, 410, 422, 429, 500, 503]),
    problem=st.just("it failed"),
    retry_after_s=st.none() | st.floats(0, 1e9),
)
outcomes = failures | st.just(Outcome(200))


@given(st.lists(st.tuples(outcomes, st.floats(0, 1)), max_size=250), policies)
def test_every_event_is_settled(attempts, policy):
    """Whatever comes of the attempts: waits are within bounds, and no event is tried more often than allowed.

    It ends with the first success, the first 410, or when it is given up, and that not before a limit is reached.
    """
    tries, now_s = Tries(), 1000.0
    for outcome, jitter in attempts:
        tries = tries.after(outcome, began_s=now_s)
        verdict = decide_retry(outcome, tries, now_s=now_s, jitter=jitter, policy=policy)
        assert (verdict.word == "delivered") == outcome.is_delivered
        assert (verdict.word == "disable") == (outcome.status == 410)
        is_at_limit = (
            tries.attempts >= policy.attempts_max
            or tries.refusals >= policy.refusals_max
            or now_s - tries.since_s >= policy.age_max_s
        )
        if not outcome.is_delivered and outcome.status != 410:
            assert (verdict.word == "dead") == is_at_limit
        if verdict.word != "again":
            return
        assert 0 <= verdict.after_s <= max(policy.most_s, RETRY_AFTER_MAX_S)
        assert tries.attempts < policy.attempts_max
        now_s += verdict.after_s
    assert tries.attempts == len(attempts) <= policy.attempts_max


def test_waits_double_up_to_the_most():
    """With the highest roll of the dice: 1, 2, 4 … 300, 300 seconds; with the lowest, none."""
    waits = [
        decide_retry(
            Outcome(500, "no"), Tries(attempts=1, failures=count), now_s=0.0, jitter=1.0, policy=POLICY
        ).after_s
        for count in range(1, 12)
    ]
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    verdict = decide_retry(Outcome(500, "no"), Tries(1, failures=9), now_s=0.0, jitter=0.0, policy=POLICY)
    assert verdict.after_s == 0.0


def test_a_receiver_that_is_down_is_not_tried_more_often_for_the_next_event():
    """Failures of the receiver count on where those of the event begin anew."""
    tries = Tries(attempts=0, failures=20).after(Outcome(0, "no"), began_s=50.0)
    assert (tries.attempts, tries.failures, tries.since_s) == (1, 21, 50.0)
    assert decide_retry(Outcome(0, "no"), tries, now_s=50.0, jitter=1.0, policy=POLICY).after_s == 300.0


def test_a_success_forgets_the_failures():
    """After one the next failure is the first."""
    tries = Tries(attempts=4, failures=9, since_s=1.0).after(Outcome(200), began_s=9.0)
    assert tries.failures == 0


@pytest.mark.parametrize(
    ("status", "word"),
    [(400, "dead"), (404, "dead"), (408, "again"), (429, "again"), (500, "again"), (0, "again")],
)
def test_only_refusals_count_as_such(status, word):
    """Ten answers with 4xx end an event; ten of another kind don't."""
    tries = Tries()
    for _ in range(10):
        outcome = Outcome(status, "no")
        tries = tries.after(outcome, began_s=0.0)
    assert decide_retry(outcome, tries, now_s=0.0, jitter=1.0, policy=POLICY).word == word


@pytest.mark.parametrize(
    ("asked_s", "after_s"), [(0.0, 1.0), (0.5, 1.0), (7.0, 7.0), (10.0**9, RETRY_AFTER_MAX_S)]
)
def test_a_receiver_may_ask_for_more_time(asked_s, after_s):
    """The wait is at least what it asks for, within reason."""
    outcome = Outcome(503, "no", retry_after_s=asked_s)
    tries = Tries(attempts=1, failures=1)
    assert decide_retry(outcome, tries, now_s=0.0, jitter=1.0, policy=POLICY).after_s == after_s


def test_an_old_event_is_given_up():
    """A day after its first attempt, and not before."""
    tries = Tries(attempts=2, failures=2, since_s=100.0)
    for now_s, word in ((100.0 + 86399, "again"), (100.0 + 86400, "dead"), (0.0, "again")):
        assert decide_retry(Outcome(500, "no"), tries, now_s=now_s, jitter=1.0, policy=POLICY).word == word


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 5 ", 5.0),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 20.0),
        ("Thu, 01 Jan 1970 00:00:01 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("9" * 20, None),
        ("", None),
    ],
)
def test_retry_after(text, seconds):
    """It is a number of seconds or a date; anything else says nothing."""
    assert parse_retry_after_s(text, now_s=100.0) == seconds


@given(st.text(max_size=60))
def test_retry_after_of_any_text(text):
    """No text breaks it, and none makes a wait below 0."""
    found = parse_retry_after_s(text, now_s=0.0)
    assert found is None or found >= 0

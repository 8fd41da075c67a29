"""The verdicts of `regista.health.decide`."""

from hypothesis import given
from hypothesis import strategies as st

from regista.health.decide import (
    KEEP,
    cut_head,
    decide_first_probe_s,
    decide_kind,
    decide_next_slot_s,
    decide_output_bytes_max,
    decide_probe_s,
    decide_status,
    decide_ttl_output,
    decode_tail,
    fresh_hysteresis,
    lease_reason,
    reap_reason,
)
from regista.model import CRITICAL, PASSING, STATUSES, WARNING, CheckDefinition


def verdicts(definition, observed):
    state = fresh_hysteresis(definition)
    given_verdicts = []
    for status in observed:
        state, verdict = decide_status(state, definition, status)
        given_verdicts.append(verdict)
    return given_verdicts


def transitions(given_verdicts):
    changes = []
    for verdict in given_verdicts:
        if verdict is not KEEP and (not changes or changes[-1] != verdict):
            changes.append(verdict)
    return changes


def test_without_thresholds_every_result_counts():
    """A check without thresholds has the status of its last result."""
    observed = [PASSING, CRITICAL, WARNING, CRITICAL, PASSING]
    assert verdicts(CheckDefinition(), observed) == observed


def test_first_result_counts_at_once():
    """The first result counts whatever the thresholds, for there is nothing to hold on to yet."""
    definition = CheckDefinition(success_before_passing=3, failures_before_critical=3)
    for status in STATUSES:
        assert verdicts(definition, [status]) == [status]


def test_third_failure_counts():
    """After a success, three failures in a row are needed: p,f,f,f is one transition, at the third f."""
    definition = CheckDefinition(failures_before_critical=3)
    assert verdicts(definition, [PASSING, CRITICAL, CRITICAL, CRITICAL]) == [PASSING, KEEP, KEEP, CRITICAL]


def test_success_ends_a_row_of_failures():
    """A success begins the count of failures anew, and a failure that of successes."""
    definition = CheckDefinition(success_before_passing=2, failures_before_critical=2)
    observed = [CRITICAL, PASSING, CRITICAL, PASSING, PASSING, CRITICAL, PASSING]
    # The second failure counts: no success was accepted between, but the row was broken.
    assert verdicts(definition, observed) == [CRITICAL, KEEP, KEEP, KEEP, PASSING, KEEP, KEEP]


def test_alternating_results_settle():
    """Results that alternate for an hour change a damped status once at most."""
    definition = CheckDefinition(success_before_passing=2, failures_before_critical=2)
    assert len(transitions(verdicts(definition, [PASSING, CRITICAL] * 180))) == 1


def test_warning_is_a_success():
    """A warning counts towards passing and is published as a warning."""
    definition = CheckDefinition(success_before_passing=2)
    observed = [CRITICAL, WARNING, PASSING, WARNING]
    assert verdicts(definition, observed) == [CRITICAL, KEEP, PASSING, WARNING]


def test_failures_pass_through_warning():
    """With a lower threshold for warning, a row of failures is a warning first."""
    definition = CheckDefinition(failures_before_warning=1, failures_before_critical=3)
    observed = [PASSING, CRITICAL, CRITICAL, CRITICAL]
    assert verdicts(definition, observed) == [PASSING, WARNING, WARNING, CRITICAL]


@given(st.integers(0, 4), st.integers(0, 4), st.lists(st.sampled_from(STATUSES), max_size=30))
def test_row_of_results_decides(successes, failures, observed):
    """Critical is published exactly after a row of failures, or at the first result."""
    definition = CheckDefinition(success_before_passing=successes, failures_before_critical=failures)
    for position, verdict in enumerate(verdicts(definition, observed)):
        row = observed[max(0, position + 1 - max(1, failures)) : position + 1]
        if verdict == CRITICAL:
            assert set(row) == {CRITICAL}
        if verdict in (PASSING, WARNING):
            assert verdict == observed[position]


def test_kind_has_a_precedence():
    """A definition with several targets is of the kind that Consul would take."""
    assert decide_kind(CheckDefinition(http="http://x", ttl_s=1, tcp="x:1")) == "http"
    assert decide_kind(CheckDefinition(ttl_s=1, tcp="x:1")) == "ttl"
    assert decide_kind(CheckDefinition(tcp="x:1")) == "tcp"
    assert decide_kind(CheckDefinition()) == ""


def test_expired_output_quotes_the_last_one():
    """An expired TTL check shows what was last said, and does not quote itself."""
    assert decide_ttl_output("") == "TTL expired"
    quoted = decide_ttl_output("all well")
    assert quoted == "TTL expired (last output before timeout follows): all well"
    assert decide_ttl_output(quoted) == quoted


def test_definition_lowers_the_limit_only():
    """A definition's limit on output counts where it is below the agent's."""
    assert decide_output_bytes_max(CheckDefinition(), 4096) == 4096
    assert decide_output_bytes_max(CheckDefinition(output_bytes_max=100), 4096) == 100
    assert decide_output_bytes_max(CheckDefinition(output_bytes_max=9000), 4096) == 4096


def test_cut_head_says_what_it_cut():
    """Output over the limit keeps its beginning, with a note."""
    assert cut_head("x" * 4096, 4096) == "x" * 4096
    assert cut_head("x" * 5000, 4096) == "x" * 4096 + " ... (captured 4096 of 5000 bytes)"


@given(st.text(), st.integers(1, 50))
def test_cut_head_never_cuts_a_character(output, bytes_max):
    """What is left of cut output is a beginning of it, within the limit."""
    head = cut_head(output, bytes_max).split(" ... (captured")[0]
    assert output.startswith(head)
    assert len(cut_head(output, bytes_max).encode()) <= max(bytes_max, len(output.encode())) + 60


@given(st.binary(max_size=40), st.booleans())
def test_any_tail_is_text(tail, is_cut):
    """Any bytes become text that can be written as JSON."""
    assert isinstance(decode_tail(tail, is_cut=is_cut).encode(), bytes)


def test_tail_leaves_out_half_a_character():
    """The half of a character at a cut front is left out; elsewhere it becomes U+FFFD."""
    tail = "é!".encode()[1:]
    assert decode_tail(tail, is_cut=True) == "!"
    assert decode_tail(tail, is_cut=False) == "�!"


@given(st.floats(0, 1e6), st.floats(0.1, 3600), st.floats(0, 1e6))
def test_next_slot_is_the_first_to_come(slot_s, interval_s, later_s):
    """The next slot is ahead, no more than an interval and what rounding takes."""
    now_s = slot_s + later_s
    next_s = decide_next_slot_s(slot_s, now_s=now_s, interval_s=interval_s)
    assert -1e-6 < next_s - now_s < interval_s + 1e-6


def test_first_probe_is_within_one_interval():
    """The roll of the dice places the first probe anywhere in one interval."""
    assert decide_first_probe_s(now_s=5, interval_s=10, roll=0.0) == 5
    assert decide_first_probe_s(now_s=5, interval_s=10, roll=0.5) == 10


def test_jitter_is_little():
    """A later probe is near its slot."""
    assert decide_probe_s(100, interval_s=10, roll=1.0) == 100.5


def test_reasons_read_as_sentences():
    """The reasons name the check and the time in a form that people write."""
    assert lease_reason(30) == "was not renewed for 30s"
    assert reap_reason("x", 90) == 'was deregistered because check "x" was critical for 90s'
    assert reap_reason("x", 3 * 86400) == 'was deregistered because check "x" was critical for 72h0m0s'
    assert lease_reason(0.25) == "was not renewed for 250ms"

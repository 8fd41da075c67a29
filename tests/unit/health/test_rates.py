"""Token buckets and the fair queue."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.health.rates import Rate, Throttle, decide_service_rate


def run(throttle, seconds, *, step_s=0.05, start_s=0.0):
    """The keys that were taken, each with its moment."""
    taken = []
    for number in range(round(seconds / step_s)):
        now_s = start_s + number * step_s
        taken += [(now_s, key) for key in throttle.take(now_s)]
    return taken


def fast(_service):
    return Rate(1e6, 1e6)


@pytest.mark.parametrize(("size", "per_s"), [(0, 5), (3, 5), (20, 5), (100, 25), (10_000, 2500)])
def test_rate_of_a_service(size, per_s):
    """A quarter of a service a second, and at least five."""
    assert decide_service_rate(size, share_per_s=0.25, per_s_min=5.0) == Rate(per_s, per_s)


def test_burst_and_then_the_rate():
    """At once go as many as the burst, then so many each second."""
    throttle = Throttle(Rate(200.0, 100.0), rate_of=fast, now_s=0.0)
    for number in range(1000):
        throttle.put("web", str(number))
    assert len(throttle.take(0.0)) == 100
    assert throttle.next_s() == pytest.approx(0.005)
    assert len(run(throttle, 2.0, start_s=0.05)) == pytest.approx(400, abs=20)


def test_services_take_turns():
    """A small service behind a large one does not wait for it."""
    throttle = Throttle(Rate(10.0, 10.0), rate_of=fast, now_s=0.0)
    for number in range(1000):
        throttle.put("large", f"large{number}")
    for number in range(3):
        throttle.put("small", f"small{number}")
    assert throttle.take(0.0)[:6] == ["large0", "small0", "large1", "small1", "large2", "small2"]


def test_slow_service_holds_up_nobody():
    """A service that is at its rate waits; the others go on."""
    throttle = Throttle(
        Rate(1000.0, 1000.0),
        rate_of=lambda name: Rate(1.0, 1.0) if name == "slow" else Rate(100.0, 100.0),
        now_s=0.0,
    )
    for number in range(50):
        throttle.put("slow", f"slow{number}")
        throttle.put("quick", f"quick{number}")
    taken = [key for _, key in run(throttle, 2.9)]
    assert sum(key.startswith("quick") for key in taken) == 50
    assert sum(key.startswith("slow") for key in taken) == 3


def test_what_belongs_to_no_service_has_only_the_common_rate():
    """Checks of the node itself have no service whose rate they could exceed."""
    throttle = Throttle(Rate(10.0, 10.0), rate_of=lambda _name: Rate(1.0, 1.0), now_s=0.0)
    for number in range(10):
        throttle.put("", str(number))
    assert len(throttle.take(0.0)) == 10


def test_dropped_keys_are_not_taken():
    """Who is heard while waiting loses its place, and nobody else does."""
    throttle = Throttle(Rate(1.0, 1.0), rate_of=fast, now_s=0.0)
    for key in "abc":
        throttle.put("web", key)
    throttle.drop("web", "a")
    throttle.drop("web", "never")
    throttle.drop("other", "a")
    assert throttle.take(0.0) == ["b"]
    assert len(throttle) == 1
    throttle.drop("web", "c")
    assert throttle.next_s() is None


def test_forgets_full_buckets():
    """Services that have not lost anything lately cost no memory."""
    throttle = Throttle(Rate(1e6, 1e6), rate_of=fast, now_s=0.0)
    for number in range(5000):
        throttle.put(f"s{number}", str(number))
    throttle.take(0.0)
    throttle.put("web", "last")
    throttle.take(10.0)
    assert len(throttle._buckets) < 10


@given(
    st.lists(st.tuples(st.floats(0, 2), st.sampled_from("abcd"), st.integers(0, 30)), max_size=30),
    st.floats(1, 50),
    st.floats(1, 50),
)
def test_never_faster_than_the_rates(puts, rate, burst):
    """In any stretch of time no more are taken than the burst and the rate allow, and all in the end."""
    throttle = Throttle(Rate(rate, burst), rate_of=lambda _name: Rate(7.0, 7.0), now_s=0.0)
    now_s, count, taken = 0.0, 0, []
    for seconds, service, more in puts:
        now_s += seconds
        for _ in range(more):
            throttle.put(service, f"{service}{count}")
            count += 1
        taken += [(now_s, key) for key in throttle.take(now_s)]
    while (next_s := throttle.next_s()) is not None:
        now_s = max(now_s, next_s) + 1e-9
        taken += [(now_s, key) for key in throttle.take(now_s)]
    assert len({key for _, key in taken}) == count == len(taken)
    for start, (start_s, _) in enumerate(taken[::7]):
        for after, (at_s, _) in enumerate(taken[start * 7 :], start=1):
            assert after <= burst + rate * (at_s - start_s) + 1 + 1e-6

"""The invariants of `Deadlines`."""

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from regista.health.deadlines import Deadlines

KEYS = st.sampled_from("abcde")
MOMENTS = st.integers(0, 20).map(float)


class AgainstDictionary(RuleBasedStateMachine):
    """Whatever is done to deadlines, they answer like a dictionary that is searched."""

    def __init__(self):
        super().__init__()
        self.deadlines = Deadlines()
        self.model = {}

    @rule(key=KEYS, at_s=MOMENTS)
    def set(self, key, at_s):
        self.deadlines.set(key, at_s)
        self.model[key] = at_s

    @rule(key=KEYS)
    def drop(self, key):
        self.deadlines.drop(key)
        self.model.pop(key, None)

    @rule(now_s=MOMENTS)
    def pop(self, now_s):
        due = self.deadlines.pop_due(now_s)
        moments = [self.model[key] for key in due]
        assert moments == sorted(moments)
        assert sorted(due) == sorted(key for key, at_s in self.model.items() if at_s <= now_s)
        for key in due:
            del self.model[key]

    @rule()
    def next(self):
        assert self.deadlines.next_s() == min(self.model.values(), default=None)

    @invariant()
    def same_keys(self):
        assert len(self.deadlines) == len(self.model)
        assert all(key in self.deadlines for key in self.model)
        assert "nobody" not in self.deadlines


TestAgainstDictionary = AgainstDictionary.TestCase
TestAgainstDictionary.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)


def test_renewals_do_not_grow_the_heap():
    """A deadline that is pushed later a thousand times takes one place in the heap."""
    deadlines = Deadlines()
    for moment in range(1000):
        deadlines.set("a", float(moment))
    assert len(deadlines._heap) == 1
    assert deadlines.pop_due(998.0) == []
    assert deadlines.pop_due(999.0) == ["a"]


def test_leftovers_are_swept():
    """Keys that come and go, or come earlier, leave no more behind than twice what is there."""
    deadlines = Deadlines()
    for round_number in range(1000):
        deadlines.set("stays", 1e6 - round_number)
        deadlines.set("goes", float(round_number))
        deadlines.drop("goes")
    assert len(deadlines._heap) <= 2 * 1 + 64 + 1
    assert deadlines.next_s() == 1e6 - 999


def test_set_again_after_due_waits_again():
    """A key that was due and is set again is due again at its new moment only."""
    deadlines = Deadlines()
    deadlines.set("a", 1.0)
    assert deadlines.pop_due(1.0) == ["a"]
    assert "a" not in deadlines
    deadlines.set("a", 2.0)
    assert deadlines.pop_due(1.5) == []
    assert deadlines.pop_due(2.0) == ["a"]


def test_many_that_are_due_come_in_portions():
    """Of very many that are due at one moment some thousand come, and the others at the next calls; each once."""
    deadlines = Deadlines()
    keys = [f"k{number}" for number in range(5000)]
    for key in keys:
        deadlines.set(key, 1.0)
    portions = []
    while deadlines.next_s() is not None:
        portions.append(deadlines.pop_due(2.0))
    assert max(map(len, portions)) == 1000
    assert sorted(key for portion in portions for key in portion) == sorted(keys)

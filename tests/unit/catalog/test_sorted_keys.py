"""Keys in order against a list that is sorted anew each time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from regista.catalog.sorted_keys import SortedKeys

LETTERS = "a/bÿ\U0010ffff퟿"
keys = st.text(LETTERS, max_size=4)
steps = st.lists(st.tuples(keys, st.booleans(), st.booleans()), max_size=120)


@given(steps, keys)
@settings(deadline=None)
def test_keys_below_a_prefix_are_found_in_the_order_of_their_bytes(steps, prefix):
    """However keys come and go, in ones or in many, exactly those with the prefix are found, in byte order."""
    found, held = SortedKeys(), set()
    for key, is_there, is_looked_at in steps:
        if is_there and key not in held:
            held.add(key)
            found.add(key)
        elif not is_there and key in held:
            held.remove(key)
            found.remove(key)
        if is_looked_at:
            found.below(prefix)
    wanted = sorted((key for key in held if key.startswith(prefix)), key=str.encode)
    assert list(found.below(prefix)) == wanted


def test_many_at_once_are_sorted_in_together():
    """A thousand keys that come together, and go together, are found as if they had come one by one."""
    found = SortedKeys()
    names = [f"k{number:04}" for number in range(1000)]
    for name in reversed(names):
        found.add(name)
    assert list(found.below("k")) == names
    for name in names[::2]:
        found.remove(name)
    found.add("a")
    assert list(found.below("")) == ["a", *names[1::2]]
    assert list(found.below("k000")) == names[1:10:2]

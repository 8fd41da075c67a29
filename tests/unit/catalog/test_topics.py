"""Topics: indexes, versions, watching and forgetting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.catalog import node_topic, service_topic
from regista.catalog.topics import Topics


def test_a_topic_nobody_touched_has_the_absent_index():
    """A name that nobody ever registered has index 1, as Consul never says 0, and other names don't move it."""
    topics = Topics()
    assert topics.index(["service/web"]) == 1
    topics.touch(["service/api"], 7)
    assert topics.index(["service/web"]) == 1


def test_an_index_is_that_of_the_last_touch():
    """A topic's index is the last one that it was touched at, and several topics have the highest of theirs."""
    topics = Topics()
    topics.touch(["a", "b"], 3)
    topics.touch(["b"], 5)
    assert topics.index(["a"]) == 3
    assert topics.index(["a", "b"]) == 5
    topics.touch(["b"], 4)
    assert topics.index(["b"]) == 5


def test_names_are_the_same_in_any_case():
    """A service or node is one topic however its name is spelled."""
    assert service_topic("Web") == service_topic("web")
    assert node_topic("N1") == node_topic("n1")
    assert service_topic("n1") != node_topic("n1")


def test_who_watches_is_called_for_its_topics_only():
    """A watcher is called when its topic is woken, and not for others."""
    topics, calls = Topics(), []
    topics.watch(["a"], lambda: calls.append("a"))
    topics.watch(["b"], lambda: calls.append("b"))
    topics.touch(["a"], 2)
    assert calls == []
    topics.wake(["a", "never heard of"])
    assert calls == ["a"]


def test_who_stops_is_called_no_more():
    """After stopping, a watcher is not called; stopping again does nothing, also when the topic was forgotten."""
    topics, calls = Topics(), []
    stop = topics.watch(["a", "b", "a"], lambda: calls.append("called"))
    other = topics.watch(["a"], lambda: calls.append("other"))
    stop()
    topics.wake(["a", "b"])
    assert calls == ["other"]
    other()
    topics.forget(lambda _: False)
    stop()
    other()
    assert len(topics) == 0


def test_a_watcher_may_stop_while_it_is_woken():
    """A watcher that stops itself, or another, or starts one, from within its call disturbs nobody."""
    topics, calls = Topics(), []

    def first() -> None:
        calls.append("first")
        stop_first()
        topics.watch(["a"], lambda: calls.append("new"))

    stop_first = topics.watch(["a"], first)
    topics.watch(["a"], lambda: calls.append("second"))
    topics.wake(["a"])
    assert calls == ["first", "second"]
    topics.wake(["a"])
    assert calls == ["first", "second", "second", "new"]


def test_a_refresh_changes_the_version_alone():
    """What changes without a transaction makes ready answers old, and moves no index."""
    topics = Topics()
    topics.touch(["a"], 2)
    before = topics.version(["a"])
    topics.refresh(["a", "b"])
    assert topics.version(["a"]) != before
    assert topics.index(["a"]) == 2
    assert len(topics) == 1


def test_a_watched_topic_is_not_forgotten():
    """Forgetting leaves what is live or watched, and the indexes of the rest go into the absent index."""
    topics, calls = Topics(), []
    topics.watch(["watched"], lambda: calls.append(1))
    topics.touch(["live"], 5)
    topics.touch(["dead"], 9)
    topics.forget(lambda name: name == "live")
    assert len(topics) == 2
    assert topics.index(["dead"]) == 9
    assert topics.index(["never there"]) == 9
    assert topics.index(["live"]) == 5
    topics.touch(["watched"], 10)
    topics.wake(["watched"])
    assert calls == [1]


def test_a_topic_that_comes_back_has_a_version_of_its_own():
    """An answer built before a name was forgotten is not taken for one built after it came back."""
    topics = Topics()
    seen = {topics.version(["a"])}
    for index in range(2, 6):
        topics.touch(["a"], index)
        assert topics.version(["a"]) not in seen
        seen.add(topics.version(["a"]))
        topics.forget(lambda _: False)
        assert topics.version(["a"]) not in seen, "its index changed for those who have never seen it"
        seen.add(topics.version(["a"]))


def test_watching_makes_no_answer_old():
    """That somebody begins to watch a name changes neither its index nor its version."""
    topics = Topics()
    topics.touch(["dead"], 9)
    topics.forget(lambda _: False)
    before = topics.version(["a"]), topics.index(["a"])
    stop = topics.watch(["a"], lambda: None)
    assert (topics.version(["a"]), topics.index(["a"])) == before
    stop()
    assert (topics.version(["a"]), topics.index(["a"])) == before


_names = st.sampled_from(["a", "b", "c"])
_steps = st.lists(
    st.tuples(st.sampled_from(["touch", "refresh", "watch", "stop", "forget", "forget but a"]), _names),
    max_size=30,
)


@given(_steps)
def test_no_index_goes_back_and_no_version_comes_back(steps):
    """Whatever is touched, watched and forgotten: indexes only grow, and a version stands for one index."""
    topics, stops, index = Topics(), [], 1
    last = dict.fromkeys("abcd", 1)
    meaning: dict[tuple[str, tuple[int, ...]], int] = {}
    for action, name in steps:
        if action == "touch":
            index += 1
            topics.touch([name], index)
        elif action == "refresh":
            topics.refresh([name])
        elif action == "watch":
            stops.append(topics.watch([name], lambda: None))
        elif action == "stop" and stops:
            stops.pop()()
        elif action.startswith("forget"):
            topics.forget(lambda each: action.endswith("a") and each == "a")  # noqa: B023 - called at once
        for each in last:
            now = topics.index([each])
            assert now >= last[each]
            last[each] = now
            assert meaning.setdefault((each, topics.version([each])), now) == now


@given(_steps)
def test_where_topics_were_touched_never_goes_back(steps):
    """So it is with the index at which topics may have been touched, and it is never behind where they were."""
    topics, stops, index = Topics(), [], 1
    last, touched = dict.fromkeys("abcd", 0), dict.fromkeys("abcd", 0)
    for action, name in steps:
        if action == "touch":
            index += 1
            topics.touch([name], index)
            touched[name] = index
        elif action == "watch":
            stops.append(topics.watch([name], lambda: None))
        elif action == "stop" and stops:
            stops.pop()()
        elif action.startswith("forget"):
            topics.forget(lambda each: action.endswith("a") and each == "a")  # noqa: B023 - called at once
        for each in last:
            now = topics.touched_index([each])
            assert max(touched[each], last[each]) <= now <= index
            last[each] = now


def test_topics_of_one_kind_say_nothing_of_others():
    """What was dropped counts for topics of its kind alone, and is no touch that anybody remembers."""
    topics = Topics()
    topics.touch(["config/service-defaults/a"], 5)
    topics.watch(["config/service-defaults/b"], lambda: None)
    topics.forget(lambda _: False)
    assert topics.touched_index(["config/service-defaults/a"]) == 5
    assert topics.touched_index(["config/service-defaults/b"]) == 5
    assert topics.touched_index(["service/a", "services"]) == 0
    assert not topics.is_touched("config/service-defaults/a")


def test_no_topics_have_no_index():
    """Asking for the index of no topic at all is a mistake of the program."""
    with pytest.raises(ValueError):
        Topics().index([])

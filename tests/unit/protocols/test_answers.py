"""Encoded answers, and waiting for them, over topics that the test holds in its hand."""

import asyncio
import gzip

import pytest

from regista.model import Overloaded
from regista.protocols.http import Answers, View

LONG_S = 3600.0
"""Longer than a test may take: who waits so long must be woken."""


class FakeTopics:
    """Topics with an index each; whoever holds it says when what changed."""

    def __init__(self):
        self.indexes = {}
        self.versions = {}
        self.watchers = {}
        self._tickets = 0
        self._last_version = 0

    def index(self, names):
        return max(self.indexes.get(name, 1) for name in names)

    def touched_index(self, names):
        return max(self.indexes.get(name, 0) for name in names)

    def version(self, names):
        return tuple(self.versions.get(name, 0) for name in names)

    def has_all(self, names):
        return all(name in self.versions for name in names)

    def watch(self, names, wake_up):
        self._tickets += 1
        ticket = self._tickets
        self.watchers[ticket] = (names, wake_up)
        return lambda: self.watchers.pop(ticket, None)

    def change(self, *names, index):
        """A transaction touches these topics."""
        for name in names:
            self.indexes[name] = index
            self.refresh(name)
        for watched, wake_up in list(self.watchers.values()):
            if set(watched) & set(names):
                wake_up()

    def refresh(self, name):
        """Something changes for which nobody is woken."""
        self._last_version += 1
        self.versions[name] = self._last_version


class Room:
    """Answers over fake topics, and what they are made of."""

    def __init__(self, **limits):
        self.topics = FakeTopics()
        limits = {"bytes_max": 1_000_000, "revisions_max": 100, "waiting_max": 2000} | limits
        self.answers = Answers(self.topics, waiting_setting="http.waiting_max", **limits)
        self.bodies = {}
        self.encoded = 0

    def view(self, key="web", topics=("service/web",), quiet_topics=()):
        def encode():
            self.encoded += 1
            return self.bodies.get(key, b"[]")

        return View(key=key, topics=topics + quiet_topics, encode=encode, quiet_topics=quiet_topics)

    def wait(self, *, after_index, view=None, wait_s=LONG_S):
        return asyncio.ensure_future(
            self.answers.wait(view or self.view(), after_index=after_index, wait_s=wait_s)
        )

    def change(self, body, *, index, key="web", topic="service/web"):
        self.bodies[key] = body
        self.topics.change(topic, index=index)


@pytest.fixture
def room():
    return Room()


async def settle():
    """Lets everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


# ---- answers ----


def test_an_answer_is_encoded_once_for_all_who_ask(room):
    """As long as its topics stay, the same bytes are given out again."""
    first = room.answers.get(room.view())
    assert all(room.answers.get(room.view()) is first for _ in range(10))
    assert room.encoded == 1


def test_a_change_of_another_topic_leaves_an_answer_alone(room):
    """What an answer does not depend on does not have it encoded again."""
    first = room.answers.get(room.view())
    room.topics.change("service/api", index=5)
    assert room.answers.get(room.view()) is first


def test_an_answer_is_never_staler_than_its_topics(room):
    """A change of a topic, with an index or without, is in the next answer."""
    room.answers.get(room.view())
    room.bodies["web"] = b"[1]"
    room.topics.refresh("service/web")
    assert room.answers.get(room.view()).body == b"[1]"
    room.change(b"[2]", index=5)
    answer = room.answers.get(room.view())
    assert (answer.body, answer.index) == (b"[2]", 5)


def test_the_index_moves_with_the_bytes_only(room):
    """A change of the topic that leaves the bytes as they were leaves the index; the next one that doesn't moves it."""
    room.change(b"[1]", index=5)
    assert room.answers.get(room.view()).index == 5
    room.topics.change("service/web", index=6)
    assert room.answers.get(room.view()).index == 5
    room.change(b"[2]", index=7)
    assert room.answers.get(room.view()).index == 7


def test_a_quiet_topic_counts_once_it_was_touched(room):
    """Until anything stands behind it, it leaves the index alone; then a change of it is one as any other."""
    room.topics.indexes["service/web"] = 3
    view = room.view(quiet_topics=("config/web",))
    room.topics.index = lambda names: max(room.topics.indexes.get(name, 1000) for name in names)
    assert room.answers.get(view).index == 3, "absent topics are told a higher index"
    room.topics.change("config/web", index=7)
    assert room.answers.get(view).index == 3, "the bytes are the same"
    room.change(b"[1]", index=9, topic="config/web")
    assert room.answers.get(view).index == 9


async def test_a_quiet_topic_wakes_who_waits(room):
    """Who waits for an answer is told when a quiet topic changes its bytes."""
    view = room.view(quiet_topics=("config/web",))
    waiting = room.wait(after_index=room.answers.get(view).index, view=view)
    await settle()
    room.change(b"[1]", index=9, topic="config/web")
    assert (await waiting).body == b"[1]"


def test_two_questions_on_one_topic_have_an_index_each(room):
    """Each view has the index of its own last change of bytes."""
    passing = room.view("web?passing")
    room.change(b"[1]", index=5)
    room.bodies["web?passing"] = b"[]"
    assert [room.answers.get(view).index for view in (room.view(), passing)] == [5, 5]
    room.change(b"[2]", index=6)
    assert [room.answers.get(view).index for view in (room.view(), passing)] == [6, 5]


def test_the_index_is_known_after_the_bytes_were_dropped():
    """An answer whose bytes had to go for want of memory keeps its index while its bytes are encoded as before."""
    room = Room(bytes_max=0)
    room.change(b"[1]", index=5)
    room.answers.get(room.view())
    room.topics.change("service/web", index=9)
    assert room.answers.get(room.view()).index == 5
    assert room.encoded == 2, "nothing is kept"


def test_beyond_the_revisions_an_index_may_move_without_change():
    """Of too many views the oldest revision is forgotten; its index is then that of the topic, never a lower one."""
    room = Room(bytes_max=0, revisions_max=2)
    room.change(b"[1]", index=5)
    room.answers.get(room.view())
    for key in ("a", "b"):
        room.answers.get(room.view(key))
    room.topics.change("service/web", index=9)
    assert room.answers.get(room.view()).index == 9


def test_kept_answers_stay_within_their_memory():
    """The answers that nobody asked for longest go first, and what is left is within the limit."""
    room = Room(bytes_max=4 * (400 + 1250))
    for number in range(50):
        room.bodies[str(number)] = b"x" * 1000
        room.answers.get(room.view(str(number)))
        room.answers.get(room.view("0"))
    assert room.encoded == 50, "the one that was asked for again and again was kept"
    room.answers.get(room.view("10"))
    assert room.encoded == 51
    kept = room.answers._kept.values()
    assert sum(answer.held_bytes for answer in kept) == room.answers._kept_bytes <= 4 * 1650


def test_the_compressed_form_is_made_once(room):
    """Whoever wants gzip shares one compression, and unpacks the same bytes."""
    room.bodies["web"] = b"x" * 10_000
    answer = room.answers.get(room.view())
    assert gzip.decompress(answer.gzipped()) == answer.body
    assert answer.gzipped() is answer.gzipped()


# ---- waiting ----


async def test_a_change_wakes_a_thousand_and_encodes_once(room):
    """A thousand callers who wait for one view get the same bytes, encoded once, over one watch of the topics."""
    waiters = [room.wait(after_index=1) for _ in range(1000)]
    await settle()
    assert room.encoded == 1
    assert room.answers.waiting_count == 1000
    assert len(room.topics.watchers) == 1
    room.change(b"[1]", index=5)
    answers = await asyncio.gather(*waiters)
    assert room.encoded == 2
    assert len(set(map(id, answers))) == 1
    assert (answers[0].body, answers[0].index) == (b"[1]", 5)
    assert room.answers.waiting_count == 0
    assert room.topics.watchers == {}


async def test_what_changes_no_bytes_wakes_nobody(room):
    """Touched topics wake nobody as long as the answer stays the same, however often."""
    waiter = room.wait(after_index=1)
    await settle()
    for index in range(2, 50):
        room.topics.change("service/web", index=index)
        await settle()
    assert not waiter.done()
    room.change(b"[1]", index=50)
    assert (await waiter).index == 50


async def test_there_and_back_before_anyone_looked_wakes_nobody(room):
    """A change that is undone before the loop comes round never was, to those who wait."""
    waiter = room.wait(after_index=1)
    await settle()
    room.change(b"[1]", index=5)
    room.change(b"[]", index=6)
    await settle()
    assert not waiter.done()
    waiter.cancel()


async def test_many_batches_at_once_are_looked_at_once(room):
    """Batches that arrive together cost the waiting one encoding."""
    waiter = room.wait(after_index=1)
    await settle()
    for index in range(2, 100):
        room.change(b"[%d]" % index, index=index)
    assert (await waiter).body == b"[99]"
    assert room.encoded == 2


async def test_one_who_comes_between_change_and_look_waits_for_the_next(room):
    """A newcomer who knows the new answer already is not woken by the wake-up that is under way for the others."""
    early = room.wait(after_index=1)
    await settle()
    newcomer = room.wait(after_index=5)
    # The newcomer's turn comes first, then that of the look at what changed.
    room.change(b"[1]", index=5)
    await settle()
    assert early.done()
    assert early.result().body == b"[1]"
    assert not newcomer.done()
    room.change(b"[2]", index=6)
    assert (await newcomer).body == b"[2]"
    assert room.topics.watchers == {}


async def test_one_who_comes_late_is_answered_at_once(room):
    """Whoever knows an older index than the answer's does not wait."""
    room.change(b"[1]", index=5)
    assert (await room.answers.wait(room.view(), after_index=4, wait_s=LONG_S)).index == 5


async def test_an_index_from_the_future_waits_for_a_change_of_bytes(room):
    """A caller with another server's index is held until the answer changes, not for ever."""
    waiter = room.wait(after_index=1_000_000)
    await settle()
    assert not waiter.done()
    room.change(b"[1]", index=5)
    assert (await waiter).index == 5


async def test_time_ends_a_wait_with_the_answer_as_it_was(room):
    """When the time is up the caller gets the same answer with the same index, and is forgotten."""
    before = room.answers.get(room.view())
    assert await room.answers.wait(room.view(), after_index=1, wait_s=0.001) is before
    assert room.answers.waiting_count == 0
    assert room.topics.watchers == {}


async def test_a_caller_who_goes_away_is_forgotten(room):
    """A cancelled caller leaves no watch and no count behind, and takes nothing from the others."""
    gone, stays = room.wait(after_index=1), room.wait(after_index=1)
    await settle()
    gone.cancel()
    await settle()
    assert room.answers.waiting_count == 1
    room.change(b"[1]", index=5)
    assert (await stays).index == 5
    last = room.wait(after_index=5)
    await settle()
    last.cancel()
    await settle()
    assert room.answers.waiting_count == 0
    assert room.topics.watchers == {}
    assert room.answers._waiting == {}


async def test_a_view_of_several_topics_is_woken_by_each(room):
    """Whichever of a view's topics changes, its callers see it."""
    view = room.view("nodes", topics=("nodes", "service/web"))
    for index, topic in enumerate(view.topics, start=5):
        waiter = room.wait(after_index=index - 1, view=view)
        await settle()
        room.change(b"[%d]" % index, index=index, key="nodes", topic=topic)
        assert (await waiter).index == index


async def test_one_too_many_is_told_the_limit():
    """Past the limit a caller gets Overloaded with the numbers; a place that is freed is given again."""
    room = Room(waiting_max=2)
    waiters = [room.wait(after_index=1) for _ in range(2)]
    await settle()
    with pytest.raises(Overloaded, match=r"http\.waiting_max is reached: 2 of 2") as caught:
        await room.answers.wait(room.view(), after_index=1, wait_s=LONG_S)
    assert (caught.value.used, caught.value.most) == (2, 2)
    assert room.answers.get(room.view()).body == b"[]", "who does not wait is answered all the same"
    waiters[0].cancel()
    await settle()
    third = room.wait(after_index=1)
    await settle()
    assert room.answers.waiting_count == 2
    room.change(b"[1]", index=5)
    assert (await third).index == 5


async def test_closing_answers_everybody(room):
    """At the end all who wait get the answer as it is, and nobody waits any more."""
    waiters = [room.wait(after_index=1), room.wait(after_index=1, view=room.view("api", topics=("service/api",)))]
    await settle()
    room.answers.close()
    assert [answer.body for answer in await asyncio.gather(*waiters)] == [b"[]", b"[]"]
    late = await room.answers.wait(room.view(), after_index=1, wait_s=LONG_S)
    assert late.body == b"[]"
    assert room.topics.watchers == {}


async def test_who_waits_is_woken_after_the_bytes_were_dropped():
    """Waiting does not rest on the kept bytes: with no memory for answers, changes wake and sameness does not."""
    room = Room(bytes_max=0)
    waiter = room.wait(after_index=1)
    await settle()
    room.topics.change("service/web", index=4)
    await settle()
    assert not waiter.done()
    room.change(b"[1]", index=5)
    assert (await waiter).index == 5


async def test_a_change_undone_before_the_caller_asks_again_is_no_news(room):
    """Who knows an answer waits on, when the answer changed and changed back before the question arrived."""
    known = room.answers.get(room.view())
    for index, body in ((5, b"other"), (6, b"[]")):
        room.change(body, index=index)
        assert room.answers.get(room.view()).index == index
    waiting = room.wait(after_index=known.index)
    await settle()
    assert not waiting.done()
    room.change(b"news", index=7)
    assert (await waiting).body == b"news"


async def test_a_change_the_caller_has_not_seen_is_told_at_once(room):
    """Who knows an answer is told another one at once, also when it was the answer before that."""
    for index, body in ((4, b"old"), (5, b"known"), (6, b"old")):
        room.change(body, index=index)
        room.answers.get(room.view())
    assert (await room.wait(after_index=5)).body == b"old"


def test_an_answer_with_an_index_of_its_own_is_made_anew_until_its_topic_is_kept(room):
    """Nothing tells of changes of a topic that nobody ever watched, so nothing is kept; afterwards it is."""
    indexes = iter((3, 4, 5, 6))
    view = View("kv", ("kv/k",), room.view("kv").encode, lambda: next(indexes))
    room.bodies["kv"] = b"1"
    assert [room.answers.get(view).index for _ in range(2)] == [3, 4]
    room.topics.change("kv/k", index=5)
    assert [room.answers.get(view).index for _ in range(2)] == [5, 5]
    room.topics.change("kv/k", index=6)
    assert room.answers.get(view).index == 6, "it has moved, though the bytes are the same"
    assert room.encoded == 4


async def test_an_index_of_its_own_that_moved_is_told_at_once(room):
    """What was there and back is not known of such a view, so whoever has an older index is answered."""
    room.bodies["kv"] = b"1"
    index = 5
    view = View("kv", ("kv/k",), room.view("kv").encode, lambda: index)
    room.topics.change("kv/k", index=5)
    room.answers.get(view)
    index = 9
    room.topics.change("kv/k", index=9)
    answer = await asyncio.wait_for(room.answers.wait(view, after_index=7, wait_s=LONG_S), 1)
    assert answer.index == 9

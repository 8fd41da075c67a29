"""The response cache: what is found, what is spoiled, and who has to go when memory ends."""

import hypothesis
from hypothesis import strategies as st

from regista.protocols.http.dispatch import Head
from regista.protocols.http.lasting import Form, Lasting, Tally
from regista.protocols.http.messages import Parameters
from regista.protocols.http.responses import ResponseCache, no_responses

DATE = "Mon, 01 Jan 2024 00:00:00 GMT"
HEAD = Head("GET", "/", Parameters(), {}, lambda _: None, "", 0, False, False)


class Topics:
    """Topics in the test's hand."""

    def __init__(self):
        self.changes_count = 0
        self.versions = {}

    def version(self, names):
        return tuple(self.versions.get(name, 0) for name in names)

    def change(self, name):
        self.changes_count += 1
        self.versions[name] = self.changes_count


class Room:
    """A cache, and what it rests on."""

    def __init__(self, bytes_max=1_000_000):
        self.topics = Topics()
        self.cache = ResponseCache(self.topics, bytes_max=bytes_max)

    def keep(self, raw, *, topic="service/web", form=None, size=100, **lasting):
        form = form or form_of(size)
        kept = Lasting((topic,), self.topics.version((topic,)), **lasting)
        self.cache.keep(raw, HEAD, form, kept)
        return form


def form_of(size=100):
    return Form(DATE.encode() + b"x" * (size - len(DATE)), date=DATE, date_at=0)


def test_an_answer_is_found_until_one_of_its_topics_changes():
    """A change of another topic spoils nothing, one of its own does, and the next answer is found again."""
    room = Room()
    form = room.keep(b"a")
    assert room.cache.find(b"a").form is form
    room.topics.change("service/api")
    assert room.cache.find(b"a").form is form
    room.topics.change("service/web")
    assert room.cache.find(b"a") is None
    assert room.cache.head(b"a") is HEAD, "what the bytes mean does not change"
    new = room.keep(b"a")
    assert room.cache.find(b"a").form is new
    assert room.cache.hits_count == 3


def test_an_answer_that_speaks_of_itself_is_found_while_that_holds():
    """An answer that says it is fresh is not given while nothing can be written."""
    room = Room()
    is_steady = True
    room.keep(b"a", is_steady=lambda: is_steady)
    assert room.cache.find(b"a")
    is_steady = False
    assert room.cache.find(b"a") is None
    is_steady = True
    assert room.cache.find(b"a")


def test_what_is_given_counts_where_it_would_have_counted():
    """The tally grows with each hit and with nothing else."""
    room, tally = Room(), Tally()
    room.keep(b"a", tally=tally)
    for _ in range(3):
        room.cache.find(b"a")
    room.topics.change("service/web")
    room.cache.find(b"a")
    assert tally.count == 3


def test_heads_that_share_a_form_take_its_memory_once():
    """A thousand programs that ask the same in other words do not take a thousand answers' memory."""
    room = Room()
    form = form_of(10_000)
    for number in range(10):
        room.keep(b"%d" % number, form=form)
    assert 10_000 < room.cache.kept_bytes < 10_000 + 10 * 2_100
    for number in range(10):
        room.cache.drop(b"%d" % number)
    assert room.cache.kept_bytes == 0
    assert form.holders == 0


def test_a_flood_of_requests_takes_nothing_from_those_that_are_given_often():
    """However many heads are sent twice and never again, those that are asked between them stay."""
    room = Room(bytes_max=200_000)
    favourites = [b"hot %d" % number for number in range(10)]
    for raw in favourites:
        room.keep(raw, size=10_000)
        room.cache.find(raw)
    for number in range(5_000):
        room.keep(b"flood %d" % number, size=10_000)
        if number % 50 == 0:
            for raw in favourites:
                assert room.cache.find(raw), f"gone after {number}"
    assert room.cache.kept_bytes <= 200_000
    assert room.cache.evictions_count > 4_900


def test_yesterdays_favourites_make_room():
    """What nobody asks for any more goes, however often it was given before."""
    room = Room(bytes_max=200_000)
    for number in range(15):
        room.keep(b"old %d" % number, size=10_000)
        for _ in range(100):
            room.cache.find(b"old %d" % number)
    for number in range(200):
        room.keep(b"new %d" % number, size=10_000)
        room.cache.find(b"new %d" % number)
    assert not any(room.cache.find(b"old %d" % number) for number in range(15))


def test_what_is_too_large_is_not_kept():
    """An answer of more than half the memory is not kept, and takes the place of none but its own."""
    room = Room(bytes_max=100_000)
    room.keep(b"a")
    room.keep(b"b")
    room.keep(b"a", size=60_000)
    assert room.cache.find(b"a") is None
    assert room.cache.find(b"b")


def test_a_cache_without_memory_keeps_nothing():
    """With 0 bytes nothing is kept at all."""
    for cache in (no_responses(), Room(bytes_max=0).cache):
        cache.keep(b"a", HEAD, form_of(), Lasting(("t",), (0,)))
        assert cache.find(b"a") is None
        assert len(cache) == cache.kept_bytes == 0


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("keep", "share", "find", "drop", "change")), st.integers(0, 30), st.integers(40, 9_000)
    ),
    max_size=200,
)


@hypothesis.given(STEPS)
def test_the_memory_is_what_is_there(steps):
    """Whatever happens, the sum is that of the entries and their forms, within the limit, and no entry is lost."""
    room = Room(bytes_max=30_000)
    shared = form_of(500)
    for what, number, size in steps:
        raw = b"%d" % number
        match what:
            case "keep":
                room.keep(raw, size=size, topic=f"t{number % 3}")
            case "share":
                room.keep(raw, form=shared)
            case "find":
                room.cache.find(raw)
            case "drop":
                room.cache.drop(raw)
            case "change":
                room.topics.change(f"t{number % 3}")
        cache = room.cache
        entries = cache._entries.values()
        assert {*cache._probation, *cache._main} == {*entries}
        forms = {entry.form for entry in entries}
        assert cache.kept_bytes == sum(e.own_bytes for e in entries) + sum(len(form) for form in forms) <= 30_000
        waiting = sum(entry.own_bytes + len(entry.form) for entry in cache._probation)
        assert cache._probation_bytes == waiting
        assert shared.holders == sum(entry.form is shared for entry in entries)

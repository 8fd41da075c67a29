"""Keys on their shelf: what is found below a prefix, at which index, and who is woken."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.catalog.kv_world import IDS, World, entry

from regista.catalog import Catalog, acquire_key, delete_key, delete_keys, plan_kv, release_key, set_key
from regista.model import Batch, Delete, Entry, KvEntry, Put, Service, Snapshot

KEYS = ("a", "ab", "a/b", "a/c/d", "b")
PREFIXES = ("", "a", "a/", "none")


def filled(*names):
    world = World()
    for name in names:
        world.step(lambda draft, name=name: set_key(draft, entry(name, b"1")))
    return world


def test_names_are_cut_behind_the_first_separator():
    """Each name ends behind the first separator after the prefix, once, in the order of the keys."""
    shelf = filled("app/a", "app/sub/x", "app/sub/y", "apple", "app--x--y").catalog.kv
    assert shelf.names_below("app/", "") == ["app/a", "app/sub/x", "app/sub/y"]
    assert shelf.names_below("app/", "/") == ["app/a", "app/sub/"]
    assert shelf.names_below("app", "/") == ["app--x--y", "app/", "apple"]
    assert shelf.names_below("app", "--") == ["app--", "app/a", "app/sub/x", "app/sub/y", "apple"]
    assert shelf.names_below("app/sub/x", "/") == ["app/sub/x"]
    assert shelf.names_below("nothing", "/") == []


def test_an_absent_key_does_not_move_with_others():
    """A key that was never there keeps its index however others change; so does a prefix without keys."""
    world = filled("a/b")
    shelf = world.catalog.kv
    before = shelf.index_of("wanted"), shelf.index_below("wanted/")
    world.step(lambda draft: set_key(draft, entry("other", b"2")))
    world.step(lambda draft: delete_key(draft, "a/b"))
    assert (shelf.index_of("wanted"), shelf.index_below("wanted/")) == before
    assert shelf.index_below("") == world.catalog.index


def test_a_prefix_rises_with_a_deletion_and_does_not_fall_back():
    """After a deletion the prefix has the deletion's index, not that of the older key that is left."""
    world = filled("a/1", "a/2")
    world.step(lambda draft: delete_key(draft, "a/2"))
    assert world.catalog.kv.index_below("a/") == world.catalog.index
    assert world.catalog.kv.index_of("a/1") < world.catalog.index
    assert world.catalog.kv.index_of("a/2") == world.catalog.index


def test_forgotten_deletions_count_for_all():
    """Beyond the limit the oldest deletion is forgotten, and its index is then that of every absent key."""
    world = World(kv_deletions_max=2)
    for name in ("a", "b", "c"):
        world.step(lambda draft, name=name: set_key(draft, entry(name)))
    gone = {}
    for name in ("a", "b", "c"):
        world.step(lambda draft, name=name: delete_key(draft, name))
        gone[name] = world.catalog.index
    shelf = world.catalog.kv
    assert len(shelf._deletions) == 2
    assert [shelf.index_of(name) for name in ("a", "b", "c", "never")] == [
        gone["a"],
        gone["b"],
        gone["c"],
        gone["a"],
    ]


def test_writing_what_is_there_changes_nothing():
    """The same value and flags again make no transaction."""
    world = filled("a")
    _, transaction = plan_kv(world.catalog, lambda draft: set_key(draft, entry("a", b"1")))
    assert transaction.changes == ()


def test_only_topics_that_are_watched_are_kept():
    """A hundred keys that nobody waits for leave no topics behind; a watched one is woken with its prefix."""
    catalog, woken = Catalog(), []
    names = [catalog.kv.key_topic("k/1"), catalog.kv.prefix_topic("k/"), catalog.kv.prefix_topic("k/10")]
    for name in names:
        catalog.topics.watch([name], lambda name=name: woken.append(name))
    for number in range(100):
        catalog.apply(Batch(number + 1, 0.0, (Put(KvEntry(key=f"k/{number}")),)))
    assert len(catalog.topics) == 3
    assert woken.count("kv/k/1") == 1
    assert woken.count("kv-prefix/k/") == 100
    assert woken.count("kv-prefix/k/10") == 1


wishes = st.lists(
    st.lists(st.tuples(st.booleans(), st.sampled_from(KEYS), st.binary(max_size=1)), min_size=1, max_size=3),
    max_size=14,
)


def _batches(wishes):
    """Batches as plans make them, among others that have nothing to do with keys."""
    held, batches = {}, []
    for wish in wishes:
        changes = {}
        for is_put, key, value in wish:
            if key in changes or (key not in held and not is_put):
                continue
            changes[key] = Put(KvEntry(key=key, value=value), held.get(key)) if is_put else Delete(held[key])
        for key, change in changes.items():
            held.pop(key, None)
            if isinstance(change, Put):
                held[key] = change.record
        index = len(batches) + 1
        batches.append(Batch(index, 0.0, tuple(changes.values()) or (Put(Service(node="n", id="i", name="s")),)))
    return batches


@given(wishes, st.data(), st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_a_restart_finds_the_same_and_lets_no_index_go_back(wishes, data, deletions_max):
    """A replica loaded at any point, with any part of the log, shows the same keys and no smaller index."""
    batches = _batches(wishes)
    at = data.draw(st.integers(0, len(batches)), label="restart after")
    floor_index = data.draw(st.integers(0, at), label="log kept after")
    running, held = Catalog(kv_deletions_max=deletions_max), {}
    for batch in batches[:at]:
        running.apply(batch)
        for change in batch.changes:
            key = (change.record.kind, change.record.key)
            before = held.pop(key, None)
            if isinstance(change, Put):
                held[key] = Entry(change.record, before.create_index if before else batch.index, batch.index)
    restarted = Catalog(kv_deletions_max=deletions_max)
    recent = [batch for batch in batches[:at] if batch.index > floor_index]
    restarted.load(Snapshot(at, floor_index, list(held.values()), recent))
    for batch in [None, *batches[at:]]:
        if batch is not None:
            running.apply(batch)
            restarted.apply(batch)
        for prefix in PREFIXES:
            assert restarted.kv.below(prefix) == running.kv.below(prefix)
            assert restarted.kv.index_below(prefix) >= running.kv.index_below(prefix)
        for key in KEYS:
            assert restarted.kv.index_of(key) >= running.kv.index_of(key)
        assert restarted.kv.index_below("") <= max(1, restarted.index)


# ---- locks ----


def test_a_lock_counts_up_and_a_plain_write_begins_anew():
    """Each fresh lock is one more; locking again is not; a plain write keeps the holder and zeroes the count."""
    world = World()
    one, two = world.session(0), world.session(1)
    assert world.step(lambda draft: acquire_key(draft, entry("k", b"1", session=one), world.delays))
    assert not world.step(lambda draft: acquire_key(draft, entry("k", b"2", session=two), world.delays))
    assert world.step(lambda draft: acquire_key(draft, entry("k", b"3", session=one), world.delays))
    assert (world.record("k").value, world.record("k").lock_index) == (b"3", 1)
    assert not world.step(lambda draft: release_key(draft, entry("k", session=two)))
    assert world.step(lambda draft: release_key(draft, entry("k", session=one)))
    assert world.record("k") == KvEntry(key="k", lock_index=1)
    assert world.step(lambda draft: acquire_key(draft, entry("k", session=two), world.delays))
    assert (world.record("k").session, world.record("k").lock_index) == (two, 2)
    assert world.step(lambda draft: set_key(draft, entry("k", b"4")))
    assert (world.record("k").session, world.record("k").lock_index) == (two, 0)


def test_a_large_deletion_is_logged_without_values():
    """Deleting many megabytes at once does not write them all into one row of the log; a small one is whole."""
    world = World()
    for number in range(5):
        world.step(lambda draft, number=number: set_key(draft, entry(f"big/{number}", bytes(4 * 1024 * 1024))))
    world.step(lambda draft: set_key(draft, entry("small", b"x")))
    _, small = plan_kv(world.catalog, lambda draft: delete_keys(draft, "small"))
    assert small.changes[0].record.value == b"x"
    _, large = plan_kv(world.catalog, lambda draft: delete_keys(draft, ""))
    assert len(large.changes) == 6
    assert {change.record.value for change in large.changes} == {b""}


def test_ids_are_taken_in_any_case():
    """An id that its caller writes in capitals is the same session."""
    world = World()
    session = world.session(0)
    assert session == IDS[0]
    assert world.step(lambda draft: acquire_key(draft, entry("k", session=session.upper()), world.delays))
    assert world.record("k").session == session

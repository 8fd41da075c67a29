"""The way back to an earlier replica."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.strategies import batch_lists

from regista.catalog import Catalog, Registration, Rewind, register_check, register_service
from regista.model import Batch, Check, Compacted, Delete, Entry, Node, Put, Service


def as_written(batches):
    """The batches with what plans note of the entries that they found."""
    held = {}
    written = []
    for batch in batches:
        changes = []
        for change in batch.changes:
            key = (change.record.kind, change.record.key)
            was = held.pop(key, None)
            if isinstance(change, Delete):
                changes.append(Delete(was.record, was.create_index, was.modify_index))
                continue
            created = was.create_index if was else batch.index
            held[key] = Entry(change.record, created, batch.index)
            of_was = (was.record, was.create_index, was.modify_index) if was else ()
            changes.append(Put(change.record, *of_was))
        written.append(Batch(batch.index, batch.at_s, tuple(changes)))
    return written


def applied(batches):
    catalog = Catalog()
    for batch in batches:
        catalog.apply(batch)
    return catalog


def entries(catalog):
    return {(entry.record.kind, entry.record.key): entry for entry in catalog.entries()}


@given(batch_lists, st.data())
def test_the_past_is_what_it_was(batches, data):
    """Going back to any index gives the entries, indexes included, that a replica had there."""
    batches = as_written(batches)
    index = data.draw(st.integers(0, len(batches)))
    now = applied(batches)
    rewind = Rewind(index)
    for batch in batches[index:]:
        rewind.note(batch)
    past = rewind.replica(now.entries())
    assert past.index == index
    assert entries(past) == entries(applied(batches[:index]))
    assert now.index == len(batches), "the present is left as it is"


def test_plans_note_what_they_found():
    """Through real plans too, a renewed instance is there in the past with the index that created it."""
    catalog = Catalog()
    batches = []

    def write(transaction):
        batches.append(Batch(catalog.index + 1, 0.0, transaction.changes))
        catalog.apply(batches[-1])

    web = Service(node="n", id="a", name="web")
    write(register_service(catalog, Registration(web, new_incarnation="i"), now_s=0.0))
    write(register_check(catalog, Check(node="n", id="c", name="c", service_id="a")))
    write(register_check(catalog, Check(node="n", id="d", name="d", service_id="a")))
    rewind = Rewind(2)
    rewind.note(batches[2])
    past = rewind.replica(catalog.entries())
    assert past.services["n/a"].create_index == 1
    assert past.services["n/a"].modify_index == 2
    assert set(past.checks) == {"n/c"}


@pytest.mark.parametrize(
    "changes",
    [(Delete(Node(name="n")),), (Put(Node(name="n", id="2"), Node(name="n")),)],
)
def test_what_does_not_say_ends_the_past(changes):
    """A row that an earlier version wrote does not tell the indexes; before it there is no past."""
    with pytest.raises(Compacted) as caught:
        Rewind(3).note(Batch(7, 0.0, changes))
    assert caught.value.floor_index == 7


def test_an_old_row_that_only_renewed_is_no_beginning():
    """A put that says of nothing what it replaced is no creation where the record is older than that."""
    node = Node(name="n")
    rewind = Rewind(3)
    rewind.note(Batch(7, 0.0, (Put(node),)))
    with pytest.raises(Compacted):
        rewind.replica([Entry(node, 2, 7)])
    with pytest.raises(Compacted):
        rewind.note(Batch(9, 0.0, (Delete(node, 2, 7),)))

"""Restoring: the saved state and nothing else, but for the server's own records."""

from hypothesis import given, settings
from tests.strategies import batch_lists

from regista.catalog import Catalog, restore
from regista.model import Batch, Check, Node, Put, Service

OWN = (
    Node(name="n1", id="1", manager="server"),
    Service(node="n1", id="consul", name="consul", port=8300, manager="server"),
    Check(node="n1", id="serfHealth", name="Serf Health Status", status="passing", manager="server"),
)


def catalog_with(*records):
    catalog = Catalog()
    catalog.apply(Batch(1, 1000.0, tuple(Put(record) for record in records)))
    return catalog


def records_of(catalog):
    return {(entry.record.kind, entry.record.key): entry.record for entry in catalog.all_entries()}


def apply(catalog, transaction):
    if transaction.changes:
        catalog.apply(Batch(catalog.index + 1, 1001.0, transaction.changes))


@given(batch_lists, batch_lists)
@settings(max_examples=50, deadline=None)
def test_whatever_was_saved_is_there_again_and_nothing_else(saved_batches, present_batches):
    """Any state can be put in the place of any other; what a server wrote of itself aside."""
    saved, present = Catalog(), Catalog()
    for catalog, batches in ((saved, saved_batches), (present, present_batches)):
        for batch in batches:
            catalog.apply(batch)
    wanted = {
        key: record for key, record in records_of(saved).items() if getattr(record, "manager", "") != "server"
    }
    kept = {key for key, record in records_of(present).items() if getattr(record, "manager", "") == "server"}
    apply(present, restore(present, list(wanted.values()), own_node="no such node"))
    found = records_of(present)
    assert {key: record for key, record in found.items() if key not in kept} == {
        key: record for key, record in wanted.items() if key not in kept
    }
    assert kept <= set(found)
    assert not restore(present, list(wanted.values()), own_node="no such node").changes


def test_the_servers_own_records_stay_as_they_are():
    """A snapshot of the same server, made when it listened elsewhere, does not bring its old port back."""
    catalog = catalog_with(*OWN)
    old = (
        Node(name="n1", id="1", address="10.0.0.1", manager="server"),
        Service(node="n1", id="consul", name="consul", port=1, manager="server"),
    )
    apply(
        catalog, restore(catalog, (*old, Service(node="n1", id="w", name="web", manager="agent")), own_node="N1")
    )
    assert catalog.services["n1/consul"].record.port == 8300
    assert catalog.nodes["n1"].record.address == ""
    assert "n1/w" in catalog.services


def test_of_another_server_only_the_node_comes():
    """What nobody would keep right is left out; its node can be deregistered, and keeps its services."""
    catalog = catalog_with(*OWN)
    other = (
        Node(name="n2", id="2", manager="server"),
        Service(node="n2", id="consul", name="consul", manager="server"),
        Check(node="n2", id="serfHealth", name="Serf Health Status", status="passing", manager="server"),
        Service(node="n2", id="w", name="web", manager="agent"),
    )
    apply(catalog, restore(catalog, other, own_node="n1"))
    assert set(catalog.services) == {"n1/consul", "n2/w"}
    assert set(catalog.checks) == {"n1/serfhealth"}
    assert catalog.nodes["n2"].record.manager == "catalog"


def test_what_is_as_it_was_saved_is_not_written():
    """A record that has not changed keeps its indexes."""
    catalog = catalog_with(*OWN, Node(name="e"), Node(name="f"))
    transaction = restore(catalog, [Node(name="e")], own_node="n1")
    assert [change.record.key for change in transaction.changes] == ["f"]

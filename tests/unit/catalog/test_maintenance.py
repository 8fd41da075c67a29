"""Maintenance of instances and nodes."""

import pytest

from regista.catalog import Catalog, is_maintenance, set_node_maintenance, set_service_maintenance
from regista.model import Batch, NotFound, Put, Service


def catalog_with_web():
    catalog = Catalog()
    catalog.apply(Batch(1, 0.0, (Put(Service(node="n1", id="W", name="web", tags=("a",), manager="agent")),)))
    return catalog


def commit(catalog, transaction):
    catalog.apply(Batch(catalog.index + 1, 0.0, transaction.changes))


def test_maintenance_is_a_critical_check_with_the_first_reason():
    """It begins once, whoever asks again; it ends once, and ending what has not begun changes nothing."""
    catalog = catalog_with_web()
    commit(catalog, set_service_maintenance(catalog, "n1", "w", is_enabled=True, reason="mended"))
    check = catalog.checks["n1/_service_maintenance:w"].record
    assert (check.id, check.status, check.notes, check.service_name) == (
        "_service_maintenance:W",
        "critical",
        "mended",
        "web",
    )
    assert is_maintenance(check)
    again = set_service_maintenance(catalog, "n1", "W", is_enabled=True, reason="other")
    assert not again.changes
    commit(catalog, set_service_maintenance(catalog, "n1", "W", is_enabled=False, reason=""))
    assert not catalog.checks
    assert not set_service_maintenance(catalog, "n1", "W", is_enabled=False, reason="").changes


def test_a_node_is_taken_out_with_a_check_of_its_own():
    """Without a reason the check says that none was given."""
    catalog = catalog_with_web()
    commit(catalog, set_node_maintenance(catalog, "n1", is_enabled=True, reason=""))
    check = catalog.checks["n1/_node_maintenance"].record
    assert check.notes.startswith("Maintenance mode is enabled for this node")
    assert check.service_id == ""


@pytest.mark.parametrize("is_enabled", [True, False])
def test_an_instance_that_is_not_there_cannot_be_maintained(is_enabled):
    """Neither way."""
    with pytest.raises(NotFound, match='No service registered with ID "none"'):
        set_service_maintenance(catalog_with_web(), "n1", "none", is_enabled=is_enabled, reason="")

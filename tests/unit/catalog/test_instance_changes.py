"""Which instances of a service may look different than at the last look."""

import pytest

from regista.catalog import Catalog
from regista.catalog.instance_changes import _KEYS_MAX
from regista.model import Batch, Check, Delete, Node, Put, Service

WEB = Service(node="n1", id="w", name="Web")
API = Service(node="n1", id="a", name="api")


@pytest.fixture
def catalog():
    catalog = Catalog()
    apply(catalog, Put(Node(name="n1")), Put(WEB), Put(API))
    catalog.instance_changes.follow("web")
    return catalog


def apply(catalog, *changes):
    catalog.apply(Batch(catalog.index + 1, 0.0, changes))


def taken(catalog):
    return catalog.instance_changes.take("web")


def test_nothing_changed_is_an_empty_set(catalog):
    """Without a change, and for changes of other services, there is nothing to look at."""
    assert taken(catalog) == set()
    apply(catalog, Put(API), Put(Check(node="n1", id="c", name="c", service_id="a", service_name="api")))
    assert taken(catalog) == set()


@pytest.mark.parametrize(
    "record",
    [
        WEB,
        Check(node="n1", id="c", name="c", service_id="w", service_name="Web"),
        Check(node="n1", id="c", name="c", service_id="w", service_name="what it was called before"),
        Check(node="N1", id="serfHealth", name="c"),
        Node(name="N1"),
    ],
)
def test_what_an_instance_shows_is_its_change(catalog, record):
    """The instance itself, its checks, its node and the node's own checks: written or deleted, told once."""
    apply(catalog, Put(record))
    assert taken(catalog) == {"n1/w"}
    assert taken(catalog) == set()
    apply(catalog, Delete(record))
    assert taken(catalog) == {"n1/w"}


def test_a_new_name_is_a_change_of_both_services(catalog):
    """An instance that goes to another service is told by the old one too."""
    apply(catalog, Put(Service(node="n1", id="w", name="other"), replaces=WEB))
    assert taken(catalog) == {"n1/w"}


def test_output_is_a_change(catalog):
    """New output without a transaction is told."""
    check = Check(node="n1", id="c", name="c", service_id="w", service_name="Web")
    apply(catalog, Put(check))
    taken(catalog)
    catalog.set_output(check.key, "new")
    assert taken(catalog) == {"n1/w"}


def test_more_than_can_be_remembered_is_everything(catalog):
    """Who does not look while thousands come and go has to look at all of them."""
    for number in range(_KEYS_MAX + 1):
        apply(catalog, Put(Service(node="n1", id=f"w{number}", name="web")))
    assert taken(catalog) is None
    assert taken(catalog) == set()


def test_what_is_followed_no_more_takes_no_memory(catalog):
    """After `forget` no change is noted."""
    catalog.instance_changes.forget("web")
    apply(catalog, Put(WEB))
    assert not catalog.instance_changes.followed

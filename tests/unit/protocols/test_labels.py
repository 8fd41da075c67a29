"""The headers of an answer about health that tell what is odd."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.catalog import Catalog, DegradedFinding, Lookup, find_instances
from regista.model import Batch, Check, Put, Service
from regista.protocols.consul.labels import check_headers, degraded_headers, has_marks, instance_headers
from regista.protocols.http import Response
from regista.protocols.http.wire import encode_response

HEADER_BYTES_MAX = 4096


def catalog_of(*records) -> Catalog:
    catalog = Catalog()
    catalog.apply(Batch(1, 0.0, tuple(Put(record) for record in records)))
    return catalog


def web(number, node="n1"):
    return Service(node=node, id=f"web-{number}", name="web")


def check(number, node="n1"):
    return Check(node=node, id=f"c-{number}", name="c", service_id=f"web-{number}", service_name="web")


def headers_of(catalog):
    return dict(instance_headers(catalog, find_instances(catalog, Lookup("web"))))


def test_without_marks_there_are_no_headers():
    """Nothing is odd, so nothing is said."""
    catalog = catalog_of(web(1), check(1))
    assert not has_marks(catalog)
    assert headers_of(catalog) == {}
    assert check_headers(catalog, catalog.checks.values()) == ()
    assert degraded_headers(()) == ()


def test_marked_checks_and_instances_are_named():
    """Flapping checks are named with their node, a node's own once for all its instances; suspects are counted."""
    of_node = Check(node="n1", id="load", name="load")
    catalog = catalog_of(web(1), web(2), web(3, "n2"), of_node, check(1), check(2), check(3, "n2"))
    for marked in (of_node, check(1)):
        catalog.set_mark("flapping", marked, "it changes too often")
    for marked in (web(1), web(3, "n2")):
        catalog.set_mark("suspect", marked, "it is silent")
    assert has_marks(catalog)
    assert headers_of(catalog) == {
        "X-Regista-Flapping": "n1/load, n1/c-1",
        "X-Regista-Suspects": "2; n1/web-1, n2/web-3",
    }
    assert check_headers(catalog, catalog.checks.values()) == (("X-Regista-Flapping", "n1/load, n1/c-1"),)


def test_only_what_is_asked_about_is_told():
    """Marks of other services' instances and checks are not in the answer."""
    other = Service(node="n1", id="api-1", name="api")
    catalog = catalog_of(web(1), other)
    catalog.set_mark("suspect", other, "it is silent")
    assert has_marks(catalog)
    assert headers_of(catalog) == {}


def test_many_are_counted_and_ten_are_named():
    """A thousand flapping checks make no longer header than eleven."""
    catalog = catalog_of(*(web(number) for number in range(1000)), *(check(number) for number in range(1000)))
    for number in range(1000):
        catalog.set_mark("flapping", check(number), "it changes too often")
        catalog.set_mark("suspect", web(number), "it is silent")
    headers = headers_of(catalog)
    assert headers["X-Regista-Flapping"].endswith("n1/c-106, and 990 more")
    assert headers["X-Regista-Flapping"].count("n1/") == 10
    assert headers["X-Regista-Suspects"].startswith("1000; n1/web-0, ")
    assert headers["X-Regista-Suspects"].count("n1/") == 10


@given(st.lists(st.tuples(st.text(max_size=600), st.text(max_size=600)), min_size=1, max_size=12, unique=True))
def test_no_name_breaks_a_header(names):
    """Whatever nodes and checks are called, the response can be sent, and the header is of bounded length."""
    services = [Service(node=node, id=check_id, name="web") for node, check_id in names]
    checks = [
        Check(node=node, id=check_id, name="c", service_id=check_id, service_name="web")
        for node, check_id in names
    ]
    catalog = catalog_of(*services, *checks)
    for service, each in zip(services, checks, strict=True):
        catalog.set_mark("suspect", service, "it is silent")
        catalog.set_mark("flapping", each, "it changes too often")
    headers = (*headers_of(catalog).items(), *degraded_headers([DegradedFinding(fallback=names[0][0] or "x")]))
    sent = encode_response(Response(headers=headers), accepts_gzip=False, is_head=False, date="now")
    assert sent.isascii()
    assert all(len(value) <= HEADER_BYTES_MAX for name, value in headers if name != "X-Regista-Degraded")


@pytest.mark.parametrize("mark", ["flapping", "suspect"])
def test_a_mark_that_is_taken_back_is_told_no_more(mark):
    """Whoever sets a mark takes it back, and the header goes with it."""
    catalog = catalog_of(web(1), check(1))
    record = check(1) if mark == "flapping" else web(1)
    catalog.set_mark(mark, record, "odd")
    assert headers_of(catalog)
    catalog.set_mark(mark, record, "")
    assert headers_of(catalog) == {}

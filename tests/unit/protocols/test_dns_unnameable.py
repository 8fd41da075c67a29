"""Warnings about names that DNS can't express."""

import logging

from tests.dns_zone import put

from regista.catalog import Catalog
from regista.model import Node, Service
from regista.protocols.dns import NameWarnings


def warned(caplog):
    found = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    caplog.clear()
    return found


def service(name, number=1):
    return Service(node="n1", id=f"{name}-{number}", name=name)


def test_a_name_that_can_not_be_asked_for_is_warned_of_once(caplog):
    """The warning names it and the rule; names that can be asked for have none."""
    catalog = Catalog()
    put(catalog, Node(name="there before"))
    NameWarnings(catalog)
    (found,) = warned(caplog)
    assert found.startswith(
        "node 'there before' can't be found over DNS: a node's name there has 1 to 63 characters"
    )
    put(catalog, Node(name="n1"), Node(name="n.1_x"), service("web"), service("web_1"), service("Web-2"))
    assert warned(caplog) == []
    names = ("bad name.with dot", "d.o.t", "ä", "x" * 64, "two\nlines")
    for number in range(3):
        put(catalog, *(service(name, number) for name in names))
    found = warned(caplog)
    assert [each.partition(" can't")[0] for each in found] == [
        f"service {shown}"
        for shown in ("'bad name.with dot'", "'d.o.t'", r"'\xe4'", f"'{'x' * 64}'", r"'two\nlines'")
    ]
    rule = "a service's name there has 1 to 63 characters of printable ASCII, no space and no dot"
    assert {each.rpartition(": ")[2] for each in found} == {rule}
    for name in ("a..b", "x" * 64 + ".b", "a b.c"):
        put(catalog, Node(name=name))
        assert len(warned(caplog)) == 1


def test_warnings_are_bounded(caplog):
    """Of thousands of such names a thousand are told, and then that no more are; a long one is cut."""
    catalog = Catalog()
    NameWarnings(catalog)
    put(catalog, service("x." * 5000))
    assert len(warned(caplog)[0]) < 300
    put(catalog, *(service(f"a.{number}") for number in range(1500)))
    found = warned(caplog)
    assert len(found) == 1000
    assert found[-1] == "of further names that can't be found over DNS nothing is said"
    put(catalog, service("b.c"))
    assert warned(caplog) == []

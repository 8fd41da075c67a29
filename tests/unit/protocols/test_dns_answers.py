"""What there is to say to names and types."""

import collections
import random

import dns.message
import dns.rcode
import pytest
from tests.dns_zone import delete, put, resolver

from regista.catalog import Catalog
from regista.model import Check, Node, PreparedQuery, Service, Weights
from regista.model import QueryName as NameOfQuery
from regista.protocols.dns import Names

QUERY_ID = "8f246b77-f3e1-ff88-5b48-8ec93abf3e05"
WIDE = Names(
    domains=(("consul",), ("corp", "example")), datacenter="dc1", suffixes={("svc", "cluster", "local"): "ignored"}
)


def catalog_of(*records):
    catalog = Catalog()
    put(catalog, Node(name="n1", address="10.0.0.1", meta={"k": "v"}), *records)
    return catalog


def ask(asked, name, qtype="A"):
    data = dns.message.make_query(name, qtype).to_wire()
    return dns.message.from_wire(asked.answer(data, "127.0.0.1"), one_rr_per_rrset=True)


def service(name, number, address, **fields):
    return Service(node="n1", id=f"{name}-{number}", name=name, address=address, **fields)


# ---- weights ----


@pytest.mark.parametrize("heavy", [1, 5])
def test_an_address_has_the_weight_of_all_instances_behind_it(heavy):
    """Nine instances at one address come first nine times as often as one at another (chi-squared, 1 in 10,000)."""
    shared = [service("web", each, "10.5.5.1", port=each) for each in range(9)]
    single = [service("web", 9, "10.5.5.2", port=9, weights=Weights(passing=heavy))]
    other = [service("web", 10, "fd00::1", port=9, weights=Weights(passing=100))]
    asked = resolver(catalog_of(*shared, *single, *other), rng=random.Random(5))
    total = 10_000
    firsts = collections.Counter(ask(asked, "web.service.consul.").answer[0][0].address for _ in range(total))
    expected = {"10.5.5.1": total * 9 / (9 + heavy), "10.5.5.2": total * heavy / (9 + heavy)}
    assert set(firsts) == set(expected)
    assert sum((firsts[key] - value) ** 2 / value for key, value in expected.items()) < 15.2  # 1 degree of freedom


# ---- names that have no record and are there ----


@pytest.mark.parametrize(
    ("name", "rcode"),
    [
        ("consul.", "NOERROR"),
        ("service.consul.", "NOERROR"),
        ("node.dc1.consul.", "NOERROR"),
        ("_tcp.consul.", "NOERROR"),
        ("_tcp.service.consul.", "NOERROR"),
        ("_v1.service.consul.", "NOERROR"),
        ("_web._tcp.consul.", "NOERROR"),
        ("_none._tcp.consul.", "NXDOMAIN"),
        ("_sick._tcp.consul.", "NXDOMAIN"),
        ("b.web.service.consul.", "NOERROR"),
        ("B.Web.service.consul.", "NOERROR"),
        ("a.web.service.consul.", "NXDOMAIN"),
        ("xb.web.service.consul.", "NXDOMAIN"),
        ("b.none.service.consul.", "NXDOMAIN"),
        ("example.node.consul.", "NOERROR"),
        ("corp.example.node.consul.", "NOERROR"),
        ("example.org.node.consul.", "NXDOMAIN"),
        ("host.node.consul.", "NXDOMAIN"),
        ("wide.query.consul.", "NOERROR"),
        ("far.query.consul.", "NXDOMAIN"),
        ("nonsense.consul.", "NXDOMAIN"),
        ("dc2.consul.", "NXDOMAIN"),
    ],
)
def test_a_name_that_others_end_with_is_there(name, rcode):
    """It has no records, and is not said to be missing: else all that ends so would be taken for missing too."""
    catalog = catalog_of(
        Node(name="host.corp.example", address="10.0.0.2"),
        service("web", 1, "10.0.1.1", tags=("a.b", "v1")),
        service("sick", 1, "10.0.1.1"),
        Check(node="n1", id="c", name="c", status="critical", service_id="sick-1"),
        PreparedQuery(id=QUERY_ID, name="far.wide", service="web"),
        NameOfQuery(name="far.wide", query=QUERY_ID),
    )
    found = ask(resolver(catalog), name)
    assert (dns.rcode.to_text(found.rcode()), found.answer) == (rcode, [])
    assert [each.name.to_text() for each in found.authority] == ["consul."]


def test_what_ends_with_a_name_is_followed():
    """As nodes and queries come and go, so do the names in between, at once."""
    catalog = Catalog()
    asked = resolver(catalog)

    def rcodes():
        found = [ask(asked, name).rcode() for name in ("b.node.consul.", "b.query.consul.") for _ in range(3)]
        return [dns.rcode.to_text(each) for each in found]

    assert set(rcodes()) == {"NXDOMAIN"}
    before = None
    for name in ("a.b", "c.b"):
        query = PreparedQuery(id=QUERY_ID, name=name)
        put(catalog, query, replaces=before)
        put(catalog, Node(name=name), NameOfQuery(name=name, query=QUERY_ID))
        before = query
        assert set(rcodes()) == {"NOERROR"}
    put(catalog, Node(name="a.b", address="10.0.0.1"))
    for name in ("a.b", "c.b"):
        assert set(rcodes()[:3]) == {"NOERROR"}
        delete(catalog, Node(name=name))
    assert set(rcodes()[:3]) == {"NXDOMAIN"}
    put(catalog, PreparedQuery(id=QUERY_ID, name="other"), replaces=before)
    delete(catalog, NameOfQuery(name="c.b", query=QUERY_ID), NameOfQuery(name="a.b", query=QUERY_ID))
    assert set(rcodes()) == {"NXDOMAIN"}


def test_what_ends_with_a_tag_is_followed():
    """As tags change, so do the names in between, at once."""
    catalog = catalog_of()
    asked = resolver(catalog)
    for tags, rcode in (((), "NXDOMAIN"), (("a.B",), "NOERROR"), (("b",), "NOERROR"), (("a.c",), "NXDOMAIN")):
        put(catalog, service("web", 1, "10.0.1.1", tags=tags))
        for _ in range(3):
            found = ask(asked, "b.web.service.consul.")
            assert dns.rcode.to_text(found.rcode()) == rcode
            assert len(found.answer) == (tags == ("b",))


# ---- nothing of the type ----


@pytest.mark.parametrize(
    ("name", "qtype"),
    [
        ("n1.node.consul.", "AAAA"),
        ("n1.node.consul.", "SRV"),
        ("bare.node.consul.", "TXT"),
        ("0a000001.addr.consul.", "AAAA"),
        ("0a000001.addr.consul.", "SRV"),
        ("web.service.consul.", "AAAA"),
        ("web.service.consul.", "MX"),
    ],
)
def test_nothing_of_a_type_may_be_remembered(name, qtype):
    """The name is there, and the SOA record says for how long nobody needs to ask again (RFC 2308)."""
    catalog = catalog_of(Node(name="bare", address="10.0.0.2"), service("web", 1, "10.0.1.1"))
    asked = resolver(catalog)
    for _ in range(3):
        found = ask(asked, name, qtype)
        assert (found.rcode(), found.answer) == (dns.rcode.NOERROR, [])
        assert [each.name.to_text() for each in found.authority] == ["consul."]


def test_an_address_has_the_record_of_its_family():
    """A, AAAA, or either where any is asked for."""
    for name, qtype in (("0a000001.addr", "A"), ("fd00" + "0" * 27 + "1.addr", "AAAA")):
        for asked in (qtype, "ANY"):
            (found,) = ask(resolver(catalog_of()), f"{name}.consul.", asked).answer
            assert dns.rdatatype.to_text(found.rdtype) == qtype


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("none.service.consul.", "consul."),
        ("none.service.Corp.Example.", "corp.example."),
        ("web.service.corp.example.", "corp.example."),
        ("corp.example.", "corp.example."),
        ("none.prod.svc.cluster.local.", "svc.cluster.local."),
        ("web.prod.svc.cluster.local.", "svc.cluster.local."),
        ("alias.service.corp.example.", "consul."),
    ],
)
def test_the_zone_in_a_negative_answer_is_that_of_the_name(name, zone):
    """Others would not keep it otherwise; behind an alias it is the zone of the last name (RFC 2308)."""
    catalog = catalog_of(service("web", 1, "10.0.1.1"), service("alias", 1, "web.service.consul"))
    asked = resolver(catalog, names=WIDE)
    for _ in range(3):
        assert [each.name.to_text() for each in ask(asked, name, "AAAA").authority] == [zone]


def test_the_zone_has_the_name_that_it_was_asked_by():
    """SOA and NS records are of the domain in the question; the name server is below the main one."""
    asked = resolver(catalog_of(), names=WIDE)
    (soa,), (server,) = (ask(asked, "corp.example.", qtype).answer for qtype in ("SOA", "NS"))
    assert soa.name.to_text() == server.name.to_text() == "corp.example."
    assert server[0].target.to_text() == "n1.node.dc1.consul."

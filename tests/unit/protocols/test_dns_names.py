"""What names mean."""

import ipaddress

import pytest

from regista.model import ConfigError
from regista.protocols.dns.names import (
    AddressName,
    EmptyName,
    ForeignName,
    Names,
    NodeName,
    QueryName,
    ReverseName,
    ServiceName,
    UnknownName,
    ZoneName,
    read_domain,
)

NAMES = Names(
    domains=(("consul",), ("corp", "example")),
    datacenter="dc1",
    suffixes={("svc", "cluster", "local"): "tag", ("mesh",): "ignored", ("far",): "datacenter"},
)


def read(text):
    return NAMES.read(tuple(text.removesuffix(".").split(".")) if text != "." else ())


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("web.service.consul", ServiceName("web")),
        ("WEB.Service.CONSUL", ServiceName("WEB")),
        ("v1.web.service.consul", ServiceName("web", "v1")),
        ("a.b.web.service.consul", ServiceName("web", "a.b")),
        ("web.service.dc1.consul", ServiceName("web")),
        ("web.service.dc1.dc.consul", ServiceName("web")),
        ("web.service.dc2.consul", UnknownName("dc2")),
        ("web.service.DC2.dc.consul", UnknownName("dc2")),
        ("_web._tcp.dc2.consul", UnknownName("dc2")),
        ("_web.tcp.dc2.consul", UnknownName()),
        ("web.service.dc1.more.consul", UnknownName()),
        ("web.service.corp.example", ServiceName("web")),
        ("_web._tcp.service.consul", ServiceName("web")),
        ("_web._v1.service.dc1.consul", ServiceName("web", "v1")),
        ("_web._udp.service.consul", ServiceName("web", "udp")),
        ("_web._tcp.consul", ServiceName("web", is_short=True)),
        ("_web._v1.dc1.consul", ServiceName("web", "v1", is_short=True)),
        ("_._tcp.consul", UnknownName()),
        ("web.connect.consul", ServiceName("web", within_mesh=True)),
        ("web.ingress.consul", ServiceName("web", is_ingress=True)),
        ("v1.web.connect.consul", UnknownName()),
        ("web.virtual.consul", UnknownName()),
        ("n1.node.consul", NodeName("n1")),
        ("n.1.node.dc1.consul", NodeName("n.1")),
        ("n1.node.dc2.consul", UnknownName("dc2")),
        ("near.me.query.consul", QueryName("near.me")),
        ("0a000001.addr.dc1.consul", AddressName(ipaddress.ip_address("10.0.0.1"))),
        (
            "20010db8000000000000000000000002.addr.consul",
            AddressName(ipaddress.ip_address("2001:db8::2")),
        ),
        ("zz.addr.consul", AddressName(None)),
        ("zzzzzzzz.addr.consul", UnknownName()),
        ("x.0a000001.addr.consul", UnknownName()),
        ("consul", ZoneName()),
        ("service.consul", EmptyName()),
        ("service.dc1.consul", EmptyName()),
        ("service.dc2.consul", UnknownName("dc2")),
        ("node.consul", EmptyName()),
        ("query.consul", EmptyName()),
        ("connect.consul", EmptyName()),
        ("ingress.consul", EmptyName()),
        ("addr.consul", EmptyName()),
        ("virtual.consul", UnknownName()),
        ("_tcp.consul", EmptyName()),
        ("_tcp.dc1.consul", EmptyName()),
        ("_tcp.dc2.consul", UnknownName()),
        ("DC1.consul", EmptyName()),
        ("dc.consul", EmptyName()),
        ("dc1.dc.consul", EmptyName()),
        ("dc2.consul", UnknownName()),
        ("dc2.dc.consul", UnknownName()),
        ("example", ForeignName()),
        ("web.consul", UnknownName()),
        ("x.nonsense.consul", UnknownName()),
        ("1.0.0.10.in-addr.arpa", ReverseName(ipaddress.ip_address("10.0.0.1"))),
        (
            ".".join("2000000000000000000000008bd01002") + ".ip6.arpa",
            ReverseName(ipaddress.ip_address("2001:db8::2")),
        ),
        ("300.0.0.10.in-addr.arpa", ForeignName()),
        ("0.0.10.in-addr.arpa", ForeignName()),
        ("example.com", ForeignName()),
        ("consul.example", ForeignName()),
        (".", ForeignName()),
        ("web.prod.svc.cluster.local", ServiceName("web", "prod")),
        ("_http._tcp.web.prod.svc.cluster.local", ServiceName("web", "prod")),
        ("web.svc.cluster.local", EmptyName()),
        ("svc.cluster.local", EmptyName()),
        ("cluster.local", ForeignName()),
        ("a.b.web.prod.svc.cluster.local", UnknownName()),
        ("dc1.far", EmptyName()),
        ("dc2.far", UnknownName("dc2")),
        ("web.any.mesh", ServiceName("web")),
        ("web.dc1.far", ServiceName("web")),
        ("web.dc2.far", UnknownName("dc2")),
    ],
)
def test_each_form_means_what_consul_makes_of_it(text, meaning):
    """Services, nodes, queries, addresses, the zone itself, and what is none of ours."""
    assert read(text) == meaning


def test_the_zone_of_a_name_is_one_of_its_ends():
    """It is what was configured, however the name spells it, and nothing where no domain and no suffix fits."""
    assert NAMES.zone_of(("web", "service", "Corp", "EXAMPLE")) == ("corp", "example")
    assert NAMES.zone_of(("web", "prod", "svc", "cluster", "local")) == ("svc", "cluster", "local")
    assert NAMES.zone_of(("example", "com")) == NAMES.zone_of(()) == ()


@pytest.mark.parametrize("domains", [(("consul",), ("alt", "consul")), (("alt", "consul"), ("consul",))])
def test_a_domain_may_be_within_another(domains):
    """A name is in the smaller of both, whichever is the main one; a suffix may be within a domain too."""
    names = Names(domains=domains, datacenter="dc1", suffixes={("svc", "consul"): "ignored"})
    for end in ((), ("dc1",)):
        assert names.read(("web", "service", *end, "alt", "consul")) == ServiceName("web")
        assert names.read(("web", "service", *end, "consul")) == ServiceName("web")
    assert names.zone_of(("web", "service", "alt", "consul")) == ("alt", "consul")
    assert names.read(("web", "prod", "svc", "consul")) == ServiceName("web")


@pytest.mark.parametrize("text", ["", "a..b", "x" * 64, "a b", "ä", "x." * 60 + "x"])
def test_a_domain_that_is_none_is_refused(text):
    """The error names the key."""
    with pytest.raises(ConfigError, match="domain"):
        read_domain(text, key="domain")

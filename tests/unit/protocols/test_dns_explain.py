"""What is told of answers."""

import pytest
from hypothesis import given, settings
from tests.dns_zone import answerer, explainer, put
from tests.strategies import batch_lists

from regista.catalog import Catalog
from regista.model import BadInput, Check, Node, Service
from regista.protocols.dns import DnsSettings
from regista.protocols.dns.names import ServiceName


@given(batch_lists)
@settings(max_examples=60, deadline=None)
def test_what_is_told_is_what_is_answered(batches):
    """Whatever is registered, those that are told to be in the answer are those that it is made of."""
    catalog = Catalog()
    for batch in batches:
        catalog.apply(batch)
    for name in ("web", "api"):
        for only_passing in (False, True):
            found = answerer(catalog, DnsSettings(only_passing=only_passing)).find(ServiceName(name))
            told = explainer(catalog, only_passing=only_passing).explain(f"{name}.service.consul", "SRV")
            listed = {(each["node"], each["id"]) for each in told["instances"] if each["included"]}
            assert listed == {(each.service.record.node, each.service.record.id) for each in found.given}
            assert all(each["because"] for each in told["instances"])
            assert bool(told["instances"]) == bool(found.wanted)


def catalog_of(*records):
    catalog = Catalog()
    put(catalog, Node(name="n1", address="10.0.0.1"), *records)
    return catalog


def reasons(found):
    return {each["id"]: (each["included"], each["because"]) for each in found["instances"]}


def test_an_instance_of_the_other_family_is_told():
    """It is well, and has no record of that type."""
    catalog = catalog_of(
        Service(node="n1", id="a", name="web", address="fd00::1"),
        Service(node="n1", id="b", name="web", address="not an address"),
        Service(node="n1", id="c", name="web"),
    )
    assert reasons(explainer(catalog).explain("web", "A")) == {
        "a": (False, "its address fd00::1 is IPv6"),
        "b": (False, 'its address "not an address" is none, and no host name either'),
        "c": (True, "it has no checks, which counts as passing"),
    }


@pytest.mark.parametrize(
    ("address", "recursors", "sentence", "reason"),
    [
        (
            "www.example.org",
            (),
            (
                "It is another name for www.example.org, which `recursors` names nobody to ask about: most programs find "
                "nothing."
            ),
            (
                'its address "www.example.org" is a host name that nobody is asked for (`recursors`), which is nothing to '
                "most programs"
            ),
        ),
        (
            "www.example.org",
            ("192.0.2.53",),
            "It is another name for www.example.org, and whoever asks is given what 192.0.2.53 says of that.",
            'its address "www.example.org" is a host name that recursors are asked for',
        ),
        (
            "none.service.consul",
            ("192.0.2.53",),
            "It is another name for none.service.consul, which is not there.",
            (
                'its address "none.service.consul" is a host name that leads to no address, which is nothing to most '
                "programs"
            ),
        ),
        (
            "six.service.consul",
            (),
            "It is another name for six.service.consul, which leads to no address of that type.",
            (
                'its address "six.service.consul" is a host name that leads to no address, which is nothing to most '
                "programs"
            ),
        ),
        (
            "n1.node.consul",
            (),
            None,
            'its address "n1.node.consul" is a host name, whose addresses are behind it',
        ),
    ],
)
def test_what_stands_behind_a_host_name_is_told(address, recursors, sentence, reason):
    """An alias that leads to nothing is no good answer, and whether it does is said."""
    catalog = catalog_of(
        Service(node="n1", id="h", name="hostin", address=address),
        Service(node="n1", id="six", name="six", address="fd00::1"),
    )
    found = explainer(catalog, recursors=recursors).explain("hostin", "A")
    assert found["because"] == ([sentence] if sentence else [])
    assert reasons(found) == {"h": (True, reason)}


def test_only_one_host_name_is_in_an_answer():
    """Beside addresses there is room for none, and SRV records have them all."""
    hosts = [Service(node="n1", id=f"h{each}", name="web", address=f"h{each}.example.org") for each in range(2)]
    catalog = catalog_of(*hosts)
    assert [each["included"] for each in explainer(catalog).explain("web", "A")["instances"]] == [True, False]
    assert [each["included"] for each in explainer(catalog).explain("web", "SRV")["instances"]] == [True, True]
    put(catalog, Service(node="n1", id="a", name="web", address="10.0.0.1"))
    found = explainer(catalog).explain("web", "A")
    assert [each["included"] for each in found["instances"]] == [True, False, False]
    assert found["instances"][1]["because"] == (
        'its address "h0.example.org" is a host name, for which there is no room beside addresses'
    )


@pytest.mark.parametrize(
    ("name", "qtype", "reason"),
    [
        ("web", "CNAME", "instances have no records of that type"),
        ("_web._tcp.consul", "A", "names of this form have SRV records only"),
    ],
)
def test_an_answer_without_records_lists_no_instance(name, qtype, reason):
    """An instance is told to be in it only where it is."""
    catalog = catalog_of(Service(node="n1", id="a", name="web", address="10.0.0.2"))
    found = explainer(catalog).explain(name, qtype)
    assert (found["answer"], reasons(found)) == ([], {"a": (False, reason)})


def test_an_alias_of_what_may_come_back_is_told():
    """A young agent says SERVFAIL of it, as of a service by itself."""
    catalog = catalog_of(Service(node="n1", id="h", name="hostin", address="web.service.consul"))
    found = explainer(catalog, is_unknown=lambda topic: "web" in topic).explain("hostin", "A")
    assert found["rcode"] == "SERVFAIL"
    assert found["because"][0].startswith("What it leads to may only not have registered again yet")


def test_a_node_check_names_its_node():
    """Everything on a node goes with it."""
    catalog = catalog_of(
        Service(node="n1", id="a", name="web", address="10.0.0.2"),
        Check(node="n1", id="disk", name="disk", status="critical"),
    )
    found = explainer(catalog).explain("web.service.consul", "SRV")
    assert reasons(found) == {"a": (False, 'check "disk" of node n1 is critical')}
    assert (found["rcode"], found["because"]) == ("NXDOMAIN", ["Every instance is left out."])


@pytest.mark.parametrize(
    ("name", "qtype", "rcode", "sentence"),
    [
        ("none", "A", "NXDOMAIN", "Nothing of that name is registered."),
        (
            "web.service.dc2.consul",
            "A",
            "NXDOMAIN",
            'It is of another datacenter, "dc2", and this agent knows only its own, "dc1".',
        ),
        ("x.nonsense.consul", "A", "NXDOMAIN", "Nothing of that name is registered."),
        ("service.consul", "A", "NOERROR", "There are names that end with it, and nothing of that name alone."),
        ("n1.node.consul", "SRV", "NOERROR", "There is such a name, and nothing of that type."),
        ("10.0.0.9", "PTR", "SERVFAIL", "Nobody here has that address, and `recursors` names nobody to ask."),
        ("example.com", "A", "SERVFAIL", "The name is not of this zone, and `recursors` names nobody to ask."),
    ],
)
def test_an_empty_answer_has_its_reason(name, qtype, rcode, sentence):
    """The code is told in words."""
    found = explainer(catalog_of()).explain(name, qtype)
    assert (found["rcode"], found["because"]) == (rcode, [sentence])
    assert found["instances"] == []


def test_a_young_agent_says_that_it_is():
    """SERVFAIL for a service that may come back is no riddle."""
    found = explainer(catalog_of(), is_unknown=lambda _: True).explain("web", "A")
    assert found["rcode"] == "SERVFAIL"
    assert "not have registered again yet" in found["because"][0]


def test_an_agent_that_nobody_can_ask_says_so():
    """What would be answered is no help to whoever wonders why nothing is."""
    service = Service(node="n1", id="w1", name="web")
    found = explainer(catalog_of(service), is_served=False).explain("web", "A")
    assert (found["rcode"], len(found["answer"])) == ("NOERROR", 1)
    assert found["because"] == ["This agent answers nobody over DNS, for `ports.dns` is -1; it would answer so."]


def test_a_limit_is_told():
    """How many a client without EDNS is given is part of the story."""
    services = (Service(node="n1", id=f"{each}", name="web", address=f"10.0.1.{each}") for each in range(9))
    found = explainer(catalog_of(*services)).explain("web", "A")
    assert (len(found["answer"]), found["udp_answers"]) == (9, 3)
    assert found["because"] == ["Over UDP a client without EDNS is given 3 of these 9, others each time."]


def test_an_address_is_asked_for_backwards():
    """With PTR, an address is a name."""
    found = explainer(catalog_of()).explain("10.0.0.1", "PTR")
    assert found["name"] == "1.0.0.10.in-addr.arpa."
    assert [each["data"] for each in found["answer"]] == ["n1.node.dc1.consul."]


@pytest.mark.parametrize(("name", "qtype"), [("a..b", "A"), ("x" * 64 + ".y", "A"), ("web", "AXFR"), ("web", "")])
def test_what_can_not_be_asked_is_refused(name, qtype):
    """The error says which of both it is."""
    with pytest.raises(BadInput):
        explainer(catalog_of()).explain(name, qtype)

"""What stands behind a host name that an instance or a node has for its address."""

import asyncio
import collections

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.dns_zone import put, resolver

from regista.catalog import Catalog
from regista.model import Check, Node, PreparedQuery, Service
from regista.model import QueryName as NameOfQuery

QUERY_ID = "8f246b77-f3e1-ff88-5b48-8ec93abf3e05"


def catalog_of(*records):
    catalog = Catalog()
    put(
        catalog,
        Node(name="n1", address="10.0.0.1"),
        Node(name="n6", address="fd00::6"),
        Node(name="away", address="host.example.org"),
        *records,
    )
    return catalog


def service(name, address, number=1, **fields):
    return Service(node="n1", id=f"{name}-{number}", name=name, address=address, **fields)


def ask(asked, name, qtype="A", *, is_tcp=True):
    """What is answered, read by another library; a coroutine's result where there is one."""
    data = dns.message.make_query(name, qtype).to_wire()
    found = asked.answer(data, "127.0.0.1", is_tcp=is_tcp)
    if not isinstance(found, bytes):
        found = asyncio.run(found)
    return dns.message.from_wire(found, one_rr_per_rrset=True)


def lines(message):
    """Owner, type and data of each answer, in order."""
    return [tuple(each.to_text().split(" ", 4)[at] for at in (0, 3, 4)) for each in message.answer]


@pytest.mark.parametrize(
    ("address", "last"),
    [
        ("n1.node.consul", ["10.0.0.1"]),
        ("N1.Node.DC1.Consul.", ["10.0.0.1"]),
        ("web.service.consul", ["10.0.1.1", "10.0.1.2"]),
        ("v1.web.service.dc1.consul", ["10.0.1.1"]),
        ("_web._v1.service.consul", ["10.0.1.1"]),
        ("wanted.query.consul", ["10.0.1.1", "10.0.1.2"]),
        ("0a000009.addr.dc1.consul", ["10.0.0.9"]),
    ],
)
def test_whatever_the_zone_means_by_the_name_is_in_the_same_answer(address, last):
    """An alias is followed to nodes, services, tags, queries and addresses, however it is spelled."""
    catalog = catalog_of(
        service("web", "10.0.1.1", 1, tags=("v1",)),
        service("web", "10.0.1.2", 2),
        service("web", "fd00::1", 3),
        service("alias", address),
        PreparedQuery(id=QUERY_ID, name="wanted", service="web"),
        NameOfQuery(name="wanted", query=QUERY_ID),
    )
    target = f"{address.removesuffix('.')}."
    (first, *others) = lines(ask(resolver(catalog), "alias.service.consul."))
    assert first == ("alias.service.consul.", "CNAME", target)
    assert sorted(others) == [(target, "A", each) for each in last]


def test_each_type_leads_to_its_own_family():
    """The A records, the AAAA records, or all; and none with SRV or CNAME, whose askers want the name."""
    catalog = catalog_of(
        service("web", "10.0.1.1", 1),
        service("web", "fd00::1", 2),
        service("alias", "web.service.consul", port=80),
    )
    answers = {
        qtype: [each[1:] for each in lines(ask(resolver(catalog), "alias.service.consul.", qtype))]
        for qtype in ("A", "AAAA", "ANY", "TXT", "SRV", "CNAME")
    }
    alias = ("CNAME", "web.service.consul.")
    assert answers["A"] == [alias, ("A", "10.0.1.1")]
    assert answers["AAAA"] == [alias, ("AAAA", "fd00::1")]
    for qtype in ("ANY", "TXT"):
        assert sorted(answers[qtype]) == [("A", "10.0.1.1"), ("AAAA", "fd00::1"), alias]
    assert answers["SRV"] == [("SRV", "1 1 80 web.service.consul.")]
    assert answers["CNAME"] == []


def test_a_node_may_be_an_alias_too():
    """Beside its metadata, where any record is asked for."""
    catalog = catalog_of(
        Node(name="near", address="web.service.consul", meta={"k": "v"}),
        *(service("web", f"10.0.1.{each}", each) for each in range(3)),
    )
    for is_compressed in (True, False):
        asked = resolver(catalog, disable_compression=not is_compressed)
        addresses = [("web.service.consul.", "A", f"10.0.1.{each}") for each in range(3)]
        alias = ("near.node.consul.", "CNAME", "web.service.consul.")
        assert sorted(lines(ask(asked, "near.node.consul."))) == sorted([alias, *addresses])
        text = ("near.node.consul.", "TXT", '"k=v"')
        assert sorted(lines(ask(asked, "near.node.consul.", "ANY"))) == sorted([alias, text, *addresses])
        assert lines(ask(asked, "near.node.consul.", "TXT")) == [text]


def test_aliases_of_aliases_are_followed_three_deep():
    """A longer chain ends with the last alias, for the client's resolver to go on."""
    chain = [service(f"s{each}", f"s{each + 1}.service.consul") for each in range(6)]
    catalog = catalog_of(*chain, service("s6", "10.0.1.1"))
    for first, count in ((3, 4), (2, 4), (0, 4)):
        found = lines(ask(resolver(catalog), f"s{first}.service.consul."))
        assert [each[0] for each in found] == [f"s{first + each}.service.consul." for each in range(count)]
        assert found[-1][1] == ("A" if first == 3 else "CNAME")


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_loop_ends(size):
    """Aliases that lead back are given once each, and nothing more."""
    catalog = catalog_of(*(service(f"s{each}", f"S{(each + 1) % size}.service.consul") for each in range(size)))
    found = ask(resolver(catalog), "s0.service.consul.")
    assert found.rcode() == dns.rcode.NOERROR
    assert len(found.answer) == len(set(lines(found))) == size


@pytest.mark.parametrize(
    ("address", "rcode"),
    [("none.service.consul", "NXDOMAIN"), ("sick.service.consul", "NXDOMAIN"), ("n6.node.consul", "NOERROR")],
)
def test_the_code_is_that_of_the_last_name(address, rcode):
    """A target that is not there, or has no such address, is said as it is of itself, with its SOA (RFC 6604)."""
    catalog = catalog_of(
        service("alias", address),
        service("sick", "10.0.0.9"),
        Check(node="n1", id="c", name="c", status="critical", service_id="sick-1"),
    )
    found = ask(resolver(catalog), "alias.service.consul.")
    assert dns.rcode.to_text(found.rcode()) == rcode
    assert lines(found) == [("alias.service.consul.", "CNAME", f"{address}.")]
    assert [each.name.to_text() for each in found.authority] == ["consul."]


ADDRESSES = st.sampled_from(
    ["", "10.0.1.1", "fd00::1", "x.service.consul", "y.service.consul", "z.service.consul", "n2.node.consul"]
)


@given(st.lists(st.tuples(st.sampled_from("xyz"), st.integers(1, 2), ADDRESSES, ADDRESSES), max_size=12))
@settings(max_examples=80, deadline=None)
def test_what_is_kept_changes_with_all_that_it_leads_through(changes):
    """After each change, and asked three times, answers are those of a resolver that keeps none, and well-formed."""
    catalog = catalog_of()
    keeping, plain = resolver(catalog), resolver(catalog, cache_entries_max=0)
    for name, number, address, of_node in changes:
        put(catalog, service(name, address, number), Node(name="n2", address=of_node))
        for asked in ("x.service.consul.", "n2.node.consul."):
            for qtype in ("A", "ANY"):
                wanted = ask(plain, asked, qtype)
                assert len(wanted.answer) <= 8
                for _ in range(3):
                    found = ask(keeping, asked, qtype)
                    assert sorted(lines(found)) == sorted(lines(wanted))
                    assert found.rcode() == wanted.rcode()


@pytest.mark.parametrize("is_compressed", [True, False])
@pytest.mark.parametrize("is_tcp", [True, False])
def test_a_large_service_behind_an_alias_is_sampled_by_weight(is_compressed, is_tcp):
    """The limits are those of the service itself: some of many over UDP, all over TCP, each owned by the alias."""
    catalog = catalog_of(
        *(service("web", f"10.1.{each // 250}.{each % 250}", each) for each in range(500)),
        service("alias", "web.service.consul"),
    )
    asked = resolver(catalog, disable_compression=not is_compressed)
    found = ask(asked, "alias.service.consul.", is_tcp=is_tcp)
    (_, *others) = lines(found)
    assert len(set(others)) == len(others) == (500 if is_tcp else 3)
    assert {(owner, rtype) for owner, rtype, _ in others} == {("web.service.consul.", "A")}


def test_what_does_not_fit_behind_an_alias_is_said():
    """Long names leave no room: the answer is cut with TC, and never points to a name that was left out."""
    long = ["x" * 60 + str(each) for each in range(4)]
    catalog = catalog_of(
        *(service(long[each], f"{long[each + 1]}.service.{'' if each else 'dc1.'}consul") for each in range(3)),
        *(service(long[3], f"10.1.0.{each}", each) for each in range(8)),
    )
    for is_compressed in (True, False):
        asked = resolver(catalog, udp_answer_limit=8, disable_compression=not is_compressed)
        found = ask(asked, f"{long[0]}.service.consul.", is_tcp=False)
        whole = ask(asked, f"{long[0]}.service.consul.")
        assert len(whole.answer) == 3 + 8
        assert 0 < len(found.answer) <= 3 + 8
        assert bool(found.flags & dns.flags.TC) == (len(found.answer) < len(whole.answer))


# ---- foreign names ----


class Upstream:
    """A recursor that answers with these lines of a zone file; with nothing at all if `answer` is None."""

    def __init__(self, answer, *, rcode=dns.rcode.NOERROR, cut=()):
        self.answer = answer
        self.rcode = rcode
        self.cut = cut
        self.asked = []

    def __bool__(self):
        return True

    async def ask(self, data, *, is_tcp):
        query = dns.message.from_wire(data)
        (question,) = query.question
        self.asked.append((question.name.to_text(), dns.rdatatype.to_text(question.rdtype), is_tcp))
        if self.answer is None:
            return None
        message = dns.message.make_response(query)
        message.set_rcode(self.rcode)
        texts = collections.defaultdict(list)
        for line in self.answer if is_tcp or not self.cut else self.cut:
            owner, ttl, rtype, data = line.split()
            texts[owner, ttl, rtype].append(data)
        message.answer = [
            dns.rrset.from_text_list(owner, int(ttl), "IN", rtype, found)
            for (owner, ttl, rtype), found in texts.items()
        ]
        if self.cut and not is_tcp:
            message.flags |= dns.flags.TC
        return message.to_wire(max_size=65535)


def foreign(upstream, **fields):
    catalog = catalog_of(service("cdn", "www.example.org"), service("both", "cdn.service.consul"))
    return resolver(catalog, recursors=upstream, **fields)


@pytest.mark.parametrize(
    ("name", "qtype", "asked"),
    [
        ("cdn.service.consul.", "A", ("www.example.org.", "A")),
        ("cdn.service.consul.", "AAAA", ("www.example.org.", "AAAA")),
        ("cdn.service.consul.", "ANY", ("www.example.org.", "A")),
        ("both.service.consul.", "A", ("www.example.org.", "A")),
        ("away.node.consul.", "A", ("host.example.org.", "A")),
    ],
)
def test_a_foreign_name_is_asked_of_recursors(name, qtype, asked):
    """Of the family that is wanted, and over the transport of the question; also behind an alias of the zone."""
    for is_tcp in (True, False):
        upstream = Upstream([f"{asked[0]} 30 CNAME e.example.net.", "e.example.net. 40 A 192.0.2.1"])
        (*_, second_last, last) = lines(ask(foreign(upstream), name, qtype, is_tcp=is_tcp))
        assert upstream.asked == [(*asked, is_tcp)]
        assert second_last == (asked[0], "CNAME", "e.example.net.")
        assert last == ("e.example.net.", "A", "192.0.2.1")


def test_what_recursors_say_is_asked_for_each_time_and_keeps_its_ttl():
    """Nothing of it is kept: what has changed there is given at once, with the TTL that it came with."""
    upstream = Upstream(["www.example.org. 30 A 192.0.2.1"])
    asked = foreign(upstream)
    for last in range(1, 5):
        upstream.answer = [f"WWW.example.org. {last} A 192.0.2.{last}"]
        found = ask(asked, "cdn.service.consul.")
        assert (found.answer[-1].ttl, found.answer[-1][0].address) == (last, f"192.0.2.{last}")
        assert found.flags & dns.flags.RA
    assert len(upstream.asked) == 4
    assert asked.ready_count == 0
    assert asked.counters().recursions == {"answered": 4}


def test_only_what_was_asked_for_is_believed():
    """Records of other names, other types, a loop of aliases, and more than a limit are left out."""
    upstream = Upstream(
        [
            "other.example.org. 30 A 192.0.2.9",
            "www.example.org. 30 TXT x",
            "www.example.org. 30 CNAME a.example.org.",
            "a.example.org. 30 CNAME www.example.org.",
        ]
    )
    found = lines(ask(foreign(upstream), "cdn.service.consul."))
    assert [(owner, rtype) for owner, rtype, _ in found] == [
        ("cdn.service.consul.", "CNAME"),
        ("www.example.org.", "CNAME"),
        ("a.example.org.", "CNAME"),
    ]
    upstream.answer = [f"www.example.org. 30 A 192.0.2.{each}" for each in range(100)]
    assert len(lines(ask(foreign(upstream), "cdn.service.consul."))) == 1 + 64
    assert len(lines(ask(foreign(upstream, a_record_limit=5), "cdn.service.consul."))) == 1 + 5


def test_an_answer_that_is_cut_is_asked_for_again():
    """Over TCP, as anybody would."""
    upstream = Upstream(
        ["www.example.org. 30 A 192.0.2.1", "www.example.org. 30 A 192.0.2.2"], cut=["x. 1 A 192.0.2.3"]
    )
    found = ask(foreign(upstream), "cdn.service.consul.", is_tcp=False)
    assert [each[2] for each in upstream.asked] == [False, True]
    assert len(found.answer) == 3


def test_without_an_answer_the_alias_is_given_alone():
    """No recursors, or none that answers: the client's resolver may know better. NXDOMAIN is passed on."""
    alias = [("cdn.service.consul.", "CNAME", "www.example.org.")]
    silent, nowhere = Upstream(None), Upstream([], rcode=dns.rcode.NXDOMAIN)
    for recursors, rcode in ((None, "NOERROR"), (silent, "NOERROR"), (nowhere, "NXDOMAIN")):
        found = ask(foreign(recursors), "cdn.service.consul.")
        assert (lines(found), dns.rcode.to_text(found.rcode())) == (alias, rcode)
    assert ask(foreign(silent), "cdn.service.consul.", "SRV").answer
    assert len(silent.asked) == 1


def test_records_of_another_class_are_passed_over():
    """An address of the Chaosnet has other bytes; as one of the Internet's it would be no record at all."""

    class Chaotic(Upstream):
        async def ask(self, data, *, is_tcp):
            message = dns.message.from_wire(await super().ask(data, is_tcp=is_tcp))
            message.answer = [dns.rrset.from_text("www.example.org.", 30, "CH", "A", "x. 7"), *message.answer]
            return message.to_wire()

    upstream = Chaotic(["www.example.org. 30 A 192.0.2.1"])
    assert [each[1:] for each in lines(ask(foreign(upstream), "cdn.service.consul."))] == [
        ("CNAME", "www.example.org."),
        ("A", "192.0.2.1"),
    ]


@pytest.mark.parametrize("name", ["www.example.org.", "cdn.service.consul."])
@pytest.mark.parametrize("rcode", [dns.rcode.NOERROR, dns.rcode.NXDOMAIN])
def test_a_foreign_alias_may_lead_back_into_the_zone(name, rcode):
    """Whoever asks is given what is there, whatever those who don't know the zone say of it."""
    upstream = Upstream(
        ["www.example.org. 30 CNAME a.example.net.", "a.example.net. 40 CNAME N1.node.consul."], rcode=rcode
    )
    for is_tcp in (True, False):
        found = ask(foreign(upstream), name, is_tcp=is_tcp)
        assert lines(found)[-3:] == [
            ("www.example.org.", "CNAME", "a.example.net."),
            ("a.example.net.", "CNAME", "N1.node.consul."),
            ("N1.node.consul.", "A", "10.0.0.1"),
        ]
        assert found.rcode() == dns.rcode.NOERROR
        assert bool(found.flags & dns.flags.AA) == name.endswith("consul.")
        assert found.flags & dns.flags.RA


def test_a_foreign_alias_of_nothing_in_the_zone_is_nothing():
    """So is one that goes round, from the zone to a foreign name and back."""
    upstream = Upstream(["www.example.org. 30 CNAME none.service.consul."])
    assert ask(foreign(upstream), "www.example.org.").rcode() == dns.rcode.NXDOMAIN
    upstream.answer = ["www.example.org. 30 CNAME cdn.service.consul."]
    for name in ("www.example.org.", "cdn.service.consul."):
        found = ask(foreign(upstream), name)
        assert {rtype for _, rtype, _ in lines(found)} == {"CNAME"}
    assert len(upstream.asked) == 3


def test_an_answer_of_others_is_no_larger_than_its_client_takes():
    """Whatever a recursor sends: over UDP the client is told to ask over TCP, where it is given all."""
    upstream = Upstream([f"www.example.org. 30 A 192.0.2.{each}" for each in range(100)])
    asked = foreign(upstream)
    cut = ask(asked, "www.example.org.", is_tcp=False)
    assert (cut.answer, cut.question[0].name.to_text()) == ([], "www.example.org.")
    assert cut.flags & dns.flags.TC
    assert len(ask(asked, "www.example.org.").answer) == 100
    upstream.answer = ["www.example.org. 30 A 192.0.2.1"]
    assert len(ask(asked, "www.example.org.", is_tcp=False).answer) == 1
    assert asked.counters().truncated == 1

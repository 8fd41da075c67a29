"""A reply is put together once for all ways to ask for it, and never given when it is out of date."""

import dns.edns
import dns.message
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.dns_zone import answerer, put, resolver

from regista.catalog import Catalog
from regista.model import Check, ConfigEntry, Coordinate, Node, PreparedQuery, QueryName, Service
from regista.protocols.dns import DnsSettings

WEB = 100
"""More instances than a reply has that waits for its second question to be kept."""

QUERY = "8f246b77-f3e1-ff88-5b48-8ec93abf3e05"


def spelled(name, number):
    """One of the spellings of a name: which of its letters are large, as bits."""
    bits = iter(range(len(name)))
    return "".join(sign.upper() if sign.isalpha() and number >> next(bits) & 1 else sign for sign in name)


def question(name, qtype="A", *, cookie=b"", subnet="", **options):
    extra = [dns.edns.GenericOption(dns.edns.OptionType.COOKIE, cookie)] if cookie else []
    extra += [dns.edns.ECSOption(subnet, 32)] if subnet else []
    if extra:
        options.update(use_edns=0, options=extra)
    return dns.message.make_query(name, qtype, **options).to_wire()


def addresses(data):
    """Those that an answer lists, in its order."""
    return [each.address for rrset in dns.message.from_wire(data).answer for each in rrset]


def told(data):
    """An answer without its order."""
    message = dns.message.from_wire(data)
    sections = [sorted(rrset.to_text() for rrset in section) for section in message.sections]
    return message.rcode(), message.flags, [sorted("\n".join(section).split("\n")) for section in sections]


def instances(name, count, *, node="n1"):
    return [
        Service(node=node, id=f"{name}-{each}", name=name, address=f"10.0.0.{each}", port=80)
        for each in range(count)
    ]


def large():
    """A catalog with a large service."""
    catalog = Catalog()
    put(catalog, Node(name="n1", address="10.1.0.1"), *instances("web", WEB))
    return catalog


def test_a_hundred_spellings_are_one_preparation():
    """A large service is looked at once, in whatever case and with whatever options its name is asked for."""
    asking = resolver(large())
    for number in range(100):
        name = spelled("web.service.consul.", number * 977)
        data = question(name, cookie=number.to_bytes(8))
        answer = asking.answer(data, "127.0.0.1", is_tcp=number % 2 == 0)
        assert dns.message.from_wire(answer).question[0].name.to_text() == name
    assert asking.counters().made == 1
    assert asking.counters().misses == 100


def test_a_small_service_is_looked_at_twice():
    """What costs little is kept when it is asked for again, however that is spelled."""
    catalog = Catalog()
    put(catalog, Node(name="n1"), *instances("web", 3))
    asking = resolver(catalog)
    for number in range(100):
        asking.answer(question(spelled("web.service.consul.", number)), "127.0.0.1")
    assert asking.counters().made == 2


def test_types_that_nobody_has_are_one():
    """All types without an answer share one preparation, and none of them is answered otherwise alone."""
    catalog = large()
    asking = resolver(catalog)
    for qtype in range(300, 400):
        asking.answer(question("web.service.consul.", qtype), "127.0.0.1")
    assert asking.counters().made <= 2
    alone = answerer(catalog, DnsSettings())
    for name in ("web.service", "n1.node", "consul", "0a000001.addr", "none.query", "none.service"):
        labels = tuple(label.encode() for label in f"{name}.consul".split("."))
        _, other = alone.answer(labels, 0)
        for qtype in sorted({*range(300)} - {1, 2, 5, 6, 16, 28, 33, 255}):
            assert alone.answer(labels, qtype)[1] == other


def test_a_change_is_one_preparation():
    """After a change to the service it is looked at once more, for all spellings that were asked for before it."""
    catalog = large()
    asking = resolver(catalog)
    for change in range(3):
        put(catalog, Service(node="n1", id="web-0", name="web", address=f"10.9.0.{change}", port=80))
        for number in range(50):
            data = question(spelled("web.service.consul.", number), cookie=bytes(8))
            assert f"10.9.0.{change}" in addresses(asking.answer(data, "127.0.0.1", is_tcp=True))
    assert asking.counters().made == 3


def test_a_service_without_a_fit_instance_is_looked_at_seldom():
    """That all instances are critical is kept too, and is over with the first that is well."""
    catalog = large()
    put(catalog, Check(node="n1", id="disk", name="disk", status="critical"))
    asking = resolver(catalog)
    for number in range(100):
        answer = asking.answer(question(spelled("web.service.consul.", number)), "127.0.0.1")
        assert dns.message.from_wire(answer).rcode() == dns.rcode.NXDOMAIN
    assert asking.counters().made == 2
    put(catalog, Check(node="n1", id="disk", name="disk", status="passing"))
    assert addresses(asking.answer(question("web.service.consul."), "127.0.0.1"))


def test_a_negative_answer_is_dated_without_a_look():
    """The serial of what there is not is the time, though the service is looked at no more than its changes."""
    moments = [1000]
    asking = resolver(large(), clock=lambda: moments[-1])
    serials = []
    for _ in range(10):
        answer = dns.message.from_wire(asking.answer(question("web.service.consul.", "AAAA"), "127.0.0.1"))
        serials.append(answer.authority[0][0].serial)
        moments.append(moments[-1] + 1)
    assert serials == list(range(1000, 1010))
    assert asking.counters().made == 2


def test_who_asks_from_elsewhere_has_an_order_of_its_own():
    """A query that goes by distance from its client is kept for each node, and for all that are at none."""
    catalog = Catalog()
    put(
        catalog,
        *(Node(name=f"n{each}", address=f"10.1.0.{each}") for each in (1, 2)),
        *(Service(node=f"n{each}", id="web", name="web", address=f"10.0.0.{each}") for each in (1, 2)),
        PreparedQuery(id=QUERY, name="q", service="web", near="_ip"),
        QueryName(name="q", query=QUERY),
    )
    asking = resolver(catalog)
    for number in range(60):
        name = spelled("q.query.consul.", number % 3)
        stranger = asking.answer(question(name), "192.0.2.1")
        assert sorted(addresses(stranger)) == ["10.0.0.1", "10.0.0.2"]
        for each in (1, 2):
            near = addresses(asking.answer(question(name), f"10.1.0.{each}"))
            beside = addresses(asking.answer(question(name, subnet=f"10.1.0.{each}"), "192.0.2.1"))
            assert near[0] == beside[0] == f"10.0.0.{each}"
    assert asking.counters().made <= 6


def test_a_reply_that_goes_takes_its_answers_along():
    """Of one reply no more answers are kept than there may be, and none is left when it is outdated."""
    catalog = large()
    asking = resolver(catalog)
    for number in range(1100):
        for _ in range(2):
            asking.answer(question(spelled("web.service.consul.", number)), "127.0.0.1")
    assert asking.ready_count == 1000
    put(catalog, *instances("web", 1))
    asking.answer(question(spelled("web.service.consul.", 1099)), "127.0.0.1")
    assert asking.ready_count <= 1
    assert asking.counters().answers["A", "NOERROR", "udp"] == 2201


nodes = st.sampled_from(["n1", "n2"])
addressed = st.sampled_from(["", "10.0.0.1", "10.0.0.2", "fd00::1", "n2.node.consul", "elsewhere.example"])
few_services = st.sampled_from(["web", "api"])
records = st.one_of(
    st.builds(Node, name=nodes, address=addressed, meta=st.sampled_from([None, {"zone": "a"}])),
    st.builds(
        Service,
        node=nodes,
        id=st.sampled_from(["a", "b", "c"]),
        name=few_services,
        address=addressed,
        port=st.integers(1, 2),
        tags=st.sampled_from([(), ("v1",)]),
        service_kind=st.sampled_from(["", "ingress-gateway"]),
        is_native=st.booleans(),
    ),
    st.builds(
        Check,
        node=nodes,
        id=st.sampled_from(["c", "d"]),
        name=st.just("check"),
        status=st.sampled_from(["passing", "critical"]),
        service_id=st.sampled_from(["", "a"]),
    ),
    st.builds(
        PreparedQuery,
        id=st.just(QUERY),
        name=st.just("q"),
        service=few_services,
        near=st.sampled_from(["", "n1", "_ip", "_agent"]),
        tags=st.sampled_from([None, ("v1",)]),
    ),
    st.just(QueryName(name="q", query=QUERY)),
    st.builds(Coordinate, node=nodes, height=st.sampled_from([1.0, 2.0]), vec=st.just((0.0,) * 8)),
    st.builds(
        ConfigEntry,
        entry_kind=st.just("ingress-gateway"),
        name=few_services,
        fields=st.just({"Listeners": [{"Port": 1, "Protocol": "tcp", "Services": [{"Name": "web"}]}]}),
    ),
)
NAMES = [
    *("web.service", "api.service", "v1.web.service", "web.service.dc1", "_web._tcp.service", "web.connect"),
    *("web.ingress", "n1.node", "n2.node", "q.query", "none.service", "none.query", "service", "."),
]
asked = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from(["A", "AAAA", "SRV", "TXT", "ANY", "MX", "PTR", "CNAME", "SOA"]),
    st.integers(0, 2**20),
    st.sampled_from([b"", b"cookie-1", b"cookie-2"]),
    st.booleans(),
    st.sampled_from(["127.0.0.1", "10.0.0.1", "10.0.0.2", "fd00::1"]),
)


@given(st.lists(st.tuples(records, asked), min_size=4, max_size=20), st.sampled_from([3, 20, 1000]))
@settings(max_examples=40, deadline=None)
def test_what_is_kept_is_what_would_be_made(steps, entries_max):
    """Whatever changes, and is asked for in whatever order and spelling, answers are as without anything kept."""
    catalog = Catalog()
    keeping = resolver(catalog, udp_answer_limit=8, cache_entries_max=entries_max)
    plain = resolver(catalog, udp_answer_limit=8, cache_entries_max=0)
    questions = []
    for record, question_asked in steps:
        put(catalog, record)
        questions.append(question_asked)
        for name, qtype, spelling, cookie, is_tcp, client in questions:
            data = question(spelled(f"{name}.consul.".lstrip("."), spelling), qtype, cookie=cookie)
            for _ in range(2):
                kept, made = (each.answer(data, client, is_tcp=is_tcp) for each in (keeping, plain))
                assert told(kept) == told(made)
                if name == "q.query" and _is_ordered(catalog, client):
                    assert records_of(kept) == records_of(made)
    assert not plain.ready_count


def _is_ordered(catalog, client):
    """Whether the query goes by a distance for this client."""
    entry = catalog.queries.entries.get(QUERY)
    near = entry.record.near if entry else ""
    return bool(near) and (near != "_ip" or any(each.record.address == client for each in catalog.nodes.values()))


def records_of(data):
    """The answers of whatever type, in their order."""
    message = dns.message.from_wire(data, one_rr_per_rrset=True)
    return [each.to_text() for rrset in message.answer for each in rrset]

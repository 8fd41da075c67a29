"""Ready answers are those that would be made now."""

import dns.edns
import dns.message
import dns.reversename
from hypothesis import given, settings
from tests.dns_zone import put, resolver
from tests.strategies import batch_lists

from regista.catalog import Catalog
from regista.model import Node, Service

QUESTIONS = [
    dns.message.make_query(name, qtype).to_wire()
    for name in (
        "web.service.consul.",
        "api.service.consul.",
        "v1.web.service.consul.",
        "web.connect.consul.",
        "n1.node.consul.",
        "n2.node.consul.",
        "q1.query.consul.",
    )
    for qtype in ("A", "SRV", "ANY")
]


def told(data):
    """An answer without its order."""
    message = dns.message.from_wire(data)
    sections = [sorted(rrset.to_text() for rrset in section) for section in message.sections[1:]]
    return message.rcode(), [sorted("\n".join(section).split("\n")) for section in sections]


@given(batch_lists)
@settings(max_examples=60, deadline=None)
def test_what_is_kept_is_never_out_of_date(batches):
    """After every batch, and asked three times, the answers are those of a resolver that keeps none."""
    catalog = Catalog()
    keeping = resolver(catalog, udp_answer_limit=8)
    plain = resolver(catalog, udp_answer_limit=8, cache_entries_max=0)
    for batch in batches:
        catalog.apply(batch)
        for question in QUESTIONS:
            wanted = told(plain.answer(question, "127.0.0.1"))
            for _ in range(3):
                assert told(keeping.answer(question, "127.0.0.1")) == wanted
    assert not plain.ready_count


def test_a_flood_of_other_names_pushes_nothing_out():
    """What is asked for once is not kept."""
    catalog = Catalog()
    keeping = resolver(catalog, cache_entries_max=4)
    for number in range(1000):
        keeping.answer(dns.message.make_query(f"x{number}.service.consul.", "A").to_wire(), "127.0.0.1")
    assert keeping.ready_count == 0


def test_what_is_kept_is_bounded():
    """The oldest answers go first."""
    catalog = Catalog()
    keeping = resolver(catalog, cache_entries_max=4)
    for number in range(20):
        question = dns.message.make_query("consul.", "SOA", id=number).to_wire()[:-4] + number.to_bytes(2)
        for _ in range(3):
            keeping.answer(question, "127.0.0.1")
    assert keeping.ready_count <= 4


def question(name, qtype="A", **options):
    return dns.message.make_query(name, qtype, **options).to_wire()


def test_a_name_that_nobody_knows_is_answered_with_edns_if_it_was_asked_with_it():
    """Without it, a resolver would take the agent for one that does not know EDNS."""
    plain = resolver(Catalog())
    for name in ("example.com.", "1.0.0.10.in-addr.arpa.", "nope.service.consul."):
        for asked in (-1, 0):
            message = dns.message.from_wire(plain.answer(question(name, use_edns=asked), "127.0.0.1"))
            assert message.edns == asked, name


def keep(keeping, data, *, is_tcp=False):
    """Asks often enough for the answer to be kept; the answer."""
    return [keeping.answer(data, "127.0.0.1", is_tcp=is_tcp) for _ in range(3)][-1]


def spelled(name, number):
    """One of the spellings of a name: which of its letters are large, as bits."""
    return "".join(sign.upper() if number >> at & 1 else sign for at, sign in enumerate(name))


def web(count, *, name="web"):
    """A service of so many instances."""
    services = (
        Service(node="n1", id=f"{name}-{each}", name=name, address=f"10.0.{each // 250}.{each % 250}", port=80)
        for each in range(count)
    )
    return Node(name="n1", address="10.0.0.1"), *services


def test_a_large_answer_takes_the_place_of_many():
    """Answers are kept for so many records in all, those of one service once however it is asked for."""
    catalog = Catalog()
    services = [f"web{number}" for number in range(64)]
    put(catalog, *(each for name in services for each in web(40, name=name)))
    keeping = resolver(catalog, cache_entries_max=20)
    for number, name in enumerate(services):
        keep(keeping, question(f"{name}.service.consul."), is_tcp=number % 2 == 0)
        assert keeping.ready_count <= 20 * 10 // 40
    assert keeping.ready_count
    for spelling in range(100):
        keep(keeping, question(spelled("web1.service.consul.", spelling)), is_tcp=spelling % 2 == 0)
    assert keeping.ready_count == 20
    keep(resolver(catalog, cache_entries_max=1), question("web1.service.consul."))


def test_a_long_question_is_answered_and_forgotten():
    """Nobody fills the memory with questions that are mostly padding."""
    catalog = Catalog()
    put(catalog, *web(1))
    keeping = resolver(catalog)
    padding = dns.edns.GenericOption(dns.edns.OptionType.PADDING, bytes(600))
    answer = keep(keeping, question("web.service.consul.", use_edns=0, options=[padding]))
    assert len(dns.message.from_wire(answer).answer) == 1
    assert keeping.ready_count == 0


def test_an_alias_changes_with_the_node_that_it_names():
    """Whose address is a node's name is found at that node's address, also when that is another."""
    catalog = Catalog()
    put(
        catalog,
        Node(name="n1"),
        Node(name="n2", address="10.0.0.2"),
        Service(node="n1", id="a", name="a", address="n2.node.consul"),
        Service(node="n1", id="b", name="b", address="N2.node.dc1.consul."),
    )
    keeping = resolver(catalog)
    for last in (2, 3):
        put(catalog, Node(name="n2", address=f"10.0.0.{last}"))
        for name in ("a", "b"):
            answer = dns.message.from_wire(keep(keeping, question(f"{name}.service.consul.")))
            assert answer.answer[-1][0].address == f"10.0.0.{last}"


def test_an_address_has_many_spellings():
    """IPv6 addresses are found by what they mean."""
    catalog = Catalog()
    put(catalog, Node(name="n1", address="2001:DB8:0::1"))
    asked = dns.reversename.from_address("2001:db8::1")
    answer = dns.message.from_wire(resolver(catalog).answer(question(asked, "PTR"), "127.0.0.1"))
    assert answer.answer[0][0].target.to_text() == "n1.node.dc1.consul."
    put(catalog, Node(name="n1", address="2001:db8::2"))
    answer = dns.message.from_wire(resolver(catalog).answer(question(asked, "PTR"), "127.0.0.1"))
    assert not answer.answer


def test_a_node_whose_name_does_not_fit_is_left_out():
    """A message is never made with a name that is longer than names may be."""
    catalog = Catalog()
    name = ".".join(["x" * 60] * 4)
    put(catalog, Node(name=name, address="10.0.0.1"), Service(node=name, id="a", name="a", port=80))
    answer = dns.message.from_wire(resolver(catalog).answer(question("a.service.consul.", "SRV"), "127.0.0.1"))
    assert not answer.answer
    asked = dns.reversename.from_address("10.0.0.1")
    dns.message.from_wire(resolver(catalog).answer(question(asked, "PTR"), "127.0.0.1"))


def test_services_are_counted_however_they_are_spelled():
    """Resolvers that mix the case of questions make no counters."""
    catalog = Catalog()
    put(catalog, *web(1))
    counting = resolver(catalog)
    for name in ("web", "WEB", "wEb"):
        keep(counting, question(f"{name}.service.consul."))
    assert counting.counters().services == {"web": 9}

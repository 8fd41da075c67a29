"""Ready answers are those that would be made now."""

import random

import dns.message
from hypothesis import given, settings
from tests.strategies import batch_lists

from regista.catalog import Catalog
from regista.protocols.dns import Answerer, DnsSettings, Names, Resolver, SoaSettings, Zone

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


class Nobody:
    """No recursors."""

    def __bool__(self):
        return False


def resolver(catalog, **fields):
    zone = Zone((b"consul",), "dc1", "n1", SoaSettings(), 0, {})
    wanted = DnsSettings(**fields)
    answerer = Answerer(
        catalog,
        zone,
        wanted,
        threshold_default=0,
        is_unknown=lambda _: False,
        shuffle=lambda _: None,
        wall_clock=lambda: 1.0,
    )
    names = Names(domains=(("consul",),), datacenter="dc1", suffixes={})
    return Resolver(answerer, names, catalog.topics, Nobody(), wanted, rng=random.Random(1), clock=lambda: 0.0)


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

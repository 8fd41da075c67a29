"""The instances of a large service are what they would be if they were all looked at anew."""

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.dns_zone import answerer, put
from tests.strategies import batch_lists

from regista.catalog import Catalog, Lookup, find_instances
from regista.model import Check, Node, Service
from regista.protocols.dns import DnsSettings
from regista.protocols.dns.records import AAAA, SRV, A
from regista.protocols.dns.rosters import Roster, Rosters

LARGE = 250


@given(batch_lists)
@settings(max_examples=100, deadline=None)
def test_a_roster_is_what_a_look_up_finds(batches):
    """After every batch the instances are those of a look-up, and so is what is made of each."""
    catalog = Catalog()
    rosters = {name: Roster(catalog, name) for name in ("web", "api")}
    for batch in batches:
        catalog.apply(batch)
        for name, roster in rosters.items():
            wanted = find_instances(catalog, Lookup(name))
            assert list(roster.instances()) == wanted
            assert roster.made("keys", wanted[1:], _told) == [_told(each) for each in wanted[1:]]
            assert roster.made("keys", roster.instances(), _told) == [_told(each) for each in wanted]


def _told(instance):
    return instance.service.record, instance.node, [each.record.status for each in instance.checks]


def instances(name, count):
    return [
        Service(node=f"n{each % 7}", id=f"{name}-{each}", name=name, address=f"10.0.0.{each}", port=80)
        for each in range(count)
    ]


def test_a_change_makes_one_instance_anew():
    """Of a large service all other instances stay the objects that they were, and nothing is made of them again."""
    catalog = Catalog()
    put(catalog, *(Node(name=f"n{each}") for each in range(7)), *instances("web", LARGE))
    roster = Roster(catalog, "web")
    made = []

    def make(instance):
        made.append(instance.service.record.id)
        return instance.service.record.id

    before = roster.made("ids", roster.instances(), make)
    assert len(made) == LARGE
    put(catalog, Check(node="n3", id="c", name="c", status="critical", service_id="web-3"))
    assert roster.made("ids", roster.instances(), make) == before
    assert made[LARGE:] == ["web-3"]
    put(catalog, Check(node="n4", id="disk", name="disk", status="critical"))
    roster.made("ids", roster.instances(), make)
    assert len(made) == LARGE + 1 + len([each for each in range(LARGE) if each % 7 == 4])


def test_only_large_services_have_a_roster():
    """Small services are read anew, and one that has become small is remembered no longer."""
    catalog = Catalog()
    put(catalog, Node(name="n0"), *instances("web", LARGE), *instances("api", 3))
    rosters = Rosters(catalog)
    assert rosters.of("WEB") is rosters.of("web")
    assert len(rosters.of("web")) == LARGE
    assert rosters.of("api") is rosters.of("none") is None


changes = st.one_of(
    st.builds(
        Check,
        node=st.sampled_from(["n0", "n1"]),
        id=st.sampled_from(["c", "d"]),
        name=st.just("c"),
        status=st.sampled_from(["passing", "warning", "critical"]),
        service_id=st.sampled_from(["", "web-0", "web-1"]),
    ),
    st.builds(Node, name=st.sampled_from(["n0", "n1"]), address=st.sampled_from(["", "10.1.0.1", "fd00::1"])),
    st.builds(
        Service,
        node=st.sampled_from(["n0", "n1"]),
        id=st.sampled_from(["web-0", "web-1", "web-999"]),
        name=st.sampled_from(["web", "api"]),
        address=st.sampled_from(["", "10.0.0.1", "10.0.0.2", "fd00::2", "n1.node.consul"]),
        port=st.integers(80, 82),
    ),
)


@given(st.lists(changes, min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_a_large_service_is_answered_as_if_it_were_seen_first(steps):
    """Whatever changes, all that is said of it is what somebody says who has never seen it."""
    catalog = Catalog()
    put(catalog, *(Node(name=f"n{each}", address=f"10.1.0.{each}") for each in range(7)), *instances("web", LARGE))
    following = answerer(catalog, DnsSettings())
    for step in steps:
        put(catalog, step)
        fresh = answerer(catalog, DnsSettings())
        for qtype in (A, AAAA, SRV):
            asked = (b"web", b"service", b"consul")
            assert following.answer(asked, qtype) == fresh.answer(asked, qtype)

"""Names that CoreDNS passes on to an agent, with the Corefile of docs/guides/dns.md."""

import re
from pathlib import Path

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest
from tests.agents import Agent, eventually, running_agent
from tests.clients import runs
from tests.integration.dns_programs import coredns, free_port

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "dns.md"
SETTLED = {"degrading": {"settling": "0s"}}
NOBODY = "127.0.0.1:9"

pytestmark = pytest.mark.timeout(runs.BUILD_S_MAX * runs.BUILD_TRIES + runs.RUN_S_MAX)


def blocks():
    """The guide's Corefile, and its `cache` without the 5 seconds."""
    section = re.search(r"^### CoreDNS$(.*?)^#", GUIDE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)[1]
    return re.findall(r"```text\n(.*?)```", section, re.DOTALL)


def corefile(agent_address, *, elsewhere=NOBODY, cache=""):
    """The guide's, with these servers; `cache` is what the zone `consul` has besides."""
    found, _ = blocks()
    assert found.count("127.0.0.1:8600") == found.count("192.0.2.53") == 1
    found = found.replace("127.0.0.1:8600", agent_address).replace("192.0.2.53", elsewhere)
    return found.replace("    errors\n", f"    errors\n    {cache}\n", 1)


def query(port, name, qtype="A", *, over=dns.query.udp, **fields):
    return over(dns.message.make_query(name, qtype, **fields), "127.0.0.1", port=port, timeout=20)


def ask(port, name, qtype="A"):
    """What it answers: code and sorted data."""
    found = query(port, name, qtype)
    return dns.rcode.to_text(found.rcode()), sorted(data.to_text() for rrset in found.answer for data in rrset)


def addresses(answer):
    return {data.to_text() for rrset in answer.answer for data in rrset}


def negative_ttls(answer):
    """How long others may remember that there is nothing: the TTL of the SOA record, and its last number."""
    (soa,) = answer.authority
    return soa.ttl, soa[0].minimum


def register_many(agent, name):
    for number in range(300):
        agent.register(Name=name, ID=f"{name}-{number}", Address=f"10.1.{number // 250}.{number % 250}", Port=80)


def test_coredns_passes_questions_on(tmp_path):
    """It finds what the agent has and what changes there at once, and asks another server for all other names."""
    with (
        running_agent(tmp_path / "agent", config=SETTLED) as agent,
        running_agent(tmp_path / "other", config={**SETTLED, "domain": "example"}) as other,
        coredns(tmp_path / "coredns", corefile(agent.dns, elsewhere=other.dns)) as port,
    ):
        nothing = query(port, "web.service.consul")
        assert (nothing.rcode(), negative_ttls(nothing)) == (dns.rcode.NXDOMAIN, (0, 0))
        agent.register(Name="web", ID="web-1", Address="10.0.0.1", Port=81, Check={"TTL": "60s", "CheckID": "c"})
        agent.put("/v1/agent/check/pass/c")
        assert ask(port, "web.service.consul") == ("NOERROR", ["10.0.0.1"])
        other_family = query(port, "web.service.consul", "AAAA")
        assert (other_family.rcode(), other_family.answer, negative_ttls(other_family)) == (0, [], (0, 0))
        found = query(port, "_web._tcp.service.consul", "SRV")
        assert addresses(found) == {"1 1 81 0a000001.addr.dc1.consul."}
        assert [rrset.to_text() for rrset in found.additional] == ["0a000001.addr.dc1.consul. 0 IN A 10.0.0.1"]

        agent.register(Name="web", ID="web-2", Address="10.0.0.2", Port=82)
        assert ask(port, "web.service.consul") == ("NOERROR", ["10.0.0.1", "10.0.0.2"])
        agent.put("/v1/agent/check/fail/c")
        assert ask(port, "web.service.consul") == ("NOERROR", ["10.0.0.2"])

        other.register(Name="mail", ID="mail-1", Address="10.9.9.9")
        assert ask(port, "mail.service.example") == ("NOERROR", ["10.9.9.9"])
        assert ask(port, "mail.service.consul") == ("NXDOMAIN", [])


def test_coredns_passes_on_sizes_and_transports(tmp_path):
    """Three instances without EDNS, what fits with it, and all 300 over TCP: as the agent answers itself."""
    with (
        running_agent(tmp_path / "agent", config=SETTLED) as agent,
        coredns(tmp_path / "coredns", corefile(agent.dns)) as port,
    ):
        register_many(agent, "web")
        assert len(addresses(query(port, "web.service.consul"))) == 3
        cut = query(port, "web.service.consul", use_edns=0, payload=1232)
        assert cut.flags & dns.flags.TC
        assert 50 < len(addresses(cut)) < 100
        for qtype in ("A", "SRV"):
            whole = query(port, "web.service.consul", qtype, over=dns.query.tcp)
            assert not whole.flags & dns.flags.TC
            assert len(addresses(whole)) == 300


def test_coredns_finds_an_agent_again(tmp_path):
    """While the agent is away its names fail and others do not; once it is back they are found."""
    place = ("--dns-port", str(free_port()))
    agent = Agent(tmp_path / "agent", keeps_data=True, config=SETTLED, arguments=place)
    try:
        agent.start().register(Name="web", ID="web-1", Address="10.0.0.1")
        with (
            running_agent(tmp_path / "other", config={**SETTLED, "domain": "example"}) as other,
            coredns(tmp_path / "coredns", corefile(agent.dns, elsewhere=other.dns)) as port,
        ):
            assert ask(port, "web.service.consul") == ("NOERROR", ["10.0.0.1"])
            agent.terminate()
            for _ in range(10):
                assert ask(port, "web.service.consul") == ("SERVFAIL", [])
                assert ask(port, "n1.node.example") == ("NOERROR", ["127.0.0.1"])
            agent.start()
            eventually(lambda: ask(port, "web.service.consul") == ("NOERROR", ["10.0.0.1"]))
    finally:
        agent.close()


# ---- its cache ----


def test_its_cache_keeps_what_is_not_to_be_kept(tmp_path):
    """`cache` makes 5 seconds of a TTL of 0, also of there being nothing; with a least TTL of 0 it does not."""
    _, strict = blocks()
    with running_agent(tmp_path / "agent", config=SETTLED) as agent:
        agent.register(Name="web", ID="web-1", Address="10.0.0.1")
        for cache, ttl in (("cache", 5), ("cache 30", 5), (strict, 0)):
            with coredns(tmp_path / "coredns", corefile(agent.dns, cache=cache)) as port:
                assert query(port, "web.service.consul").answer[0].ttl == ttl
                assert negative_ttls(query(port, "none.service.consul"))[0] == ttl


def test_its_cache_gives_all_what_the_first_was_given(tmp_path):
    """Once somebody has asked without EDNS, also those who ask over TCP get three of 300, until the TTL is over."""
    config = {**SETTLED, "dns_config": {"service_ttl": {"*": "60s"}}}
    with (
        running_agent(tmp_path / "agent", config=config) as agent,
        coredns(tmp_path / "coredns", corefile(agent.dns, cache="cache")) as port,
    ):
        register_many(agent, "web")
        three = addresses(query(port, "web.service.consul"))
        assert len(three) == 3
        assert addresses(query(port, "web.service.consul", over=dns.query.tcp)) == three
        assert addresses(query(port, "web.service.consul", use_edns=0, payload=4096)) == three

"""DNS over real sockets."""

import random
import socket
import struct

import dns.flags
import dns.message
import dns.query
import dns.rcode
import pytest
from tests.agents import Agent, running_agent

SETTLED = {"degrading": {"settling": "0s"}}


def ask(agent, name, qtype="A", *, tcp=False, edns=None):
    host, _, port = agent.dns.rpartition(":")
    message = dns.message.make_query(name, qtype)
    if edns:
        message.use_edns(0, payload=edns)
    send = dns.query.tcp if tcp else dns.query.udp
    return send(message, host, port=int(port), timeout=20)


def texts(answer):
    return sorted(data.to_text() for rrset in answer.answer for data in rrset)


def rcode(answer):
    return dns.rcode.to_text(answer.rcode())


def test_an_instance_is_found_for_as_long_as_it_is_well(tmp_path):
    """It comes with its registration, goes while it is critical, in maintenance or draining, and at its end."""
    with running_agent(tmp_path, config=SETTLED) as agent:
        assert rcode(ask(agent, "web.service.consul")) == "NXDOMAIN"
        agent.register(Name="web", ID="web-1", Address="10.0.0.7", Port=80, Check={"TTL": "60s", "CheckID": "c"})
        assert rcode(ask(agent, "web.service.consul")) == "NXDOMAIN"
        for put, found in (
            ("/v1/agent/check/pass/c", ["10.0.0.7"]),
            ("/v1/agent/check/fail/c", []),
            ("/v1/agent/check/warn/c", ["10.0.0.7"]),
            ("/v1/agent/service/maintenance/web-1?enable=true", []),
            ("/v1/agent/service/maintenance/web-1?enable=false", ["10.0.0.7"]),
            ("/v1/agent/service/drain/web-1?for=60s", []),
            ("/v1/agent/service/drain/web-1?enable=false", ["10.0.0.7"]),
            ("/v1/agent/service/deregister/web-1", []),
        ):
            assert agent.put(put).status == 200
            for _ in range(3):  # the second is kept, the third is what was kept
                assert texts(ask(agent, "web.service.consul")) == found


def test_a_panic_is_one_for_dns_too(tmp_path):
    """Below its threshold, a service's name gives all its instances, as the HTTP API does."""
    with running_agent(tmp_path, config=SETTLED) as agent:
        for number in range(4):
            check = {"TTL": "60s", "CheckID": f"c{number}", "Status": "passing" if number == 0 else "critical"}
            agent.register(Name="web", ID=f"web-{number}", Address=f"10.0.0.{number}", Check=check)
        assert texts(ask(agent, "web.service.consul", edns=1232)) == ["10.0.0.0"]
        defaults = {"Kind": "service-defaults", "Name": "web", "PanicThreshold": 50}
        assert agent.put("/v1/config", defaults).status == 200
        assert len(texts(ask(agent, "web.service.consul", edns=1232))) == 4


def test_a_service_that_may_come_back_is_no_nxdomain(agent: Agent):
    """An agent that began with nothing says SERVFAIL of a service that it does not know; of a bad name, NXDOMAIN."""
    assert rcode(ask(agent, "web.service.consul")) == "SERVFAIL"
    assert rcode(ask(agent, "web.nonsense.consul")) == "NXDOMAIN"
    agent.register(Name="web", ID="web-1", Address="10.0.0.7", Tags=["v1"])
    assert rcode(ask(agent, "v2.web.service.consul")) == "NXDOMAIN"


def test_ttls_domains_and_suffixes_are_as_configured(tmp_path):
    """Each key of the configuration has its effect."""
    config = {
        **SETTLED,
        "domain": "internal.example",
        "alt_domain": "consul",
        "dns_config": {
            "node_ttl": "7s",
            "service_ttl": {"web": "10s", "api*": "20s", "*": "30s"},
            "service_suffixes": {"svc.cluster.local": "tag"},
            "soa": {"min_ttl": 33},
            "only_passing": True,
        },
    }
    with running_agent(tmp_path, config=config) as agent:
        for name in ("web", "api-1", "other"):
            agent.register(Name=name, ID=name, Address="10.0.0.7", Port=80, Tags=["prod"])
        for name, ttl_s in (
            ("web.service.internal.example", 10),
            ("web.service.consul", 10),
            ("api-1.service.consul", 20),
            ("other.service.consul", 30),
            ("n1.node.consul", 7),
            ("web.prod.svc.cluster.local", 10),
        ):
            assert ask(agent, name).answer[0].ttl == ttl_s
        for domain in ("internal.example.", "consul.", "svc.cluster.local."):
            nothing = ask(agent, f"none.service.{domain}")
            assert (nothing.authority[0].name.to_text(), nothing.authority[0].ttl) == (domain, 33)
        (srv,) = texts(ask(agent, "web.service.consul", "SRV"))
        assert srv == "1 1 80 0a000007.addr.dc1.internal.example."


def test_names_of_others_go_to_the_recursors(tmp_path):
    """The first that answers has it; one that fails or is silent is passed over."""
    with (
        running_agent(tmp_path / "up", config={**SETTLED, "domain": "example"}) as upstream,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent,
    ):
        upstream.register(Name="web", ID="web-1", Address="10.9.9.9")
        silent.bind(("127.0.0.1", 0))
        config = {
            **SETTLED,
            "recursors": [f"127.0.0.1:{silent.getsockname()[1]}", upstream.dns],
            "dns_config": {"recursor_timeout": "200ms"},
        }
        with running_agent(tmp_path / "down", config=config) as agent:
            for tcp in (False, True):
                found = ask(agent, "web.service.example", tcp=tcp)
                assert texts(found) == ["10.9.9.9"]
            assert rcode(ask(agent, "none.service.example")) == "NXDOMAIN"
            assert ask(agent, "n1.node.consul").flags & dns.flags.RA
            upstream.kill()
            assert rcode(ask(agent, "web.service.example")) == "SERVFAIL"


def test_a_name_that_dns_can_not_express_is_warned_of(tmp_path):
    """Once, in the log, however often it is registered; nowhere if there is no DNS."""
    for arguments, count in (((), 1), (("--dns-port", "-1"), 0)):
        with running_agent(tmp_path / str(count), arguments=arguments, config=SETTLED) as agent:
            for number in range(3):
                agent.register(Name="bad name.with dot", ID=f"bad-{number}", Port=80)
            agent.register(Name="good_name", ID="good")
            assert agent.log().count("service 'bad name.with dot' can't be found over DNS: ") == count
            assert "good_name" not in agent.log()


def test_many_questions_on_one_connection(agent: Agent):
    """A client may send the next question before it has the answer; a connection that says nothing is closed."""
    agent.register(Name="web", ID="web-1", Address="10.0.0.7")
    host, _, port = agent.dns.rpartition(":")
    data = dns.message.make_query("web.service.consul", "A").to_wire()
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(3 * (struct.pack("!H", len(data)) + data))
        stream = connection.makefile("rb")
        for _ in range(3):
            (length,) = struct.unpack("!H", stream.read(2))
            assert texts(dns.message.from_wire(stream.read(length))) == ["10.0.0.7"]
        connection.sendall(b"\x00\x03abc")
        assert stream.read() == b""


def test_a_storm_of_bad_packets_does_no_harm(agent: Agent):
    """After many random and mutated packets the agent answers as before, with as many sockets and no error logged."""
    agent.register(Name="web", ID="web-1", Address="10.0.0.7")
    rng = random.Random(5)
    host, _, port = agent.dns.rpartition(":")
    good = dns.message.make_query("web.service.consul", "SRV", use_edns=0).to_wire()
    sockets_count = agent.socket_count()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as storm:
        storm.setblocking(False)
        for _ in range(200):
            # So many fit into the agent's buffer together with the question behind them.
            for _ in range(100):
                storm.sendto(_spoilt(good, rng), (host, int(port)))
            assert texts(ask(agent, "web.service.consul")) == ["10.0.0.7"]
    assert agent.socket_count() == sockets_count
    assert "Traceback" not in agent.log()


def _spoilt(good, rng):
    """A question with some bytes changed and its end cut off, or random bytes."""
    data = bytearray(good if rng.random() < 0.8 else rng.randbytes(rng.randrange(1, 120)))
    for _ in range(rng.randrange(4)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.randrange(1, len(data) + 1)])


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"domain": "a b"}, "domain"),
        ({"recursors": ["1.2.3.4:99999"]}, "Invalid recursor address"),
        ({"recursors": ["resolver.example"]}, "Invalid recursor address"),
        ({"dns_config": {"service_ttl": {"web": "soon"}}}, "dns_config.service_ttl.web"),
        ({"dns_config": {"service_suffixes": {"x": "y"}}}, "dns_config.service_suffixes.x"),
        ({"dns_config": {"recursor_strategy": "best"}}, "dns_config.recursor_strategy"),
        ({"dns_config": {"udp_answer_limit": 0}}, "udp_answer_limit"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(tmp_path, config, words):
    """The agent does not start, and names the key."""
    code, said = Agent(tmp_path, config=config).fails_to_start()
    assert code == 1
    assert words in said


def test_an_answer_comes_from_the_address_that_was_asked(tmp_path):
    """A client takes an answer from another address for forged, also where the agent listens at all of them."""
    for address, asked in (("0.0.0.0", "127.0.3.4"), ("::", "::1"), ("127.0.0.1 127.0.3.4", "127.0.0.1")):
        with running_agent(tmp_path / asked, arguments=("--client", address), config=SETTLED) as agent:
            port = int(agent.dns.rpartition(":")[2])
            message = dns.message.make_query("n1.node.consul", "A")
            for send in (dns.query.udp, dns.query.tcp):
                assert rcode(send(message, asked, port=port, timeout=20)) == "NOERROR"


def test_every_client_address_is_answered_at(tmp_path):
    """Several addresses are as one; the agent tells of all of them."""
    with running_agent(tmp_path, arguments=("--client", "127.0.0.1 127.0.3.4"), config=SETTLED) as agent:
        found = agent.get("/v1/agent/self").json["DebugConfig"]
        for each in found["DNSAddrs"]:
            scheme, _, address = each.partition("://")
            host, _, port = address.rpartition(":")
            send = dns.query.udp if scheme == "udp" else dns.query.tcp
            message = dns.message.make_query("n1.node.consul", "A")
            assert rcode(send(message, host, port=int(port), timeout=20)) == "NOERROR"
        assert len(found["DNSAddrs"]) == 4
        assert (found["DNSPort"], found["DNSDomain"]) == (0, "consul.")


def test_dns_can_be_off(tmp_path):
    """With the port -1 nothing listens, and the agent says so."""
    with running_agent(tmp_path, arguments=("--dns-port", "-1")) as agent:
        assert agent.dns == ""
        assert agent.get("/v1/agent/self").json["DebugConfig"]["DNSAddrs"] == []
        assert "  dns  " not in agent.log()
        assert agent.get("/v1/regista/dns/consul?type=SOA").json["rcode"] == "NOERROR"


def test_the_greeting_names_http_first(agent: Agent):
    """Both addresses are in it, and the first is that of the line to try."""
    words = [line.split()[0] for line in agent.log().splitlines() if line.startswith("  ")]
    assert words[:3] == ["node", "http", "dns"]


def test_an_answer_is_explained(tmp_path):
    """Each instance that a name could mean is there with why it is in the answer, or is not."""
    with running_agent(tmp_path, config=SETTLED) as agent:
        for number in range(1, 6):
            check = {"TTL": "600s", "CheckID": f"c{number}", "Status": "passing"}
            agent.register(Name="web", ID=f"web-{number}", Address=f"10.0.0.{number}", Tags=["v1"], Check=check)
        agent.register(Name="web", ID="web-6", Address="10.0.0.6")
        agent.put("/v1/agent/check/fail/c1")
        agent.put("/v1/agent/service/maintenance/web-2?enable=true&reason=disk")
        agent.put("/v1/agent/service/drain/web-3?for=600s")
        found = agent.get("/v1/regista/dns/v1.web.service.consul").json
        assert {each["id"]: each["because"] for each in found["instances"]} == {
            "web-1": 'check "c1" is critical',
            "web-2": "it is in maintenance: disk",
            "web-3": "it is draining",
            "web-4": "all its 2 checks are passing",
            "web-5": "all its 2 checks are passing",
            "web-6": "it has no tags",
        }
        assert sorted(each["data"] for each in found["answer"]) == texts(ask(agent, "v1.web.service.consul"))
        assert agent.get("/v1/regista/dns/web?type=LOC").status == 400
        assert agent.get("/v1/regista/dns/").status == 400
        counted = agent.get("/v1/agent/metrics?format=prometheus").text
        assert 'regista_dns_service_answers_total{service="web"} 1\n' in counted

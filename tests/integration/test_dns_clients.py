"""Names looked up by the programs that look names up: dig, unbound, dnsmasq, glibc, HAProxy."""

import collections
import contextlib
import http.client
import http.server
import itertools
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import pytest
from tests.agents import eventually, running_agent
from tests.integration.dns_programs import dnsmasq, find, running, unbound
from tests.ports import free_port

ROOT = Path(__file__).parents[2]
SETTLED = {"degrading": {"settling": "0s"}}


def dns_port(agent):
    return int(agent.dns.rpartition(":")[2])


def ask(port, name, qtype="A"):
    """What a resolver answers: code and sorted data."""
    found = dns.query.udp(dns.message.make_query(name, qtype), "127.0.0.1", port=port, timeout=20)
    return dns.rcode.to_text(found.rcode()), sorted(data.to_text() for rrset in found.answer for data in rrset)


def dig(port, *words):
    """The lines that dig prints with `+short`, sorted."""
    command = [find("dig"), "@127.0.0.1", "-p", str(port), "+short", *words]
    return sorted(
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout.split("\n")
    )[1:]


# ---- dig ----


def test_dig_finds_what_there_is(tmp_path):
    """Addresses, ports, and the node of an address."""
    with running_agent(tmp_path, config=SETTLED) as agent:
        for number in (1, 2):
            agent.register(Name="web", ID=f"web-{number}", Address=f"10.0.0.{number}", Port=80 + number)
        port = dns_port(agent)
        assert dig(port, "web.service.consul") == ["10.0.0.1", "10.0.0.2"]
        assert dig(port, "web.service.consul", "SRV") == [
            "1 1 81 0a000001.addr.dc1.consul.",
            "1 1 82 0a000002.addr.dc1.consul.",
        ]
        assert dig(port, "0a000001.addr.dc1.consul") == ["10.0.0.1"]
        assert dig(port, "-x", "10.0.0.1") == ["web.service.dc1.consul."]
        assert dig(port, "+tcp", "n1.node.consul") == ["127.0.0.1"]


def test_dig_asks_again_over_tcp_for_what_is_cut(tmp_path):
    """Of 300 instances it has as many as there are, without being told to use TCP."""
    with running_agent(tmp_path, config=SETTLED) as agent:
        for number in range(300):
            agent.register(Name="web", ID=f"web-{number}", Address=f"10.0.{number // 250}.{number % 250}")
        assert len(dig(dns_port(agent), "web.service.consul")) == 300
        assert len(dig(dns_port(agent), "+notcp", "+noedns", "web.service.consul")) == 3


# ---- forwarding resolvers ----


@pytest.mark.parametrize("resolver", ["unbound forward", "unbound stub", "unbound strict", "dnsmasq"])
def test_a_resolver_passes_questions_on(tmp_path, resolver):
    """It finds what the agent has, and what changes: with TTLs of zero nothing is out of date."""
    program, _, zone = resolver.partition(" ")
    with running_agent(tmp_path / "agent", config=SETTLED) as agent:
        behind = (
            dnsmasq(tmp_path / program, dns_port(agent))
            if program == "dnsmasq"
            else unbound(tmp_path / program, dns_port(agent), zone=zone)
        )
        with behind as port:
            assert ask(port, "web.service.consul") == ("NXDOMAIN", [])
            agent.register(
                Name="web", ID="web-1", Address="10.0.0.1", Port=81, Check={"TTL": "60s", "CheckID": "c"}
            )
            agent.put("/v1/agent/check/pass/c")
            assert ask(port, "web.service.consul") == ("NOERROR", ["10.0.0.1"])
            assert ask(port, "web.service.consul", "AAAA") == ("NOERROR", [])
            assert ask(port, "web.service.consul", "SRV") == ("NOERROR", ["1 1 81 0a000001.addr.dc1.consul."])
            agent.register(Name="web", ID="web-2", Address="10.0.0.2", Port=82)
            assert ask(port, "web.service.consul") == ("NOERROR", ["10.0.0.1", "10.0.0.2"])
            agent.put("/v1/agent/check/fail/c")
            assert ask(port, "web.service.consul") == ("NOERROR", ["10.0.0.2"])


def test_a_resolver_may_ask_label_by_label(tmp_path):
    """What stands between the zone and a name is never said to be missing, however many labels that is."""
    with running_agent(tmp_path / "agent", config=SETTLED) as agent:
        agent.register(Name="web", ID="web-1", Address="10.0.0.1", Port=81, Tags=["v1.2"])
        agent.register(Name="alias", ID="alias", Address="host.corp.example.node.consul")
        agent.put("/v1/catalog/register", {"Node": "host.corp.example", "Address": "10.0.0.2"})
        with unbound(tmp_path / "unbound", dns_port(agent), zone="strict") as port:
            for name, address in (
                ("web.service.dc1.consul", "10.0.0.1"),
                ("v1.2.web.service.consul", "10.0.0.1"),
                ("host.corp.example.node.dc1.consul", "10.0.0.2"),
                ("0a000003.addr.dc1.consul", "10.0.0.3"),
            ):
                assert ask(port, name) == ("NOERROR", [address])
            assert ask(port, "alias.service.consul") == ("NOERROR", ["10.0.0.2", "host.corp.example.node.consul."])
            for name in ("_web._tcp.consul", "_web._tcp.service.consul", "_web._v1.service.dc1.dc.consul"):
                found = ("NXDOMAIN", []) if "_v1" in name else ("NOERROR", ["1 1 81 0a000001.addr.dc1.consul."])
                assert ask(port, name, "SRV") == found


def test_a_resolver_keeps_answers_for_their_ttl(tmp_path):
    """With a TTL, one question to the agent does for all who ask meanwhile."""
    config = {**SETTLED, "dns_config": {"service_ttl": {"*": "60s"}}}
    with running_agent(tmp_path / "agent", config=config) as agent:
        agent.register(Name="web", ID="web-1", Address="10.0.0.1")
        with unbound(tmp_path / "unbound", dns_port(agent)) as port:
            for _ in range(20):
                assert ask(port, "web.service.consul") == ("NOERROR", ["10.0.0.1"])
            counts = {
                line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
                for line in agent.get("/v1/agent/metrics?format=prometheus").text.splitlines()
                if line.startswith("regista_dns_service_answers_total")
            }
            assert counts == {'regista_dns_service_answers_total{service="web"}': 1}


# ---- glibc ----


def test_glibc_finds_names_through_a_stub(tmp_path):
    """The C library has both families, one where there is one, and none without waiting; aliases cost it nothing."""
    find("dnsmasq")
    if os.geteuid():
        pytest.skip("a network of its own, in which port 53 is free, needs root")
    command = ["unshare", "--net", "--mount", sys.executable, "-m", "tests.integration.dns_room", str(tmp_path)]
    if subprocess.run([*command[:3], "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let root make namespaces")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    samples = found.pop("many")
    unknown = ["Name or service not known"]
    assert found.pop("alone") == {
        "web": ["10.0.0.4"],
        "inside": ["10.0.0.4"],
        "node": ["127.0.0.1"],
        "twice": ["10.0.0.4"],
        "outside": ["192.0.2.1", "2001:db8::1"],
        "both": ["192.0.2.1", "2001:db8::1"],
        "loop": unknown,
        "gone": unknown,
        "nowhere": unknown,
    }
    assert {len(each) for each in samples} == {3}
    assert len({address for each in samples for address in each}) > 20
    assert found == {
        "both": ["10.0.0.4", "fd00::6"],
        "IPv4": ["10.0.0.4"],
        "IPv6": ["fd00::6"],
        "other family": ["No address associated with hostname"],
        "none": ["Name or service not known"],
        "after a failure": ["fd00::6"],
    }


# ---- HAProxy ----


class Instance:
    """A service that answers with its name, at an address of its own as if it had a machine of its own."""

    def __init__(self, agent, name, address):
        self.name = name
        self._agent = agent

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = name.encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer((address, 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        agent.register(
            Name="web",
            ID=name,
            Address=address,
            Port=self._server.server_port,
            Check={"TTL": "600s", "CheckID": f"check-{name}", "Status": "passing"},
        )

    def fail(self):
        assert self._agent.put(f"/v1/agent/check/fail/check-{self.name}").status == 200

    def drain(self):
        assert self._agent.put(f"/v1/agent/service/drain/{self.name}?for=600s").status == 200

    def stop(self):
        self._server.shutdown()
        self._server.server_close()


class Caller:
    """Calls again and again, each time on a new connection."""

    def __init__(self, port):
        self.failures = []
        self.answers = collections.deque(maxlen=40)
        self.count = 0
        self._port = port
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._ended.wait(0.005):
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                body = answer.read().decode()
            except (OSError, http.client.HTTPException) as problem:
                self.failures.append(repr(problem))
                continue
            finally:
                connection.close()
            self.count += 1
            if answer.status == 200:
                self.answers.append(body)
            else:
                self.failures.append(f"{answer.status} {body}")

    def are_answered_by(self, *names):
        """Whether the last forty answers came from all of these, and no other."""
        return set(self.answers) == set(names) and len(self.answers) == 40

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()


@contextlib.contextmanager
def haproxy(folder, agent_port):
    """One that follows the SRV records of `web`; its port."""
    port = free_port()
    folder.mkdir()
    (folder / "haproxy.cfg").write_text(
        f"""global
    maxconn 200
defaults
    mode http
    timeout connect 1s
    timeout client 10s
    timeout server 10s
    retries 3
    option redispatch 1
    retry-on conn-failure empty-response
resolvers regista
    nameserver agent 127.0.0.1:{agent_port}
    accepted_payload_size 4096
    timeout resolve 200ms
    timeout retry 200ms
    hold valid 200ms
    hold obsolete 0s
frontend front
    bind 127.0.0.1:{port}
    default_backend web
backend web
    balance roundrobin
    server-template web 8 _web._tcp.service.consul resolvers regista init-addr none
"""
    )

    def answers():
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    with running([find("haproxy"), "-db", "-f", str(folder / "haproxy.cfg")], folder, is_ready=answers):
        yield port


def test_haproxy_follows_without_a_failed_request(tmp_path):
    """Through registrations, a failing check, drains and a killed instance, every request is answered."""
    with running_agent(tmp_path / "agent", config=SETTLED) as agent:
        addresses = (f"127.0.8.{number}" for number in itertools.count(1))
        instances = {name: Instance(agent, name, next(addresses)) for name in ("old-1", "old-2")}
        with haproxy(tmp_path / "haproxy", dns_port(agent)) as port, Caller(port) as caller:
            eventually(lambda: caller.are_answered_by("old-1", "old-2"), within_s=20)

            # A rolling change: the new one comes, then the old one goes once nobody is sent to it any more.
            instances["new-1"] = Instance(agent, "new-1", next(addresses))
            eventually(lambda: caller.are_answered_by("old-1", "old-2", "new-1"), within_s=20)
            instances["old-1"].drain()
            eventually(lambda: caller.are_answered_by("old-2", "new-1"), within_s=20)
            instances["old-1"].stop()

            instances["old-2"].fail()
            eventually(lambda: caller.are_answered_by("new-1"), within_s=20)
            instances["old-2"].stop()

            instances["new-2"] = Instance(agent, "new-2", next(addresses))
            eventually(lambda: caller.are_answered_by("new-1", "new-2"), within_s=20)
            # One that dies is still listed: HAProxy sends what it did not answer to another.
            instances["new-2"].stop()
            instances["new-2"].fail()
            eventually(lambda: caller.are_answered_by("new-1"), within_s=20)
            # What comes late shows too.
            count = caller.count
            eventually(lambda: caller.count > count + 100)
        assert caller.failures == []
        assert caller.count > 100
        instances["new-1"].stop()

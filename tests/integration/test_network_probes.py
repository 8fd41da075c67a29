"""The probes for gRPC, HTTP/2 and UDP, and TCP with TLS, against real servers; and what is their own fault."""

import asyncio
import contextlib
import resource
import socket

import pytest
import uvloop
from tests.agents import eventually, running_agent
from tests.targets import (
    CERTIFICATE,
    PING_ANSWER,
    SERVING_ANSWER,
    grpc_server,
    hang,
    listening,
    says,
    server_context,
)

from regista.health import HealthSettings, open_probes
from regista.model import CRITICAL, PASSING, CheckDefinition

UNKNOWN_AUTHORITY = "tls: failed to verify certificate: x509: certificate signed by unknown authority"


@pytest.fixture(scope="module", params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request):
    """On the loop of the standard library, and on the one that the agent runs on."""
    return request.param


@pytest.fixture
def observe(run):
    """Observes a definition with the probe of the kind, on a loop of its own."""

    async def look(kind, definition):
        async with open_probes(HealthSettings()) as probes:
            return await probes[kind].observe(definition)

    return lambda kind, **fields: run(look(kind, CheckDefinition(**fields)))


@pytest.fixture
def on_loop(run):
    """Runs `scene(observe)`, for a target that lives on the loop of the probe."""

    async def play(scene):
        async with open_probes(HealthSettings()) as probes:
            return await scene(lambda kind, **fields: probes[kind].observe(CheckDefinition(**fields)))

    return lambda scene: run(play(scene))


@pytest.fixture(scope="module")
def plain():
    with grpc_server() as address:
        yield address


@pytest.fixture(scope="module")
def secure():
    with grpc_server(tls=True) as address:
        yield address


@pytest.fixture
def refused_port():
    """A port that nobody listens at: it is bound, so that nobody else takes it, and not listening."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


# ---- gRPC ----


@pytest.mark.parametrize("service", ["", "/good"])
def test_serving_is_passing(observe, plain, service):
    """A server that serves, as a whole or a service of it, is passing."""
    observation = observe("grpc", grpc=plain + service)
    assert observation.status == PASSING
    assert observation.output == f"gRPC check {plain}{service}: success"


def test_not_serving_is_critical(observe, plain):
    """A service that says that it does not serve is critical."""
    observation = observe("grpc", grpc=f"{plain}/bad")
    assert observation.status == CRITICAL
    assert observation.output == f"gRPC {plain}/bad serving status: NOT_SERVING"


def test_unknown_service_is_critical(observe, plain):
    """A service that the server does not know is critical, and the output names it."""
    observation = observe("grpc", grpc=f"{plain}/none")
    assert observation.status == CRITICAL
    assert observation.output == 'rpc error: code = NotFound desc = (no words, asked for service "none")'


def test_server_without_health_is_critical(observe):
    """A gRPC server without the health service is critical."""
    with grpc_server(has_health=False) as address:
        observation = observe("grpc", grpc=address)
    assert observation.status == CRITICAL
    assert observation.output.startswith("rpc error: code = Unimplemented desc = ")


@pytest.mark.parametrize("name", ["", "loopback.test", "other.test"])
def test_grpc_over_tls(observe, secure, name):
    """Over TLS any certificate will do where verification is skipped, under any name."""
    observation = observe("grpc", grpc=secure, grpc_use_tls=True, tls_skip_verify=True, tls_server_name=name)
    assert observation.status == PASSING


def test_grpc_verifies_certificates(observe, secure):
    """A certificate that nobody vouches for is critical."""
    observation = observe("grpc", grpc=secure, grpc_use_tls=True)
    assert observation.status == CRITICAL
    assert observation.output == (
        "rpc error: code = Unavailable desc = connection error: "
        f'desc = "transport: authentication handshake failed: {UNKNOWN_AUTHORITY}"'
    )


def test_refused_grpc(observe, refused_port):
    """A closed port is critical, in the words of grpc-go."""
    observation = observe("grpc", grpc=f"127.0.0.1:{refused_port}")
    assert observation.status == CRITICAL
    assert observation.output == (
        'rpc error: code = Unavailable desc = connection error: desc = "transport: Error while dialing: '
        f'dial tcp 127.0.0.1:{refused_port}: connect: connection refused"'
    )
    assert not observation.is_silent


# ---- HTTP/2 ping ----


def test_ping_is_answered(observe, plain, secure):
    """A server that answers pings is passing, with TLS by default and without it if told so."""
    for fields in ({"h2ping": plain, "h2ping_use_tls": False}, {"h2ping": secure, "tls_skip_verify": True}):
        observation = observe("h2ping", **fields)
        assert observation.status == PASSING
        assert observation.output == "HTTP2 ping was successful"


def test_ping_verifies_certificates(observe, secure):
    """A certificate that nobody vouches for is critical."""
    observation = observe("h2ping", h2ping=secure)
    assert observation.status == CRITICAL
    assert observation.output == f"HTTP2 ping failed: {UNKNOWN_AUTHORITY}"


def test_ping_wants_http2_agreed_upon(on_loop):
    """A server that speaks TLS, and did not agree to HTTP/2, is critical."""

    async def scene(observe):
        async with listening(hang, tls=server_context("http/1.1")) as address:
            return await observe("h2ping", h2ping=address, tls_skip_verify=True)

    observation = on_loop(scene)
    assert observation.status == CRITICAL
    assert observation.output == 'HTTP2 ping failed: http2: unexpected ALPN protocol ""; want "h2"'


def test_ping_of_a_plain_server(observe, plain):
    """A server without TLS is critical where TLS is wanted."""
    observation = observe("h2ping", h2ping=plain)
    assert observation.status == CRITICAL
    assert observation.output == "HTTP2 ping failed: tls: first record does not look like a TLS handshake"


# ---- TCP with TLS ----


def test_tcp_over_tls(observe, secure, plain):
    """With TLS a handshake is wanted, and the right certificate unless that is skipped."""
    fields = {"tcp": secure, "tcp_use_tls": True}
    observation = observe("tcp", **fields, tls_skip_verify=True)
    assert (observation.status, observation.output) == (PASSING, f"TCP connect {secure}: Success")
    observation = observe("tcp", **fields)
    assert (observation.status, observation.output) == (CRITICAL, f"dial tcp {secure}: {UNKNOWN_AUTHORITY}")
    observation = observe("tcp", tcp=plain, tcp_use_tls=True)
    assert observation.output == f"dial tcp {plain}: tls: first record does not look like a TLS handshake"


@pytest.mark.parametrize("name", ["a" * 300, "..", "\udc80"])
def test_senseless_server_names_are_critical(observe, secure, name):
    """A server name that can't be asked for is critical, and raises nothing."""
    observation = observe("tcp", tcp=secure, tcp_use_tls=True, tls_server_name=name)
    assert observation.status == CRITICAL
    assert "is no name that a server can be asked for" in observation.output


# ---- UDP ----


@contextlib.contextmanager
def udp_target():
    with socket.socket(type=socket.SOCK_DGRAM) as target:
        target.bind(("127.0.0.1", 0))
        target.settimeout(5)
        yield target, f"127.0.0.1:{target.getsockname()[1]}"


@pytest.mark.parametrize("reply", [b"", b"pong" * 1000])
def test_any_datagram_is_passing(on_loop, reply):
    """A target that answers with any datagram, even an empty one, is passing at once."""

    async def scene(observe):
        with udp_target() as (target, address):
            asking = asyncio.ensure_future(observe("udp", udp=address))
            data, sender = await asyncio.to_thread(target.recvfrom, 100)
            target.sendto(reply, sender)
            return data, address, await asking

    data, address, observation = on_loop(scene)
    assert data == b""
    assert (observation.status, observation.output) == (PASSING, f"UDP connect {address}: Success")
    assert not observation.is_silent


def test_silence_is_passing(observe):
    """A target that does not answer within the timeout is passing; that it was silent is told apart."""
    with udp_target() as (_, address):
        observation = observe("udp", udp=address, timeout_s=0.1)
    assert (observation.status, observation.output) == (PASSING, f"UDP connect {address}: Success")
    assert observation.is_silent


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_refused_udp(observe, host):
    """A closed port is critical: the machine says so, for every address of the name."""
    with socket.socket(type=socket.SOCK_DGRAM) as holder:
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
    observation = observe("udp", udp=f"{host}:{port}")
    assert observation.status == CRITICAL
    assert observation.output == f"read udp {host}:{port}: read: connection refused"


def test_udp_by_name(observe):
    """Of a name's addresses one that does not refuse is enough."""
    with udp_target() as (_, address):
        observation = observe("udp", udp=address.replace("127.0.0.1", "localhost"), timeout_s=0.1)
    assert observation.status == PASSING


@pytest.mark.parametrize("address", ["nothing", "127.0.0.1:99999", "127.0.0.1:dns", "a..b:1", "\udc80:1"])
@pytest.mark.parametrize("kind", ["udp", "grpc", "h2ping", "tcp"])
def test_senseless_addresses_are_critical(observe, kind, address):
    """An address that nobody can connect to is critical, and raises nothing."""
    observation = observe(kind, **{kind: address})
    assert observation.status == CRITICAL
    assert f"dial {'udp' if kind == 'udp' else 'tcp'}: " in observation.output


# ---- whose fault ----


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("http", {"http": "http://{}/"}),
        ("http", {"http": "http://nowhere.invalid/"}),
        ("tcp", {"tcp": "{}"}),
        ("tcp", {"tcp": "nowhere.invalid:1"}),
        ("tcp", {"tcp": "{}", "tcp_use_tls": True}),
        ("udp", {"udp": "{}"}),
        ("grpc", {"grpc": "{}"}),
        ("h2ping", {"h2ping": "{}", "h2ping_use_tls": False}),
    ],
)
def test_want_of_files_is_the_probers_fault(on_loop, plain, kind, fields):
    """A probe that finds no file left is told apart from one that finds a target dead; the next one is well."""
    fields = {name: value.format(plain) if isinstance(value, str) else value for name, value in fields.items()}

    async def scene(observe):
        before = await observe(kind, **fields)
        with no_files_left():
            during = await observe(kind, **fields)
        return before, during, await observe(kind, **fields)

    before, during, after = on_loop(scene)
    assert not before.is_own_fault
    assert during.status == CRITICAL
    assert during.is_own_fault
    assert (after.status, after.is_own_fault) == (before.status, False)


@contextlib.contextmanager
def no_files_left():
    """This process can open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    holders = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                holders.append(socket.socket())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for holder in holders:
            holder.close()


def test_whoever_does_not_connect_is_silent(on_loop):
    """No connection within the timeout is silence; a connection without an answer is none."""

    async def scene(observe):
        with socket.socket() as listener, contextlib.ExitStack() as waiting:
            listener.bind(("127.0.0.1", 0))
            listener.listen(0)
            for _ in range(3):
                filler = waiting.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(listener.getsockname())
            silent = await each(f"127.0.0.1:{listener.getsockname()[1]}", observe)
        async with listening(hang) as address:
            return silent, await each(address, observe)

    async def each(address, observe):
        return [
            await observe("http", http=f"http://{address}/", timeout_s=0.1),
            await observe("grpc", grpc=address, timeout_s=0.1),
            await observe("h2ping", h2ping=address, h2ping_use_tls=False, timeout_s=0.1),
        ]

    silent, unanswered = on_loop(scene)
    assert {each.status for each in silent + unanswered} == {CRITICAL}
    assert [each.is_silent for each in silent] == [True] * 3
    assert [each.is_silent for each in unanswered] == [False] * 3


# ---- through an agent ----


def test_an_agent_makes_the_checks(tmp_path, plain, secure, monkeypatch):
    """Registered in Consul's words, each kind is made: status, output and type are there for all to see."""
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    with running_agent(tmp_path / "agent") as agent, udp_target() as (_, datagrams):
        checks = {
            "grpc": {"GRPC": f"{plain}/good"},
            "grpc-bad": {"GRPC": f"{plain}/bad"},
            "grpc-tls": {"GRPC": secure, "GRPCUseTLS": True, "TLSServerName": "loopback.test"},
            "grpc-other": {"GRPC": secure, "GRPCUseTLS": True, "TLSServerName": "other.test"},
            "ping": {"H2PING": secure},
            "ping-plain": {"H2PING": plain, "H2PingUseTLS": False},
            "tls": {"TCP": secure, "TCPUseTLS": True},
            "udp": {"UDP": datagrams, "Timeout": "200ms"},
        }
        listed = [{"CheckID": name, "Name": name, "Interval": "1s", **fields} for name, fields in checks.items()]
        agent.register(Name="web", Checks=listed)

        def all_made():
            found = agent.get("/v1/health/checks/web").json
            return found if all(each["Output"] for each in found) else None

        made = {each["CheckID"]: each for each in eventually(all_made, within_s=10)}
    shown = {name: (each["Type"], each["Status"], each["Output"]) for name, each in made.items()}
    wrong_name = shown.pop("grpc-other")
    assert wrong_name[:2] == ("grpc", "critical")
    assert "x509: " in wrong_name[2]
    assert "other.test" in wrong_name[2]
    assert shown == {
        "grpc": ("grpc", "passing", f"gRPC check {plain}/good: success"),
        "grpc-bad": ("grpc", "critical", f"gRPC {plain}/bad serving status: NOT_SERVING"),
        "grpc-tls": ("grpc", "passing", f"gRPC check {secure}: success"),
        "ping": ("h2ping", "passing", "HTTP2 ping was successful"),
        "ping-plain": ("h2ping", "passing", "HTTP2 ping was successful"),
        "tls": ("tcp", "passing", f"TCP connect {secure}: Success"),
        "udp": ("udp", "passing", f"UDP connect {datagrams}: Success"),
    }


def test_http2_by_hand_is_understood(on_loop):
    """A server that says the least that the protocols want is passing."""

    async def scene(observe):
        async with listening(says(SERVING_ANSWER)) as calls, listening(says(PING_ANSWER)) as pings:
            return [
                await observe("grpc", grpc=calls),
                await observe("h2ping", h2ping=pings, h2ping_use_tls=False),
            ]

    assert [each.status for each in on_loop(scene)] == [PASSING, PASSING]

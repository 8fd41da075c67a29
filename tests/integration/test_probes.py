"""The probes against real servers on loopback ports that the system chose."""

import asyncio
import contextlib
import socket
import ssl
from pathlib import Path

import pytest
import uvloop
from aiohttp import web

from regista.health import HealthSettings, open_probes
from regista.model import CRITICAL, PASSING, WARNING, CheckDefinition

CERTIFICATE = Path(__file__).parent.parent / "data" / "loopback.cert.pem"
KEY = Path(__file__).parent.parent / "data" / "loopback.key.pem"

HUGE_BYTES = 3 * 1024 * 1024


@pytest.fixture
async def observe():
    """Observes a definition with the probe of the kind."""
    async with open_probes(HealthSettings(http_timeout_s=5.0, tcp_timeout_s=5.0)) as probes:

        async def observe(kind, **fields):
            return await probes[kind].observe(CheckDefinition(**fields))

        yield observe


@contextlib.asynccontextmanager
async def serving(*, tls=None):
    """An HTTP server; its base URL."""
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    # Hanging answers are cut off at the end of the test instead of being waited for.
    runner = web.AppRunner(app, shutdown_timeout=0.05)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def answer(request):
    path = request.path.strip("/")
    match path:
        case "echo":
            headers = "\n".join(f"{name}={value}" for name, value in request.headers.items())
            return web.Response(text=f"{request.method} {await request.text()}\n{headers}")
        case "moved":
            raise web.HTTPMovedPermanently("/200")
        case "round":
            raise web.HTTPFound("/round")
        case "slow":
            await asyncio.sleep(30)
        case "huge":
            return web.Response(body=b"a" * (HUGE_BYTES - 4) + b"tail")
        case "long":
            return web.Response(text="a" * 5000 + "the end")
        case "bytes":
            return web.Response(body=b"bad \xff\xfe bytes")
        case "chunked" | "hanging" | "endless":
            return await stream(request, path)
        case "cookie":
            response = web.Response(text=request.headers.get("Cookie", "no cookie"))
            response.set_cookie("seen", "yes")
            return response
    return web.Response(status=int(path or 200), text="" if path == "204" else f"body of {path}")


async def stream(request, path):
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    for word in (b"one ", b"two ", b"three"):
        await response.write(word)
    if path == "hanging":
        await asyncio.sleep(30)
    with contextlib.suppress(ConnectionError):
        while path == "endless":
            await response.write(b"x" * 65536)
    return response


@pytest.fixture
async def base():
    async with serving() as url:
        yield url


@pytest.fixture
def refused_port():
    """A port that nobody listens at: it is bound, so that nobody else takes it, and not listening."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]


# ---- HTTP ----


@pytest.mark.parametrize(
    ("path", "status", "line"),
    [
        ("200", PASSING, "200 OK Output: body of 200"),
        ("204", PASSING, "204 No Content Output: "),
        ("moved", PASSING, "200 OK Output: body of 200"),
        ("404", CRITICAL, "404 Not Found Output: body of 404"),
        ("429", WARNING, "429 Too Many Requests Output: body of 429"),
        ("500", CRITICAL, "500 Internal Server Error Output: body of 500"),
        ("chunked", PASSING, "200 OK Output: one two three"),
        ("bytes", PASSING, "200 OK Output: bad �� bytes"),
    ],
)
async def test_status_line_decides(observe, base, path, status, line):
    """2xx after redirects is passing, 429 a warning, the rest critical; the output shows line and body."""
    observation = await observe("http", http=f"{base}/{path}")
    assert observation.status == status
    assert observation.output == f"HTTP GET {base}/{path}: {line}"


async def test_redirects_can_be_switched_off(observe, base):
    """With redirects disabled a redirect is critical."""
    observation = await observe("http", http=f"{base}/moved", disable_redirects=True)
    assert observation.status == CRITICAL
    assert "301 Moved Permanently" in observation.output


async def test_redirects_end(observe, base):
    """A target that redirects to itself is given up."""
    observation = await observe("http", http=f"{base}/round")
    assert observation.status == CRITICAL
    assert observation.output == f'Get "{base}/round": stopped after 10 redirects'


async def test_request_is_consuls(observe, base):
    """Without wishes the request is a GET that looks like Consul's."""
    lines = (await observe("http", http=f"{base}/echo")).output.split("Output: ")[1].splitlines()
    assert lines[0] == "GET "
    assert set(lines[1:]) == {
        f"Host={base.removeprefix('http://')}",
        "User-Agent=Consul Health Check",
        "Accept=text/plain, text/*, */*",
        "Accept-Encoding=gzip",
        "Connection=close",
    }


async def test_request_is_as_defined(observe, base):
    """Method, body and headers are sent as defined: more than one of a name, and another Host."""
    header = {"X-Two": ("a", "b"), "host": ("web.internal",), "Accept": ("x/y",), "User-Agent": ("me",)}
    observation = await observe("http", http=f"{base}/echo", method="POST", body="ping", header=header)
    first, *lines = observation.output.split("Output: ")[1].splitlines()
    assert first == "POST ping"
    assert [line for line in lines if line.startswith("X-Two")] == ["X-Two=a", "X-Two=b"]
    assert [line.split("=")[1] for line in lines if line.lower().startswith("host=")] == ["web.internal"]
    assert "Accept=x/y" in lines
    assert "User-Agent=me" in lines
    assert not any(line.startswith("Content-Type") for line in lines)
    assert observation.output.startswith(f"HTTP POST {base}/echo: 200 OK")


async def test_no_cookies_are_kept(observe, base):
    """A cookie that a target sets does not come back to it."""
    for _ in range(2):
        assert (await observe("http", http=f"{base}/cookie")).output.endswith("no cookie")


async def test_end_of_the_body_is_kept(observe, base):
    """Of a long body the last bytes are kept, up to the limit."""
    body = (await observe("http", http=f"{base}/long")).output.split("Output: ")[1]
    assert len(body) == 4096
    assert body.endswith("athe end")
    body = (await observe("http", http=f"{base}/long", output_bytes_max=7)).output.split("Output: ")[1]
    assert body == "the end"


@pytest.mark.parametrize("path", ["huge", "endless"])
async def test_huge_body_is_given_up(observe, base, path):
    """A huge or endless body is read so far, and the status line decides."""
    async with asyncio.timeout(4):
        observation = await observe("http", http=f"{base}/{path}")
    assert observation.status == PASSING
    assert len(observation.output) < 4096 + 100
    assert not observation.output.endswith("tail")


async def test_slow_answer_times_out(observe, base):
    """A target that does not answer in time is critical, in Go's words."""
    observation = await observe("http", http=f"{base}/slow", timeout_s=0.1)
    assert observation.status == CRITICAL
    words = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
    assert observation.output == f'Get "{base}/slow": {words}'


async def test_hanging_body_does_not_count(observe, base):
    """A body that does not end in time leaves the verdict to the status line, as in Consul."""
    observation = await observe("http", http=f"{base}/hanging", timeout_s=0.2)
    assert observation.status == PASSING
    assert observation.output.endswith("200 OK Output: one two three")


async def test_refused_http(observe, refused_port):
    """A closed port is critical, in Go's words."""
    url = f"http://127.0.0.1:{refused_port}/"
    observation = await observe("http", http=url, method="HEAD")
    assert observation.status == CRITICAL
    assert observation.output == f'Head "{url}": dial tcp 127.0.0.1:{refused_port}: connect: connection refused'


@pytest.mark.parametrize(
    "fields",
    [
        {"http": "no-scheme"},
        {"http": "ftp://127.0.0.1/"},
        {"http": "http://"},
        {"http": "http://127.0.0.1:99999/"},
        {"http": "http://[::1/"},
        {"http": "http://" + "a" * 300 + "/"},
    ],
)
async def test_senseless_definitions_are_critical(observe, fields):
    """A definition that no request can be made of is critical, and raises nothing."""
    observation = await observe("http", **fields)
    assert observation.status == CRITICAL
    assert len(observation.output) > len(fields["http"])


@pytest.mark.parametrize(
    "fields",
    [
        {"method": "BAD METHOD"},
        {"header": {"X": ("a\r\nb: c",)}},
        {"header": {"bad name\n": ("a",)}},
    ],
)
async def test_senseless_requests_are_critical(observe, base, fields):
    """A request that can't be written is critical, and raises nothing."""
    observation = await observe("http", http=f"{base}/200", timeout_s=1.0, **fields)
    assert observation.status == CRITICAL


@pytest.mark.parametrize(
    "reply",
    [b"", b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", b"HTTP/1.1 999999\r\n\r\n"],
)
async def test_broken_answers_raise_nothing(observe, reply):
    """Whatever a target sends becomes an observation."""

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        observation = await observe("http", http=url)
    # A body that breaks off does not count, everything else does.
    assert observation.status == (PASSING if b"short" in reply else CRITICAL)
    assert url in observation.output


# ---- TLS ----


@pytest.fixture
async def secure_base():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    async with serving(tls=context) as url:
        yield url


async def test_unknown_certificate_is_critical(observe, secure_base):
    """A certificate that nobody vouches for is critical, in Go's words."""
    observation = await observe("http", http=f"{secure_base}/200")
    assert observation.status == CRITICAL
    words = "tls: failed to verify certificate: x509: certificate signed by unknown authority"
    assert observation.output == f'Get "{secure_base}/200": {words}'


async def test_verification_can_be_skipped(observe, secure_base):
    """With `tls_skip_verify` any certificate will do, also under another name."""
    for name in ("", "other.test"):
        observation = await observe("http", http=f"{secure_base}/200", tls_skip_verify=True, tls_server_name=name)
        assert observation.status == PASSING


async def test_server_name_is_asked_for(observe):
    """`tls_server_name` is the name that the server is asked for."""
    asked = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    context.sni_callback = lambda sock, name, context: asked.append(name)
    async with serving(tls=context) as url:
        await observe("http", http=f"{url}/200", tls_skip_verify=True, tls_server_name="loopback.test")
    assert asked == ["loopback.test"]


@pytest.mark.parametrize("name", ["a" * 300, "..", "\udc80"])
async def test_senseless_server_names_are_critical(observe, secure_base, name):
    """A server name that can't be asked for is critical, and raises nothing."""
    observation = await observe("http", http=f"{secure_base}/200", tls_skip_verify=True, tls_server_name=name)
    assert observation.status == CRITICAL


async def test_plain_server_for_https(observe, base):
    """A server that does not speak TLS is critical under https."""
    observation = await observe("http", http=base.replace("http", "https"))
    assert observation.status == CRITICAL
    assert observation.output.endswith("http: server gave HTTP response to HTTPS client")


# ---- TCP ----


@pytest.mark.parametrize(
    ("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]"), ("127.0.0.1", "localhost")]
)
async def test_open_port_is_passing(observe, host, shown):
    """A port where connections are accepted is passing, over IPv4, IPv6 and by name."""
    try:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), host, 0)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    async with server:
        address = f"{shown}:{server.sockets[0].getsockname()[1]}"
        observation = await observe("tcp", tcp=address)
    assert observation.status == PASSING
    assert observation.output == f"TCP connect {address}: Success"


async def test_refused_tcp(observe, refused_port):
    """A closed port is critical, in Go's words."""
    observation = await observe("tcp", tcp=f"127.0.0.1:{refused_port}")
    assert observation.status == CRITICAL
    assert observation.output == f"dial tcp 127.0.0.1:{refused_port}: connect: connection refused"


async def test_full_backlog_times_out(observe):
    """A connection that nobody accepts, with the backlog full, times out."""
    with socket.socket() as listener, contextlib.ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            filler = waiting.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        observation = await observe("tcp", tcp=address, timeout_s=0.2)
    assert observation.status == CRITICAL
    assert observation.output == f"dial tcp {address}: i/o timeout"


@pytest.mark.parametrize(
    "address", ["nothing", "127.0.0.1:", "127.0.0.1:99999", "127.0.0.1:http", "[::1]", "a..b:1", "\udc80:1"]
)
async def test_senseless_addresses_are_critical(observe, address):
    """An address that nobody can connect to is critical, and raises nothing."""
    observation = await observe("tcp", tcp=address)
    assert observation.status == CRITICAL
    assert observation.output.startswith("dial tcp")


# ---- the agent's own loop ----


def test_probes_run_on_uvloop(refused_port):
    """On the loop that the agent runs on, the probes find the same."""

    async def look():
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE, KEY)
        async with (
            open_probes(HealthSettings()) as probes,
            serving() as plain,
            serving(tls=context) as secure,
        ):
            definitions = [
                CheckDefinition(http=f"{plain}/200"),
                CheckDefinition(http=f"{plain}/slow", timeout_s=0.1),
                CheckDefinition(http=f"{secure}/200"),
                CheckDefinition(http=f"{secure}/200", tls_skip_verify=True, tls_server_name="other.test"),
                CheckDefinition(http=f"http://127.0.0.1:{refused_port}/"),
            ]
            found = [await probes["http"].observe(definition) for definition in definitions]
            addresses = (plain.removeprefix("http://"), f"127.0.0.1:{refused_port}", "a..b:1")
            return found + [await probes["tcp"].observe(CheckDefinition(tcp=address)) for address in addresses]

    found = uvloop.run(look())
    assert [each.status for each in found] == [
        PASSING,
        CRITICAL,
        CRITICAL,
        PASSING,
        CRITICAL,
        PASSING,
        CRITICAL,
        CRITICAL,
    ]
    assert "context deadline exceeded" in found[1].output
    assert "x509: certificate signed by unknown authority" in found[2].output
    for refused in (found[4], found[6]):
        assert refused.output.endswith(f"dial tcp 127.0.0.1:{refused_port}: connect: connection refused")

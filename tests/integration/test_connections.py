"""Connections: the same answer on the short way as on the long one, whatever comes before, after or instead.

The server of these tests runs in a thread with a loop of its own, uvloop's or asyncio's, and has handlers that a
test can hold back. Clients are raw sockets. On the loopback what was sent has arrived, so one round through the
server's loop (`Served.turn`) is enough for it to be read.
"""

import asyncio
import contextlib
import gzip
import itertools
import re
import signal
import socket
import threading
import time

import pytest
import uvloop
from tests.agents import eventually, running_agent

from regista.model import BadInput, NotFound
from regista.protocols.http import HttpServer, HttpSettings, Response, Route, RouteTable, text_response
from regista.protocols.http.bodies import _LATE_S
from regista.protocols.http.connection import _HELD_BYTES_MAX
from regista.protocols.http.dispatch import KNOWN_HEADS_MAX

LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.SelectorEventLoop}

READ_BYTES_MAX = 256 * 1024
"""What a loop reads at once."""

SOON_S = 5.0

BIG = b'{"text": "' + b"once more " * 500 + b'"}'
HUGE_BYTES = 1024 * 1024


# ---- the server ----


class Gate:
    """A handler that waits until it is let go."""

    def __init__(self):
        self.began = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)
        self.cancelled = threading.Semaphore(0)
        self.open = asyncio.Event()

    async def __call__(self, request):
        self.began.release()
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.cancelled.release()
            raise
        self.ended.release()
        return text_response(200, f"waited for {request.argument}")


class Served:
    """A server in a thread, with the handlers of these tests."""

    def __init__(self, new_loop, **settings):
        self.complaints = []
        self.gates = {}
        self.next = "nothing"
        self.loop = new_loop()
        self.loop.set_exception_handler(lambda _, context: self.complaints.append(context))
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.http = HttpServer(RouteTable(self._routes()), HttpSettings(**settings), wall_clock=time.time)
        self.address = self.http.bind("127.0.0.1", 0)
        self.run(self.http.start())

    def _routes(self):
        return [
            Route("GET", "/v1/now", lambda _: Response(200, b"[1]", "application/json", (("X-Index", "7"),))),
            Route("GET", "/v1/echo/", lambda request: text_response(200, request.argument)),
            Route("GET", "/v1/client", lambda request: text_response(200, request.client)),
            Route("GET", "/v1/big", lambda _: Response(200, BIG, "application/json")),
            Route("GET", "/v1/big-later", self._big_later),
            Route("GET", "/v1/huge/", lambda request: text_response(200, request.argument[:1] * HUGE_BYTES)),
            Route("GET", "/v1/gate/", lambda request: self.gate(request.argument)(request)),
            Route("GET", "/v1/made/", lambda request: made(request.argument)),
            Route("GET", "/v1/made-later/", self._made_later),
            Route("GET", "/v1/made-next", self._made_next),
            Route("PUT", "/v1/body", self._body),
            Route("PUT", "/v1/small-body", self._small_body),
            Route("PUT", "/v1/put/", self._put),
            Route("PUT", "/v1/unread", lambda _: text_response(200, "not read")),
        ]

    async def _big_later(self, _):
        await asyncio.sleep(0)
        return Response(200, BIG, "application/json")

    async def _made_later(self, request):
        await asyncio.sleep(0)
        return made(request.argument)

    async def _made_next(self, _):
        return made(self.next)

    async def _body(self, request):
        return text_response(200, f"{request.method} of " + (await request.body(READ_BYTES_MAX)).decode())

    async def _put(self, request):
        body = await request.body(READ_BYTES_MAX)
        return text_response(200, f"{request.argument!r} {request.parameters.all('q')} {body!r}")

    async def _small_body(self, request):
        return text_response(200, f"{len(await request.body(10))} bytes")

    def gate(self, name):
        return self.gates.setdefault(name, Gate())

    def let_go(self, name):
        self.loop.call_soon_threadsafe(self.gate(name).open.set)

    def run(self, waiting):
        return asyncio.run_coroutine_threadsafe(waiting, self.loop).result(30)

    def turn(self):
        """Waits until the server has read what has arrived, and done what can be done at once."""

        async def turn():
            for _ in range(8):
                await asyncio.sleep(0)

        self.run(turn())

    def begin(self, waiting):
        """Starts it in the server's loop; the future of its end."""
        return asyncio.run_coroutine_threadsafe(waiting, self.loop)

    @property
    def connections(self):
        return self.http._server.connections

    @property
    def known(self):
        return self.http._dispatcher.known

    def forget(self):
        """So that the next request goes the long way."""
        self.loop.call_soon_threadsafe(self.known.clear)
        self.loop.call_soon_threadsafe(self.http._dispatcher.known_tails.clear)
        self.turn()

    def close(self):
        self.run(self.http.close(0.1))
        self.turn()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(SOON_S)
        self.loop.close()


def made(what):
    """What a handler gives or raises."""
    match what:
        case "bad-input":
            raise BadInput("that is wrong", field="Name")
        case "not-found":
            raise NotFound("nobody has that")
        case "bug":
            raise RuntimeError("a bug")
        case "reset":
            raise ConnectionResetError("somebody else's connection")
        case "timeout":
            raise TimeoutError("somebody else's time")
        case "cancelled":
            raise asyncio.CancelledError
        case "two-lines":
            return Response(200, b"x", "text/plain", (("X-Note", "a\r\nSet-Cookie: b=c"),))
        case "two-lines-in-a-name":
            return Response(200, b"x", "text/plain", (("X-Note: a\r\nX-More", "b"),))
        case "nul":
            return Response(200, b"x", "text/plain", (("X-Note", "a\0b"),))
        case "half-a-character":
            return Response(200, b"x", "text/plain", (("X-Note", "\ud800"),))
        case "umlaut":
            return Response(200, b"x", "text/plain", (("X-Note", "für 名"),))
        case "twice":
            return Response(200, b"x", "text/plain", (("X-Note", "a"), ("x-note", "b")))
        case "204" | "299" | "304" | "404" | "503":
            return Response(int(what))
        case _:
            return Response(200)


@contextlib.contextmanager
def served(new_loop, **settings):
    server = Served(new_loop, **settings)
    try:
        yield server
    finally:
        server.close()
    assert not server.complaints, "an exception that nobody handled"


@pytest.fixture(params=LOOPS)
def new_loop(request):
    return LOOPS[request.param]


@pytest.fixture
def server(new_loop):
    with served(new_loop) as server:
        yield server


# ---- a client ----


class Wire:
    """A raw connection."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.socket = socket.create_connection((host, int(port)), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._got = b""

    def send(self, *parts):
        for part in parts:
            self.socket.sendall(part)

    def answer(self, method="GET"):
        """The next answer to its last byte, but for the date."""
        while b"\r\n\r\n" not in self._got:
            self._read_more()
        head, _, rest = self._got.partition(b"\r\n\r\n")
        length = re.search(rb"\r\nContent-Length: (\d+)", head)
        size = int(length[1]) if length and method != "HEAD" else 0
        while len(rest) < size:
            self._read_more()
            rest = self._got[len(head) + 4 :]
        self._got = rest[size:]
        return re.sub(rb"\r\nDate: [^\r]*", b"\r\nDate: now", head + b"\r\n\r\n" + rest[:size])

    def ask(self, request):
        self.send(request)
        return self.answer(request.partition(b" ")[0].decode())

    def ask_in_parts(self, request, server):
        """As `ask`, in two packets, so that it goes the long way."""
        self.send(request[:5])
        server.turn()
        return self.ask(request[5:]) if not request.startswith(b"HEAD") else self.ask_head(request[5:])

    def ask_head(self, request):
        self.send(request)
        return self.answer("HEAD")

    def the_end(self):
        """All that comes until the server closes."""
        with contextlib.suppress(ConnectionError):
            while True:
                self._read_more()
        got, self._got = self._got, b""
        return got

    def is_quiet(self):
        """Whether nothing more has come."""
        self.socket.setblocking(False)
        try:
            return not self._got and not self.socket.recv(1)
        except BlockingIOError:
            return True
        finally:
            self.socket.settimeout(20)

    def reset(self):
        """Goes without a word more."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def _read_more(self):
        more = self.socket.recv(1 << 20)
        if not more:
            raise ConnectionError("the server has closed")
        self._got += more

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


def wire(server):
    return Wire(server.address)


def raw(start, *headers, body=b"", length=True):
    lines = [start.encode() + b" HTTP/1.1", b"Host: x", *headers]
    if length and (body or start.startswith("PUT")):
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"", b""]) + body


def chunked(*parts):
    return b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


NOW = raw("GET /v1/now")
ODD = b"X-Odd: \xe4"
"""With it a head is not of the plain form."""


def heads_on(way):
    """Headers that have a request go that way when it is sent first."""
    return (ODD,) if way == "long" else ()


GZIP = b"Accept-Encoding: gzip"
EXPECT = b"Expect: 100-continue"
CHUNKED = b"Transfer-Encoding: chunked"


def echo(name):
    return raw(f"GET /v1/echo/{name}")


def status_of(answer):
    return int(answer[9:12])


def body_of(answer):
    return answer.partition(b"\r\n\r\n")[2]


def all_equal(answers):
    first, *others = answers
    for other in others:
        assert other == first
    return first


def learn(server, *requests):
    """Makes the server know their heads."""
    with wire(server) as client:
        for request in requests:
            client.ask(request)
            assert request.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" in server.known


# ---- long way against short way ----

SAME = {
    "GET": (NOW, 200),
    "HEAD": (raw("HEAD /v1/now"), 200),
    "HEAD without a body": (raw("HEAD /v1/made/nothing"), 200),
    "GET with keep-alive": (raw("GET /v1/now", b"Connection: Keep-Alive"), 200),
    "GET in absolute form": (raw("GET http://x/v1/now"), 200),
    "GET with a body": (raw("GET /v1/now", body=b"12345"), 200),
    "GET with the length 0": (raw("GET /v1/now", b"Content-Length: 0"), 200),
    "GET with a header twice": (raw("GET /v1/now", b"X-A: 1", b"X-A: 2"), 200),
    "GET with a line break before it": (b"\r\n" + NOW, 200),
    "an empty body": (raw("GET /v1/made/nothing"), 200),
    "big, plain": (raw("GET /v1/big"), 200),
    "big, gzip": (raw("GET /v1/big", GZIP), 200),
    "big, gzip refused": (raw("GET /v1/big", b"Accept-Encoding: *, gzip;q=0"), 200),
    "HEAD of big, gzip": (raw("HEAD /v1/big", GZIP), 200),
    "big, gzip, later": (raw("GET /v1/big-later", GZIP), 200),
    "PUT": (raw("PUT /v1/body", body=b"hello"), 200),
    "PUT without a body": (raw("PUT /v1/body"), 200),
    "PUT without a length": (raw("PUT /v1/body", length=False), 200),
    "PUT of 60 KB": (raw("PUT /v1/body", body=b"x" * 60_000), 200),
    "PUT of gzip": (raw("PUT /v1/body", b"Content-Encoding: gzip", body=gzip.compress(b"packed", mtime=0)), 200),
    "PUT in chunks": (raw("PUT /v1/body", CHUNKED, body=chunked(b"ab", b"c"), length=False), 200),
    "PUT of what is not read": (raw("PUT /v1/unread", body=b"hello"), 200),
    "PUT of too much": (raw("PUT /v1/small-body", body=b"x" * 11), 413),
    "204": (raw("GET /v1/made/204"), 204),
    "204, later": (raw("GET /v1/made-later/204"), 204),
    "a status without a name": (raw("GET /v1/made/299"), 299),
    "304": (raw("GET /v1/made/304"), 304),
    "404 from a handler": (raw("GET /v1/made/404"), 404),
    "503 from a handler": (raw("GET /v1/made-later/503"), 503),
    "a header in other letters": (raw("GET /v1/made/umlaut"), 200),
    "a header twice": (raw("GET /v1/made/twice"), 200),
    "an error of the caller's": (raw("GET /v1/made/bad-input"), 400),
    "an error of the caller's, later": (raw("GET /v1/made-later/bad-input"), 400),
    "HEAD of an error": (raw("HEAD /v1/made-later/not-found"), 404),
    "301": (raw("GET /v1//now"), 301),
    "404": (raw("GET /v1/nothing"), 404),
    "404 with words": (raw("GET /nothing"), 404),
    "404 of a PUT": (raw("PUT /v1/nothing", body=b"hello"), 404),
    "405": (raw("PUT /v1/now", body=b"hello"), 405),
    "OPTIONS": (raw("OPTIONS /v1/now"), 200),
    "400 for the path": (raw("GET /v1/echo/%ff"), 400),
    "400 for the query": (raw("GET /v1/now?a=%zz"), 400),
}

PLAIN_TARGETS = ("/v1/put/b", "/v1/put/b?q=1&q=%20+x", "/v1/put/a%2Fb", "/v1/put/a:b@c,d;e=f~g_h.i-j", "/v1/put/")

ODD_TARGETS = (
    *("/v1/put//b", "/v1/put/../now", "/v1/put/%ff", "/v1/put/%00", "/v1/put/b?q=%zz", "/v1/put/b#c", "/v1/now"),
    *("/v1/nothing", "http://x/v1/put/b", "*", "//x/v1/put/b", "/v1/put/\xe9", "/v1/put/b\tc", "/v1/put/<b>"),
    *("/v1/put/b HTTP/1.0", "/v1/put/" + "b" * 4000, "", "v1/put/b"),
)


@pytest.mark.parametrize("body", [b"", b"hello"])
@pytest.mark.parametrize("target", [*PLAIN_TARGETS, *ODD_TARGETS])
def test_another_target_with_known_headers_is_answered_as_if_it_were_parsed(server, target, body):
    """A PUT whose headers came before, with another target, gets the bytes of the long way, whatever the target."""
    first, second = (raw(f"PUT {each}", body=body) for each in ("/v1/put/a", target))
    server.forget()
    with wire(server) as client:
        parsed = client.ask_in_parts(second, server) if target in PLAIN_TARGETS else client.ask(second)
    server.forget()
    learn(server, first)
    with wire(server) as client:
        client.send(second)
        assert client.answer() == parsed
    is_parsed = second.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" in server.known
    assert not (is_parsed and target in PLAIN_TARGETS), "it went the long way"


SURPRISES = ("bug", "reset", "timeout", "two-lines", "two-lines-in-a-name", "nul", "half-a-character")
"""What a handler must not do; the caller is told, and the log has it."""


def ask_in_all_ways(server, request):
    """The answers on the long way, on the short ways of that connection, and on that of a fresh one."""
    server.forget()
    with wire(server) as client:
        found = [client.ask_in_parts(request, server)]
    with wire(server) as client:
        found += [client.ask(request) for _ in range(4)]
    with wire(server) as client:
        found += [client.ask(request), client.ask(NOW), client.ask(request)]
        del found[-2]
        assert client.is_quiet()
    return found


@pytest.mark.parametrize("case", SAME)
def test_a_request_is_answered_with_the_same_bytes_every_time(server, case):
    """The bytes of an answer, but for its date, do not depend on whether the head is known."""
    request, status = SAME[case]
    answer = all_equal(ask_in_all_ways(server, request))
    assert status_of(answer) == status


@pytest.mark.parametrize("when", ["made", "made-later"])
@pytest.mark.parametrize("surprise", SURPRISES)
def test_what_a_handler_must_not_do_is_a_500_every_time(server, caplog, when, surprise):
    """A bug, a foreign error or a header that would be two lines is a 500 on both ways, and the connection goes on."""
    answer = all_equal(ask_in_all_ways(server, raw(f"GET /v1/{when}/{surprise}")))
    assert status_of(answer) == 500
    assert b"the agent's log has the details" in answer
    assert b"Set-Cookie" not in answer
    assert b"X-More" not in answer
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 7


@pytest.mark.parametrize("way", ["long", "short"])
def test_a_handler_that_gives_up_ends_the_connection(server, way):
    """A handler that is cancelled from within leaves no client waiting: its connection is closed, on both ways."""
    request = raw("GET /v1/made-next", *heads_on(way))
    if way == "short":
        learn(server, request)
    server.next = "cancelled"
    with wire(server) as client:
        client.send(request)
        assert client.the_end() == b""


def test_the_long_way_is_gone_once(server):
    """Once its head is known, aiohttp sees a request no more, on any connection."""
    with wire(server) as first, wire(server) as second:
        for _ in range(5):
            first.ask(raw("GET /v1/now", ODD))
            second.ask(raw("GET /v1/now", ODD))
        first.ask(raw("PUT /v1/body", ODD, body=b"1"))
        first.ask(raw("PUT /v1/body", ODD, body=b"2"))
        assert sorted(each._request_count for each in server.connections) == [0, 2]


@pytest.mark.parametrize("status", [404, 405, 301])
def test_what_nobody_handles_does_not_bar_the_short_way(server, status):
    """After a request that no handler gets, the next known one goes the short way."""
    request = next(each for each, found in SAME.values() if found == status and b" /v1/made" not in each)
    with wire(server) as client:
        odd = raw("GET /v1/now", ODD)
        client.ask(odd)
        client.ask(request)
        client.ask(odd)
        assert [each._request_count for each in server.connections] == [2]


def test_a_head_of_the_plain_form_never_goes_the_long_way(server):
    """No request whose head is plain is shown to aiohttp, not even the first."""
    with wire(server) as client:
        for number in range(3):
            client.ask(echo(number))
            client.ask(raw("PUT /v1/body", b"X-Number: %d" % number, body=b"1"))
        assert [each._request_count for each in server.connections] == [0]


def test_each_client_is_itself_on_a_head_that_all_send(server):
    """What is remembered of a head does not hold whose it was."""
    request = raw("GET /v1/client")
    learn(server, request)
    with wire(server) as client:
        assert body_of(client.ask(request)) == b"127.0.0.1"
    for head in server.known.values():
        assert "127.0.0.1" not in repr(head)


AGENT_CASES = {
    "services": (raw("GET /v1/catalog/services"), 200),
    "services, gzip": (raw("GET /v1/catalog/services", GZIP), 200),
    "many instances, gzip": (raw("GET /v1/health/service/many", GZIP), 200),
    "many instances": (raw("GET /v1/health/service/many?passing"), 200),
    "HEAD": (raw("HEAD /v1/catalog/nodes"), 200),
    "a registration": (raw("PUT /v1/agent/service/register", body=b'{"Name": "again", "Port": 80}'), 200),
    "a bad registration": (raw("PUT /v1/agent/service/register", body=b'{"Name": 1}'), 400),
    "broken JSON": (raw("PUT /v1/agent/service/register", body=b"{"), 400),
    "an unknown check": (raw("PUT /v1/agent/check/pass/nobody"), 404),
    "a bad index": (raw("GET /v1/catalog/nodes?index=abc"), 400),
    "a short wait": (raw("GET /v1/catalog/nodes?index=999999&wait=5ms"), 200),
    "an unknown path": (raw("GET /v1/nothing"), 404),
    "a wrong method": (raw("PUT /v1/catalog/nodes", body=b"{}"), 405),
}


@pytest.mark.parametrize("case", AGENT_CASES)
def test_an_agent_answers_with_the_same_bytes_every_time(shared_agent, case):
    """The first answer of an agent and the later ones, on this connection and others, are the same bytes."""
    shared_agent.put(
        "/v1/catalog/register", {"Node": "m", "Address": "1.1.1.1", "Service": {"ID": "1", "Service": "many"}}
    )
    for number in range(20):
        service = {"ID": f"many-{number}", "Service": "many", "Port": 1000 + number}
        shared_agent.put("/v1/catalog/register", {"Node": "m", "Address": "1.1.1.1", "Service": service})
    request, status = AGENT_CASES[case]
    if case == "a registration":
        shared_agent.put("/v1/agent/service/register", {"Name": "again", "Port": 80})
    with Wire(shared_agent.http) as first, Wire(shared_agent.http) as second:
        answers = [first.ask(request), *(client.ask(request) for client in (first, second, first, second))]
    assert status_of(all_equal(answers)) == status


# ---- several at once ----


@pytest.mark.parametrize("count", [1, 2, 50])
@pytest.mark.parametrize("known", ["all", "none", "some"])
def test_requests_in_one_packet_are_answered_in_order(server, count, known):
    """However many requests come at once, known or not, each has its answer, in the order of the requests."""
    requests = [echo(number) for number in range(count)]
    learn(server, *{"all": requests, "none": [], "some": requests[::2]}[known])
    with wire(server) as client:
        for _ in range(2):
            client.send(b"".join(requests))
            assert [body_of(client.answer()) for _ in requests] == [b"%d" % number for number in range(count)]
        assert body_of(client.ask(echo("more"))) == b"more"
        assert client.is_quiet()


@pytest.mark.parametrize("way", ["long", "short"])
def test_quick_requests_wait_for_a_slow_one_before_them(server, way):
    """What is sent while an answer is awaited is answered after it, in order, and not before."""
    slow = raw("GET /v1/gate/a", *heads_on(way))
    if way == "short":
        server.let_go("a")
        learn(server, slow, echo("1"), echo("2"))
        del server.gates["a"]
    with wire(server) as client:
        for request in (slow, echo("1"), echo("2") + echo("3"), raw("PUT /v1/body", body=b"x")):
            client.send(request)
            server.turn()
        assert client.is_quiet()
        server.let_go("a")
        found = [body_of(client.answer()) for _ in range(5)]
        assert found == [b"waited for a", b"1", b"2", b"3", b"PUT of x"]
        assert client.is_quiet()


def test_two_slow_requests_in_a_row_are_answered_one_after_the_other(server):
    """A known request that was held back is itself waited for, and what came after it is held back on."""
    for name in "ab":
        server.let_go(name)
    learn(server, raw("GET /v1/gate/a"), raw("GET /v1/gate/b"))
    server.gates.clear()
    with wire(server) as client:
        client.send(raw("GET /v1/gate/a"))
        assert server.gate("a").began.acquire(timeout=SOON_S)
        client.send(raw("GET /v1/gate/b"))
        server.turn()
        server.let_go("a")
        assert body_of(client.answer()) == b"waited for a"
        assert server.gate("b").began.acquire(timeout=SOON_S)
        client.send(NOW)
        server.turn()
        assert client.is_quiet()
        server.let_go("b")
        assert body_of(client.answer()) == b"waited for b"
        assert body_of(client.answer()) == b"[1]"


@pytest.mark.parametrize("way", ["long", "short"])
def test_what_is_sent_ahead_is_bounded_and_answered_once(server, way):
    """A client that sends a megabyte ahead is no longer read after 64 KiB; then it has each answer, once, in order."""
    slow = raw("GET /v1/gate/a", *heads_on(way))
    if way == "short":
        server.let_go("a")
        learn(server, slow)
        del server.gates["a"]
    count = 3000
    ahead = b"".join(raw(f"GET /v1/echo/{number}", b"X-Pad: " + b"p" * 300) for number in range(count))
    with wire(server) as client:
        client.send(slow)
        assert server.gate("a").began.acquire(timeout=SOON_S)
        sender = threading.Thread(target=client.send, args=(ahead,), daemon=True)
        sender.start()
        (connection,) = server.connections
        eventually(lambda: not connection.transport.is_reading())
        server.turn()
        assert not connection.transport.is_reading()
        assert len(connection._held) <= _HELD_BYTES_MAX + READ_BYTES_MAX
        assert len(connection._messages) <= connection._max_msg_queue_size
        server.let_go("a")
        assert body_of(client.answer()) == b"waited for a"
        assert [body_of(client.answer()) for _ in range(count)] == [b"%d" % number for number in range(count)]
        sender.join(SOON_S)
        assert body_of(client.ask(echo("more"))) == b"more"
        assert client.is_quiet()


# ---- in pieces ----


def cut(request, how):
    """The request in parts."""
    end = request.index(b"\r\n\r\n") + 4
    match how:
        case "head and body":
            return [request[:end], request[end:]]
        case "byte by byte":
            return [request[at : at + 1] for at in range(len(request))]
        case "inside the end of the head":
            return [request[: end - 3], request[end - 3 : end - 1], request[end - 1 :]]
        case "inside the body":
            return [request[:-2], request[-2:]]
        case "inside the first line":
            return [request[:5], request[5:]]


@pytest.mark.parametrize(
    "how",
    ["head and body", "byte by byte", "inside the end of the head", "inside the body", "inside the first line"],
)
@pytest.mark.parametrize("known", [False, True])
def test_a_request_in_pieces_is_one_request(server, how, known):
    """Where a request is cut makes no difference to its answer nor to that of what follows."""
    request = raw("PUT /v1/body", body=b"hello")
    if known:
        learn(server, request)
    with wire(server) as client:
        for _ in range(2):
            for part in cut(request, how):
                client.send(part)
                server.turn()
            assert body_of(client.answer("PUT")) == b"PUT of hello"
            assert body_of(client.ask(NOW)) == b"[1]"
            assert body_of(client.ask(request)) == b"PUT of hello"
        assert client.is_quiet()


@pytest.mark.parametrize("tail_bytes", [1, 20, len(NOW) - 2, len(NOW) + 3])
@pytest.mark.parametrize("known", [False, True])
def test_a_tail_belongs_to_the_next_request(server, tail_bytes, known):
    """What follows a body of the declared length begins the next request, however much of it has come."""
    request = raw("PUT /v1/body", body=b"hello")
    if known:
        learn(server, request, NOW)
    sent = request + NOW + NOW
    at = len(request) + tail_bytes
    with wire(server) as client:
        client.send(sent[:at])
        server.turn()
        client.send(sent[at:])
        assert [body_of(client.answer()) for _ in range(3)] == [b"PUT of hello", b"[1]", b"[1]"]
        assert client.is_quiet()


def test_a_known_head_waits_for_the_whole_of_its_body(server):
    """A known head with a part of its body is no whole request."""
    request = raw("PUT /v1/body", body=b"hello")
    learn(server, request)
    with wire(server) as client:
        client.send(request[:-1])
        server.turn()
        assert client.is_quiet()
        client.send(b"O")
        assert body_of(client.answer()) == b"PUT of hellO"
        assert body_of(client.ask(request)) == b"PUT of hello"


def test_a_large_body_arrives_whole(server):
    """A body of many packets is read to its end, on a known head too."""
    request = raw("PUT /v1/body", body=b"y" * 200_000)
    with wire(server) as client:
        answers = [client.ask(request) for _ in range(3)]
    assert len(body_of(all_equal(answers))) == 200_000 + len("PUT of ")


def test_an_agent_takes_a_registration_byte_by_byte(shared_agent):
    """A registration that trickles in is the same as one in a packet, before its head is known and after."""
    request = raw("PUT /v1/agent/service/register", body=b'{"Name": "slowly", "Port": 81}')
    with Wire(shared_agent.http) as client:
        for parts in (cut(request, "byte by byte"), [request], cut(request, "byte by byte"), [request]):
            client.send(*parts)
            assert status_of(client.answer()) == 200
    assert "slowly" in shared_agent.get("/v1/catalog/services").json


# ---- what is about the connection, and what is no request ----


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
def test_a_client_that_wants_to_close_gets_its_answer_and_the_end(server, version):
    """`Connection: close`, or HTTP/1.0, ends the connection after the answer, every time."""
    request = NOW.replace(b"1.1", version).replace(b"Host: x", b"Host: x\r\nConnection: close")
    for _ in range(3):
        with wire(server) as client:
            answer = client.ask(request)
            assert status_of(answer) == 200
            assert client.the_end() == b""
    assert request not in server.known


def test_http_1_0_may_keep_the_connection(server):
    """An HTTP/1.0 client that asks for it keeps its connection, and is told so each time."""
    request = NOW.replace(b"1.1", b"1.0").replace(b"Host: x", b"Host: x\r\nConnection: keep-alive")
    with wire(server) as client:
        answer = all_equal([client.ask(request) for _ in range(3)])
        assert b"Connection: keep-alive" in answer


def test_a_close_ends_a_connection_that_went_the_short_way(server):
    """After known requests a `Connection: close` is still heard."""
    with wire(server) as client:
        for _ in range(3):
            client.ask(NOW)
        answer = client.ask(raw("GET /v1/now", b"Connection: close"))
        assert b"Connection: close" in answer
        assert client.the_end() == b""


@pytest.mark.parametrize("times", [1, 2])
def test_a_client_that_waits_for_100_is_asked_for_its_body(server, times):
    """`Expect: 100-continue` is answered with 100 before the body is sent, every time."""
    request = raw("PUT /v1/body", EXPECT, body=b"hello")
    with wire(server) as client:
        for _ in range(times):
            client.send(request[:-5])
            assert client.answer() == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.send(request[-5:])
            assert body_of(client.answer()) == b"PUT of hello"
        assert body_of(client.ask(NOW)) == b"[1]"


def test_a_body_that_is_not_wanted_is_not_asked_for(server):
    """A client that waits for 100 with a body that is too large gets 413 instead, and need not send it."""
    with wire(server) as client:
        client.send(raw("PUT /v1/small-body", EXPECT, b"Content-Length: 11", length=False))
        assert status_of(client.answer()) == 413


def test_a_body_that_came_with_its_expectation_needs_no_100(server):
    """A client that did not wait for 100 gets only the answer."""
    request = raw("PUT /v1/body", EXPECT, body=b"hello")
    with wire(server) as client:
        all_equal([client.ask(request) for _ in range(3)])
        assert client.is_quiet()


@pytest.mark.parametrize("cuts", [[], [3], [1, 2, 3, 4, 5]])
def test_a_body_in_chunks_is_read_to_its_end(server, cuts):
    """Chunks are a body however they arrive, and what follows them is the next request."""
    head = raw("PUT /v1/body", CHUNKED, length=False)
    sent = chunked(b"a" * 10, b"b") + NOW
    ends = [0, *cuts, len(sent)]
    with wire(server) as client:
        for _ in range(3):
            client.send(head)
            for begin, end in itertools.pairwise(ends):
                client.send(sent[begin:end])
                server.turn()
            assert body_of(client.answer()) == b"PUT of " + b"a" * 10 + b"b"
            assert body_of(client.answer()) == b"[1]"
        assert client.is_quiet()


def test_an_agent_that_stood_still_does_not_hold_it_against_a_body(new_loop):
    """What came while the agent could not look has come in time, though the time is over when it looks."""
    stall_s = 0.05
    with served(new_loop, body_stall_s=stall_s) as server, wire(server) as client:
        stands, go_on = threading.Event(), threading.Event()
        client.send(raw("PUT /v1/body", b"Content-Length: 5", length=False), b"he")
        server.turn()
        server.loop.call_soon_threadsafe(lambda: (stands.set(), go_on.wait()))
        assert stands.wait(SOON_S)
        client.send(b"llo")
        never = threading.Event()  # that the agent stands still is what only time can tell
        assert not never.wait(stall_s + 2 * _LATE_S)
        go_on.set()
        assert body_of(client.answer()) == b"PUT of hello"


LONG_LINE = (
    b"a line is longer than 16384 bytes (http.head_bytes_max in the agent's configuration); send a shorter one"
)

LIMIT_CASES = {
    "an oversized path": (raw("GET /v1/echo/" + "a" * 20_000), LONG_LINE),
    "an oversized header": (raw("GET /v1/now", b"X-A: " + b"a" * 20_000), LONG_LINE),
    "too many headers": (
        raw("GET /v1/now", *(b"X-%d: a" % number for number in range(200))),
        b"it has more than 128 headers; send fewer",
    ),
}


@pytest.mark.parametrize("case", LIMIT_CASES)
@pytest.mark.parametrize("before", [0, 3])
def test_a_head_over_a_limit_is_refused_in_our_words(server, case, before):
    """A head that is too large is a 400 that names the limit, and the end, whatever came before it."""
    head, words = LIMIT_CASES[case]
    with wire(server) as client:
        for _ in range(before):
            assert status_of(client.ask(NOW)) == 200
        with contextlib.suppress(ConnectionError):
            client.send(head)
        answer = client.answer()
        assert status_of(answer) == 400
        assert words in answer
        assert b"aaaa" not in answer
        assert client.the_end() == b""


HTTP_1 = b"HTTP/1.1 and HTTP/1.0"

UNREADABLE = {
    "TLS": (bytes.fromhex("1603010200010001fc0303") + b"\7" * 200, 400, b"speaks HTTP, not HTTPS; use an address"),
    "no host": (b"GET /v1/now HTTP/1.1\r\n\r\n", 400, b"it has no Host; HTTP/1.1 wants one"),
    "two hosts": (raw("GET /v1/now", b"Host: y"), 400, b"it has more than one Host; send one."),
    "two lengths": (
        raw("PUT /v1/body", b"Content-Length: 4", body=b"hello"),
        400,
        b"it has more than one Content-Length; send one (it says: Content-Length: 5).",
    ),
    "a length that is none": (
        raw("PUT /v1/body", b"Content-Length: five", length=False),
        400,
        b"the Content-Length is no number of bytes; send one, in digits alone (it says: Content-Length: five).",
    ),
    "length and chunks": (
        raw("PUT /v1/body", b"Content-Length: 5", CHUNKED, length=False),
        400,
        b"it has both Content-Length and Transfer-Encoding",
    ),
    "an unknown coding": (
        raw("PUT /v1/body", b"Transfer-Encoding: zip", length=False) + b"x",
        400,
        b"its Transfer-Encoding is not understood; send `chunked`, or a Content-Length.",
    ),
    "a header without a colon": (raw("GET /v1/now", b"nothing"), 400, b"a line is no header; send `Name: value`"),
    "a folded header": (raw("GET /v1/now", b"X-A: 1\r\n 2"), 400, b"a header goes on in a second line"),
    "a NUL in a header": (
        raw("GET /v1/now", b"X-A: a\0"),
        400,
        b"a character that can't be printed; leave it out.",
    ),
    "line breaks of one character": (NOW.replace(b"\r\n", b"\n"), 400, b"a line does not end with CR and LF"),
    "a space in the target": (
        raw("GET /v1/echo/a b"),
        400,
        b"space in it as %20 (it says: GET /v1/echo/a b HTTP/1.1).",
    ),
    "a target that is not ASCII": (NOW.replace(b"now", b"\xe4"), 400, b"escape it with % and two digits."),
    "an address that is none": (NOW.replace(b"/v1/now", b"http://["), 400, b"the target is no address."),
    "another protocol": (b"SSH-2.0-x\r\n", 400, b"does not begin with a method of HTTP such as GET or PUT"),
    "an unknown method": (raw("FROB /v1/now"), 400, b"(it says: FROB /v1/now HTTP/1.1)."),
    "HTTP/2.0": (NOW.replace(b"1.1", b"2.0"), 505, HTTP_1 + b", not HTTP/2.0; send one of these"),
    "HTTP/0.9": (NOW.replace(b"1.1", b"0.9"), 505, HTTP_1 + b", not HTTP/0.9; send one of these"),
    "no version": (NOW.replace(b" HTTP/1.1", b""), 505, HTTP_1 + b", not HTTP/0.9; send one of these"),
    "HTTP/3.0": (NOW.replace(b"1.1", b"3.0"), 505, HTTP_1 + b"; send one of these"),
    "a version that is none": (NOW.replace(b"1.1", b"x.1"), 400, HTTP_1 + b"; send one of these"),
    "HTTP/2 at once": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), 505, b"speaks HTTP/1.1, not HTTP/2;"),
}


@pytest.mark.parametrize("case", UNREADABLE)
@pytest.mark.parametrize("before", [0, 3])
def test_whoever_sends_what_is_no_request_is_told_what_is_wrong(server, case, before):
    """The cause and what to do, in one sentence, and nothing of other causes or of the parser's own words."""
    sent, status, words = UNREADABLE[case]
    with wire(server) as client:
        for _ in range(before):
            assert status_of(client.ask(NOW)) == 200
        client.send(sent)
        answer = client.answer()
        assert answer.startswith((b"HTTP/1.1 ", b"HTTP/1.0 "))
        assert status_of(answer) == status
        text = body_of(answer)
        assert words in text
        assert text.startswith((b"The request's head can't be read: ", b"The request can't be answered: "))
        assert text.endswith(b".")
        for other in (b"..", b"^", b"b'", b"bytearray", b"head_bytes_max", b"\n"):
            assert other not in text
        assert client.the_end() == b""


def test_garbage_after_a_known_request_is_refused(server):
    """What is no HTTP is a 400 and the end, though a known request went before it."""
    with wire(server) as client:
        for _ in range(3):
            client.ask(NOW)
        answer = client.ask(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert status_of(answer) == 400
        assert b"can't be read" in answer
        assert client.the_end() == b""


HOSTILE = {
    "garbage in the same packet": NOW + b"\x16\x03\x01 nonsense\r\n\r\n",
    "half a request in the same packet, and garbage": NOW + b"GET /v1/now HTTP/1.1\r\nno colon\r\n\r\n",
    "both length and chunks": raw("PUT /v1/body", b"Content-Length: 5", CHUNKED, body=chunked(b"x"), length=False),
    "both chunks and length": raw("PUT /v1/body", CHUNKED, b"Content-Length: 5", body=chunked(b"x"), length=False),
    "chunks in disguise": raw("PUT /v1/body", b"Transfer-Encoding: xchunked", body=b"hello"),
    "chunks twice": raw("PUT /v1/body", CHUNKED, CHUNKED, body=chunked(b"x"), length=False),
    "two equal lengths": raw("PUT /v1/body", b"Content-Length: 5", body=b"hello"),
    "two lengths": raw("PUT /v1/body", b"Content-Length: 4", body=b"hello"),
    "a length with a sign": raw("PUT /v1/body", b"Content-Length: +5", body=b"hello", length=False),
    "a length in a list": raw("PUT /v1/body", b"Content-Length: 5, 5", body=b"hello", length=False),
    "a folded header": raw("GET /v1/now", b"X-A: 1\r\n 2"),
    "a folded length": raw("PUT /v1/body", b"Content-Length:\r\n 5", body=b"hello", length=False),
    "a folded close": raw("GET /v1/now", b"Connection:\r\n close"),
    "two hosts": raw("GET /v1/now", b"Host: y"),
    "no host": b"GET /v1/now HTTP/1.1\r\n\r\n",
    "line breaks of one character": NOW.replace(b"\r\n", b"\n"),
    "a head that ends in line breaks of one character": NOW[:-4] + b"\n\n" + NOW,
    "a carriage return in a header": raw("GET /v1/now", b"X-A: 1\rX-B: 2"),
    "a space before the colon": raw("PUT /v1/body", b"Content-Length : 5", body=b"hello", length=False),
    "close and keep-alive": raw("GET /v1/now", b"Connection: keep-alive", b"Connection: close"),
    "keep-alive and close": raw("GET /v1/now", b"Connection: close", b"Connection: keep-alive"),
    "close in a list": raw("GET /v1/now", b"Connection: keep-alive, close"),
    "an upgrade": raw("GET /v1/now", b"Connection: Upgrade", b"Upgrade: h2c") + NOW,
    "CONNECT": raw("CONNECT x:1") + NOW,
    "two line breaks before a request": b"\r\n\r\n" + NOW,
    "a line break after a request": NOW + b"\r\n",
    "a request as a body": raw("PUT /v1/unread", body=NOW) + NOW,
    "a body longer than its length": raw("PUT /v1/body", body=b"hello") + b"NOPE",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_doubtful_bytes_are_answered_the_second_time_as_the_first(server, case):
    """What two parsers might understand differently is understood the same way however often it is sent."""

    def tell():
        with wire(server) as client:
            client.ask(NOW)
            client.send(HOSTILE[case])
            server.turn()
            with contextlib.suppress(ConnectionError):
                client.send(raw("GET /v1/echo/last", b"Connection: close"))
            return re.sub(rb"\r\nDate: [^\r]*", b"", client.the_end())

    learn(server, NOW, raw("PUT /v1/body", body=b"hello"), raw("PUT /v1/unread", body=NOW))
    all_equal([tell() for _ in range(3)])


def test_a_head_is_not_learned_from_lengths_that_add_up(server):
    """A part of a body whose length makes up for the request before it teaches nothing, least of all a wrong meaning."""
    victim = raw("GET /v1/nothing")
    head = raw("PUT /v1/unread", b"Content-Length: 300", length=False)
    with wire(server) as client:
        client.send(victim.replace(b"/v1/nothing", b"/v1/echo/%ff"))
        assert status_of(client.answer()) == 400
        client.send(head + b"x" * (300 - len(head)))
        assert body_of(client.answer()) == b"not read"
    with wire(server) as client:
        client.send(victim + head + b"x" * (300 - len(head)))
        assert [status_of(client.answer()) for _ in range(2)] == [404, 200]
    assert not server.known
    with wire(server) as client:
        client.send(victim + b"x" * 300)
        assert status_of(client.answer()) in (400, 404)


def test_a_body_that_still_comes_is_not_taken_for_requests(server):
    """An answer before the end of a body does not make the rest of it a request, though it looks like a known one."""
    learn(server, NOW)
    body = b"\r\n\r\n" + NOW * 3
    request = raw("PUT /v1/unread", body=body)
    with wire(server) as client:
        client.send(request[: -2 * len(NOW)])
        assert body_of(client.answer()) == b"not read"
        client.send(NOW)
        server.turn()
        assert client.is_quiet()
        client.send(NOW)
        assert body_of(client.ask(echo("after"))) == b"after"


def test_line_breaks_before_a_head_are_no_head(server):
    """Two line breaks, a head, and a length that makes the sum fit: they teach nothing, and the body is awaited."""
    head = raw("PUT /v1/unread", b"Content-Length: 000", length=False)
    head = head.replace(b"000", b"%03d" % len(head))
    with wire(server) as client:
        client.send(b"\r\n\r\n" + head)
        assert body_of(client.answer()) == b"not read"
        assert not server.known
        client.send(b"x" * (len(head) - 1))
        server.turn()
        client.send(b"x" + NOW)
        assert body_of(client.answer()) == b"[1]"
        assert client.is_quiet()


# ---- clients that stop, and clients that go ----


@pytest.mark.parametrize("sending", ["one by one", "at once"])
@pytest.mark.parametrize("known", [True, False])
def test_a_client_that_does_not_read_costs_little_and_loses_nothing(server, sending, known):
    """Answers are not made before the earlier ones are on their way; when the client reads, it has all of them."""
    names = [f"{number % 10}{number}" for number in range(30)]
    requests = [raw(f"GET /v1/huge/{name}") for name in names]
    if known:
        learn(server, *requests[:10])
        requests, names = requests[:10] * 3, names[:10] * 3
    with wire(server) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        if sending == "at once":
            client.send(b"".join(requests))
            server.turn()
        else:
            for request in requests:
                client.send(request)
                server.turn()
        (connection,) = server.connections
        eventually(lambda: connection.writing_paused)
        assert connection.transport.get_write_buffer_size() <= 2 * HUGE_BYTES
        for name in names:
            assert body_of(client.answer()) == name[:1].encode() * HUGE_BYTES
        assert body_of(client.ask(echo("more"))) == b"more"
        assert client.is_quiet()


@pytest.mark.parametrize("going", ["closes", "resets"])
@pytest.mark.parametrize("way", ["long", "short"])
def test_a_handler_whose_client_has_gone_is_cancelled(server, way, going):
    """A client that goes while its request waits takes its handler with it."""
    request = raw("GET /v1/gate/a", *heads_on(way))
    if way == "short":
        server.let_go("a")
        learn(server, request)
        del server.gates["a"]
    with wire(server) as client:
        client.send(request)
        assert server.gate("a").began.acquire(timeout=SOON_S)
        if going == "resets":
            client.reset()
    assert server.gate("a").cancelled.acquire(timeout=SOON_S)
    eventually(lambda: server.http.connection_count == 0)


@pytest.mark.parametrize("known", [False, True])
def test_a_client_that_goes_within_its_body_is_no_error(server, caplog, known):
    """A client that goes before its body is whole leaves nothing behind, not even a line at level warning."""
    request = raw("PUT /v1/body", body=b"hello")
    if known:
        learn(server, request)
    for go in (Wire.reset, lambda client: client.socket.close()):
        with wire(server) as client:
            client.send(request[:-2])
            server.turn()
            go(client)
        eventually(lambda: server.http.connection_count == 0)
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


def test_a_client_that_goes_at_once_leaves_no_trace(server):
    """A request and a reset in the same moment are no unhandled error, whatever the handler."""
    requests = (NOW, raw("GET /v1/big-later"), raw("PUT /v1/body", body=b"hello"), raw("GET /v1/huge/x"))
    learn(server, *requests)
    for request in requests * 5:
        with wire(server) as client:
            client.send(request)
            client.reset()
    server.turn()  # so that it has taken all of them on
    eventually(lambda: server.http.connection_count == 0)


# ---- time ----

KEEP_ALIVE_S = 0.3


@pytest.mark.parametrize("answers", [0, 1, 3])
def test_an_idle_connection_is_closed(new_loop, answers):
    """A connection on which nothing happens is closed after the keep-alive time, on whichever way it was answered."""
    with served(new_loop, keep_alive_s=KEEP_ALIVE_S) as server, wire(server) as client:
        for _ in range(answers):
            client.ask(NOW)
        began_s = time.monotonic()
        assert client.the_end() == b""
        assert KEEP_ALIVE_S / 2 < time.monotonic() - began_s < SOON_S


@pytest.mark.parametrize("way", ["long", "short"])
def test_a_connection_that_is_being_answered_is_not_idle(new_loop, way):
    """An answer may take longer than the keep-alive time; only after it does that time run."""
    with served(new_loop, keep_alive_s=KEEP_ALIVE_S) as server:
        request = raw("GET /v1/gate/a", *heads_on(way))
        if way == "short":
            server.let_go("a")
            learn(server, request)
            del server.gates["a"]
        with wire(server) as client:
            client.send(request)
            assert not server.gate("a").cancelled.acquire(timeout=3 * KEEP_ALIVE_S)
            server.let_go("a")
            assert body_of(client.answer()) == b"waited for a"
            began_s = time.monotonic()
            assert body_of(client.ask(NOW)) == b"[1]"
            assert client.the_end() == b""
            assert KEEP_ALIVE_S / 2 < time.monotonic() - began_s < SOON_S


@pytest.mark.parametrize("known", [False, True])
def test_a_client_that_reads_slowly_is_not_idle(new_loop, known):
    """A client may take longer over a large answer than the keep-alive time, and can still ask again."""
    with served(new_loop, keep_alive_s=KEEP_ALIVE_S) as server:
        request = raw("GET /v1/huge/7")
        if known:
            learn(server, request)
        with wire(server) as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            for _ in range(8):
                client.send(request)
                server.turn()
            gone = threading.Event()  # that it is never set is what only time can tell
            server.connections[0]._task_handler.add_done_callback(lambda _: gone.set())
            assert not gone.wait(3 * KEEP_ALIVE_S)
            for _ in range(8):
                assert body_of(client.answer()) == b"7" * HUGE_BYTES
            assert body_of(client.ask(NOW)) == b"[1]"


def test_half_a_head_is_not_waited_for_for_ever(new_loop):
    """A head that does not come to its end within the keep-alive time is the end of its connection."""
    with served(new_loop, keep_alive_s=KEEP_ALIVE_S) as server, wire(server) as client:
        client.ask(NOW)
        client.send(NOW[:-2])
        assert client.the_end() == b""


# ---- the end ----


@pytest.mark.parametrize("way", ["long", "short"])
def test_what_is_in_flight_is_answered_at_the_end(server, way):
    """Closing the server waits for the answer under way, and not longer; idle connections are closed."""
    request = raw("GET /v1/gate/a", *heads_on(way))
    if way == "short":
        server.let_go("a")
        learn(server, request)
        del server.gates["a"]
    with wire(server) as client, wire(server) as idle, wire(server) as short_idle:
        short_idle.ask(NOW)
        client.send(request)
        assert server.gate("a").began.acquire(timeout=SOON_S)
        client.send(NOW)
        closing = server.begin(server.http.close(60))
        server.turn()
        assert not closing.done()
        server.let_go("a")
        assert body_of(client.answer()) == b"waited for a"
        closing.result(SOON_S)
        for each in (client, idle, short_idle):
            assert each.the_end() == b""
    assert server.http.connection_count == 0


@pytest.mark.parametrize("grace_s", [0.0, 0.4])
@pytest.mark.parametrize("way", ["long", "short"])
def test_the_grace_is_a_limit(server, way, grace_s):
    """A handler that does not end within the grace is cancelled then, and the server is closed soon after."""
    request = raw("GET /v1/gate/a", *heads_on(way))
    if way == "short":
        server.let_go("a")
        learn(server, request)
        del server.gates["a"]
    with wire(server) as client:
        client.send(request)
        assert server.gate("a").began.acquire(timeout=SOON_S)
        began_s = time.monotonic()
        server.run(server.http.close(grace_s))
        assert grace_s <= time.monotonic() - began_s < grace_s + SOON_S
        assert server.gate("a").cancelled.acquire(timeout=SOON_S)
        assert client.the_end() == b""


def test_closing_comes_to_an_end_in_every_state(server):
    """Half a head, half a body, an answer that is not read: none keeps the server from closing."""
    learn(server, NOW, raw("GET /v1/huge/7"))
    with wire(server) as half, wire(server) as body, wire(server) as unread, wire(server) as last:
        half.send(NOW[:-2])
        body.send(raw("PUT /v1/body", body=b"hello")[:-2])
        unread.send(*[raw("GET /v1/huge/7")] * 8)
        server.turn()
        began_s = time.monotonic()
        last.send(NOW)
        server.run(server.http.close(0.3))
        assert time.monotonic() - began_s < SOON_S
        assert half.the_end() == b""
        assert body.the_end() == b""


@pytest.mark.parametrize("times", [1, 2])
def test_an_agent_answers_a_waiting_query_when_it_is_stopped(tmp_path, times):
    """A blocking query is answered at SIGTERM, on the long way and on the short one, and the agent ends at once."""
    query = raw("GET /v1/catalog/services?index=999999&wait=60s")
    with running_agent(tmp_path / "agent") as agent, Wire(agent.http) as client:
        for number in range(times - 1):
            client.send(query)
            agent.get("/v1/catalog/services")  # so that the query waits by now
            agent.register(Name=f"new-{number}")
            assert status_of(client.answer()) == 200
        client.send(query)
        agent.get("/v1/catalog/services")  # as above
        took_s = agent.terminate(signal.SIGTERM)
        assert status_of(client.answer()) == 200
        assert client.the_end() == b""
        assert took_s < 3


# ---- limits ----


@pytest.mark.parametrize("sends", [False, True])
def test_one_connection_too_many_is_told_so(new_loop, sends):
    """A connection over the limit gets a 503 that names the limit and is closed; when another one ends, there is room."""
    with served(new_loop, connections_max=2) as server:
        with wire(server) as first, wire(server) as second:
            first.ask(NOW)
            second.ask(NOW)
            for _ in range(3):
                with wire(server) as third:
                    if sends:
                        with contextlib.suppress(ConnectionError):
                            third.send(NOW)
                    answer = third.answer()
                    assert status_of(answer) == 503
                    assert b"http.connections_max is reached: 2 connections are open" in answer
                    assert b"Connection: close" in answer
                    assert third.the_end() == b""
            assert status_of(first.ask(NOW)) == 200
            assert server.http.connection_count == 2
        eventually(lambda: server.http.connection_count == 0)
        with wire(server) as again:
            assert status_of(again.ask(NOW)) == 200


def test_an_agent_tells_one_connection_too_many(tmp_path):
    """The limit of an agent's configuration holds, and the refusal is a whole answer."""
    with (
        running_agent(tmp_path / "agent", config={"http": {"connections_max": 10}}) as agent,
        contextlib.ExitStack() as open_ones,
    ):
        for _ in range(10):
            assert status_of(open_ones.enter_context(Wire(agent.http)).ask(raw("GET /v1/catalog/services"))) == 200
        with Wire(agent.http) as extra:
            answer = extra.answer()
            assert status_of(answer) == 503
            assert b"http.connections_max" in answer
            assert extra.the_end() == b""


def test_what_is_known_is_bounded(server):
    """However many heads clients think of, only so many are remembered, and all are answered."""
    count = KNOWN_HEADS_MAX + 100
    with wire(server) as client:
        for number in range(0, count, 100):
            for each in range(number, number + 100):
                assert body_of(client.ask(echo(each))) == b"%d" % each
        assert len(server.known) == KNOWN_HEADS_MAX
        assert echo(0) not in server.known
        assert echo(count - 1) in server.known
        assert body_of(client.ask(echo(0))) == b"0"

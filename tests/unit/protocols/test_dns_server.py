"""The sockets of the DNS server, and what they can carry."""

import asyncio
import contextlib
import dataclasses
import errno
import itertools
import random
import socket
import struct
import time

import dns.message
import pytest
from tests.dns_zone import resolver

from regista.catalog import Catalog
from regista.model import setting_doc
from regista.protocols.dns import DnsServer, DnsSettings
from regista.protocols.dns.recursors import UpstreamRecursors
from regista.protocols.dns.sockets import bind_pair

QUESTIONS = 500


def server():
    nobody = UpstreamRecursors((), timeout_s=1, is_random=False, under_way_max=1, rng=random.Random(1))
    return DnsServer(resolver(Catalog()), nobody, DnsSettings(), clock=time.monotonic)


async def test_a_client_that_asks_much_at_once_holds_up_nobody():
    """Of questions that arrive together over TCP, each is answered in a turn of the loop of its own."""
    answering = server()
    host, _, port = answering.bind("127.0.0.1", 0).rpartition(":")
    await answering.start()
    loop = asyncio.get_running_loop()
    counts = []

    def tick():
        counts.append(sum(answering.counters().answers.values()))
        if counts[-1] < QUESTIONS:
            loop.call_soon(tick)

    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        loop.call_soon(tick)
        data = dns.message.make_query("none.service.consul", "A").to_wire()
        writer.write(QUESTIONS * (struct.pack("!H", len(data)) + data))
        for _ in range(QUESTIONS):
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            await reader.readexactly(length)
    finally:
        writer.close()
        await answering.close()
    assert max(after - before for before, after in itertools.pairwise(counts)) <= 1


class Dear:
    """Answers that take thirty milliseconds each, on a clock of their own."""

    def __init__(self):
        self.count = 0
        self.now_s = 0.0

    def answer(self, data, client, *, is_tcp=False):
        self.count += 1
        self.now_s += 0.03
        return data

    def count_latency(self, seconds):
        assert seconds >= 0.03


@contextlib.asynccontextmanager
async def dear_answers(**fields):
    """A server of such answers, how many it has given by each turn of the loop, and its address."""
    nobody = UpstreamRecursors((), timeout_s=1, is_random=False, under_way_max=1, rng=random.Random(1))
    dear = Dear()
    answering = DnsServer(dear, nobody, DnsSettings(**fields), clock=lambda: dear.now_s)
    host, _, port = answering.bind("127.0.0.1", 0).rpartition(":")
    await answering.start()
    loop = asyncio.get_running_loop()
    counts = []

    def tick():
        counts.append(dear.count)
        ticking.append(loop.call_soon(tick))
        del ticking[0]

    ticking = [loop.call_soon(tick)]
    try:
        yield counts, (host, int(port))
    finally:
        ticking[0].cancel()
        await answering.close()


DEAR = 20


async def test_between_dear_answers_over_udp_others_have_their_turn():
    """Of questions that arrive together and take long each, each is answered in a turn of the loop of its own."""
    async with dear_answers() as (counts, address):
        with socket.socket(type=socket.SOCK_DGRAM) as asking:
            asking.setblocking(False)
            for _ in range(DEAR):
                asking.sendto(bytes(12), address)
            for _ in range(DEAR):
                await asyncio.get_running_loop().sock_recv(asking, 100)
    assert counts[-1] == DEAR
    assert max(after - before for before, after in itertools.pairwise(counts)) == 1


async def test_between_dear_answers_over_tcp_others_have_their_turn():
    """So it is with questions that arrive on many connections at once."""
    async with dear_answers() as (counts, address):
        pairs = [await asyncio.open_connection(*address) for _ in range(DEAR)]
        for _, writer in pairs:
            writer.write(struct.pack("!H", 12) + bytes(12))
        for reader, _ in pairs:
            await reader.readexactly(14)
        for _, writer in pairs:
            writer.close()
    assert counts[-1] == DEAR
    assert max(after - before for before, after in itertools.pairwise(counts)) == 1


async def test_a_client_that_has_asked_all_is_sent_all_answers():
    """Who closes its side behind its question, and reads slowly, still gets the whole answer."""
    nobody = UpstreamRecursors((), timeout_s=1, is_random=False, under_way_max=1, rng=random.Random(1))
    answering = DnsServer(Large(), nobody, DnsSettings(), clock=time.monotonic)
    pair = bind_pair("127.0.0.1", 0)
    pair.streams.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    answering.adopt(pair)
    await answering.start()
    with socket.socket() as asking:
        asking.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asking.connect(pair.streams.getsockname())
        asking.sendall(struct.pack("!H", 12) + bytes(12))
        asking.shutdown(socket.SHUT_WR)
        for _ in range(100):
            await asyncio.sleep(0)  # until the server has seen that nothing more comes
        asking.setblocking(False)
        read = b""
        while part := await asyncio.get_running_loop().sock_recv(asking, 1000):
            read += part
    assert len(read) == 2 + Large.BYTES
    await answering.close()
    assert answering.connection_count == 0


class Large:
    """An answer that is more than a connection takes at once, and less than is too much to hold."""

    BYTES = 40_000

    def answer(self, data, client, *, is_tcp=False):
        return bytes(self.BYTES)


class Connection:
    """One over TCP, from an address of the test's choosing; `server.serve` is what takes it."""

    def __init__(self, host):
        self.host = host
        self.reader = asyncio.StreamReader()
        self.is_aborted = False
        self.transport = self

    def get_extra_info(self, name):
        assert name == "peername"
        return self.host, 1234

    def abort(self):
        self.is_aborted = True

    def set_write_buffer_limits(self, high):
        assert high == 0

    async def drain(self):
        """Nothing was written."""


async def connect(answering, host):
    """Has the server take a connection; it, and what serves it."""
    connection = Connection(host)
    task = asyncio.ensure_future(answering.serve(connection.reader, connection))
    await asyncio.sleep(0)
    return connection, task


async def test_no_source_takes_all_connections():
    """One address has no more than its share; the others, and those of this machine, have the rest."""
    nobody = UpstreamRecursors((), timeout_s=1, is_random=False, under_way_max=1, rng=random.Random(1))
    limits = DnsSettings(tcp_connections_max=8, tcp_connections_per_source_max=2)
    answering = DnsServer(resolver(Catalog()), nobody, limits, clock=time.monotonic)
    taken = {}
    for host, wanted, given in (("192.0.2.1", 5, 2), ("192.0.2.2", 1, 1), ("127.0.0.1", 4, 4), ("::1", 3, 1)):
        taken[host] = [await connect(answering, host) for _ in range(wanted)]
        assert sum(not connection.is_aborted for connection, _ in taken[host]) == given
    assert answering.connection_count == 8
    assert answering.source_connection_count == 2
    assert answering.refused == {
        "tcp_connections_per_source_max": 3,
        "tcp_connections_max": 2,
        "recursions_max": 0,
    }
    assert answering.counters().tcp_refused == 5
    first, task = taken["192.0.2.1"][0]
    first.reader.feed_eof()
    await task
    again, _ = await connect(answering, "192.0.2.1")
    assert not again.is_aborted
    await answering.close()
    assert (answering.connection_count, answering.source_connection_count) == (0, 0)


def test_the_largest_answer_that_can_be_allowed_can_be_sent():
    """`dns_config.edns_bytes_max` goes as far as a packet over IPv4 does, and no further."""
    fields = {field.name: setting_doc(field) for field in dataclasses.fields(DnsSettings)}
    most = fields["edns_bytes_max"].at_most
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taking,
        socket.socket(type=socket.SOCK_DGRAM) as sending,
    ):
        taking.bind(("127.0.0.1", 0))
        assert sending.sendto(bytes(most), taking.getsockname()) == most
        with pytest.raises(OSError) as problem:
            sending.sendto(bytes(most + 1), taking.getsockname())
    assert problem.value.errno == errno.EMSGSIZE

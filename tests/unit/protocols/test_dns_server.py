"""The sockets of the DNS server, and what they can carry."""

import asyncio
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

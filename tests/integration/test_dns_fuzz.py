"""Hostile packets, in process: each gets its code or silence, and nothing is left behind.

REGISTA_DNS_FUZZ_PACKETS says how many there are; a million takes a few minutes.
"""

import os
import random
import struct

import dns.edns
import dns.message
import dns.rcode
from tests.dns_zone import put, resolver

from regista.catalog import Catalog
from regista.model import Check, Node, PreparedQuery, Service

PACKETS_COUNT = int(os.environ.get("REGISTA_DNS_FUZZ_PACKETS", "120000"))
NAMES = (
    "web.service.consul.",
    "v1.web.service.consul.",
    "_web._tcp.service.consul.",
    "n1.node.consul.",
    "0a000001.addr.consul.",
    "1.0.0.10.in-addr.arpa.",
    "consul.",
    "example.com.",
    ".",
)
TYPES = ("A", "AAAA", "SRV", "ANY", "TXT", "PTR", "SOA", "NS", "OPT", "AXFR", "IXFR", "TYPE65535", "TYPE0")
CODES = {"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED", "BADVERS"}
HEADER_BYTES = 12
QR, OPCODE = 0x8000, 0x7800


def catalog():
    found = Catalog()
    put(
        found,
        Node(name="n1", address="10.0.0.1", meta={"key": "value"}),
        Service(node="n1", id="host", name="host", address="n1.node.consul"),
        *(
            Service(node="n1", id=f"web-{each}", name="web", address=f"10.0.1.{each}", tags=("v1",), port=80)
            for each in range(120)
        ),
        Check(node="n1", id="up", name="up", status="critical", service_id="web-1", service_name="web"),
        PreparedQuery(id="q", name="near", service="web"),
    )
    return found


def question(rng):
    """A good packet of any kind."""
    message = dns.message.make_query(rng.choice(NAMES), rng.choice(TYPES), id=rng.randrange(65536))
    if rng.random() < 0.6:
        options = []
        if rng.random() < 0.4:
            options.append(dns.edns.ECSOption("192.0.2.0", rng.randrange(33)))
        if rng.random() < 0.3:
            options.append(dns.edns.GenericOption(rng.randrange(65536), rng.randbytes(rng.randrange(40))))
        payload = rng.choice((0, 1, 511, 512, 1232, 4096, 65535))
        message.use_edns(rng.choice((0, 0, 0, 1, 255)), ednsflags=0x8000, payload=payload, options=options)
    return message.to_wire()


def loop(rng):
    """A name whose pointers lead to themselves, to each other, forward, or beyond the end."""
    header = struct.pack("!HHHHHH", rng.randrange(65536), 0x0100, 1, 0, 0, 0)
    pointers = b"".join(struct.pack("!H", 0xC000 | rng.choice((0, 2, 12, 14, 16, 200, 0x3FFF))) for _ in range(4))
    return header + rng.choice((b"", b"\x03web", b"\x3f" + b"x" * 63)) + pointers + b"\x00\x01\x00\x01"


def counts(rng):
    """A good question behind counts that are not true."""
    data = bytearray(question(rng))
    for at in range(4, HEADER_BYTES, 2):
        if rng.random() < 0.5:
            struct.pack_into("!H", data, at, rng.choice((0, 1, 2, 255, 65535)))
    return bytes(data)


def lengths(rng):
    """A record at the end whose length is not that of what follows, or a label that is longer than the packet."""
    data = bytearray(question(rng)) + b"\x00" + struct.pack("!HHIH", 41, 65535, 0, rng.randrange(65536))
    data[10:12] = b"\x00\x01"
    if rng.random() < 0.3:
        data[HEADER_BYTES] = rng.randrange(256)
    return bytes(data + rng.randbytes(rng.randrange(30)))


def giant(rng):
    """A packet that is much larger than a question."""
    return question(rng) + rng.randbytes(rng.choice((500, 4000, 4096, 9000, 65000)))


def mutated(rng):
    """A good packet with some bytes changed, and its end cut off."""
    data = bytearray(question(rng))
    for _ in range(rng.randrange(1, 5)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.randrange(len(data) + 1)]) if rng.random() < 0.3 else bytes(data)


def noise(rng):
    """Anything."""
    return rng.randbytes(rng.randrange(80))


KINDS = (question, loop, counts, lengths, giant, mutated, mutated, mutated, noise)
POOL_COUNT = 20_000
"""To make a packet takes longer than to answer it, so each is made once and sent with some of its bits changed."""


def wanted_code(data):
    """What the header alone decides: None for silence, "" for nothing yet."""
    if len(data) < HEADER_BYTES:
        return None
    flags, questions = struct.unpack_from("!HH", data, 2)
    if flags & QR:
        return None
    if flags & OPCODE:
        return "NOTIMP"
    return "FORMERR" if questions != 1 or len(data) > 4096 else ""


def assert_fits(data, answer, *, is_tcp):
    """The answer is one to this packet."""
    code = wanted_code(data)
    if code is None:
        assert answer is None
        return
    assert answer is not None
    assert answer[:2] == data[:2]
    assert answer[2] & 0x80
    assert len(answer) <= (65535 if is_tcp else 4096)
    if code:
        assert dns.rcode.to_text(dns.rcode.Rcode(answer[3] & 0xF)) == code


def resident_kb():
    with open("/proc/self/statm") as file:  # noqa: PTH123 - read twice, and nothing else
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024


def test_no_packet_does_harm():
    """A storm of packets of every kind raises nothing, is answered by the rules, and leaves no memory behind."""
    seed = random.SystemRandom().randrange(2**32)
    rng = random.Random(seed)
    pool = [rng.choice(KINDS)(rng) for _ in range(POOL_COUNT)]
    answering = resolver(catalog(), cache_entries_max=500)
    codes = set()
    settled_kb = 0
    for number in range(PACKETS_COUNT):
        data = pool[rng.randrange(POOL_COUNT)]
        if data and number >= POOL_COUNT:
            spoilt = bytearray(data)
            spoilt[rng.randrange(min(len(spoilt), 80))] ^= 1 << rng.randrange(8)
            data = bytes(spoilt)
        is_tcp = number % 4 == 0
        where = f"seed {seed}, packet {number}: {data[:100].hex()} of {len(data)} bytes"
        try:
            answer = answering.answer(data, "192.0.2.1", is_tcp=is_tcp)
            assert_fits(data, answer, is_tcp=is_tcp)
            if answer and number % 10 == 0:
                codes.add(dns.rcode.to_text(dns.message.from_wire(answer).rcode()))
        except Exception as problem:
            raise AssertionError(where) from problem
        if number == PACKETS_COUNT // 2:
            settled_kb = resident_kb()
    assert answering.ready_count <= 2 * 500
    assert resident_kb() - settled_kb < 20_000, f"seed {seed}"
    assert codes == CODES, f"seed {seed}"

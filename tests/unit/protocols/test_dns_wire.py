"""Answers as bytes: whatever there is to say fits, is well-formed, and says so if it is cut."""

import collections
import itertools
import random

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regista.protocols.dns.records import (
    AAAA,
    NXDOMAIN,
    SRV,
    A,
    Choice,
    Reply,
    address_record,
    name_of,
    soa_record,
    srv_record,
    txt_record,
)
from regista.protocols.dns.wire import Prepared, Refused, cut_answer, limits_of, read_query, refusal

ASKED = "web.service.consul."


def query(qtype, *, edns=None, name=ASKED, options=()):
    """The packet that asks, and what is read of it."""
    message = dns.message.make_query(name, qtype)
    if edns is not None:
        message.use_edns(0, payload=edns)
    if options:
        message.use_edns(0, payload=edns or 1232, options=list(options))
    data = message.to_wire()
    return data, read_query(data)


def limits(read, *, is_tcp, is_compressed=True, udp_answers=3, addresses=0):
    return limits_of(
        read,
        is_tcp=is_tcp,
        udp_answers=udp_answers,
        addresses=addresses,
        edns_bytes=4096,
        is_count_told=False,
        is_compressed=is_compressed,
    )


def choices(qtype, count, *, weights=(1,), meta=0):
    found = []
    for number, weight in zip(range(count), itertools.cycle(weights), strict=False):
        if qtype == SRV:
            target = name_of(f"node-{number:05d}.node.dc1.consul")
            extras = (address_record(target, bytes((10, 1, number >> 8 & 255, number & 255)), 0),)
            extras += tuple(txt_record(target, b"key=value", 0) for _ in range(meta))
            answer = srv_record(None, weight=weight, port=8000, target=target, ttl_s=0)
            found.append(Choice(answer, extras, weight))
        else:
            packed = number.to_bytes(4 if qtype == A else 16)
            found.append(Choice(address_record(None, packed, 0), weight=weight))
    return tuple(found)


def rendered(data, read, reply, *, rng=None, **options):
    """The answer as an independent reader understands it."""
    prepared = Prepared(reply, read, limits(read, **options), recurses=False)
    wire = data[:2] + prepared.render(rng or random.Random(1))
    return wire, dns.message.from_wire(wire), prepared.is_cut


def answers(message):
    return [each for rrset in message.answer for each in rrset]


@pytest.mark.parametrize("is_compressed", [True, False])
@pytest.mark.parametrize("transport", ["udp", "edns 512", "edns 1232", "edns 4096", "tcp"])
@pytest.mark.parametrize("qtype", [A, AAAA, SRV])
@pytest.mark.parametrize("count", [1, 2, 3, 8, 40, 300, 1000, 4000, 10_000])
def test_the_matrix(count, qtype, transport, is_compressed):
    """Never malformed, never empty, within the size, TC whenever it was cut for it, all of it where it fits."""
    edns = int(transport.partition(" ")[2]) if " " in transport else None
    data, read = query(qtype, edns=edns)
    is_tcp = transport == "tcp"
    wire, message, is_cut = rendered(
        data, read, Reply(choices=choices(qtype, count)), is_tcp=is_tcp, is_compressed=is_compressed
    )
    assert len(wire) <= (65535 if is_tcp else max(512, edns or 512))
    assert message.id == dns.message.from_wire(data).id
    given_count = len(answers(message))
    assert 1 <= given_count <= count
    assert bool(message.flags & dns.flags.TC) == is_cut
    if not is_cut:
        assert given_count == (count if is_tcp or (edns or 0) > 512 else min(3, count))
    assert (message.edns == 0) == (edns is not None)
    assert message.flags & dns.flags.AA
    if qtype == SRV:
        hosts = {str(each.target) for each in answers(message)}
        assert {str(rrset.name) for rrset in message.additional} <= hosts


def test_what_goes_with_an_answer_is_left_out_before_an_answer_is():
    """A client that takes little gets its instances without their metadata."""
    data, read = query(SRV, edns=600)
    reply = Reply(choices=choices(SRV, 3, meta=40))
    _, message, is_cut = rendered(data, read, reply, is_tcp=False)
    assert len(answers(message)) == 3
    assert not is_cut
    # With small records too: as many instances as fit alone, and addresses only where there is room left.
    data, read = query(SRV, edns=1232)
    _, message, is_cut = rendered(data, read, Reply(choices=choices(SRV, 20)), is_tcp=False)
    assert len(answers(message)) == 20
    assert not is_cut
    assert 0 < len(message.additional) < 20


@given(st.lists(st.integers(0, 50), min_size=1, max_size=12), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_an_answer_never_lists_an_instance_twice(weights, seed):
    """Whatever the weights, a sample is of distinct instances and as large as it may be."""
    data, read = query(A)
    reply = Reply(choices=choices(A, len(weights), weights=weights))
    _, message, _ = rendered(data, read, reply, is_tcp=False, rng=random.Random(seed))
    found = [str(each) for each in answers(message)]
    assert len(found) == len(set(found)) == min(3, len(weights))


def chi_squared(counts, expected):
    return sum((counts[key] - value) ** 2 / value for key, value in expected.items())


def test_who_comes_first_follows_the_weights():
    """Over many answers the first instance is drawn by weight (chi-squared, 1 in 10,000 by chance)."""
    weights = (1, 2, 3, 4, 10)
    data, read = query(A)
    prepared = Prepared(
        Reply(choices=choices(A, 5, weights=weights)), read, limits(read, is_tcp=False), recurses=False
    )
    rng = random.Random(7)
    total = 20_000
    firsts = collections.Counter(
        answers(dns.message.from_wire(data[:2] + prepared.render(rng)))[0].address for _ in range(total)
    )
    expected = {f"0.0.0.{number}": total * weight / sum(weights) for number, weight in enumerate(weights)}
    assert chi_squared(firsts, expected) < 23.5  # 4 degrees of freedom


def test_a_sample_of_a_large_service_follows_the_weights():
    """Of 400 instances with two weights, the heavy ones are drawn in proportion (chi-squared)."""
    data, read = query(A)
    prepared = Prepared(
        Reply(choices=choices(A, 400, weights=(1, 3))),
        read,
        limits(read, is_tcp=False, udp_answers=1),
        recurses=False,
    )
    rng = random.Random(11)
    total = 20_000
    heavy = sum(
        int(answers(dns.message.from_wire(data[:2] + prepared.render(rng)))[0].address.rpartition(".")[2]) % 2
        for _ in range(total)
    )
    expected = {1: total * 3 / 4, 0: total / 4}
    assert chi_squared({1: heavy, 0: total - heavy}, expected) < 15.2  # 1 degree of freedom


def test_the_subnet_of_a_client_is_repeated():
    """An EDNS client subnet comes back with the answer (RFC 7871)."""
    data, read = query(A, edns=1232, options=[dns.edns.ECSOption("192.0.2.0", 24)])
    assert read.edns.subnet_address == "192.0.2.0"
    _, message, _ = rendered(data, read, Reply(choices=choices(A, 1)), is_tcp=False)
    (option,) = message.options
    assert (option.address, option.srclen) == ("192.0.2.0", 24)


def test_an_answer_that_depends_on_the_subnet_says_so():
    """A resolver that keeps it gives it to that subnet only (RFC 7871, 7.2.1); any other is for all."""
    data, read = query(A, edns=1232, options=[dns.edns.ECSOption("192.0.2.0", 24)])
    for start, scope in ((None, 0), ("n1", 24), ("", 24)):
        _, message, _ = rendered(data, read, Reply(choices=choices(A, 1), start=start), is_tcp=False)
        (option,) = message.options
        assert (option.address, option.srclen, option.scopelen) == ("192.0.2.0", 24, scope)


@pytest.mark.parametrize(("edns", "is_cut"), [(None, True), (512, True), (1232, False)])
def test_a_negative_answer_fits_too(edns, is_cut):
    """With long names there may be no room for the zone's record: then the client is told to ask over TCP."""
    domain = name_of(".".join(("d" * 57, "e" * 60)))
    name = f"{'x' * 63}.{'y' * 61}.node.{b'.'.join(domain).decode()}."
    soa = soa_record(domain, serial=1, refresh_s=1, retry_s=1, expire_s=1, minimum_s=0, ttl_s=0)
    data, read = query(A, edns=edns, name=name)
    wire, message, was_cut = rendered(data, read, Reply(NXDOMAIN, authority=(soa,)), is_tcp=False)
    assert len(wire) <= (edns or 512)
    assert (bool(message.flags & dns.flags.TC), was_cut, not message.authority) == (is_cut,) * 3
    assert message.rcode() == NXDOMAIN


def test_the_spelling_of_a_question_is_repeated():
    """Resolvers that mix the case to be sure of the answer find it again."""
    data, read = query(A, name="wEb.SERVICE.conSUL.")
    _, message, _ = rendered(data, read, Reply(choices=choices(A, 1)), is_tcp=False)
    assert message.question[0].name.to_text() == "wEb.SERVICE.conSUL."
    assert message.answer[0].name.to_text() == "wEb.SERVICE.conSUL."


HEADER = bytes.fromhex("abcd01000001000000000000")
QUESTION = b"\x03web\x07service\x06consul\x00\x00\x01\x00\x01"


@pytest.mark.parametrize(
    ("data", "rcode"),
    [
        (b"", None),
        (HEADER[:11], None),
        (HEADER[:2] + b"\x81" + HEADER[3:] + QUESTION, None),  # an answer
        (HEADER[:2] + b"\x21\x00" + HEADER[4:] + QUESTION, "NOTIMP"),  # NOTIFY
        (HEADER[:2] + b"\x29\x00" + HEADER[4:] + QUESTION, "NOTIMP"),  # UPDATE
        (HEADER, "FORMERR"),
        (HEADER[:4] + b"\x00\x00" + HEADER[6:], "FORMERR"),
        (HEADER[:4] + b"\xff\xff" + HEADER[6:] + QUESTION, "FORMERR"),
        (HEADER[:6] + b"\xff\xff" + HEADER[8:] + QUESTION, "FORMERR"),
        (HEADER + b"\xc0\x0c\x00\x01\x00\x01", "FORMERR"),  # a name that points at itself
        (HEADER + b"\xc0\x00\x00\x01\x00\x01", "FORMERR"),
        (HEADER + b"\x40x\x00\x00\x01\x00\x01", "FORMERR"),
        (HEADER + (b"\x3f" + b"x" * 63) * 5 + b"\x00\x00\x01\x00\x01", "FORMERR"),
        (HEADER + QUESTION[:-1], "FORMERR"),
        (HEADER + QUESTION[:-2] + b"\x00\x03", "REFUSED"),  # class CH
        (HEADER + QUESTION[:-4] + b"\x00\xfc\x00\x01", "NOTIMP"),  # AXFR
        (HEADER + QUESTION + b"x" * 5000, "FORMERR"),
        (HEADER[:10] + b"\x00\x01" + QUESTION + b"\x00\x00\x29\x10\x00\x00\x01\x00\x00\x00\x00", "BADVERS"),
        (HEADER[:10] + b"\x00\x02" + QUESTION + 2 * b"\x00\x00\x29\x10\x00\x00\x00\x00\x00\x00\x00", "FORMERR"),
    ],
)
def test_what_is_no_question_gets_its_code_or_silence(data, rcode):
    """Each has its response code, and the refusal is a message that others can read."""
    with pytest.raises(Refused) as caught:
        read_query(data)
    if rcode is None:
        assert caught.value.rcode is None
        return
    message = dns.message.from_wire(refusal(data, caught.value.rcode))
    assert dns.rcode.to_text(message.rcode()) == rcode
    assert message.id == 0xABCD
    assert message.flags & dns.flags.QR


@pytest.mark.parametrize(
    ("data", "question"),
    [
        (HEADER + QUESTION, QUESTION),
        (HEADER + QUESTION[:-2] + b"\x00\x03", QUESTION[:-2] + b"\x00\x03"),
        (HEADER + b"\x00\x00\x01\x00\x01", b"\x00\x00\x01\x00\x01"),
        (HEADER + (b"\x3f" + b"x" * 63) * 3 + b"\x3d" + b"y" * 61 + b"\x00\x00\x01\x00\x01", None),
        (HEADER + QUESTION + b"x" * 5000, QUESTION),
        (HEADER[:2] + b"\x21\x00" + HEADER[4:] + QUESTION, QUESTION),  # NOTIFY
        (HEADER[:2] + b"\x29\x00" + HEADER[4:] + QUESTION, b""),  # UPDATE, whose first section asks nothing
        (HEADER[:4] + b"\x00\x02" + HEADER[6:] + 2 * QUESTION, b""),
        (HEADER[:4] + b"\x00\x00" + HEADER[6:] + QUESTION, b""),
        (HEADER + b"\xc0\x0c\x00\x01\x00\x01", b""),
        (HEADER + (b"\x3f" + b"x" * 63) * 3 + b"\x3e" + b"y" * 62 + b"\x00\x00\x01\x00\x01", b""),
        (HEADER + QUESTION[:-1], b""),
        (HEADER + QUESTION[:-5], b""),
        (HEADER, b""),
    ],
)
def test_a_refusal_repeats_its_question(data, question):
    """So does the answer that sends to TCP: resolvers would take it for somebody else's otherwise."""
    question = data[12:] if question is None else question
    for answer in (refusal(data, 5), cut_answer(data)):
        assert answer[12:] == question
        dns.message.from_wire(answer)


@pytest.mark.parametrize("edns", [0, -1])
@pytest.mark.parametrize(("rdtype", "rdclass", "rcode"), [("A", "CH", "REFUSED"), ("AXFR", "IN", "NOTIMP")])
def test_a_refusal_of_a_question_with_edns_has_edns(rdtype, rdclass, rcode, edns):
    """Who says EDNS is answered with it, and nobody else."""
    data = dns.message.make_query("x.", rdtype, rdclass, use_edns=edns).to_wire()
    with pytest.raises(Refused) as caught:
        read_query(data)
    message = dns.message.from_wire(refusal(data, caught.value.rcode, caught.value.edns))
    assert dns.rcode.to_text(message.rcode()) == rcode
    assert message.edns == edns


@given(st.binary(max_size=80), st.binary(max_size=60))
@settings(max_examples=2000, deadline=None)
def test_no_packet_does_harm(head, tail):
    """Random bytes, alone or around a question, are read or refused."""
    for data in (head, HEADER + head, HEADER[:10] + b"\x00\x01" + QUESTION + tail, HEADER + tail + QUESTION):
        try:
            read_query(data)
        except Refused as refused:
            if refused.rcode is not None:
                dns.message.from_wire(refusal(data, refused.rcode))
                dns.message.from_wire(cut_answer(data))

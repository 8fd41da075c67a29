"""Heads of the plain form mean what the server's own parser has them mean; all others are left to it."""

import random

import hypothesis
import pytest
from aiohttp.http_exceptions import HttpProcessingError
from hypothesis import strategies as st
from tests.heads import PLAIN, compare, mutated, parser

from regista.protocols.http.plain_heads import read_plain_head

NOT_PLAIN = (
    b"GET /a HTTP/1.1\r\n\r\n",
    b"GET /a#b HTTP/1.1\r\n\r\n",
    b"GET http://x/a HTTP/1.1\r\n\r\n",
    b"GET * HTTP/1.1\r\n\r\n",
    b"GET /a HTTP/1.0\r\n\r\n",
    b"GET  /a HTTP/1.1\r\n\r\n",
    b"PATCH /a HTTP/1.1\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: x\r\nA : 1\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: x\r\nA: 1\r\n 2\r\n\r\n",
    b"GET /a HTTP/1.1\nA: 1\n\n",
    b"GET /a HTTP/1.1\r\nHost: x\r\nA: \xe4\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, close\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nmore",
    b"GET /a HTTP/1.1\r\nHost: x\r\n" + b"A: 1\r\n" * 33 + b"\r\n",
)

FUZZED_HEADS = 15_000
"""`tests/integration/test_fuzzed_heads.py` has far more of them."""


@pytest.fixture(scope="module")
def parse():
    """Reads a head as the server does."""
    with parser() as read:
        yield read


@pytest.mark.parametrize("raw", PLAIN)
def test_plain_heads_are_read(raw, parse):
    """What clients send is of the plain form, and means the same to the real parser."""
    assert compare(raw, parse)


@pytest.mark.parametrize("raw", NOT_PLAIN)
def test_all_others_are_left_to_the_real_parser(raw):
    """What several readers might take for several things is not read here."""
    assert read_plain_head(raw, line_bytes_max=16384) is None


def test_a_head_that_may_hold_too_long_a_line_is_left_to_the_real_parser():
    """The limit on lines is the server's to tell of."""
    assert read_plain_head(PLAIN[0], line_bytes_max=len(PLAIN[0]))
    assert read_plain_head(PLAIN[0], line_bytes_max=len(PLAIN[0]) - 1) is None


PIECES = st.sampled_from(
    (
        *(
            b"GET",
            b"PUT",
            b"get",
            b" ",
            b"/",
            b"/v1/a",
            b"?a=b&c",
            b"%2F",
            b"%zz",
            b" HTTP/1.1",
            b"HTTP/1.0",
            b"\r\n",
        ),
        *(b"\n", b"\r", b"\t", b"\0", b"\xe4", b":", b"Host: x", b"Content-Length: 3", b"Connection:", b"close"),
        *(
            b"keep-alive",
            b"Upgrade: a",
            b"TE: trailers",
            b"Sec-WebSocket-Key1: 1",
            b"Keep-Alive: 1",
            b"A",
            b"\r\n\r\n",
        ),
    )
)


@hypothesis.given(st.lists(PIECES, max_size=20).map(b"".join), st.sampled_from(PLAIN))
def test_what_is_put_together_means_the_same_to_both(parse, lines, plain):
    """Whatever stands between the parts of a head, it is left alone or means the same to both."""
    start, _, rest = plain.partition(b"\r\n")
    compare(lines, parse)
    compare(start + lines + b"\r\n" + rest, parse)
    compare(start + b"\r\n" + lines + b"\r\n" + rest, parse)


def test_what_is_mutated_means_the_same_to_both(parse):
    """Random changes to real heads: each is left alone, or the real parser takes it for the same."""
    rng = random.Random(4711)
    plain_count = 0
    for _ in range(FUZZED_HEADS):
        raw = mutated(rng, PLAIN)
        try:
            plain_count += compare(raw, parse)
        except HttpProcessingError as error:
            raise AssertionError(f"only the real parser refuses {raw!r}") from error
    assert FUZZED_HEADS / 10 < plain_count < FUZZED_HEADS

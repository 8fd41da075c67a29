"""Responses as bytes."""

import email.utils
import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.protocols.http import Response
from regista.protocols.http.wire import (
    GZIP_BYTES_MIN,
    DateHeader,
    accepts_gzip,
    all_headers,
    encode_response,
    header_lines,
)

DATE = "Tue, 24 Nov 2026 06:52:24 GMT"
PLAIN = "text/plain; charset=utf-8"


def encoded(response, *, gzipped=False, is_head=False):
    return encode_response(response, accepts_gzip=gzipped, is_head=is_head, date=DATE)


def test_the_bytes_of_a_response():
    """The status line, each header in its order, the type, the length and the date, an empty line, and the body."""
    response = Response(200, b"[1]", "application/json", (("X-Index", "7"), ("X-Index", "8")))
    assert encoded(response) == (
        b"HTTP/1.1 200 OK\r\nVary: Accept-Encoding\r\nServer: Regista\r\nX-Index: 7\r\nX-Index: 8\r\n"
        b"Content-Type: application/json\r\nContent-Length: 3\r\nDate: " + DATE.encode() + b"\r\n\r\n[1]"
    )


def test_a_response_without_a_body_has_no_type():
    """Nothing is said of the type of a body that is not there, but its length is 0."""
    sent = encoded(Response(404))
    assert b"Content-Type" not in sent
    assert b"\r\nContent-Length: 0\r\n" in sent
    assert sent.endswith(b"\r\n\r\n")


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("size", [0, 1, GZIP_BYTES_MIN])
def test_head_has_the_head_of_get(size, gzipped):
    """The answer to HEAD is that to GET up to the empty line: the length is that of the body that GET would have."""
    response = Response(200, b"x" * size, "text/plain" if size else "")
    head, end, _ = encoded(response, gzipped=gzipped).partition(b"\r\n\r\n")
    assert encoded(response, gzipped=gzipped, is_head=True) == head + end


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body_has_no_length(status):
    """204 and 304 have neither a length nor a body, even if a handler gives one: it would be the next answer."""
    head, _, body = encoded(Response(status, b"oops")).partition(b"\r\n\r\n")
    assert b"Content-Length" not in head
    assert body == b""


@pytest.mark.parametrize("status", [299, 599, 999])
def test_a_status_without_a_name_is_sent_all_the_same(status):
    """A status that HTTP has no name for has an empty one, and the space before it (RFC 9112, 4)."""
    assert encoded(Response(status)).startswith(b"HTTP/1.1 %d \r\n" % status)


@pytest.mark.parametrize(
    ("size", "takes", "is_packed"),
    [
        (GZIP_BYTES_MIN - 1, True, False),
        (GZIP_BYTES_MIN, True, True),
        (GZIP_BYTES_MIN, False, False),
        (100_000, True, True),
    ],
)
def test_a_body_is_compressed_if_wanted_and_worth_it(size, takes, is_packed):
    """A body from the limit on is compressed for who takes it, its length is that of what is sent, and it says so."""
    body = b"x" * size
    headers, sent = all_headers(Response(200, body, PLAIN), accepts_gzip=takes, date=DATE)
    found = dict(headers)
    assert ("Content-Encoding" in found) == is_packed
    assert (gzip.decompress(sent) if is_packed else sent) == body
    assert found["Content-Length"] == str(len(sent))
    assert found["Vary"] == "Accept-Encoding"


def test_a_compressed_body_that_somebody_keeps_is_used():
    """A response that brings its compressed body is not compressed again, and is not asked when it is not wanted."""
    asked = []

    def keep():
        asked.append(1)
        return b"packed"

    response = Response(200, b"x" * GZIP_BYTES_MIN, PLAIN, (), keep)
    assert encoded(response).endswith(b"x" * GZIP_BYTES_MIN)
    assert not asked
    assert encoded(response, gzipped=True).endswith(b"\r\n\r\npacked")
    assert asked == [1]


def test_the_same_body_is_compressed_to_the_same_bytes():
    """Compressing does not put the time into the bytes."""
    response = Response(200, b"x" * GZIP_BYTES_MIN, PLAIN)
    assert encoded(response, gzipped=True) == encoded(response, gzipped=True)
    assert b"\x1f\x8b\x08\x00\x00\x00\x00\x00" in encoded(response, gzipped=True)


# ---- headers that would be two ----


@pytest.mark.parametrize("bad", ["\r", "\n", "\r\n", "\0", "\x0b", "\x7f", "\x85", "\u2028", "\ud800"])
@pytest.mark.parametrize("where", ["name", "value", "type"])
def test_a_header_with_a_line_break_is_not_sent(where, bad):
    """What may end a line, or is no character, is refused in the name, the value and the type; the error shows it."""
    text = f"a{bad}Set-Cookie: b"
    response = {
        "name": Response(200, headers=((text, "x"),)),
        "value": Response(200, headers=(("X-Note", text),)),
        "type": Response(200, b"x", text),
    }[where]
    with pytest.raises(ValueError, match="can't be printed: ") as caught:
        encoded(response)
    assert str(caught.value).isprintable()


def test_the_error_for_a_long_header_is_short():
    """A header of a megabyte does not become a log line of a megabyte."""
    with pytest.raises(ValueError, match="can't be printed") as caught:
        header_lines([("X-Note", "a\n" * 500_000)])
    assert len(str(caught.value)) < 1000


@given(
    st.lists(st.tuples(st.from_regex(r"\AX-[A-Za-z0-9]{1,9}\Z"), st.text(max_size=30)), max_size=5),
    st.binary(max_size=2000),
    st.booleans(),
)
def test_every_response_is_one_response(headers, body, takes):
    """Whatever a handler gives is refused, or is exactly one response with exactly its headers and its body."""
    response = Response(200, body, "application/octet-stream", tuple(headers))
    try:
        sent = encoded(response, gzipped=takes)
    except ValueError:
        assert not all(value.isprintable() for _, value in headers)
        return
    head, _, rest = sent.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert len(head.splitlines()) == len(lines)
    assert lines[3 : 3 + len(headers)] == [f"{name}: {value}".encode() for name, value in headers]
    assert (gzip.decompress(rest) if b"\r\nContent-Encoding: gzip" in head else rest) == body


# ---- who takes gzip ----


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("", False),
        ("gzip", True),
        ("GZIP", True),
        ("gzip, deflate, br", True),
        ("deflate,gzip", True),
        ("deflate, br", False),
        ("identity", False),
        ("*", True),
        ("gzip;q=1.0", True),
        ("gzip;q=0.5", True),
        ("gzip;q=0.001", True),
        ("gzip ; q=0.5", True),
        ("gzip;q=0", False),
        ("gzip; q=0", False),
        ("gzip;q=0.0", False),
        ("gzip;q=0.000", False),
        ("gzip;Q=0", False),
        ("*;q=0", False),
        ("gzip;q=0, *", False),
        ("*, gzip;q=0", False),
        ("*;q=0, gzip", True),
        ("identity;q=1, *;q=0", False),
        ("gzipped", False),
        ("x-gzip-x", False),
        (",,;", False),
    ],
)
def test_who_takes_gzip(header, takes):
    """Gzip is taken when it is named, or by `*`, unless its weight is 0; what is said of it goes before `*`."""
    assert accepts_gzip(header) is takes


@given(st.text())
def test_no_header_is_too_odd(header):
    """Whatever a client puts into Accept-Encoding has an answer."""
    assert accepts_gzip(header) in (True, False)


# ---- the date ----


def test_the_date_is_that_of_the_clock():
    """The date is the clock's second, in the one form that HTTP allows, in UTC."""
    assert DateHeader(lambda: 1_795_503_144.9).text() == DATE


@given(st.lists(st.floats(min_value=0, max_value=4e9), min_size=1, max_size=20))
def test_the_date_follows_the_clock_both_ways(seconds):
    """Whether the clock goes on, stands or is set back, the date is that of its second."""
    times = iter(seconds)
    date = DateHeader(lambda: next(times))
    for second in seconds:
        assert date.text() == email.utils.formatdate(int(second), usegmt=True)

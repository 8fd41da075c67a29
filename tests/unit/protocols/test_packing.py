"""Bodies that arrive compressed."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.model import BadInput, TooLarge, UnknownEncoding
from regista.protocols.http.packing import unpacked

PACKINGS = {"gzip": gzip.compress, "X-GZIP": gzip.compress, "deflate": zlib.compress, "": bytes, "identity": bytes}


@given(st.binary(max_size=2000), st.sampled_from(sorted(PACKINGS)))
def test_what_was_packed_is_unpacked(content, encoding):
    """A body comes out as it went in, up to the last byte that is allowed."""
    body = PACKINGS[encoding](content)
    assert unpacked(body, encoding, max(len(content), len(body))) == content
    if len(content) > 1 and encoding not in ("", "identity"):
        with pytest.raises(TooLarge):
            unpacked(body, encoding, len(content) - 1)


def test_a_file_of_several_parts_is_one_body():
    """Gzip files may be joined, and are then the joined contents."""
    assert unpacked(gzip.compress(b"one, ") + gzip.compress(b"two"), "gzip", 100) == b"one, two"


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_that_was_cut_is_refused(encoding):
    """However much of its end is missing, nobody takes it for whole."""
    body = PACKINGS[encoding](b"all of this, or nothing")
    for end in range(len(body)):
        with pytest.raises(BadInput):
            unpacked(body[:end], encoding, 1000)


@pytest.mark.parametrize(
    "body", [b"plain", gzip.compress(b"good", mtime=0) + b"more", gzip.compress(b"good", mtime=0)[:-4] + b"0000"]
)
def test_a_body_that_is_no_gzip_is_refused(body):
    """What is something else, is followed by it, or has another check sum, is told so."""
    with pytest.raises(BadInput, match="gzip"):
        unpacked(body, "gzip", 1000)


@pytest.mark.parametrize("encoding", ["br", "zstd", "foo", "gzip, gzip"])
def test_an_encoding_that_is_not_known_is_refused(encoding):
    """It is named, and so is what would do."""
    with pytest.raises(UnknownEncoding, match=f'"{encoding}".*Use gzip'):
        unpacked(b"abc", encoding, 1000)


def test_a_small_body_that_would_be_huge_is_not_unpacked():
    """No more is unpacked than is allowed, whatever the size that a body would have."""
    with pytest.raises(TooLarge) as caught:
        unpacked(gzip.compress(bytes(50_000_000)), "gzip", 1000)
    assert caught.value.used == 1001

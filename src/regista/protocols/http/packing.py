"""Bodies that arrive compressed: whole, of a kind that is known, and no larger than they may be once unpacked.

The server's own unpacking would take a body that was cut short for a whole one, and one of an unknown kind for
plain.
"""

from __future__ import annotations

import zlib

from regista.model import BadInput, UnknownEncoding
from regista.protocols.http.connection import body_too_large

_PLAIN = ("", "identity")
_GZIP = ("gzip", "x-gzip")
"""Two names of one kind (RFC 9110, 8.4.1.3)."""

_GZIP_WINDOW = zlib.MAX_WBITS | 16


def unpacked(body: bytes, encoding: str, bytes_max: int) -> bytes:
    """What a body is once it is unpacked.

    Args:
        encoding: its `Content-Encoding`.
        bytes_max: how large it may then be.

    Raises:
        UnknownEncoding: it is packed in a way that is not known here.
        BadInput: it is not whole, or not what its head says.
        TooLarge: it is larger.
    """
    kind = encoding.strip().lower()
    if kind in _PLAIN:
        return body
    if kind in _GZIP:
        return _inflated(body, "gzip", _GZIP_WINDOW, bytes_max)
    if kind == "deflate":
        return _inflated(body, "deflate", zlib.MAX_WBITS, bytes_max)
    raise UnknownEncoding(
        f'The body is packed in a way that is not understood: Content-Encoding "{encoding[:100]}". Use gzip, or '
        "send it as it is."
    )


def _inflated(body: bytes, kind: str, window: int, bytes_max: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        # What follows the end is another part, of which a gzip file may have many (RFC 1952, 2.2).
        inflating = zlib.decompressobj(window)
        try:
            part = inflating.decompress(body, bytes_max - size + 1)
        except zlib.error as error:
            raise BadInput(
                f"the body is no {kind}, as its Content-Encoding says; pack it so, or leave that out"
            ) from error
        size += len(part)
        if size > bytes_max:
            raise body_too_large(bytes_max, size)
        if not inflating.eof:
            raise BadInput(f"the body ends before its {kind} does; send all of it")
        parts.append(part)
        body = inflating.unused_data
        if not body:
            return b"".join(parts)

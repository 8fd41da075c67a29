"""Reads the heads that nearly all clients send, without the server's parser behind them.

This is no HTTP parser: it knows one narrow form, of which each part means one thing to everybody, and leaves all
else to the real one. So a head that is read here means what the real one would have it mean, and that is tested by
giving heads of all kinds to both.

The form: a method of those below, a path (no fragment, no other scheme), HTTP/1.1; each header on a line of its
own, its name without a space before the colon, its value printable ASCII; nothing about how the body is packed or
what becomes of the connection, save a plain length and `Connection: keep-alive`; one `Host`.
"""

from __future__ import annotations

import functools
import re
from typing import NamedTuple

from multidict import CIMultiDict, CIMultiDictProxy

_HEAD = re.compile(
    rb"(GET|HEAD|PUT|POST|DELETE) (/[A-Za-z0-9\-._~:@!$&'()*+,;=%/?]*) HTTP/1\.1\r\n"
    rb"((?:[A-Za-z0-9\-_]+:[ -~]*\r\n)*)\r\n"
)
_LENGTH = re.compile(r"0|[1-9][0-9]{0,8}")

_FRAMING = re.compile(
    r"^(?:connection|content-length|content-encoding|expect|http2-settings|keep-alive|proxy-.*|te|trailer"
    r"|transfer-encoding|upgrade|sec-.*)$"
)
"""Headers that may mean something to the server itself."""

_LINES_MAX = 34
"""32 headers: more than that is not remembered of a head, see `dispatch.KNOWN_HEAD_FIELDS_MAX`."""

_LINES_KEPT = 1024
"""A client sends the same headers with whatever it asks for; so many clients' are not read again."""

_LINES_ONCE = frozenset(("host", "user-agent", "accept-encoding"))


class PlainHead(NamedTuple):
    """A head that was read.

    Attributes:
        target: path and query string, as sent.
        headers: names without regard to case.
    """

    method: str
    target: str
    headers: CIMultiDictProxy[str]
    content_length: int


def read_plain_head(raw: bytes, *, line_bytes_max: int) -> PlainHead | None:
    """The head that `raw` is as a whole; None unless it is of the plain form.

    Args:
        line_bytes_max: how long each line may be.
    """
    found = _HEAD.fullmatch(raw)
    if found is None or len(raw) > line_bytes_max or raw.count(b"\n") > _LINES_MAX:
        return None
    method, target, lines = found.groups()
    read = _read_lines(lines)
    return PlainHead(method.decode(), target.decode(), *read) if read is not None else None


@functools.lru_cache(maxsize=_LINES_KEPT)
def _read_lines(lines: bytes) -> tuple[CIMultiDictProxy[str], int] | None:
    """The headers, and the length that they tell of the body; None unless they are of the plain form."""
    headers: CIMultiDict[str] = CIMultiDict()
    content_length = 0
    for line in lines.decode("ascii").split("\r\n")[:-1]:
        name, _, value = line.partition(":")
        value = value.strip(" ")
        lower = name.lower()
        if lower in headers and lower in _LINES_ONCE:
            return None
        if _FRAMING.match(lower):
            if lower == "connection" and value.lower() == "keep-alive":
                pass
            elif lower == "content-length" and _LENGTH.fullmatch(value) and "Content-Length" not in headers:
                content_length = int(value)
            else:
                return None
        headers.add(name, value)
    if "Host" not in headers:
        return None
    return CIMultiDictProxy(headers), content_length

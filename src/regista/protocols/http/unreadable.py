"""What a client is told whose request can't be read: what is wrong, and what to send instead.

The parser's own sentences are for whoever works on it: they have codes, two lines, an arrow, and Python's way of
writing bytes. Here they are only looked up. What it says in a later version that is not in the table is told as it
is, without the rest.
"""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from aiohttp.http_exceptions import (
    HttpProcessingError,
    InvalidHeader,
    InvalidURLError,
    LineTooLong,
)

_QUOTED_CHARACTERS_MAX = 100

_BYTES = re.compile(r"b'(?:[^'\\]|\\.)*'|b\"(?:[^\"\\]|\\.)*\"")
"""Bytes as Python writes them."""

_VERSION = "this port speaks HTTP/1.1 and HTTP/1.0; send one of these as the version"
_LENGTH = "the Content-Length is no number of bytes; send one, in digits alone"
_CODING = "its Transfer-Encoding is not understood; send `chunked`, or a Content-Length"
_CHUNKS = "a chunk does not begin with its size; send that in hexadecimal digits, and a line break after it"
_LINE_BREAK = "a line does not end with CR and LF, or has one of them in it; end each line with both"

_CAUSES: tuple[tuple[str, int, str], ...] = (
    (
        "HTTPS traffic on an HTTP port",
        400,
        "this port speaks HTTP, not HTTPS; use an address with http://, or have a proxy in front take TLS off",
    ),
    ("Pause on PRI", 505, "this port speaks HTTP/1.1, not HTTP/2; have the client begin with HTTP/1.1"),
    ("Expected HTTP/2", 505, "this port speaks HTTP/1.1, not HTTP/2; have the client begin with HTTP/1.1"),
    ("Invalid HTTP version", 505, _VERSION),
    ("Invalid major version", 400, _VERSION),
    ("Invalid minor version", 400, _VERSION),
    ("Expected dot", 400, _VERSION),
    ("Expected HTTP/", 400, "the version is missing, or the target has a space; write a space in it as %20"),
    ("Expected CRLF after version", 400, _LINE_BREAK),
    ("Expected space after", 400, "the request line is not a method, a target and a version with a space between"),
    ("Invalid method", 400, "it does not begin with a method of HTTP such as GET or PUT, in capitals"),
    ("Missing 'Host' header", 400, "it has no Host; HTTP/1.1 wants one, such as `Host: localhost`"),
    ("Duplicate 'Host' header", 400, "it has more than one Host; send one"),
    ("Duplicate Content-Length", 400, "it has more than one Content-Length; send one"),
    ("Duplicate '", 400, "a header that may be there once is there twice; send it once"),
    (
        "can't be present with",
        400,
        "it has both Content-Length and Transfer-Encoding, which may contradict each other; send one of them",
    ),
    ("Content-Length", 400, _LENGTH),
    ("Transfer-Encoding", 400, _CODING),
    ("Too many headers", 400, "it has more than {headers_max} headers; send fewer"),
    ("Invalid header value char", 400, "a header's value has a character that can't be printed; leave it out"),
    ("Invalid header", 400, "a line is no header; send `Name: value`, without a space before the colon"),
    ("whitespace after header value", 400, "a header goes on in a second line; send it in one"),
    ("Unexpected space after start line", 400, "the first header begins with a space; leave it out"),
    ("chunk", 400, _CHUNKS),
    ("Expected LF", 400, _LINE_BREAK),
    ("Expected CRLF", 400, _LINE_BREAK),
    ("Missing expected", 400, _LINE_BREAK),
    ("in url", 400, "the target has a character that can't stand there; escape it with % and two digits"),
    ("Data after `Connection: close`", 400, "more came after a request with `Connection: close`; use a new one"),
)
"""What is in the parser's sentence, the status, and ours. The first that fits counts."""


class Unreadable(NamedTuple):
    """What is said.

    Attributes:
        is_too_long: whether `http.head_bytes_max` is the reason.
    """

    status: int
    text: str
    is_too_long: bool = False


def explain(error: HttpProcessingError, *, line_bytes_max: int, headers_max: int) -> Unreadable:
    """The status and the sentence for what the parser has found.

    Args:
        line_bytes_max: how long a line may be.
        headers_max: how many headers there may be.
    """
    if isinstance(error, LineTooLong):
        text = (
            f"The request's head can't be read: a line is longer than {line_bytes_max} bytes "
            "(http.head_bytes_max in the agent's configuration); send a shorter one, or raise it."
        )
        return Unreadable(400, text, is_too_long=True)
    reason, status, what = _cause(error)
    text = what.format(headers_max=headers_max)
    # Of these the parser shows what comes after the head.
    quoted = "" if what in (_CODING, _CHUNKS) else _quoted(reason)
    what_of = "body" if what == _CHUNKS else "head"
    return Unreadable(status, f"The request's {what_of} can't be read: {text}{quoted}.")


def _cause(error: HttpProcessingError) -> tuple[str, int, str]:
    """The parser's own sentence, the status, and ours."""
    reason = " ".join((error.message or str(error)).split())
    if isinstance(error, InvalidURLError) and not _BYTES.search(reason):
        return reason, 400, "the target is no address"
    if isinstance(error, InvalidHeader):
        return reason, 400, "a header has a value that it can't have"
    for part, status, what in _CAUSES:
        if part in reason:
            return reason, status, what
    plain = _BYTES.sub("", reason).rstrip(" ^.:")
    # It goes into our sentence as it is: braces mean nothing.
    return reason, 400, (plain or "it is not HTTP").replace("{", "{{").replace("}", "}}")


def _quoted(reason: str) -> str:
    """The line that is meant, as far as the parser tells and a person can read it; "" otherwise."""
    found = _BYTES.search(reason)
    if found is None:
        return ""
    try:
        line = ast.literal_eval(found[0]).split(b"\r\n")[0]
    except (ValueError, SyntaxError):
        return ""
    if not line or not all(0x20 <= each <= 0x7E for each in line):
        return ""
    text = line.decode("ascii")
    cut = f"{text[:_QUOTED_CHARACTERS_MAX]}…" if len(text) > _QUOTED_CHARACTERS_MAX else text
    return f" (it says: {cut})"

"""What is said of requests that can't be read."""

import pytest
from aiohttp.http_exceptions import (
    BadHttpMessage,
    BadStatusLine,
    InvalidURLError,
    LineTooLong,
)

from regista.protocols.http.unreadable import _CAUSES, explain


def told(error):
    return explain(error, line_bytes_max=16384, headers_max=128)


@pytest.mark.parametrize("cause", _CAUSES, ids=lambda cause: cause[0])
def test_each_cause_has_a_sentence_of_its_own(cause):
    """One full stop, at its end; none of the parser's words, and of the limits only the one that is meant."""
    part, status, what = cause
    found = told(BadHttpMessage(f"{part}:\n\n  b'X-A: \\x01'\n  ^"))
    assert found.status == status
    assert what.format(headers_max=128) in found.text
    assert found.text.endswith(".")
    assert ".." not in found.text
    assert "b'" not in found.text
    assert "head_bytes_max" not in found.text
    assert not found.is_too_long


def test_a_long_line_names_the_setting():
    """And shows nothing of the line."""
    found = told(LineTooLong(bytearray(b"/" + b"a" * 100 + b"..."), 16384))
    assert found.is_too_long
    assert found.text == (
        "The request's head can't be read: a line is longer than 16384 bytes (http.head_bytes_max in the agent's "
        "configuration); send a shorter one, or raise it."
    )


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (b"Content-Length: 2", " (it says: Content-Length: 2)."),
        (b"Content-Length: 2\r\n\r\nmore", " (it says: Content-Length: 2)."),
        (b"It's", " (it says: It's)."),
        (b"a \"b\" 'c'", " (it says: a \"b\" 'c')."),
        (b"X: " + b"a" * 200, f" (it says: X: {'a' * 97}…)."),
        (b"X: \x01", "send one."),
        (b"", "send one."),
    ],
)
def test_the_line_that_is_meant_is_shown_as_a_person_writes_it(line, shown):
    """Its first part, if it can be printed."""
    assert told(BadHttpMessage(f"Duplicate Content-Length:\n\n  {line!r}\n  ^")).text.endswith(shown)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("Something new:\n\n  b'a'\n  ^", "Something new (it says: a)."),
        ("Braces {x} and a stop.", "Braces {x} and a stop."),
        ("", "it is not HTTP."),
    ],
)
def test_what_is_not_in_the_table_is_told_as_the_parser_says_it(message, text):
    """Without its arrow, its second full stop, and Python's way of writing bytes."""
    error = BadStatusLine(error=message) if message else BadStatusLine()
    if not message:
        error.message = "^"
    found = told(error)
    assert found == (400, f"The request's head can't be read: {text}", False)


def test_targets():
    """An address that is none says so."""
    assert told(InvalidURLError("http://[")).text == "The request's head can't be read: the target is no address."

"""Responses as bytes on the wire."""

from __future__ import annotations

import email.utils
import gzip
import http
from collections.abc import Callable

from regista.protocols.http.lasting import Form
from regista.protocols.http.messages import Response

GZIP_BYTES_MIN = 1400
"""Below one packet there is nothing to win. Source: Consul 1.9 (behaviour)."""

_HEAD_END = b"\r\n\r\n"

_WITHOUT_BODY = (204, 304)
"""They have neither a body nor its length (RFC 9110, 8.6; RFC 9112, 6.3)."""

_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}" for status in http.HTTPStatus}

_COMMON_HEADERS = (("Vary", "Accept-Encoding"), ("Server", "Regista"))


def all_headers(response: Response, *, accepts_gzip: bool, date: str) -> tuple[list[tuple[str, str]], bytes]:
    """Every header of the response, the date last, and its body, compressed if wanted and worth it.

    Args:
        date: the value of the `Date` header.
    """
    headers = [*_COMMON_HEADERS, *response.headers]
    body = response.body
    if response.content_type:
        headers.append(("Content-Type", response.content_type))
    if accepts_gzip and len(body) >= GZIP_BYTES_MIN and not response.is_packed:
        body = response.gzipped() if response.gzipped else gzip.compress(body, compresslevel=1, mtime=0)
        headers.append(("Content-Encoding", "gzip"))
    if response.status not in _WITHOUT_BODY:
        headers.append(("Content-Length", str(len(body))))
    headers.append(("Date", date))
    return headers, body


def header_lines(headers: list[tuple[str, str]]) -> list[str]:
    """The headers as lines, without their ends.

    Raises:
        ValueError: one has a line break, with which it would be two, or another character that can't be printed.
    """
    lines = [f"{name}: {value}" for name, value in headers]
    if not "".join(lines).isprintable():
        bad = next(line for line in lines if not line.isprintable())
        raise ValueError(f"a response's header has a character that can't be printed: {bad[:200]!r}")
    return lines


def encode_response(response: Response, *, accepts_gzip: bool, is_head: bool, date: str) -> bytes:
    """The whole response for a connection that stays open.

    Args:
        is_head: whether HEAD was asked, so that the body only counts.
        date: the value of the `Date` header.

    Raises:
        ValueError: it has a header that can't be sent.
    """
    head, body = _head_and_body(response, accepts_gzip=accepts_gzip, date=date)
    return head if is_head or response.status in _WITHOUT_BODY else head + body


def response_form(response: Response, *, accepts_gzip: bool, is_head: bool, date: str) -> Form:
    """The whole response as a form, made once of a response that has `forms`.

    Args:
        is_head: as above.
        date: as above.

    Raises:
        ValueError: it has a header that can't be sent.
    """
    key = accepts_gzip + 2 * is_head
    forms = response.forms
    form = forms.get(key) if forms is not None else None
    if form is None:
        head, body = _head_and_body(response, accepts_gzip=accepts_gzip, date=date)
        encoded = head if is_head or response.status in _WITHOUT_BODY else head + body
        form = Form(encoded, date=date, date_at=len(head) - len(_HEAD_END) - len(date))
        if forms is not None:
            forms[key] = form
    return form


def _head_and_body(response: Response, *, accepts_gzip: bool, date: str) -> tuple[bytes, bytes]:
    """The head, which ends with the date, and the body."""
    headers, body = all_headers(response, accepts_gzip=accepts_gzip, date=date)
    status_line = _STATUS_LINES.get(response.status) or f"HTTP/1.1 {response.status} "
    return "\r\n".join([status_line, *header_lines(headers), "\r\n"]).encode(), body


def accepts_gzip(header: str) -> bool:
    """Whether the client takes gzip (RFC 9110, 12.5.3); `gzip;q=0` is a refusal, whatever `*` says."""
    if not header:
        return False
    takes = {}
    for part in header.split(","):
        coding, _, parameters = part.partition(";")
        weight = parameters.replace(" ", "").lower()
        takes[coding.strip().lower()] = not (weight.startswith("q=0") and not weight.strip("q=0."))
    return takes.get("gzip", takes.get("*", False))


class DateHeader:
    """The `Date` header's value, made once a second (RFC 9110, 6.6.1)."""

    def __init__(self, wall_clock: Callable[[], float]) -> None:
        self._wall_clock = wall_clock
        self._second = -1
        self._text = ""

    def text(self) -> str:
        """The value for now."""
        second = int(self._wall_clock())
        if second != self._second:
            self._second = second
            self._text = email.utils.formatdate(second, usegmt=True)
        return self._text

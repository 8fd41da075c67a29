"""Responses as bytes on the wire."""

from __future__ import annotations

import email.utils
import gzip
import http
from collections.abc import Callable

from regista.protocols.http.messages import Headers, Response

GZIP_BYTES_MIN = 1400
"""Below one packet there is nothing to win. Source: Consul 1.9 (behaviour)."""

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in http.HTTPStatus if status >= 200
}


def all_headers(response: Response, *, accepts_gzip: bool) -> tuple[Headers, bytes]:
    """Every header of the response but date and length, and its body, compressed if wanted and worth it."""
    headers: Headers = (("Vary", "Accept-Encoding"), ("Server", "Regista"), *response.headers)
    if response.content_type:
        headers = (*headers, ("Content-Type", response.content_type))
    body = response.body
    if accepts_gzip and len(body) >= GZIP_BYTES_MIN:
        body = response.gzipped() if response.gzipped else gzip.compress(body, compresslevel=1, mtime=0)
        headers = (*headers, ("Content-Encoding", "gzip"))
    return headers, body


def encode_response(response: Response, *, accepts_gzip: bool, is_head: bool, date: str) -> bytes:
    """The whole response for a connection that stays open.

    Args:
        is_head: whether HEAD was asked, so that the body only counts.
        date: the value of the `Date` header.
    """
    headers, body = all_headers(response, accepts_gzip=accepts_gzip)
    lines = [_STATUS_LINES[response.status]]
    for name, value in headers:
        if "\r" in value or "\n" in value:
            raise ValueError(f"a line break in the header {name}")
        lines.append(f"{name}: {value}\r\n")
    lines.append(f"Content-Length: {len(body)}\r\nDate: {date}\r\n\r\n")
    head = "".join(lines).encode("latin-1", "replace")
    return head if is_head else head + body


def accepts_gzip(header: str) -> bool:
    """Whether the client takes gzip (RFC 9110, 12.5.3); `gzip;q=0` is a refusal."""
    for part in header.split(","):
        coding, _, parameters = part.partition(";")
        if coding.strip().lower() in ("gzip", "*"):
            weight = parameters.replace(" ", "").lower()
            return not (weight.startswith("q=0") and not weight.strip("q=0."))
    return False


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

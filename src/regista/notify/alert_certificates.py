"""When the certificates in a file end.

Only the validity is read, from the DER structure itself: an agent needs no library of cryptography for that.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import ssl
import stat

FILE_BYTES_MAX = 1024 * 1024
"""Of a file of certificates; a whole machine's trusted authorities take a quarter of that."""

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----")

_SEQUENCE, _INTEGER, _UTC_TIME, _GENERALIZED_TIME, _EXPLICIT_0 = 0x30, 0x02, 0x17, 0x18, 0xA0


class Unreadable(Exception):
    """The file has no certificate that can be read; the text says why, without repeating what is in it."""


def read_end_s(file: str) -> float:
    """When the first of the certificates in a file ends, in seconds since the epoch. Blocks on the disk.

    Raises:
        Unreadable: see there.
    """
    try:
        # A pipe or a device would be waited for.
        descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as opened:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Unreadable("it is no regular file")
            data = opened.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        raise Unreadable((getattr(error, "strerror", "") or "it can't be opened").lower()) from error
    if len(data) > FILE_BYTES_MAX:
        raise Unreadable(f"it is larger than {FILE_BYTES_MAX} bytes")
    ends = [not_after_s(der) for der in _ders(data)]
    if not ends:
        raise Unreadable("there is no certificate in it")
    return min(ends)


def _ders(data: bytes) -> list[bytes]:
    """The certificates in a file; a private key beside them is passed over."""
    try:
        return [ssl.PEM_cert_to_DER_cert(text) for text in _PEM.findall(data.decode("latin-1"))]
    except ValueError as error:
        raise Unreadable("a certificate in it is not PEM") from error


def not_after_s(der: bytes) -> float:
    """When a certificate ends, in seconds since the epoch.

    Raises:
        Unreadable: it is none.

    Source: RFC 5280, 4.1.
    """
    try:
        certificate, _ = _enter(der, _SEQUENCE)
        rest, _ = _enter(certificate, _SEQUENCE)
        if rest[:1] == bytes((_EXPLICIT_0,)):
            _, rest = _enter(rest, _EXPLICIT_0)  # version
        _, rest = _enter(rest, _INTEGER)  # serial number
        _, rest = _enter(rest, _SEQUENCE)  # signature algorithm
        _, rest = _enter(rest, _SEQUENCE)  # issuer
        validity, _ = _enter(rest, _SEQUENCE)
        _, rest = _enter(validity, validity[0])  # not before
        text, _ = _enter(rest, rest[0])
        if rest[0] == _UTC_TIME:
            century = "19" if text[:2] >= b"50" else "20"
            moment = dt.datetime.strptime(century + text.decode("ascii"), "%Y%m%d%H%M%S%z")
        elif rest[0] == _GENERALIZED_TIME:
            moment = dt.datetime.strptime(text.decode("ascii"), "%Y%m%d%H%M%S%z")
        else:
            raise Unreadable("a certificate in it has no end")
        return moment.timestamp()
    except (ValueError, IndexError, OverflowError) as error:
        raise Unreadable("a certificate in it is damaged") from error


def _enter(data: bytes, tag: int) -> tuple[bytes, bytes]:
    """The content of the first value, which has this tag, and what follows it.

    Raises:
        ValueError, IndexError: it is not so.
    """
    if data[0] != tag:
        raise ValueError("another tag")
    length, start = data[1], 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4:
            raise ValueError("no such length")
        start += count
        length = int.from_bytes(data[2:start])
    if len(data) < start + length:
        raise ValueError("cut off")
    return data[start : start + length], data[start + length :]

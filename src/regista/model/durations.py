"""Durations as text, in the syntax of Go's `time.ParseDuration`, because Consul's clients write them so."""

from __future__ import annotations

import functools
import re

_UNITS_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, the micro sign
    "μs": 1_000,  # U+03BC, the Greek letter
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
# Digits are spelled out: \d would take those of every script.
_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?([^.0-9]*)")
_MOST_NS = 2**63
"""Go keeps durations as signed 64-bit nanoseconds, about 292 years; more is refused there and here."""

_DIGITS_MAX = 19
"""`_MOST_NS` has as many. Longer numbers are refused, and longer fractions cut, without being read."""


@functools.lru_cache(maxsize=1024)  # a fleet writes the same few durations again and again
def parse_duration_s(text: str) -> float:
    """Seconds in a duration such as `10s`, `1m30s`, `1.5h` or `250ms`; the empty text is not one.

    Raises:
        ValueError: with the words that Go uses, which clients of Consul know.

    Source: Go 1.26, `time.ParseDuration`.
    """
    is_negative = text[:1] == "-"
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0.0
    if not rest:
        raise ValueError(f"time: invalid duration {_quote(text)}")
    total_ns = 0
    position = 0
    while position < len(rest):
        part = _PART.match(rest, position)
        assert part is not None, "the pattern matches the empty text too"
        total_ns += _part_ns(text, part[1], part[2] or "", part[3])
        position = part.end()
    if total_ns > _MOST_NS or (total_ns == _MOST_NS and not is_negative):
        raise ValueError(f"time: invalid duration {_quote(text)}")
    return (-total_ns if is_negative else total_ns) / 1e9


def format_duration(seconds: float) -> str:
    """The duration as Go prints it: `10s`, `1m30s`, `2h0m0s`, `1.5s`, `250ms`, `0s`.

    Source: Go 1.26, `time.Duration.String`.
    """
    nanos = round(abs(seconds) * 1e9)
    sign = "-" if seconds < 0 and nanos else ""
    if nanos == 0:
        return "0s"
    for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if nanos < size * 1000:
            return f"{sign}{_trim(nanos, size)}{unit}"
    minutes, rest = divmod(nanos, 60_000_000_000)
    text = f"{_trim(rest, 1_000_000_000)}s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        text = f"{minutes}m{text}" if not hours else f"{hours}h{minutes}m{text}"
    return sign + text


def _part_ns(text: str, whole: str, fraction: str, unit: str) -> int:
    """Nanoseconds in one number and its unit; what is below a nanosecond is cut off, as Go does."""
    whole = whole.lstrip("0") or whole[:1]
    if not (whole or fraction) or len(whole) > _DIGITS_MAX:
        raise ValueError(f"time: invalid duration {_quote(text)}")
    if not unit:
        raise ValueError(f"time: missing unit in duration {_quote(text)}")
    unit_ns = _UNITS_NS.get(unit)
    if unit_ns is None:
        raise ValueError(f"time: unknown unit {_quote(unit)} in duration {_quote(text)}")
    fraction = fraction[:_DIGITS_MAX]
    divisor: int = 10 ** len(fraction)
    return int(whole or 0) * unit_ns + int(fraction or 0) * unit_ns // divisor


def _quote(text: str) -> str:
    """The text in quotes, as Go's package `time` writes it: bytes that are not printable ASCII in hex."""
    quoted = (
        f"\\x{byte:02x}" if byte < 0x20 or byte >= 0x80 else f"\\{byte:c}" if byte in b'"\\' else chr(byte)
        for byte in text.encode("utf-8", "replace")
    )
    return f'"{"".join(quoted)}"'


def _trim(nanos: int, unit_nanos: int) -> str:
    """`nanos` in units of `unit_nanos`, without trailing zeros."""
    whole, fraction = divmod(nanos, unit_nanos)
    if not fraction:
        return str(whole)
    digits = len(str(unit_nanos)) - 1
    return f"{whole}.{fraction:0{digits}d}".rstrip("0")

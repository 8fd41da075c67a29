"""Durations as text, in the syntax of Go's `time.ParseDuration`, because Consul's clients write them so."""

from __future__ import annotations

import re

_UNITS_S = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_MOST_S = 2**63 / 1e9
"""Go keeps durations as signed 64-bit nanoseconds, about 292 years; more is refused there and here."""


def parse_duration_s(text: str) -> float:
    """Seconds in a duration such as `10s`, `1m30s`, `1.5h` or `250ms`; the empty text is not one.

    Raises:
        ValueError: with the words that Go uses, which clients of Consul know.

    Source: Go 1.x, `time.ParseDuration`.
    """
    rest = text
    sign = 1.0
    if rest[:1] in ("+", "-"):
        sign = -1.0 if rest[0] == "-" else 1.0
        rest = rest[1:]
    if rest == "0":
        return 0.0
    total_s = 0.0
    position = 0
    while position < len(rest) and (part := _PART.match(rest, position)):
        total_s += float(part[1]) * _UNITS_S[part[2]]
        position = part.end()
    if not rest or position < len(rest):
        tail = rest[position:]
        if tail and re.fullmatch(r"\d+(\.\d*)?|\.\d+", tail):
            raise ValueError(f'time: missing unit in duration "{text}"')
        raise ValueError(f'time: invalid duration "{text}"')
    if total_s >= _MOST_S:
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * total_s


def format_duration(seconds: float) -> str:
    """The duration as Go prints it: `10s`, `1m30s`, `2h0m0s`, `1.5s`, `250ms`, `0s`.

    Source: Go 1.x, `time.Duration.String`.
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


def _trim(nanos: int, unit_nanos: int) -> str:
    """`nanos` in units of `unit_nanos`, without trailing zeros."""
    whole, fraction = divmod(nanos, unit_nanos)
    if not fraction:
        return str(whole)
    digits = len(str(unit_nanos)) - 1
    return f"{whole}.{fraction:0{digits}d}".rstrip("0")

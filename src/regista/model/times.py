"""Moments as text (RFC 3339), and points of the log, which are a moment or an index."""

from __future__ import annotations

import datetime as dt

from regista.model.errors import BadInput

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)

_INDEX_DIGITS_MAX = 19
"""Indexes are signed 64-bit integers in the store."""


def format_time(at_s: float) -> str:
    """Seconds since the epoch as UTC with milliseconds, such as `2026-11-24T07:08:09.123Z`."""
    moment = _EPOCH + dt.timedelta(milliseconds=round(at_s * 1000))
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def parse_point(text: str, *, field: str) -> int | float:
    """A point of the log: an `int` is an index, a `float` a moment in seconds since the epoch.

    Args:
        field: the parameter that it was given as, for the error.

    Raises:
        BadInput: it is neither.
    """
    if text.isascii() and text.isdigit() and len(text) <= _INDEX_DIGITS_MAX:
        return int(text)
    if len(text) > len("2026-11-24") and text[-6:-5] == " ":
        # A plus sign that was not escaped in the query string.
        text = f"{text[:-6]}+{text[-5:]}"
    try:
        moment = dt.datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.timestamp()
    except (ValueError, OverflowError):
        pass
    raise BadInput(
        f"Invalid {field}: write an index, or a time with its zone such as 2026-11-24T07:08:09Z", field=field
    )

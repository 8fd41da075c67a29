"""Ids that nobody else has."""

from __future__ import annotations

import os

_IDS_AT_ONCE = 256


class Ids:
    """Fresh UUIDs (RFC 9562, version 4), their randomness fetched for many at once.

    Each fetch is a system call during which another thread takes the interpreter lock, and has to give it back.
    """

    def __init__(self) -> None:
        self._ids: list[str] = []

    def new(self) -> str:
        """A UUID that was never given before."""
        if not self._ids:
            drawn = os.urandom(16 * _IDS_AT_ONCE)
            self._ids = [_uuid4_text(drawn[at : at + 16].hex()) for at in range(0, len(drawn), 16)]
        return self._ids.pop()


def _uuid4_text(drawn: str) -> str:
    """The UUID of version 4 with these 32 hex digits, but for version and variant."""
    variant = "89ab"[int(drawn[16], 16) & 3]
    return f"{drawn[:8]}-{drawn[8:12]}-4{drawn[13:16]}-{variant}{drawn[17:20]}-{drawn[20:]}"

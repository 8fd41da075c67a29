"""What happened in a run: a digest of all of it, and the last of it in words."""

from __future__ import annotations

import collections
import hashlib
from collections.abc import Callable

_LINES_KEPT = 20_000
_LINES_TOLD = 40


class History:
    """Lines in the order in which they happened."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._digest = hashlib.blake2b(digest_size=16)
        self._last: collections.deque[str] = collections.deque(maxlen=_LINES_KEPT)
        self.lines = 0

    def note(self, line: str) -> None:
        line = f"{self._now_s():.6f} {line}\n"
        self._digest.update(line.encode())
        self._last.append(line)
        self.lines += 1

    def digest(self) -> str:
        """The same for two runs if and only if every line of them was."""
        return self._digest.hexdigest()

    def about(self, *words: str) -> str:
        """The last lines with one of these words."""
        found = [line for line in self._last if any(word in line for word in words)]
        return "".join(found[-_LINES_TOLD:])

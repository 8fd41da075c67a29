"""A page of memory that the main process writes and its workers read: what they must know before each answer.

A message may be on its way; this is not. So a worker knows whether its replica has everything that anybody was
told is written, without asking.
"""

from __future__ import annotations

import mmap
import os
import tempfile

_PAGE_BYTES = mmap.PAGESIZE
_HEAD, _STALE_SINCE, _BEAT = range(3)


class SharedPage:
    """Numbers of eight bytes each, which are written and read whole.

    Attributes:
        descriptor: the page's file, to be inherited by who is to read it.
    """

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        # The views keep it mapped for as long as somebody has the page.
        page = memoryview(mmap.mmap(descriptor, _PAGE_BYTES))
        self._indexes = page.cast("Q")
        self._seconds = page.cast("d")

    @classmethod
    def make(cls) -> SharedPage:
        """A new one, all zero; its file has no name."""
        with tempfile.TemporaryFile() as file:
            file.truncate(_PAGE_BYTES)
            return cls(os.dup(file.fileno()))

    @property
    def head_index(self) -> int:
        """The index of the last batch; at or above every write that its caller was told of."""
        return self._indexes[_HEAD]

    @head_index.setter
    def head_index(self, index: int) -> None:
        self._indexes[_HEAD] = index

    @property
    def stale_since_s(self) -> float:
        """Since when nothing can be written, in monotonic seconds; 0 while all is well."""
        return self._seconds[_STALE_SINCE]

    @stale_since_s.setter
    def stale_since_s(self, at_s: float) -> None:
        self._seconds[_STALE_SINCE] = at_s

    @property
    def beat_s(self) -> float:
        """When the main process last got to say that it lives, in monotonic seconds."""
        return self._seconds[_BEAT]

    @beat_s.setter
    def beat_s(self, at_s: float) -> None:
        self._seconds[_BEAT] = at_s

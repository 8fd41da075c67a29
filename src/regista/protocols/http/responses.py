"""The response cache: from the exact bytes of a request's head to the bytes of its response.

Theory of operation. An entry holds the version that its topics had when its response was made. It is given only
while they still have it; and as the replica counts every change of any topic, an entry that was looked at since
the last one is known to be good by comparing two numbers. So no batch has to find the entries that it spoils, and
an answer is never older than the replica. What is spoiled is replaced when it is asked for, or goes with the rest.

Who may come in, and who has to go. A head enters when it is sent the second time (the connection remembers what
single heads meant), so requests that differ each time never get here. A new entry is on probation: a tenth of the
memory is for such entries, first in, first out, and only those that were given meanwhile stay on. Of the others
the first goes that was not given since the hand passed it last; being given earns a pass, three at the most.

    (none) ──second request──▶ probation ──given before its turn──▶ main ──not given in its last passes──▶ (gone)
                                   └── else ──▶ (gone)

Source: Yang et al., "FIFO queues are all you need for cache eviction" (SOSP 2023), for the queues.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from regista.protocols.http.dispatch import Head
from regista.protocols.http.lasting import Form, Lasting

_ENTRY_BYTES = 2048
"""What an entry takes besides its head's bytes and its response: the head as it was understood, see
`dispatch.KNOWN_HEAD_FIELDS_MAX`, and its places in the tables."""

_PROBATION_SHARE = 0.1
_PASSES_MAX = 3
"""More would let yesterday's favourites stay too long. Source: as above."""


class Topics(Protocol):
    """What this module needs of the replica's topics."""

    @property
    def changes_count(self) -> int:
        """Grows with every change of any topic."""

    def version(self, names: tuple[str, ...], /) -> tuple[int, ...]:
        """Differs whenever anything about the topics may have changed."""


class Entry:
    """What is kept for a head.

    Attributes:
        form: the response's bytes.
        seen_count: of the topics' changes when it was last found to be good.
        passes: how often the hand passes it by.
    """

    __slots__ = ("form", "head", "is_main", "lasting", "passes", "raw", "seen_count")

    def __init__(self, raw: bytes, head: Head, form: Form, lasting: Lasting, seen_count: int) -> None:
        self.raw = raw
        self.head = head
        self.form = form
        self.lasting = lasting
        self.seen_count = seen_count
        self.passes = 0
        self.is_main = False

    @property
    def own_bytes(self) -> int:
        """What it takes without its form, which others may give as well."""
        return _ENTRY_BYTES + len(self.raw)


class ResponseCache:
    """The responses that one replica makes.

    Args:
        bytes_max: how much of memory they may take; 0 for none at all.

    Attributes:
        kept_bytes: what they take, roughly.
        hits_count: how often one was given.
        misses_count: how often one could have been given, but had to be made.
        evictions_count: how many had to go for others.
    """

    def __init__(self, topics: Topics, *, bytes_max: int) -> None:
        self._topics = topics
        self._bytes_max = bytes_max
        self._entries: dict[bytes, Entry] = {}
        self._probation: OrderedDict[Entry, None] = OrderedDict()
        self._main: OrderedDict[Entry, None] = OrderedDict()
        # What the entries of the main queue take themselves; forms belong to no queue.
        self._probation_bytes = 0
        self.kept_bytes = 0
        self.hits_count = 0
        self.misses_count = 0
        self.evictions_count = 0

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, raw: bytes) -> Entry | None:
        """The entry for a request that consists of these bytes, if its response is still what would be made."""
        entry = self._entries.get(raw)
        if entry is None:
            return None
        lasting = entry.lasting
        count = self._topics.changes_count
        if entry.seen_count != count:
            if self._topics.version(lasting.topics) != lasting.version:
                return None
            entry.seen_count = count
        if lasting.is_steady is not None and not lasting.is_steady():
            return None
        if entry.passes < _PASSES_MAX:
            entry.passes += 1
        if lasting.tally is not None:
            lasting.tally.count += 1
        self.hits_count += 1
        return entry

    def head(self, raw: bytes) -> Head | None:
        """What these bytes mean, if they are a head that has an entry, good or not."""
        entry = self._entries.get(raw)
        return entry.head if entry is not None else None

    def keep(self, raw: bytes, head: Head, form: Form, lasting: Lasting) -> None:
        """Gives this response from now on to whoever sends these bytes, as long as it lasts."""
        if len(form) + len(raw) + _ENTRY_BYTES > self._bytes_max // 2:
            self.drop(raw)
            return
        entry = self._entries.get(raw)
        if entry is None:
            entry = self._entries[raw] = Entry(raw, head, form, lasting, self._topics.changes_count)
            self._probation[entry] = None
            self._probation_bytes += entry.own_bytes + len(form)
            self.kept_bytes += entry.own_bytes
        else:
            if not entry.is_main:
                self._probation_bytes += len(form) - len(entry.form)
            self._release(entry.form)
            entry.form = form
            entry.lasting = lasting
            entry.seen_count = self._topics.changes_count
        self._hold(form)
        while self.kept_bytes > self._bytes_max:
            self._evict()

    def drop(self, raw: bytes) -> None:
        """Keeps nothing for these bytes."""
        entry = self._entries.get(raw)
        if entry is not None:
            self._take_out(entry)

    def _hold(self, form: Form) -> None:
        if not form.holders:
            self.kept_bytes += len(form)
        form.holders += 1

    def _release(self, form: Form) -> None:
        form.holders -= 1
        if not form.holders:
            self.kept_bytes -= len(form)

    def _take_out(self, entry: Entry) -> None:
        if entry.is_main:
            del self._main[entry]
        else:
            del self._probation[entry]
            self._probation_bytes -= entry.own_bytes + len(entry.form)
        del self._entries[entry.raw]
        self._release(entry.form)
        self.kept_bytes -= entry.own_bytes

    def _evict(self) -> None:
        """Lets one entry go, or stay on once more."""
        is_crowded = self._probation_bytes > self._bytes_max * _PROBATION_SHARE
        if self._probation and (is_crowded or not self._main):
            entry = next(iter(self._probation))
            if entry.passes:
                self._promote(entry)
                return
        else:
            entry = next(iter(self._main))
            if entry.passes:
                entry.passes -= 1
                self._main.move_to_end(entry)
                return
        self._take_out(entry)
        self.evictions_count += 1

    def _promote(self, entry: Entry) -> None:
        del self._probation[entry]
        self._probation_bytes -= entry.own_bytes + len(entry.form)
        entry.is_main = True
        entry.passes = 0
        self._main[entry] = None


class _NoTopics:
    """No topics, so that nothing changes."""

    changes_count = 0

    def version(self, _names: tuple[str, ...], /) -> tuple[int, ...]:
        return ()


def no_responses() -> ResponseCache:
    """A cache that keeps nothing."""
    return ResponseCache(_NoTopics(), bytes_max=0)

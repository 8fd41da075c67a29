"""A question that readers follow: the instances in its answer, and which of them changed of late.

What is kept of a change is only where in the order it was, and of an instance only its last change. So a reader
that comes late gets of each instance what it is now, once; one that kept up gets what was encoded for the others.

Nothing waits here; `instance_feed` knows who reads.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterator

from regista.catalog import Catalog, Instance, Lookup, Members, degrading_topics, service_topic
from regista.model import Service
from regista.protocols.http import encode_json

_PART_CHANGES_MAX = 512
"""What is encoded for a reader in one go, in some 10 ms; the rest follows once others had their turn."""

_FULL_INSTANCES_EACH = 128
"""The same for a full list: such a part has some 64 KB, what a connection takes at once."""

_SHARED_MAX = 8
"""Readers that keep up ask for the same changes; what those far behind ask for is put together for each."""

_PANIC = "\x00panic"
"""Stands among the keys of instances, and is none."""


@dataclasses.dataclass(slots=True)
class Counts:
    """What was done for readers.

    Attributes:
        encoded: changes and instances of full lists that had to be encoded.
        sent: changes that were given to readers, each for each.
        full_lists: those that were given.
        gaps: full lists that were given to readers that fell behind, or could not go on where they were.
    """

    encoded: int = 0
    sent: int = 0
    full_lists: int = 0
    gaps: int = 0


@dataclasses.dataclass(slots=True)
class _Change:
    """Attributes: `index` is that of the replica when it was noticed; `frame` None until somebody wants it."""

    number: int
    index: int
    service: Service | None
    instance: Instance | None
    frame: bytes | None = None


class FullList:
    """All instances, as one event; encoded part by part as the first reader comes to it.

    Attributes:
        number: of the last change that is in it.
    """

    def __init__(
        self, head: bytes, instances: list[Instance], encode: Callable[[Instance], bytes], *, number: int
    ) -> None:
        self.number = number
        self._encode = encode
        self._left: Iterator[Instance] | None = iter(instances)
        self._parts = [head]
        self._is_first = True

    def part(self, position: int) -> bytes | None:
        """The part at a position, from 0 on; None behind the last."""
        if position == len(self._parts) and self._left is not None:
            self._parts.append(self._next_part(self._left))
        return self._parts[position] if position < len(self._parts) else None

    def _next_part(self, left: Iterator[Instance]) -> bytes:
        encoded = [self._encode(each) for _, each in zip(range(_FULL_INSTANCES_EACH), left, strict=False)]
        begin = b"" if self._is_first or not encoded else b","
        self._is_first = False
        if len(encoded) == _FULL_INSTANCES_EACH:
            return begin + b",".join(encoded)
        self._left = None
        return begin + b",".join(encoded) + b"]}\n\n"


class Followed:
    """A question with readers.

    Args:
        encode: an instance as JSON.
        label: how far an answer about a service can be relied on, by its topic and whether it is empty.
        changes_max: of how many instances the last change is remembered.

    Attributes:
        key: the same for the same question.
        topics: what its answer depends on.
        number: of the last change.
        index: of the replica when the answer changed last, as far as is known.
        is_dirty: whether something was touched that has not been looked at.
    """

    def __init__(
        self,
        catalog: Catalog,
        lookup: Lookup,
        *,
        encode: Callable[[Instance], bytes],
        label: Callable[[str, bool], str],
        threshold_default: float,
        changes_max: int,
        counts: Counts,
    ) -> None:
        settings = degrading_topics((lookup.name,)) if lookup.passing_only else ()
        self.key = key_of(lookup)
        self.lookup = lookup
        self.topics = (service_topic(lookup.name), *settings)
        self.settings_topics = settings
        self.number = 0
        self.index = max(catalog.topics.index(self.topics[:1]), catalog.topics.touched_index(settings))
        self.is_dirty = False
        self._catalog = catalog
        self._encode = encode
        self._label = label
        self._changes_max = changes_max
        self._counts = counts
        self._members = Members(catalog, lookup, threshold_default=threshold_default)
        self._touched: dict[str, None] = {}
        self._changes: OrderedDict[str, _Change] = OrderedDict()
        # Every change after these is remembered.
        self._floor_number = 0
        self._floor_index = self.index
        self._shared: dict[int, tuple[bytes, int]] = {}
        self._full: weakref.ref[FullList] | None = None
        self._full_version: object = None

    def touch(self, key: str | None) -> None:
        """Notes that an instance, or (None) what the answer depends on besides, may have changed."""
        self.is_dirty = True
        if key is not None:
            self._touched[key] = None

    def look(self, index: int) -> bool:
        """Looks at all that was touched; whether the answer has changed.

        Args:
            index: the replica's.
        """
        before = self.number
        was_panicking = self._members.is_panicking
        moves = self._members.update(self._touched)
        self._touched.clear()
        self.is_dirty = False
        if self._members.is_panicking != was_panicking:
            self._note(_PANIC, index, None, None).frame = self._panic_frame(index)
        for move in moves:
            self._note(move.service.key, index, move.service, move.instance)
        while len(self._changes) > self._changes_max:
            _, oldest = self._changes.popitem(last=False)
            self._floor_number, self._floor_index = oldest.number, oldest.index
        if self.number == before:
            return False
        self.index = index
        self._shared.clear()
        return True

    def number_after(self, index: int) -> int | None:
        """The last change that a reader knows of that knows what was at an index; None if that can't be told."""
        if not self._floor_index <= index <= self._catalog.index:
            return None
        for change in reversed(self._changes.values()):
            if change.index <= index:
                return change.number
        return self._floor_number

    def changes_after(self, number: int) -> tuple[bytes, int] | None:
        """The frames of the next changes, b"" for none, and the number of the last; None if some are forgotten."""
        if number >= self.number:
            return b"", number
        if number < self._floor_number:
            return None
        shared = self._shared.get(number)
        if shared is None:
            shared = self._joined(number)
            if len(self._shared) < _SHARED_MAX:
                self._shared[number] = shared
        self._counts.sent += 1
        return shared

    def full(self) -> FullList:
        """The answer as a whole; the same for all who ask while it stays."""
        version = (self.number, self._catalog.topics.version(self.topics))
        full = self._full() if self._full is not None and self._full_version == version else None
        if full is None:
            instances = self._members.instances()
            head = self._full_head(is_empty=not instances)
            full = FullList(head, instances, self._encoded, number=self.number)
            self._full, self._full_version = weakref.ref(full), version
        self._counts.full_lists += 1
        return full

    def _note(self, key: str, index: int, service: Service | None, instance: Instance | None) -> _Change:
        self.number += 1
        self._changes.pop(key, None)
        change = self._changes[key] = _Change(self.number, index, service, instance)
        return change

    def _joined(self, number: int) -> tuple[bytes, int]:
        changes: list[_Change] = []
        for change in reversed(self._changes.values()):
            if change.number <= number:
                break
            changes.append(change)
        changes.reverse()
        changes = changes[:_PART_CHANGES_MAX]
        return b"".join([self._frame(each) for each in changes]), changes[-1].number

    def _frame(self, change: _Change) -> bytes:
        frame = change.frame
        if frame is None:
            if change.instance is not None:
                frame = b"event: put\ndata: %b\n\n" % self._encoded(change.instance)
                change.instance = None
            else:
                assert change.service is not None
                frame = self._delete_frame(change.service, change.index)
            change.frame = frame
        return frame

    def _encoded(self, instance: Instance) -> bytes:
        self._counts.encoded += 1
        return self._encode(instance)

    def _delete_frame(self, service: Service, index: int) -> bytes:
        self._counts.encoded += 1
        told = {"service": self.lookup.name, "node": service.node, "id": service.id, "index": index}
        return b"event: delete\ndata: %b\n\n" % encode_json(told)

    def _panic_frame(self, index: int) -> bytes:
        told = {"service": self.lookup.name, "panic": self._members.is_panicking, "index": index}
        return b"event: panic\ndata: %b\n\n" % encode_json(told)

    def _full_head(self, *, is_empty: bool) -> bytes:
        told = {
            "service": self.lookup.name,
            "index": self.index,
            "answer": self._label(self.topics[0], is_empty),
            "panic": self._members.is_panicking,
            "instances": [],
        }
        return b"event: full\ndata: %b" % encode_json(told).removesuffix(b"]}")


def key_of(lookup: Lookup) -> str:
    """The same for look-ups that mean the same, and spell the name alike: frames repeat it as it was asked for."""
    return f"stream\x00{lookup.name}\x00{lookup.tags}\x00{lookup.passing_only}"

"""What the replica was at an earlier index, found by taking back what the log has after it.

Of each record only the first change after that index counts: it says what stood there before. Records that no
change names are as they were.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from regista.catalog.replica import Catalog
from regista.model import Batch, Compacted, Delete, Entry, Record, Snapshot

_Key = tuple[str, str]


class Rewind:
    """The way back to `index`: `note` every batch after it, oldest first, then make the `replica`."""

    def __init__(self, index: int) -> None:
        self._index = index
        self._stood: dict[_Key, Entry[Record] | None] = {}
        # Records that began in a batch, if it tells the truth: rows from before version 2 of the store's schema
        # say the same of a record that was written again as it was.
        self._began: dict[_Key, int] = {}

    def note(self, batch: Batch) -> None:
        """Takes notice of what a batch found.

        Raises:
            Compacted: it does not say, for an earlier version wrote it.
        """
        for change in batch.changes:
            key = (change.record.kind, change.record.key)
            was = change.record if isinstance(change, Delete) else change.replaces
            if was is None:
                self._began[key] = batch.index
                self._stood.setdefault(key, None)
                continue
            if not change.was_modify_index:
                raise Compacted(floor_index=batch.index)
            self._check_beginning(key, change.was_create_index)
            self._stood.setdefault(key, Entry(was, change.was_create_index, change.was_modify_index))

    def replica(self, entries: Iterable[Entry[Record]]) -> Catalog:
        """A replica of its own, as it was.

        Costs O(entries), a microsecond each and more; may run on another thread, for nothing is shared but
        records, which never change.

        Args:
            entries: of the replica at the index of the last batch noted.

        Raises:
            Compacted: see `note`.
        """
        past = Catalog()
        # With the floor at the index itself, every topic's index is at most that of the answer's moment.
        past.load(Snapshot(self._index, self._index, list(self._entries(entries)), ()))
        return past

    def _entries(self, entries: Iterable[Entry[Record]]) -> Iterator[Entry[Record]]:
        for entry in entries:
            key = (entry.record.kind, entry.record.key)
            if key in self._stood:
                self._check_beginning(key, entry.create_index)
            else:
                yield entry
        yield from (entry for entry in self._stood.values() if entry is not None)

    def _check_beginning(self, key: _Key, create_index: int) -> None:
        began_index = self._began.get(key, 0)
        if create_index < began_index:
            raise Compacted(floor_index=began_index)

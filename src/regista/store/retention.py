"""How much of the log is kept: for a time, and in proportion to what is registered.

With the log at half the live records, pages that are partly free and SQLite's own journal, the file of a busy
registry stays within three times its live records.

Sizes are the room that rows take in the file, not the length of their text: SQLite does not split a row among
pages before it is a page long, so rows a little above half a page take a page each.
"""

from __future__ import annotations

import sqlite3

from regista.store.settings import StoreSettings

_PAGE_BYTES = 4096
_PAGE_USABLE_BYTES = _PAGE_BYTES - 12  # less the page's own header and some of its index of cells
_ROW_BYTES = 16  # the row's header, its index, its time, and its place in the page's index of cells
_ROW_LOCAL_BYTES_MAX = _PAGE_BYTES - 35  # longer rows continue on pages of their own (SQLite's file format, 1.6)


def row_room_bytes(text_bytes: int) -> int:
    """The room that a row of the log with texts so long together takes in the file, among rows like it."""
    row_bytes = text_bytes + _ROW_BYTES
    if row_bytes > _ROW_LOCAL_BYTES_MAX:
        return (row_bytes // _PAGE_USABLE_BYTES + 1) * _PAGE_BYTES
    return _PAGE_BYTES // (_PAGE_USABLE_BYTES // row_bytes)


class LogRetention:
    """Keeps count of the log's room, and drops its oldest rows. The writer thread's alone."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self._log_bytes = 0
        self._unlooked_bytes = 0
        self._look_at_s = 0.0
        # What the three above will be once the open transaction is committed.
        self._pending = (0, 0, 0.0)
        self._shrunk_at_index = 0

    def load(self, connection: sqlite3.Connection) -> None:
        """Counts what is in the log."""
        rows = connection.execute("SELECT length(CAST(changes AS BLOB)) + length(CAST(cause AS BLOB)) FROM log")
        self._log_bytes = sum(row_room_bytes(text_bytes) for (text_bytes,) in rows)

    def compact(self, connection: sqlite3.Connection, *, floor_index: int, added_bytes: int, now_s: float) -> int:
        """Drops what the log need not keep, inside the open transaction; the new floor index.

        Looks at most once for each 1/16 of `log_bytes_min` written or each 1/16 of the retention time, so that
        its cost is a small share of the writes'.

        Args:
            added_bytes: the room of the rows that the open transaction added.
        """
        settings = self._settings
        log_bytes = self._log_bytes + added_bytes
        unlooked_bytes = self._unlooked_bytes + added_bytes
        look_at_s = self._look_at_s
        if now_s >= look_at_s or unlooked_bytes > settings.log_bytes_min // 16:
            unlooked_bytes = 0
            look_at_s = now_s + settings.log_retention_s / 16
            floor_index, log_bytes = self._drop(connection, floor_index, log_bytes, now_s)
        self._pending = (log_bytes, unlooked_bytes, look_at_s)
        return floor_index

    def committed(self) -> None:
        """Notes that the transaction in which `compact` was called last is on the disk."""
        self._log_bytes, self._unlooked_bytes, self._look_at_s = self._pending

    def shrink_file(self, connection: sqlite3.Connection, *, floor_index: int) -> None:
        """Gives pages back to the file system when a quarter of the file is free."""
        if floor_index == self._shrunk_at_index:
            return
        self._shrunk_at_index = floor_index
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        if free * 4 > pages:
            connection.execute(f"PRAGMA incremental_vacuum({free // 2})").fetchall()

    def _drop(
        self, connection: sqlite3.Connection, floor_index: int, log_bytes: int, now_s: float
    ) -> tuple[int, int]:
        """Drops the oldest rows that are too old or too many; the floor index and the room that is left."""
        settings = self._settings
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        live_bytes = max(0, (pages - free) * _PAGE_BYTES - log_bytes)
        most = min(settings.log_bytes_max, max(settings.log_bytes_min, live_bytes // 2))
        oldest_kept_s = now_s - settings.log_retention_s
        dropped_index = floor_index
        for index, at_s, text_bytes in connection.execute(
            "SELECT idx, at_s, length(CAST(changes AS BLOB)) + length(CAST(cause AS BLOB)) FROM log ORDER BY idx"
        ):
            if log_bytes <= most and at_s >= oldest_kept_s:
                break
            dropped_index = index
            log_bytes -= row_room_bytes(text_bytes)
        if dropped_index != floor_index:
            connection.execute("DELETE FROM log WHERE idx <= ?", (dropped_index,))
        return dropped_index, log_bytes

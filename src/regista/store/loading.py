"""What a file of the current version holds, read as a whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from regista.model import Batch, Snapshot
from regista.store.rows import decode_cause, decode_changes, decode_entry
from regista.store.sharing import Sharing


def read_snapshot(connection: sqlite3.Connection) -> Snapshot:
    """Everything in the file.

    Raises:
        KeyError, TypeError, ValueError, msgspec.MsgspecError: it does not fit together.
    """
    index, floor_index = connection.execute("SELECT last_index, floor_index FROM state").fetchone()
    sharing = Sharing()
    entries = [
        sharing.share(decode_entry(*row))
        for row in connection.execute("SELECT kind, key, create_index, modify_index, value FROM record")
    ]
    recent = list(read_log(connection, floor_index))
    newest = max((entry.modify_index for entry in entries), default=0)
    if not max(newest, floor_index) <= index:
        raise ValueError(f"index {index} is behind its own records")
    return Snapshot(index, floor_index, entries, recent)


def read_log(connection: sqlite3.Connection, after_index: int, batches_max: int = -1) -> Iterator[Batch]:
    """The batches after `after_index` that the log still has, oldest first; at most so many, or -1 for all.

    Raises:
        KeyError, TypeError, ValueError, msgspec.MsgspecError: a row is no batch.
    """
    rows = connection.execute(
        "SELECT idx, at_s, changes, cause FROM log WHERE idx > ? ORDER BY idx LIMIT ?", (after_index, batches_max)
    )
    for index, at_s, changes, cause in rows:
        yield Batch(index, at_s, decode_changes(changes), decode_cause(cause))


def find_index_at(connection: sqlite3.Connection, at_s: float) -> int | None:
    """The index of the last batch committed at or before `at_s`; None if the log has none so old.

    Searches by halves, so it takes times to grow with the indexes; where a clock was set back, an index nearby.
    """
    low, high = connection.execute("SELECT min(idx), max(idx) FROM log").fetchone()
    found: int | None = None
    while low is not None and low <= high:
        middle = (low + high) // 2
        # Indexes may have gaps, so the row in the middle is the next one that is there.
        index, row_at_s = connection.execute(
            "SELECT idx, at_s FROM log WHERE idx >= ? ORDER BY idx LIMIT 1", (middle,)
        ).fetchone()
        if row_at_s <= at_s:
            found, low = index, index + 1
        else:
            high = middle - 1
    return found

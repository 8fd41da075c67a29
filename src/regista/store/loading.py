"""What a file of the current version holds, read as a whole."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from regista.model import Batch, Snapshot
from regista.store.rows import decode_changes, decode_entry
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


def read_log(connection: sqlite3.Connection, after_index: int) -> Iterator[Batch]:
    """The batches after `after_index` that the log still has, oldest first.

    Raises:
        KeyError, TypeError, ValueError, msgspec.MsgspecError: a row is no batch.
    """
    rows = connection.execute("SELECT idx, at_s, changes FROM log WHERE idx > ? ORDER BY idx", (after_index,))
    for index, at_s, changes in rows:
        yield Batch(index, at_s, decode_changes(changes))

"""The SQLite file: its tables, its version, and how an older file becomes a current one.

`record` holds what is true now, `log` how it came about. Values are JSON text, so the file can be read with the
`sqlite3` command when all else fails. `PRAGMA user_version` is the schema's version and `application_id` says
that the file is Regista's at all.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from regista.model import StoreDamaged, StoreTooNew, StoreUnavailable

APPLICATION_ID = 0x52474953
"""`RGIS` in ASCII."""


def _create_tables(connection: sqlite3.Connection) -> None:
    connection.execute(
        """
        CREATE TABLE record (
            kind TEXT NOT NULL,
            key TEXT NOT NULL,
            create_index INTEGER NOT NULL,
            modify_index INTEGER NOT NULL,
            value TEXT NOT NULL,
            PRIMARY KEY (kind, key)
        ) WITHOUT ROWID
        """
    )
    # One row a transaction; changes is a JSON list of ["put" | "delete" | "was", kind, record];
    # "was" stands before a put that replaces a record of other names, see Put.replaces.
    connection.execute("CREATE TABLE log (idx INTEGER PRIMARY KEY, at_s REAL NOT NULL, changes TEXT NOT NULL)")
    # One row: the last index given out, and the index after which the log is complete.
    connection.execute("CREATE TABLE state (last_index INTEGER NOT NULL, floor_index INTEGER NOT NULL)")
    connection.execute("INSERT INTO state VALUES (0, 0)")


def _add_causes(connection: sqlite3.Connection) -> None:
    # Who brought a transaction about, as JSON; "" where it was not recorded. Since this version, changes has
    # ["at", "", [create, modify]] too: the indexes of what the change after it replaces or deletes.
    connection.execute("ALTER TABLE log ADD COLUMN cause TEXT NOT NULL DEFAULT ''")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_create_tables, _add_causes)
"""What turns version n into n + 1, in order. A released step is never edited."""

VERSION = len(MIGRATIONS)


@contextlib.contextmanager
def inspected(path: Path) -> Iterator[sqlite3.Connection | None]:
    """A connection that only reads, to a sound file of this version; None if it is older or there is none yet.

    Raises:
        StoreDamaged: not a database, not Regista's, or its pages do not fit together.
        StoreTooNew: a later version wrote it.
        StoreUnavailable: it can't be read, or not be written later.
    """
    journal = path.with_name(path.name + "-wal")
    has_journal = journal.exists() and journal.stat().st_size > 0
    if not has_journal and (not path.exists() or not path.stat().st_size):
        yield None
        return
    if not os.access(path, os.R_OK | os.W_OK, effective_ids=os.access in os.supports_effective_ids):
        # Told before SQLite makes a journal beside it, for that would get the same wrong permissions.
        raise StoreUnavailable(
            f"{path} may not be read and written. Mend its permissions, or give another --data-dir."
        )
    # A journal that a killed agent left is part of the file. Without one, the file is taken as it stands, for a
    # merely read-only connection would make an empty journal beside it.
    mode = "mode=ro" if has_journal else "immutable=1"
    with reading(path):
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)
    with contextlib.closing(connection):
        with reading(path):
            _check(connection, path)
            version = _int(connection, "PRAGMA user_version")
        yield connection if version == VERSION else None


def _check(connection: sqlite3.Connection, path: Path) -> None:
    tables = _int(connection, "SELECT count(*) FROM sqlite_master")
    if tables and _int(connection, "PRAGMA application_id") != APPLICATION_ID:
        raise StoreDamaged(f"{path} is a database, but not one of Regista's. Give another --data-dir.")
    version = _int(connection, "PRAGMA user_version")
    if version > VERSION:
        raise StoreTooNew(
            f"{path} has schema version {version}; this Regista knows versions up to {VERSION}. Start the "
            "version that wrote it, or a later one."
        )
    problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    if problems != ["ok"]:
        raise StoreDamaged(damage_text(path, "; ".join(problems)))


def connect(path: Path | None) -> sqlite3.Connection:
    """A connection in autocommit mode to a file that was `inspected`, or to a new database in memory."""
    connection = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False, timeout=1.0)
    if path:
        try:
            # Has an effect before there are tables only, and writes to the file; lets compaction shrink it.
            if not _int(connection, "PRAGMA page_count"):
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA journal_size_limit = 4194304")
        except sqlite3.Error:
            connection.close()
            raise
    return connection


def prove(connection: sqlite3.Connection, index: int) -> None:
    """Returns after something was written that leaves no trace.

    Args:
        index: one that the log does not have.

    Raises:
        StoreUnavailable: it can't be.
    """
    try:
        connection.execute("BEGIN IMMEDIATE")
        # The page of a row that comes and goes is written all the same.
        connection.execute("INSERT INTO log (idx, at_s, changes) VALUES (?, 0, '')", (index,))
        connection.execute("DELETE FROM log WHERE idx = ?", (index,))
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        with contextlib.suppress(sqlite3.Error):
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        raise StoreUnavailable(f"the store can't be written: {error}. Free space or mend the disk.") from error


def migrate(connection: sqlite3.Connection) -> None:
    """Brings the file to the current version, each step and its number in one transaction.

    Args:
        connection: in autocommit mode.
    """
    version = _int(connection, "PRAGMA user_version")
    for number, step in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        step(connection)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")


@contextlib.contextmanager
def reading(path: Path | None) -> Iterator[None]:
    """Tells what goes wrong in reading the file in the store's own errors.

    Raises:
        StoreDamaged: the file does not hold what it should.
        StoreUnavailable: the disk or its permissions are in the way.
    """
    try:
        yield
    except sqlite3.Error as error:
        # Without a code the module itself raised it: a text that is not UTF-8.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
        if code & 0xFF in _CIRCUMSTANCES:
            raise StoreUnavailable(
                f"{path} can't be read: {error}. Mend the disk or the permissions, or give another --data-dir."
            ) from error
        raise StoreDamaged(damage_text(path, str(error))) from error
    except (KeyError, TypeError, ValueError, msgspec.MsgspecError) as error:
        raise StoreDamaged(damage_text(path, f"a record can't be read ({error})")) from error


_CIRCUMSTANCES = (
    sqlite3.SQLITE_AUTH,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_INTERRUPT,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_READONLY,
)
"""The codes that say nothing of what the file holds."""


def damage_text(path: Path | None, problem: str) -> str:
    """The sentence for a file that can't be trusted."""
    return (
        f"{path} is damaged: {problem}. Nothing was changed. Restore it from a backup, or move it away and "
        "start with an empty registry; services that register again fill it."
    )


def _int(connection: sqlite3.Connection, statement: str) -> int:
    return int(connection.execute(statement).fetchone()[0])

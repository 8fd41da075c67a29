"""The SQLite file: its tables, its version, and how an older file becomes a current one.

`record` holds what is true now, `log` how it came about. Values are JSON text, so the file can be read with the
`sqlite3` command when all else fails. `PRAGMA user_version` is the schema's version and `application_id` says
that the file is Regista's at all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from regista.model import StoreDamaged, StoreTooNew

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
    # One row a transaction; changes is a JSON list of ["put" | "delete", kind, record].
    connection.execute("CREATE TABLE log (idx INTEGER PRIMARY KEY, at_s REAL NOT NULL, changes TEXT NOT NULL)")
    # One row: the last index given out, and the index after which the log is complete.
    connection.execute("CREATE TABLE state (last_index INTEGER NOT NULL, floor_index INTEGER NOT NULL)")
    connection.execute("INSERT INTO state VALUES (0, 0)")


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (_create_tables,)
"""What turns version n into n + 1, in order. A released step is never edited."""

VERSION = len(MIGRATIONS)


def prepare(connection: sqlite3.Connection, path: Path | None) -> None:
    """Brings the file to the current version, each step and its number in one transaction.

    Args:
        connection: in autocommit mode.
        path: for messages; None in memory.

    Raises:
        StoreDamaged: not a database, not Regista's, or its pages do not fit together.
        StoreTooNew: a later version wrote it.
    """
    try:
        version = _int(connection, "PRAGMA user_version")
        application_id = _int(connection, "PRAGMA application_id")
        tables = _int(connection, "SELECT count(*) FROM sqlite_master")
        if tables and application_id != APPLICATION_ID:
            raise StoreDamaged(f"{path} is a database, but not one of Regista's. Give another --data-dir.")
        if version > VERSION:
            raise StoreTooNew(
                f"{path} has schema version {version}; this Regista knows versions up to {VERSION}. Start the "
                "version that wrote it, or a later one."
            )
        problems = [str(row[0]) for row in connection.execute("PRAGMA quick_check(3)")]
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        raise StoreDamaged(damage_text(path, str(error))) from error
    if problems != ["ok"]:
        raise StoreDamaged(damage_text(path, "; ".join(problems)))
    for number, migrate in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        migrate(connection)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")


def damage_text(path: Path | None, problem: str) -> str:
    """The sentence for a file that can't be trusted."""
    return (
        f"{path} is damaged: {problem}. Nothing was changed. Restore it from a backup, or move it away and "
        "start with an empty registry; services that register again fill it."
    )


def _int(connection: sqlite3.Connection, statement: str) -> int:
    return int(connection.execute(statement).fetchone()[0])

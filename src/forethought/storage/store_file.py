"""SQLite files of this package: opening, checks, and errors of SQLite as typed errors."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from forethought.contracts.errors import StoreError

VERSION = 1
"""Format version; it grows with changes that older programs cannot read."""
APPLICATION = 0x46545354
"""SQLite application id of results files: "FTST" in ASCII."""

_TABLES = (
    """
    CREATE TABLE samples (
        key TEXT NOT NULL PRIMARY KEY,
        recipe TEXT NOT NULL,
        task TEXT NOT NULL,
        question TEXT NOT NULL,
        cluster TEXT NOT NULL,
        number INTEGER NOT NULL,
        score REAL NOT NULL,
        run TEXT NOT NULL,
        provenance TEXT NOT NULL
    )
    """,
    "CREATE INDEX by_recipe ON samples (recipe, task, question, number, key)",
)


@dataclass(frozen=True)
class AddedColumn:
    """A column that earlier versions of a table lack; those programs may still write the table."""

    table: str
    name: str
    declaration: str


@dataclass(frozen=True)
class FileKind:
    """A kind of SQLite file: its name in messages, its identity and its tables."""

    noun: str
    application: int
    """The SQLite application id."""
    version: int
    """The newest format version that this program knows."""
    tables: tuple[str, ...]
    """The statements that create the tables, as in the first version."""
    added: tuple[AddedColumn, ...] = ()
    """The columns since."""


_ADDED = (AddedColumn("samples", "outcome", "TEXT NOT NULL DEFAULT ''"),)
RESULTS = FileKind("results file", APPLICATION, VERSION, _TABLES, _ADDED)

_REASONS = {
    sqlite3.SQLITE_BUSY: ("is in use by another process", "wait for it, or end it, and run again"),
    sqlite3.SQLITE_READONLY: (
        "cannot be written",
        "change its permissions and its folder's, or choose another file",
    ),
    sqlite3.SQLITE_FULL: (
        "cannot grow: the disk is full",
        "free some space and run again; what was kept before is still there",
    ),
    sqlite3.SQLITE_IOERR: (
        "cannot be read or written",
        "look at the disk and its free space; what was kept before is still there",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "cannot be opened",
        "see that its folder exists, is yours and can be written to, also to read what is kept",
    ),
    sqlite3.SQLITE_NOTADB: ("is not an SQLite file", "choose another file"),
    sqlite3.SQLITE_CORRUPT: (
        "is damaged",
        "move it away and run again; keep it if others are to look at it",
    ),
}


def open_file(path: Path, patience: float, kind: FileKind = RESULTS) -> sqlite3.Connection:
    """Connect to the file at `path`; a missing file is created, an existing one is checked."""
    if path.is_dir():
        raise StoreError(
            f"the {kind.noun} {path} is a folder", f"name a file: {path / 'results.sqlite'}"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the folder of {path} cannot be made: {error}", "choose another file"
        ) from error
    with reporting(path, kind):
        connection = sqlite3.connect(
            path, timeout=patience, isolation_level=None, check_same_thread=False
        )
    try:
        with reporting(path, kind):
            _prepare(connection, path, patience, kind)
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def reporting(path: Path, kind: FileKind = RESULTS) -> Iterator[None]:
    """Turn errors of SQLite into StoreErrors with a hint."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the primary code is the last byte
        problem, hint = _REASONS.get(code, ("cannot be used", "open the store again"))
        raise StoreError(f"the {kind.noun} {path} {problem} ({error})", hint) from error


def _prepare(
    connection: sqlite3.Connection, path: Path, patience: float, kind: FileKind = RESULTS
) -> None:
    connection.execute("PRAGMA synchronous = FULL")
    if not _is_ready(connection, path, kind):
        _use_log(connection, time.monotonic() + patience)
        _make(connection, path, kind)
    _add_columns(connection, kind)
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StoreError(
            f"the {kind.noun} {path} is damaged ({verdict})",
            "move it away and run again; keep it if others are to look at it",
        )


def _is_ready(connection: sqlite3.Connection, path: Path, kind: FileKind) -> bool:
    # In one transaction: another process may be creating the file.
    connection.execute("SAVEPOINT look")
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    finally:
        if connection.in_transaction:
            connection.execute("RELEASE look")
    if application == 0 and version == 0 and tables == 0:
        return False
    if application != kind.application:
        raise StoreError(f"{path} is another program's database", "choose another file")
    if version > kind.version:
        raise StoreError(
            f"{path} has version {version} of the format and this program knows {kind.version}",
            "update forethought, or choose another file",
        )
    return True


def _use_log(connection: sqlite3.Connection, deadline: float) -> None:
    """Switch to a write-ahead log; SQLite's own wait does not cover this switch."""
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """The names of a table's columns."""
    return [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]


def _add_columns(connection: sqlite3.Connection, kind: FileKind) -> None:
    """Add the columns that a file of an earlier version lacks; a read-only file stays as it is."""
    if not _lacking(connection, kind):
        return
    try:
        connection.execute("BEGIN IMMEDIATE")
        for one in _lacking(connection, kind):  # another process may have added some first
            connection.execute(f"ALTER TABLE {one.table} ADD COLUMN {one.name} {one.declaration}")
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_READONLY:
            raise
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _lacking(connection: sqlite3.Connection, kind: FileKind) -> list[AddedColumn]:
    return [one for one in kind.added if one.name not in columns(connection, one.table)]


def _make(connection: sqlite3.Connection, path: Path, kind: FileKind) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not _is_ready(connection, path, kind):  # another process may have created it first
            for statement in kind.tables:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {kind.application}")
            connection.execute(f"PRAGMA user_version = {kind.version}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")

"""Migrations of a SQLite file: all in one transaction, after a copy of the file."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from todo_adapters.sql.inventory import LOOKED_FOR, require_released, require_whole, reserved_names
from todo_adapters.sql.schema import (
    BASE,
    SELECT_REVISION,
    TOUCH,
    VERSION_TABLE,
    MigrationError,
    Moved,
    Needed,
)
from todo_adapters.sql.sqlite.file import MODE, code_of, connect, explain, sync_to_disk
from todo_adapters.sql.tables import sqlite_metadata

log = logging.getLogger("todo")

_TIMEOUT_MS: Final = 60_000
_NOTICE_MS: Final = 1_000
"""Milliseconds after which a wait for the lock of another program is logged."""

_TAKEN: Final = "SELECT name FROM sqlite_master WHERE lower(name) IN (SELECT value FROM json_each(?))"


def current(path: Path) -> str:
    """Return the revision of the file; `base` for a missing or empty file, which is left unchanged.

    Raises MigrationError if the file cannot be read, or if its tables do not match its revision.
    """
    if not path.exists():
        return BASE
    with _failures(), closing(connect(path)) as connection:
        connection.execute("BEGIN")  # one snapshot of the revision and the tables, beside a running migration
        return _current(connection)


def require_free_names(path: Path) -> None:
    """Raise MigrationError if another program's table or index has a name that todo's first migration needs."""
    with _failures(), closing(connect(path)) as connection:
        _require_free_names(connection, BASE)


def migrate(path: Path, needed: Needed, change: Callable[[sa.Connection], None]) -> Moved:
    """Do the change if it is needed, while no other process writes; return the revisions before and after.

    Other processes wait for it up to a minute. The change is done completely or not at all. A file that cannot be
    written raises MigrationError even if there is nothing to do.
    """
    with _failures(), closing(_open(path)) as connection:
        engine = sa.create_engine("sqlite://", creator=lambda: connection, poolclass=sa.StaticPool)
        sa.event.listen(engine, "begin", lambda _: _lock(connection, path))
        with engine.begin() as transaction:
            found = _current(connection)
            if needed(found):
                _require_free_names(connection, found)
                if found != BASE and _holds_data(connection):
                    _copy(path, found)
                change(transaction)
            elif found != BASE:
                connection.execute(TOUCH)
            return Moved(found, _current(connection))


def _open(path: Path) -> sqlite3.Connection:
    connection = connect(path, create=True)
    connection.execute(f"PRAGMA busy_timeout = {_NOTICE_MS}")
    return connection


def _lock(connection: sqlite3.Connection, path: Path) -> None:
    """Begin the transaction that writes; a longer wait for another process is logged."""
    try:
        connection.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError as error:
        if code_of(error) != sqlite3.SQLITE_BUSY:
            raise
        log.warning("%s is locked by another process: waiting up to a minute", path)
        connection.execute(f"PRAGMA busy_timeout = {_TIMEOUT_MS}")
        connection.execute("BEGIN IMMEDIATE")


def _current(connection: sqlite3.Connection) -> str:
    found = {name: _columns(connection, name) for name in LOOKED_FOR}
    found = {name: columns for name, columns in found.items() if columns}
    if VERSION_TABLE in found:
        row = connection.execute(SELECT_REVISION).fetchone()
        revision = BASE if row is None else str(row[0])
        require_whole(found, revision)
        return revision
    require_released(found)
    return BASE


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM pragma_table_info(?)", [table])}


def _require_free_names(connection: sqlite3.Connection, found: str) -> None:
    """Raise MigrationError if another program's table or index has a name that the migration from `found` needs.

    Names are compared without regard to case.
    """
    names = json.dumps([*reserved_names(found), *(sqlite_metadata.tables if found == BASE else ())])
    if (taken := connection.execute(_TAKEN, [names]).fetchone()) is not None:
        raise MigrationError(f"the file has another program's {taken[0]}: give todo a file of its own")


def _holds_data(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM users LIMIT 1").fetchone() is not None


def _copy(path: Path, revision: str) -> None:
    """Copy the committed data into a file beside this one, named after the revision; an older copy is kept.

    The copy gets its name when it is complete and on the disk. The caller's lock prevents concurrent copies.
    """
    names = (f"{path.name}.at-{revision}{f'.{number}' if number > 1 else ''}" for number in count(1))
    copy = next(candidate for name in names if not (candidate := path.with_name(name)).exists())
    part = path.with_name(f"{path.name}.copying")
    for left_behind in (part, part.with_name(f"{part.name}-journal")):
        left_behind.unlink(missing_ok=True)  # left by a killed migration
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, MODE))
    try:
        # A separate connection reads the last commit; the one with the lock would copy its own transaction.
        with closing(connect(path)) as source, closing(sqlite3.connect(part)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
        sync_to_disk(part)
        part.rename(copy)
    except BaseException:
        part.unlink()
        raise
    sync_to_disk(path.absolute().parent)


@contextmanager
def _failures() -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, sa.exc.DBAPIError) as error:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        sentence = explain(cause) if isinstance(cause, sqlite3.Error) else None
        if sentence is None:
            raise
        raise MigrationError(sentence) from error
    except OSError as error:
        raise MigrationError("no copy can be made beside the database: check the disk and its permissions") from error

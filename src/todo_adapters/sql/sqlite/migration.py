"""Migrations of a SQLite file: one transaction for all of them, and a copy of the file from before."""

from __future__ import annotations

import json
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
from todo_adapters.sql.sqlite.file import MODE, connect, explain
from todo_adapters.sql.tables import sqlite_metadata

_TIMEOUT_MS: Final = 60_000
_TAKEN: Final = "SELECT name FROM sqlite_master WHERE lower(name) IN (SELECT value FROM json_each(?))"


def standing(path: Path) -> str:
    """Return the revision that the file is at; `base` for a missing or an empty one, which is left as it is.

    Raises MigrationError if it cannot be read, or if its tables are not those of its revision.
    """
    if not path.exists():
        return BASE
    with _failures(), closing(connect(path)) as connection:
        connection.execute("BEGIN")  # one snapshot of the revision and the tables, beside a running migration
        return _standing(connection)


def migrate(path: Path, needed: Needed, change: Callable[[sa.Connection], None]) -> Moved:
    """Do the change if it is needed, while no other process writes; return the revisions before and after.

    Others wait up to a minute for that. The change is done wholly or not at all. A file that cannot be written is a
    MigrationError even if there is nothing to do.
    """
    with _failures(), closing(_open(path)) as connection:
        engine = sa.create_engine("sqlite://", creator=lambda: connection, poolclass=sa.StaticPool)
        sa.event.listen(engine, "begin", lambda begun: begun.exec_driver_sql("BEGIN IMMEDIATE"))
        with engine.begin() as transaction:
            found = _standing(connection)
            if needed(found):
                _require_free_names(connection, found)
                if found != BASE and _holds_data(connection):
                    _copy(path, found)
                change(transaction)
            elif found != BASE:
                connection.execute(TOUCH)
            return Moved(found, _standing(connection))


def _open(path: Path) -> sqlite3.Connection:
    connection = connect(path, create=True)
    connection.execute(f"PRAGMA busy_timeout = {_TIMEOUT_MS}")
    return connection


def _standing(connection: sqlite3.Connection) -> str:
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
    """Raise MigrationError if another program's table or index has a name that we need beyond those of `found`.

    Names ignore case here.
    """
    names = json.dumps([*reserved_names(found), *(sqlite_metadata.tables if found == BASE else ())])
    if (taken := connection.execute(_TAKEN, [names]).fetchone()) is not None:
        raise MigrationError(f"the file has a {taken[0]} already, which is not ours: give todo a file of its own")


def _holds_data(connection: sqlite3.Connection) -> bool:
    return connection.execute("SELECT 1 FROM users LIMIT 1").fetchone() is not None


def _copy(path: Path, revision: str) -> None:
    """Copy what is committed into a file beside this one, named after the revision; an older copy stays.

    It has its name only once it is whole and on the disk. The caller's lock is what keeps others from making one too.
    """
    names = (f"{path.name}.at-{revision}{f'.{number}' if number > 1 else ''}" for number in count(1))
    copy = next(candidate for name in names if not (candidate := path.with_name(name)).exists())
    part = path.with_name(f"{path.name}.copying")
    for left_behind in (part, part.with_name(f"{part.name}-journal")):
        left_behind.unlink(missing_ok=True)  # by one that was killed
    os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, MODE))
    try:
        # A connection of its own reads the last commit; the one that holds the lock would copy itself.
        with closing(connect(path)) as source, closing(sqlite3.connect(part)) as target:
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
        _sync(part)
        part.rename(copy)
    except BaseException:
        part.unlink()
        raise
    _sync(path.absolute().parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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

"""`todo backup`: a copy of the SQLite file while it is served, and what to do once a copy was put in its place."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from todo_adapters.sql.sqlite.file import connect, explain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from todo_adapters.sql.addresses import Database

AFTER_RESTORE: Final = {
    "sqlite": """\
BEGIN IMMEDIATE;
UPDATE users SET revision = revision + 1000000000, horizon = revision + 1000000000;
UPDATE task_ids SET last = last + 1000000000;
COMMIT;
""",
    "postgresql": """\
BEGIN;
ALTER TABLE users NO FORCE ROW LEVEL SECURITY;
UPDATE users SET revision = revision + 1000000000, horizon = revision + 1000000000;
ALTER TABLE users FORCE ROW LEVEL SECURITY;
SELECT setval(ids, nextval(ids) + 1000000000) FROM pg_get_serial_sequence('tasks', 'id') AS ids;
COMMIT;
""",
}
"""What makes every device start anew, and every id new, by kind of database; on PostgreSQL, for the tables' owner.

The number is that of writes which nobody can have made since the copy: at 5,000 a second, those of 55 hours.
"""


class CannotBackUp(Exception):
    """What is in the way of a copy, in one sentence."""


def back_up(database: Database, target: Path) -> int:
    """Copy the SQLite file as it is at one moment to `target`, which only its owner may read; return its bytes.

    Readers and writers go on meanwhile. The copy is one file, checked and on the disk before it has its name. Raises
    CannotBackUp, and leaves nothing behind then.
    """
    if database.kind == "postgresql":
        raise CannotBackUp("PostgreSQL is copied by pg_dump, with a role that row-level security does not bind")
    if database.file is None:
        raise CannotBackUp("memory: leaves nothing to copy")
    if target.exists():
        raise CannotBackUp(f"{target} is there already: choose another name")
    part = target.with_name(target.name + ".part")
    with _failures(target):
        try:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            raise CannotBackUp(f"{part} is in the way: another copy is being made, or was interrupted") from None
        try:
            _copy(database.file, part)
            part.rename(target)
        except BaseException:
            part.unlink()
            raise
        _sync(target.parent)
        return target.stat().st_size


def _copy(source: Path, part: Path) -> None:
    with closing(connect(source)) as original, closing(sqlite3.connect(part)) as copy:
        original.backup(copy)  # all pages in one step, hence of one moment
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        if copy.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise CannotBackUp(f"{source} is damaged, and so would be its copy")
    _sync(part)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _failures(target: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise CannotBackUp(explain(error) or f"{target} cannot be written: check the disk") from error
    except OSError as error:
        raise CannotBackUp(f"{target} cannot be written: {error.strerror}") from None

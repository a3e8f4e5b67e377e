"""`todo backup` and `todo renew`: a copy of the SQLite file while it is served, and what follows a restored copy."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from todo_adapters.sql.renewal import renew as renew_data
from todo_adapters.sql.schema import SqlError
from todo_adapters.sql.sqlite.file import MODE, connect, explain
from todo_domain.owner import first_counter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from todo_adapters.sql.addresses import Database


class CannotBackUp(SqlError):
    """What is in the way of a copy."""


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
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, MODE))
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


def renew(address: str, now: datetime) -> str:
    """Renew the data at a database URL after a restore, and return a sentence that says what was done.

    Raises SqlError, and changes nothing then.
    """
    users, ahead = renew_data(address, first_counter(now))
    done = f"{users} user(s) renewed: each device starts anew, and new tasks get ids that were never given out"
    if not ahead:
        return done
    return f"{done}; {ahead} of them had counters ahead of this machine's clock, which stay: check the clock"


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

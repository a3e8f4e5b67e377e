"""`todo backup` and `todo renew`: copy the SQLite file while it is served, and renew the data after a restore."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from todo_adapters.sql.renewal import renew as renew_data
from todo_adapters.sql.schema import SqlError
from todo_adapters.sql.sqlite.file import MODE, connect, explain, sync_to_disk
from todo_domain.owner import first_counter

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from todo_adapters.sql.addresses import Database


class CannotBackUp(SqlError):
    """The copy cannot be made; `str()` is one sentence that says why."""


def back_up(database: Database, target: Path) -> int:
    """Copy one snapshot of the SQLite file to `target`, which only its owner may read; return the copy's size in bytes.

    Reads and writes continue meanwhile. The copy is one file; it is checked and synced to disk before it gets its name.
    Raises CannotBackUp and then leaves no file behind.
    """
    if database.kind == "postgresql":
        raise CannotBackUp(
            "todo backup copies SQLite only: use pg_dump for PostgreSQL, with a role that bypasses row-level security"
        )
    if database.file is None:
        raise CannotBackUp("memory: has no file to copy")
    if target.exists():
        raise CannotBackUp(f"{target} exists already: choose another name")
    part = target.with_name(target.name + ".part")
    with _failures(target):
        try:
            os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, MODE))
        except FileExistsError:
            raise CannotBackUp(
                f"{part} exists: another copy is running, or one was interrupted; then remove that file"
            ) from None
        try:
            _copy(database.file, part)
            part.rename(target)
        except BaseException:
            part.unlink()
            raise
        sync_to_disk(target.parent)
        return target.stat().st_size


def renew(address: str, now: datetime) -> str:
    """Renew the data at a database URL after a restore; return a sentence that reports the result.

    Raises SqlError and then changes nothing.
    """
    users, ahead = renew_data(address, first_counter(now))
    done = f"{users} user(s) renewed: each device fetches its data anew, and new tasks get ids that were never used"
    if not ahead:
        return done
    return f"{done}; {ahead} of them have counters ahead of this machine's clock, which stay: check the clock"


def _copy(source: Path, part: Path) -> None:
    with closing(connect(source)) as original, closing(sqlite3.connect(part)) as copy:
        original.backup(copy)  # all pages in one step, so from one snapshot
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log beside it
        if copy.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise CannotBackUp(f"{source} is damaged, so it was not copied: restore an earlier backup")
    sync_to_disk(part)


@contextmanager
def _failures(target: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise CannotBackUp(explain(error) or f"{target} cannot be written: check the disk") from error
    except OSError as error:
        raise CannotBackUp(f"{target} cannot be written: {error.strerror}") from None

"""Renews a SQLite file after a restored backup: every counter moves past the revisions of the lost writes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

from todo_adapters.sql.schema import IDS_SKIPPED, NOT_MIGRATED, CannotRenewError, Renewed
from todo_adapters.sql.sqlite.file import connect, explain

_MIGRATED: Final = "SELECT 1 FROM sqlite_master WHERE name = 'task_ids'"
_AHEAD: Final = "SELECT count(*) FROM users WHERE revision > ?"
_MOVE: Final = "UPDATE users SET revision = max(revision, ?), horizon = max(revision, ?)"
_IDS: Final = "UPDATE task_ids SET last = last + ?"


def renew(path: Path, counter: int) -> Renewed:
    """Move every user's counter and horizon to `counter`, and the ids by IDS_SKIPPED, in one transaction."""
    try:
        with closing(connect(path)) as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            if not connection.execute(_MIGRATED).fetchone():
                raise CannotRenewError(NOT_MIGRATED)
            ((ahead,),) = connection.execute(_AHEAD, [counter])
            users = connection.execute(_MOVE, [counter, counter]).rowcount
            connection.execute(_IDS, [IDS_SKIPPED])
            return Renewed(users, ahead)
    except sqlite3.Error as error:
        if (sentence := explain(error)) is None:
            raise
        raise CannotRenewError(sentence) from error

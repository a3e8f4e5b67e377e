"""The removal of expired rows of all users in a SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from todo_adapters.sql.schema import BEHIND, Purged, SqlError
from todo_adapters.sql.sqlite.calls import schema_is_behind
from todo_adapters.sql.sqlite.file import connect, explain
from todo_adapters.sql.sqlite.steps import remove_expired
from todo_domain.owner import UserId
from todo_domain.retention import PURGE_AT_MOST

_USERS_AT_ONCE: Final = 10_000
_PAGE: Final = "SELECT id FROM users WHERE id > ? ORDER BY id LIMIT ?"


def purge(path: Path, now: datetime, trash_kept: timedelta) -> Purged:
    """Remove what has expired of each user, in transactions of one user each.

    Between two transactions it pauses for as long as the last one took, so that others can write. Raises SqlError.
    """
    users, removed = 0, [0, 0, 0]
    try:
        with closing(connect(path)) as connection:
            if schema_is_behind(connection):
                raise SqlError(BEHIND)
            for user in _users(connection):
                users += 1
                counted: tuple[int, ...] = (PURGE_AT_MOST,)
                while PURGE_AT_MOST in counted:
                    begun = monotonic()
                    with connection:
                        connection.execute("BEGIN IMMEDIATE")
                        counted = remove_expired(connection, user, now, trash_kept)
                    # SQLite has no queue for its lock: others find it free half of the time.
                    sleep(monotonic() - begun)
                    removed = [sum(each) for each in zip(removed, counted, strict=True)]
    except sqlite3.Error as error:
        if (sentence := explain(error)) is None:
            raise
        raise SqlError(sentence) from error
    return Purged(users, *removed)


def _users(connection: sqlite3.Connection) -> Iterator[UserId]:
    """Yield all user ids in order; no transaction is open meanwhile."""
    last = ""
    while page := connection.execute(_PAGE, [last, _USERS_AT_ONCE]).fetchall():
        for (user,) in page:
            yield user
        last = page[-1][0]

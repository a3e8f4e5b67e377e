"""The check of `todo erase` on PostgreSQL before it erases: no other session has locked a table.

The store itself does not notice: a call of it has one deadline for all its waits.
"""

from __future__ import annotations

from contextlib import closing
from typing import Final

import psycopg
from psycopg import sql

from todo_adapters.sql.postgres.commands.connecting import LOCK_TIMEOUT, connect
from todo_adapters.sql.schema import SqlError, locked
from todo_adapters.sql.tables import ROLE, metadata, users

_CHANGE: Final = "DELETE FROM {} WHERE false"
"""Changes nothing, and takes the lock of a change."""

_CHANGE_OF_USERS: Final = "UPDATE {} SET revision = revision WHERE false"
"""The same for the table from which the role may not delete."""


def require_unlocked(url: str) -> None:
    """Raise SqlError if another session has locked a table that an erasure changes, or if there is no connection.

    Any other problem, such as a missing table or privilege, is for the erasure to report. The locks that are taken for
    this end with it. A pooled connection is sufficient.
    """
    with closing(connect(url)) as connection:
        for table in metadata.sorted_tables:
            try:
                connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(ROLE)))
                connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_TIMEOUT))
                change = _CHANGE_OF_USERS if table is users else _CHANGE
                connection.execute(sql.SQL(change).format(sql.Identifier(table.name)))
            except psycopg.errors.LockNotAvailable as error:
                raise SqlError(locked(table.name)) from error
            except psycopg.Error:
                return
            finally:
                if not connection.closed:
                    connection.rollback()

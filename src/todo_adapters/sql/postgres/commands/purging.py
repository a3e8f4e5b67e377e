"""The removal of expired rows of all users in a PostgreSQL database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from typing import Final

import psycopg

from todo_adapters.sql.postgres.commands.connecting import connect
from todo_adapters.sql.postgres.commands.row_security import failures, without_row_security
from todo_adapters.sql.postgres.statements import transactions
from todo_adapters.sql.postgres.statements.citus import IS_CITUS, PROPAGATION, user_on_nodes
from todo_adapters.sql.rows import expired
from todo_adapters.sql.schema import BEHIND, SELECT_REVISION, VERSION_TABLE, Purged, SqlError, is_behind
from todo_adapters.sql.values import POSTGRESQL_FORMS, Row
from todo_domain.owner import UserId
from todo_domain.retention import PURGE_AT_MOST

_USERS_AT_ONCE: Final = 10_000
_SENT_AT_ONCE: Final = 100
"""Users whose purges are sent before the result of the first is awaited."""

_LOCK_TIMEOUT: Final = 15.0
"""Seconds to keep trying for the lock on the table of users."""

_POLL: Final = 0.1
_TIMEOUT: Final = "10000"
"""Milliseconds that the purge of one user may take, the wait for the user's lock included."""

_SETTINGS: Final = "SET LOCAL lock_timeout = '200ms'"
"""A session that waits for the table holds up every session behind it, so it waits briefly, and tries again."""

_PROPAGATES: Final = f"SET LOCAL {PROPAGATION} = 'local'".encode()
_PAGE: Final = "SELECT id FROM users WHERE id > %s ORDER BY id LIMIT %s"
_LOGIN: Final = (
    "this login may not purge: run it as the owner of the tables, or as a role with BYPASSRLS that is granted todo_app"
)


def purge(url: str, now: datetime, trash_kept: timedelta) -> Purged:
    """Remove what has expired of each user: list the users without row-level security, and purge each under it.

    The owner of the tables locks the table of users for some milliseconds for every _USERS_AT_ONCE users, because it
    lifts row-level security there in a transaction of its own; a role that bypasses row-level security locks nothing.
    Raises SqlError.
    """
    users, removed = 0, [0, 0, 0]
    with failures("todo purge", _LOGIN, SqlError), closing(connect(url)) as connection:
        connection.prepare_threshold = 0
        _require_schema(connection)
        citus = _is_citus(connection)
        for page in _pages(connection):
            users += len(page)
            for start in range(0, len(page), _SENT_AT_ONCE):
                left = page[start : start + _SENT_AT_ONCE]
                while left:
                    counted = _purge(connection, left, now, trash_kept, citus=citus)
                    removed = [sum(each) for each in zip(removed, *counted, strict=True)]
                    left = [user for user, counts in zip(left, counted, strict=True) if PURGE_AT_MOST in counts]
    return Purged(users, *removed)


def _require_schema(connection: psycopg.Connection) -> None:
    with connection.transaction():
        there = connection.execute("SELECT to_regclass(%s)", [VERSION_TABLE]).fetchone() != (None,)
        row = connection.execute(SELECT_REVISION).fetchone() if there else None
    if is_behind(row[0] if row else None):
        raise SqlError(BEHIND)


def _is_citus(connection: psycopg.Connection) -> bool:
    with connection.transaction():
        return connection.execute(IS_CITUS).fetchone() is not None


def _pages(connection: psycopg.Connection) -> Iterator[list[UserId]]:
    """Yield all user ids in order, at most _USERS_AT_ONCE in a page."""
    last = ""
    while page := _page(connection, last):
        yield page
        last = page[-1]


def _page(connection: psycopg.Connection, last: str) -> list[UserId]:
    give_up = time.monotonic() + _LOCK_TIMEOUT
    while True:
        try:
            with connection.transaction():
                connection.execute(_SETTINGS)
                with without_row_security(connection, ["users"]):
                    return [user for (user,) in connection.execute(_PAGE, [last, _USERS_AT_ONCE]).fetchall()]
        except psycopg.errors.LockNotAvailable:
            if time.monotonic() > give_up:
                raise
            time.sleep(_POLL)


def _purge(
    connection: psycopg.Connection, users: list[UserId], now: datetime, trash_kept: timedelta, *, citus: bool
) -> list[Row]:
    """Purge each user in a transaction like the one behind a write, and return what was removed of each."""
    names, cursors = transactions.PURGE.parameters, []
    context, *statements = transactions.PURGE.statements
    with connection.pipeline():
        for user in users:
            values = expired(user, now, trash_kept, POSTGRESQL_FORMS) | {"timeout": _TIMEOUT, "lock_timeout": _TIMEOUT}
            cursor = psycopg.RawCursor(connection)
            with connection.transaction():
                cursor.execute(context.text, [values[names[index]] for index in context.parameter_indexes])
                if citus:
                    cursor.execute(_PROPAGATES)
                    cursor.execute(user_on_nodes(connection.pgconn, user))
                for statement in statements:
                    cursor.execute(statement.text, [values[names[index]] for index in statement.parameter_indexes])
            cursors.append(cursor)
    return [cursor.fetchall()[0] for cursor in cursors]

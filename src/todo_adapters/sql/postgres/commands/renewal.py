"""Renews a PostgreSQL database after a restored backup: every counter moves past the revisions of the lost writes."""

from __future__ import annotations

from contextlib import closing
from typing import Final

from todo_adapters.sql.postgres.commands.connecting import connect
from todo_adapters.sql.postgres.commands.row_security import failures, without_row_security
from todo_adapters.sql.schema import IDS_SKIPPED, NOT_MIGRATED, CannotRenewError, Renewed

_SETTINGS: Final = "SET LOCAL lock_timeout = '10s'; SET LOCAL statement_timeout = 0"
_IS_THERE: Final = "SELECT to_regclass('users')"
_AHEAD: Final = "SELECT count(*) FROM users WHERE revision > %s"
_MOVE: Final = "UPDATE users SET revision = greatest(revision, %s), horizon = greatest(revision, %s)"
_IDS: Final = "SELECT setval(ids, nextval(ids) + %s) FROM pg_get_serial_sequence('tasks', 'id') AS ids"
_LOGIN: Final = (
    "this login may not renew: run it as the owner of the tables, or as a role with BYPASSRLS that may update them"
)


def renew(url: str, counter: int) -> Renewed:
    """Move every user's counter and horizon to `counter`, and the ids by IDS_SKIPPED, in one transaction.

    Raises CannotRenewError and changes nothing unless the login owns the tables or bypasses row-level security.
    """
    with (
        failures("todo renew", _LOGIN, CannotRenewError),
        closing(connect(url)) as connection,
        connection.transaction(),
    ):
        connection.execute(_SETTINGS)
        if connection.execute(_IS_THERE).fetchone() == (None,):
            raise CannotRenewError(NOT_MIGRATED)
        # Blocks writers, which `without_row_security` does not do for a login that bypasses row-level security.
        connection.execute("LOCK TABLE users IN SHARE ROW EXCLUSIVE MODE")
        with without_row_security(connection, ["users"]):
            ahead = connection.execute(_AHEAD, [counter]).fetchone()
            users = connection.execute(_MOVE, [counter, counter]).rowcount
        connection.execute(_IDS, [IDS_SKIPPED])
        return Renewed(users, ahead[0] if ahead else 0)

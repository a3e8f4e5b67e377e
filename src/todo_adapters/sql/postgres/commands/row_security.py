"""For commands that work on the rows of all users: lifts row-level security, and turns errors into sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import sql

from todo_adapters.sql.postgres.errors import INTERNAL, LOCK_NOT_AVAILABLE, NO_PRIVILEGE, sentence_for
from todo_adapters.sql.schema import SqlError

_ACTIVE: Final = """
SELECT relname, relforcerowsecurity, pg_has_role(relowner, 'USAGE')
FROM pg_class WHERE oid = ANY(%s::regclass[]) AND row_security_active(oid)
"""
_INTERNAL: Final = "the database reports an internal error; on Citus a node is out of reach, or the tables are in use"
_ROW_SECURITY_OFF: Final = "SET LOCAL row_security = off"
"""If a policy would silently hide rows, PostgreSQL raises an error instead."""


class RowSecurityError(Exception):
    """The login neither owns the tables nor bypasses row-level security."""


@contextmanager
def failures(command: str, login: str, error: type[SqlError]) -> Iterator[None]:
    """Raise errors within the block as this `error` of a command; `login` names the login that it needs."""
    try:
        yield
    except RowSecurityError:
        raise error(login) from None
    except psycopg.Error as failure:
        if failure.sqlstate == NO_PRIVILEGE:
            raise error(login) from failure
        if failure.sqlstate == LOCK_NOT_AVAILABLE:
            raise error(f"the tables are in use: stop the service, then run {command} again") from failure
        if failure.sqlstate == INTERNAL:  # Citus reports so if it gets no connection to a node, or no lock on it
            raise error(f"{_INTERNAL}: stop the service, then run {command} again") from failure
        if (sentence := sentence_for(failure)) is None:
            raise
        raise error(sentence) from failure


@contextmanager
def without_row_security(connection: psycopg.Connection, tables: Sequence[str]) -> Iterator[None]:
    """Let the owner of the tables see all rows within the block, which is in a transaction.

    A login that bypasses row-level security needs nothing. After a failure, the rollback restores row-level security.
    Raises RowSecurityError and psycopg.Error.
    """
    connection.execute(_ROW_SECURITY_OFF)
    lifted = connection.execute(_ACTIVE, [list(tables)]).fetchall()
    if not all(owner for _, _, owner in lifted):
        raise RowSecurityError
    for name, _, _ in lifted:
        _alter(connection, name, "NO FORCE")
    yield
    for name, forced, _ in lifted:
        if forced:
            _alter(connection, name, "FORCE")


def _alter(connection: psycopg.Connection, table: str, change: str) -> None:
    statement = sql.SQL("ALTER TABLE {} {} ROW LEVEL SECURITY")
    connection.execute(statement.format(sql.Identifier(table), sql.SQL(change)))

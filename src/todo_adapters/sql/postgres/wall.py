"""Row-level security out of the way of a command that works on the rows of all users."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import sql

_WALLS: Final = """
SELECT relname, relforcerowsecurity, pg_has_role(relowner, 'USAGE')
FROM pg_class WHERE oid = ANY(%s::regclass[]) AND row_security_active(oid)
"""
SEES_ALL: Final = "SET LOCAL row_security = off"
"""Where a policy would hide rows, silently, PostgreSQL raises an error instead."""


class WalledError(Exception):
    """The login neither owns the tables nor bypasses row-level security."""


@contextmanager
def without_wall(connection: psycopg.Connection, tables: Sequence[str]) -> Iterator[None]:
    """Let the owner of the tables see all their rows within the block, which is in a transaction.

    A login that bypasses row-level security needs nothing. What a failure leaves lifted, its rollback puts back. Raises
    WalledError, and psycopg.Error.
    """
    connection.execute(SEES_ALL)
    lifted = connection.execute(_WALLS, [list(tables)]).fetchall()
    if not all(owner for _, _, owner in lifted):
        raise WalledError
    for name, _, _ in lifted:
        _alter(connection, name, "NO FORCE")
    yield
    for name, forced, _ in lifted:
        if forced:
            _alter(connection, name, "FORCE")


def _alter(connection: psycopg.Connection, table: str, change: str) -> None:
    statement = sql.SQL("ALTER TABLE {} {} ROW LEVEL SECURITY")
    connection.execute(statement.format(sql.Identifier(table), sql.SQL(change)))

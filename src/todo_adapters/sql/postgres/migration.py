"""Migrations of a PostgreSQL database: one at a time, and never in the way of those who use it for long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
import sqlalchemy as sa

from todo_adapters.sql.postgres.errors import (
    LOCK_NOT_AVAILABLE,
    LOST_RACE,
    NO_PRIVILEGE,
    OUR_OWN,
    sentence_for,
    why_not_connected,
)
from todo_adapters.sql.schema import BASE, MigrationError, Needed
from todo_adapters.sql.tables import ROLE

_TIMEOUT: Final = 60.0
"""Seconds to wait for another migration to end, and to keep trying for the locks on the tables."""

_POLL: Final = 0.1
_FOUND: Final = sa.text("SELECT version_num FROM alembic_version")
_TURN: Final = 0x746F_646F  # "todo" in ASCII; any number would do that nobody else takes

# A lock that is waited for holds up everybody behind it: so only briefly, then again. Row-level security would turn a
# change of data into a silent change of no rows; off, it makes an error of it.
_SETTINGS: Final = (
    "SET lock_timeout = '200ms'",
    "SET statement_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
    "SET row_security = off",
)


def current(info: str) -> str:
    """Return the revision that the database is at; a pooled connection is good enough for this."""
    with _connected(info) as connection:
        return _revision(connection)


def migrate(info: str, needed: Needed, change: Callable[[sa.Connection], None]) -> str:
    """Do the change if it is needed and nobody else is at it, and return the revision that the database is then at.

    The connection must be the database's own: a pooler in transaction mode does not keep the lock.
    """
    give_up = time.monotonic() + _TIMEOUT
    with _connected(info) as connection:
        _take_turn(connection, give_up)
        for setting in _SETTINGS:
            connection.exec_driver_sql(setting)
        connection.commit()
        while needed(_revision(connection)):
            try:
                change(connection)
            except sa.exc.DBAPIError as error:
                connection.rollback()
                if _state(error) not in {LOCK_NOT_AVAILABLE, *LOST_RACE} or time.monotonic() > give_up:
                    raise
                time.sleep(_POLL)
        return _revision(connection)


def _take_turn(connection: sa.Connection, give_up: float) -> None:
    while not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(_TURN))):
        connection.rollback()
        if time.monotonic() > give_up:
            raise MigrationError(f"another migration has been running for {_TIMEOUT:.0f} seconds: wait until it ends")
        time.sleep(_POLL)
    connection.commit()


def _revision(connection: sa.Connection) -> str:
    known = connection.scalar(sa.text("SELECT to_regclass('alembic_version')"))
    try:
        found = connection.scalar(_FOUND) if known else None
    except sa.exc.DBAPIError as error:
        if _state(error) != NO_PRIVILEGE:
            raise
        connection.rollback()  # a login that may do nothing but become the role that may read it
        connection.exec_driver_sql(f"SET LOCAL ROLE {ROLE}")
        found = connection.scalar(_FOUND)
    connection.rollback()  # Alembic begins and commits for itself, unless a transaction is open already
    return found or BASE


@contextmanager
def _connected(info: str) -> Iterator[sa.Connection]:
    def connect() -> psycopg.Connection:
        return psycopg.connect(info, connect_timeout=10, prepare_threshold=None, client_encoding="UTF8")

    connected = False
    engine = sa.create_engine("postgresql+psycopg://", creator=connect, poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            connected = True
            yield connection
    except (sa.exc.DBAPIError, psycopg.Error) as error:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        if not isinstance(cause, psycopg.Error):
            raise
        sentence = _sentence(cause) if connected else why_not_connected(info)
        if sentence is None:
            raise
        raise MigrationError(sentence) from error


def _state(error: sa.exc.DBAPIError) -> str | None:
    return error.orig.sqlstate if isinstance(error.orig, psycopg.Error) else None


def _sentence(error: psycopg.Error) -> str | None:
    if error.sqlstate == OUR_OWN:
        return error.diag.message_primary
    if error.sqlstate == NO_PRIVILEGE:
        return "this login may not change the schema: migrate as the owner of the database and of its tables"
    if error.sqlstate == LOCK_NOT_AVAILABLE:
        return "the tables have been in use for a minute without a gap: try again when there is less to do"
    return sentence_for(error)

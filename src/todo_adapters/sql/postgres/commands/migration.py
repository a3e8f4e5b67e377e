"""Migrations of a PostgreSQL database: one at a time, and without blocking other sessions for long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
import sqlalchemy as sa

from todo_adapters.sql.inventory import LOOKED_FOR, TABLE_NAMES, require_released, require_whole, reserved_names
from todo_adapters.sql.postgres.commands.connecting import LOCK_TIMEOUT, CannotConnectError, connect
from todo_adapters.sql.postgres.connections.session import ENCODING
from todo_adapters.sql.postgres.errors import (
    CANCELLED,
    CANCELLED_EARLY,
    LOCK_NOT_AVAILABLE,
    LOST_RACE,
    NO_PRIVILEGE,
    NO_SUCH_ROLE,
    OUR_OWN,
    sentence_for,
)
from todo_adapters.sql.schema import (
    BASE,
    SELECT_REVISION,
    VERSION_TABLE,
    MigrationError,
    Moved,
    Needed,
    locked,
)
from todo_adapters.sql.tables import DOMAINS, ROLE

_TIMEOUT: Final = 60.0
"""Seconds to wait for another migration to end, and to keep trying for the locks on the tables."""

_POLL: Final = 0.1
"""Seconds between two tries."""

_TABLES: Final = sa.text(
    "SELECT relname, relnamespace, array_agg(attname::text)"
    " FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND attnum > 0 AND NOT attisdropped"
    " WHERE relname = ANY(:names) AND relkind IN ('r', 'p') AND pg_table_is_visible(pg_class.oid) GROUP BY 1, 2"
)
_TAKEN: Final = sa.text(
    "SELECT name FROM (SELECT relname, relnamespace FROM pg_class UNION SELECT typname, typnamespace FROM pg_type)"
    " AS taken (name, namespace) WHERE name = ANY(:names) AND namespace = current_schema()::regnamespace"
    " ORDER BY name LIMIT 1"
)
_MIGRATION_LOCK: Final = 0x746F_646F
"""The key of the advisory lock: "todo" in ASCII, a number that other programs are unlikely to use."""


# A waiting lock request blocks all later ones, so it waits only briefly, then tries again. Row-level security would
# silently turn a change of data into a change of no rows; with row_security off, that is an error.
_SETTINGS: Final = (
    "SET lock_timeout = '200ms'",
    "SET statement_timeout = 0",
    "SET idle_in_transaction_session_timeout = 0",
    "SET row_security = off",
    "SET standard_conforming_strings = on",
)


def current(info: str) -> str:
    """Return the revision of the database, as the service sees it; a pooled connection is sufficient.

    Raises MigrationError if the database cannot be reached, if its tables do not match its revision, or if the login
    may not read them or waits too long for a lock.
    """
    with _connected(info) as connection:
        became = _become_the_role(connection)
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
        try:
            found = _current(connection)
        except sa.exc.DBAPIError as error:
            if _state(error) == LOCK_NOT_AVAILABLE:
                raise MigrationError(locked(VERSION_TABLE)) from error
            if became or _state(error) != NO_PRIVILEGE:
                raise
            raise MigrationError(
                f"this login may not act as {ROLE}: have an administrator grant {ROLE} to it, or run todo migrate"
                " as the owner of the tables"
            ) from error
        connection.rollback()
        return found


def require_free_names(info: str) -> None:
    """Raise MigrationError if another program's table, index or type has a name that todo's first migration needs."""
    with _connected(info) as connection:
        _require_free_names(connection, BASE)


def migrate(info: str, needed: Needed, change: Callable[[sa.Connection], None]) -> Moved:
    """Do the change if it is needed and no other process does it; return the revisions before and after.

    The connection must be direct, because a pooler in transaction mode does not keep the lock. Raises MigrationError,
    also if the service would not find the tables afterwards.
    """
    give_up = time.monotonic() + _TIMEOUT
    before: str | None = None
    with _connected(info) as connection:
        _lock(connection, give_up)
        for setting in _SETTINGS:
            connection.exec_driver_sql(setting)
        connection.commit()
        while True:
            try:
                found = _current(connection)
                before = found if before is None else before
                if not needed(found):
                    connection.rollback()
                    _require_visible(connection, found)
                    return Moved(before, found)
                if found == BASE:
                    _require_schema(connection)
                _require_free_names(connection, found)
                connection.rollback()  # Alembic begins and commits by itself, unless a transaction is open already
                change(connection)
            except sa.exc.DBAPIError as error:
                connection.rollback()
                if _state(error) not in {LOCK_NOT_AVAILABLE, *LOST_RACE} or time.monotonic() > give_up:
                    raise
                time.sleep(_POLL)


def _lock(connection: sa.Connection, give_up: float) -> None:
    while not connection.scalar(sa.select(sa.func.pg_try_advisory_lock(_MIGRATION_LOCK))):
        connection.rollback()
        if time.monotonic() > give_up:
            raise MigrationError(f"another migration has been running for {_TIMEOUT:.0f} seconds: wait until it ends")
        time.sleep(_POLL)
    connection.commit()


def _current(connection: sa.Connection) -> str:
    # One snapshot, so that the revision and the tables match while a migration runs.
    connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    rows = connection.execute(_TABLES, {"names": [*LOOKED_FOR]}).all()
    found = {name: set(columns) for name, _, columns in rows}
    schemas = {name: schema for name, schema, _ in rows}
    if VERSION_TABLE in found:
        revision: str = connection.scalar(sa.text(SELECT_REVISION)) or BASE
        hiding = [name for name in TABLE_NAMES if schemas.get(name, schemas[VERSION_TABLE]) != schemas[VERSION_TABLE]]
        if revision != BASE and hiding:
            raise MigrationError(
                f"the table {hiding[0]} of another schema hides todo's: put todo's schema first on the search_path"
            )
        require_whole(found, revision)
        return revision
    require_released(found)
    return BASE


def _require_schema(connection: sa.Connection) -> None:
    """Raise MigrationError if the tables cannot be made, because of the encoding or a missing schema."""
    if connection.scalar(sa.text("SELECT current_setting('server_encoding')")) != "UTF8":
        raise MigrationError(ENCODING)
    if connection.scalar(sa.select(sa.func.current_schema())) is None:
        raise MigrationError("the search_path names no schema that exists: create it, or correct the search_path")


def _require_free_names(connection: sa.Connection, found: str) -> None:
    """Raise MigrationError if another program's table has a name that the migration from `found` needs."""
    names = [*reserved_names(found), *(DOMAINS.values() if found == BASE else ())]
    if (name := connection.scalar(_TAKEN, {"names": names})) is not None:
        schema = connection.scalar(sa.select(sa.func.current_schema()))
        raise MigrationError(
            f"the schema {schema} has another program's {name}: give todo a schema or a database of its own"
        )


def _require_visible(connection: sa.Connection, found: str) -> None:
    """Raise MigrationError unless the service, which runs as `todo_app`, finds the migrated tables."""
    became = _become_the_role(connection)
    seen = _current(connection)
    connection.rollback()
    if became and seen != found:
        raise MigrationError(
            f"{ROLE} does not find the tables: name their schema in the search_path, and grant {ROLE} USAGE on it"
        )


def _become_the_role(connection: sa.Connection) -> bool:
    """Act as `todo_app` in this transaction; return whether this login may."""
    try:
        connection.exec_driver_sql(f"SET LOCAL ROLE {ROLE}")
    except sa.exc.DBAPIError as error:
        connection.rollback()
        if _state(error) not in {NO_PRIVILEGE, NO_SUCH_ROLE}:
            raise
        return False
    return True


@contextmanager
def _connected(info: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine("postgresql+psycopg://", creator=lambda: connect(info), poolclass=sa.NullPool)
    try:
        with engine.connect() as connection:
            yield connection
    except CannotConnectError as error:
        raise MigrationError(str(error)) from None
    except (sa.exc.DBAPIError, psycopg.Error) as error:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        sentence = _sentence(cause) if isinstance(cause, psycopg.Error) else None
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
    if error.sqlstate == CANCELLED:  # before the login's own timeout is lifted
        return CANCELLED_EARLY
    if (error.sqlstate or "").startswith("08") and error.diag.message_primary:  # the text of a pooler
        return f"the connection to the database broke: {error.diag.message_primary}"
    return sentence_for(error)

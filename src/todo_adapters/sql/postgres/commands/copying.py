"""A PostgreSQL database as the source or the target of a copy."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from psycopg import sql

from todo_adapters.sql.postgres.commands.connecting import connect
from todo_adapters.sql.postgres.commands.row_security import failures, without_row_security
from todo_adapters.sql.schema import SqlError
from todo_adapters.sql.tables import metadata
from todo_adapters.sql.values import DATE, INSTANT, SQLITE_FORMS, TEXTS, Row

_SETTINGS: Final = "SET LOCAL lock_timeout = '10s'; SET LOCAL statement_timeout = 0; SET LOCAL TimeZone = 'UTC'"
_SEQUENCE: Final = "SELECT pg_get_serial_sequence('tasks', 'id')::regclass::text"
_AT_ONCE: Final = 2_000
"""Rows that the server sends in one chunk."""
_LOGIN: Final = (
    "this login may not copy: use the owner of the tables, or a role with BYPASSRLS that may read and write them"
)

Convert = Callable[[Any], Any]

_OUT: Final[dict[sa.types.TypeEngine[Any], Convert]] = {
    INSTANT: SQLITE_FORMS.instant,
    DATE: SQLITE_FORMS.day,
    TEXTS: SQLITE_FORMS.several,
}
_IN: Final[dict[sa.types.TypeEngine[Any], Convert]] = {TEXTS: json.loads}
"""The forms that differ between the engines; PostgreSQL parses the texts of instants and dates itself."""


class PostgresCopy:
    """The rows of a database within one transaction."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def count(self, table: sa.Table) -> int:
        """Return the number of rows."""
        return self._number(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table.name)))

    def rows(self, table: sa.Table) -> Generator[Row, None, None]:
        """Return the rows in the byte order of their keys."""
        keys = [
            sql.SQL('{} COLLATE "C"' if isinstance(key.type, sa.Text) else "{}").format(sql.Identifier(key.name))
            for key in table.primary_key.columns
        ]
        query = sql.SQL("SELECT {} FROM {} ORDER BY {}").format(
            _names(table), sql.Identifier(table.name), sql.SQL(", ").join(keys)
        )
        convert = _converter(table, _OUT)
        with self._connection.cursor(name=f"copy_{table.name}") as cursor:
            cursor.itersize = _AT_ONCE
            for row in cursor.execute(query):
                yield convert(row)

    def last_id(self) -> int:
        """Return the highest id that any task ever got, 0 if there is none."""
        return self._number(
            sql.SQL("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {}").format(self._sequence())
        )

    def insert(self, table: sa.Table, rows: Iterable[Row]) -> None:
        """Add these rows."""
        command = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier(table.name), _names(table))
        convert = _converter(table, _IN)
        with self._connection.cursor() as cursor, cursor.copy(command) as stream:
            for row in rows:
                stream.write_row(convert(row))

    def set_last_id(self, number: int) -> None:
        """Make the next task get a higher id."""
        if number:
            self._connection.execute(f"SELECT setval(({_SEQUENCE})::regclass, %s)".encode(), [number])

    def _number(self, query: sql.Composed) -> int:
        row = self._connection.execute(query).fetchone()
        return int(row[0]) if row else 0

    def _sequence(self) -> sql.Composable:
        row = self._connection.execute(_SEQUENCE).fetchone()
        return sql.SQL(row[0] if row else "")  # PostgreSQL has quoted it already


@contextmanager
def reading(url: str) -> Iterator[PostgresCopy]:
    """Read one snapshot of the database. Raises SqlError.

    As the owner of the tables, it locks them meanwhile, because it lifts row-level security in its own transaction,
    which is rolled back; with a role that bypasses row-level security, it locks nothing.
    """
    with _transaction(url) as connection:
        yield PostgresCopy(connection)
        raise psycopg.Rollback


@contextmanager
def filling(url: str) -> Iterator[PostgresCopy]:
    """Write to the database in one transaction, which ends with the block. Raises SqlError."""
    with _transaction(url) as connection:
        yield PostgresCopy(connection)


@contextmanager
def _transaction(url: str) -> Iterator[psycopg.Connection]:
    with failures("todo copy", _LOGIN, SqlError), closing(connect(url)) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with connection.transaction():
            connection.execute(_SETTINGS)
            with without_row_security(connection, list(metadata.tables)):
                yield connection


def _names(table: sa.Table) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, table.columns.keys()))


def _converter(table: sa.Table, by_type: dict[sa.types.TypeEngine[Any], Convert]) -> Callable[[Row], Row]:
    """Return the function that converts a row to the forms of the other engine."""
    changes = [(index, by_type[column.type]) for index, column in enumerate(table.columns) if column.type in by_type]

    def convert(row: Row) -> Row:
        values = list(row)
        for index, change in changes:
            if values[index] is not None:
                values[index] = change(values[index])
        return tuple(values)

    return convert

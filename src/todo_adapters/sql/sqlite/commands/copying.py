"""A SQLite file as the source or the target of a copy."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from todo_adapters.sql.schema import SqlError
from todo_adapters.sql.sqlite.file import connect, explain
from todo_adapters.sql.values import Row


class SqliteCopy:
    """The rows of a file within one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def count(self, table: sa.Table) -> int:
        """Return the number of rows."""
        ((count,),) = self._connection.execute(f"SELECT count(*) FROM {table.name}")  # noqa: S608  our own name  # nosec B608
        return int(count)

    def rows(self, table: sa.Table) -> Generator[Row, None, None]:
        """Return the rows in the order of their keys."""
        columns, keys = ", ".join(table.columns.keys()), ", ".join(table.primary_key.columns.keys())
        yield from self._connection.execute(f"SELECT {columns} FROM {table.name} ORDER BY {keys}")  # noqa: S608  our own names  # nosec B608

    def last_id(self) -> int:
        """Return the highest id that any task ever got, 0 if there is none."""
        ((last,),) = self._connection.execute("SELECT last FROM task_ids")
        return int(last)

    def insert(self, table: sa.Table, rows: Iterable[Row]) -> None:
        """Add these rows."""
        columns, places = ", ".join(table.columns.keys()), ", ".join("?" * len(table.columns))
        self._connection.executemany(f"INSERT INTO {table.name} ({columns}) VALUES ({places})", rows)  # noqa: S608  our own names  # nosec B608

    def set_last_id(self, number: int) -> None:
        """Make the next task get a higher id."""
        self._connection.execute("UPDATE task_ids SET last = ?", [number])


@contextmanager
def reading(path: Path) -> Iterator[SqliteCopy]:
    """Read one snapshot of the file; other processes may write meanwhile. Raises SqlError."""
    with _transaction(path, "BEGIN") as connection:
        yield SqliteCopy(connection)


@contextmanager
def filling(path: Path) -> Iterator[SqliteCopy]:
    """Write to the file in one transaction, which ends with the block. Raises SqlError."""
    with _transaction(path, "BEGIN IMMEDIATE") as connection:
        yield SqliteCopy(connection)


@contextmanager
def _transaction(path: Path, begin: str) -> Iterator[sqlite3.Connection]:
    try:
        with closing(connect(path)) as connection, connection:
            connection.execute(begin)
            yield connection
    except sqlite3.Error as error:
        if (sentence := explain(error)) is None:
            raise
        raise SqlError(sentence) from error

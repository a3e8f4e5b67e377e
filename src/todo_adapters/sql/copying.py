"""Copies all data of a deployment into another, empty database, of the same engine or the other."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, closing
from itertools import zip_longest
from typing import Final, NamedTuple, Protocol, TypeVar

import sqlalchemy as sa

from todo_adapters.sql import migrations
from todo_adapters.sql.addresses import Database, database_url
from todo_adapters.sql.schema import BASE, SqlError, head, is_known
from todo_adapters.sql.tables import metadata
from todo_adapters.sql.values import Row

T = TypeVar("T")

TABLES: Final = tuple(metadata.sorted_tables)
"""The tables in an order in which every row comes after the rows that it refers to."""

_REPORTED: Final = 5_000
"""Rows between two reports of progress."""


class CannotCopyError(SqlError):
    """The copy cannot be made."""


class Source(Protocol):
    """One snapshot of a database. On both engines, rows have the forms of SQLite."""

    def count(self, table: sa.Table) -> int:
        """Return the number of rows."""

    def rows(self, table: sa.Table) -> Generator[Row, None, None]:
        """Return the rows in the byte order of their keys, each with the columns in the order of the table."""

    def last_id(self) -> int:
        """Return the highest id that any task ever got, 0 if there is none."""


class Target(Source, Protocol):
    """A database that is written in one transaction."""

    def insert(self, table: sa.Table, rows: Iterable[Row]) -> None:
        """Add these rows."""

    def set_last_id(self, number: int) -> None:
        """Make the next task get a higher id."""


class Copied(NamedTuple):
    """The report of a copy: the number of rows of each table, and the digest of all rows, equal on both sides."""

    rows: dict[str, int]
    digest: str


Progress = Callable[[str, int, int], None]
"""Takes a step (`copied` or `compared`), the number of rows done, and the total."""


def copy(origin: str, target: str, progress: Progress) -> Copied:
    """Copy the data at one URL into the empty database at another, compare every row, and only then commit.

    The target gets the schema if it has none. Raises SqlError and then leaves the target without data; so does a killed
    process. Rows are copied one by one, so memory does not depend on their number.
    """
    source_database, target_database = _database("--from", origin), _database("--to", target)
    if _resolved(source_database) == _resolved(target_database):
        raise CannotCopyError("--from and the database to copy into are the same: name another one with --to")
    _require_schema(origin, target)
    with _reading(source_database) as source, _filling(target_database) as filled:
        if any(filled.count(table) for table in TABLES):
            raise CannotCopyError("the database to copy into has data: use an empty one")
        numbers = {table.name: source.count(table) for table in TABLES}
        for table in TABLES:
            filled.insert(table, _reporting(source.rows(table), "copied", progress, numbers, table))
        filled.set_last_id(source.last_id())
        if source.last_id() != filled.last_id():
            raise CannotCopyError("the next id would differ from the original's: nothing was copied")
        digest = hashlib.sha256()
        for table in TABLES:
            with closing(source.rows(table)) as sent, closing(filled.rows(table)) as kept:
                for one, other in _reporting(zip_longest(sent, kept), "compared", progress, numbers, table):
                    if one != other:
                        raise CannotCopyError(f"a row of {table.name} differs after the copy: nothing was copied")
                    digest.update(repr(one).encode())
    return Copied(numbers, digest.hexdigest())


def _resolved(database: Database) -> Database:
    return database if database.file is None else Database(file=database.file.resolve())


def _require_schema(origin: str, target: str) -> None:
    """Raise SqlError unless both databases are at this release's schema; migrate an empty target."""
    if (found := migrations.current(origin)) == BASE:
        raise CannotCopyError("there is no deployment at the URL of --from: check the URL")
    if not is_known(found):
        raise CannotCopyError(f"the database to copy from is at {found}, from a newer release: use its todo copy")
    if found != head():
        raise CannotCopyError(f"the database to copy from is not at {head()}: run todo migrate on it first")
    if migrations.current(target) == BASE:
        migrations.upgrade(target)
    if migrations.current(target) != head():
        raise CannotCopyError(f"the database to copy into is not at {head()}: run todo migrate on it first")


def _reporting(
    rows: Iterable[T], step: str, progress: Progress, numbers: dict[str, int], table: sa.Table
) -> Iterator[T]:
    """Yield the rows; report every _REPORTED rows how many of all tables are done."""
    names = [each.name for each in TABLES]
    before = sum(numbers[name] for name in names[: names.index(table.name)])
    total, number = sum(numbers.values()), 0
    for number, row in enumerate(rows, start=1):
        if number % _REPORTED == 0:
            progress(step, before + number, total)
        yield row
    progress(step, before + number, total)


def _database(option: str, url: str) -> Database:
    try:
        database = database_url(url)
    except ValueError as problem:
        raise CannotCopyError(f"the database URL of {option} {problem}") from None
    if database.kind == "memory":
        raise CannotCopyError(f"{option} must name a file or a server: memory: stores nothing")
    return database


def _reading(database: Database) -> AbstractContextManager[Source]:
    if database.file is not None:
        from todo_adapters.sql.sqlite.commands import copying as sqlite  # noqa: PLC0415  the other engine's driver

        return sqlite.reading(database.file)
    from todo_adapters.sql.postgres.commands import copying as postgres  # noqa: PLC0415  SQLite needs no such driver

    return postgres.reading(database.url or "")


def _filling(database: Database) -> AbstractContextManager[Target]:
    if database.file is not None:
        from todo_adapters.sql.sqlite.commands import copying as sqlite  # noqa: PLC0415  the other engine's driver

        return sqlite.filling(database.file)
    from todo_adapters.sql.postgres.commands import copying as postgres  # noqa: PLC0415  SQLite needs no such driver

    return postgres.filling(database.url or "")

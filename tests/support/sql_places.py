"""Places of the SQL stores' data."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Final

from psycopg import sql

from servers.citus import Coordinator
from servers.postgres import PostgresServer
from support.places import Table
from todo_adapters.sql.migrations import upgrade
from todo_adapters.sql.postgres.store import PostgresTasks
from todo_adapters.sql.sqlite.store import SqliteTasks
from todo_domain import Tasks, UserId

POOL_SIZE: Final = 4


class SqlitePlace:
    """A migrated SQLite file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Tasks]:
        async with aclosing(SqliteTasks(self._path)) as store:
            await store.open()
            yield store

    def count(self, table: Table, owner: UserId) -> int:
        with closing(sqlite3.connect(self._path)) as connection:
            query = f"SELECT count(*) FROM {table} WHERE user_id = ?"
            return int(connection.execute(query, [owner]).fetchone()[0])


class PostgresPlace:
    """A migrated PostgreSQL database, which the store reaches at `url`, maybe through a pooler."""

    def __init__(self, server: PostgresServer, database: str, url: str) -> None:
        self._server = server
        self._database = database
        self._url = url

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Tasks]:
        async with aclosing(PostgresTasks(self._url, pool_size=POOL_SIZE)) as store:
            await store.open()
            yield store

    def count(self, table: Table, owner: UserId) -> int:
        query = sql.SQL("SELECT count(*) FROM {} WHERE user_id = %(owner)s").format(sql.Identifier(table))
        ((rows,),) = self._server.execute(query, {"owner": owner}, database=self._database)
        return int(rows)


class PostgresDatabases:
    """Migrated databases of one server, each a copy of a template that was migrated once.

    They belong to OWNER. LOGIN owns nothing, bypasses nothing and may do nothing but become `todo_app`.
    """

    OWNER: Final = "todo_owner"
    LOGIN: Final = "todo_login"
    PASSWORD: Final = "not much of a secret"

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self._template = "todo_template"
        self._numbers = count(1)
        server.create_role(self.OWNER, self.PASSWORD, "NOSUPERUSER NOBYPASSRLS CREATEROLE")
        server.create_role(self.LOGIN, self.PASSWORD, "NOSUPERUSER NOBYPASSRLS NOINHERIT")
        server.create_database(self._template, owner=self.OWNER)
        upgrade(server.url(self._template, self.OWNER, self.PASSWORD))
        if isinstance(server, Coordinator):
            server.distribute(self._template)
        server.execute(f"GRANT todo_app TO {self.LOGIN}")

    @contextmanager
    def another(self) -> Iterator[str]:
        """Create a migrated database without data, return its name, and drop it in the end."""
        name = f"todo_{next(self._numbers)}"
        self.server.create_database(name, self._template, owner=self.OWNER)
        try:
            yield name
        finally:
            self.server.drop_database(name)

    def url(self, database: str, user: str = LOGIN) -> str:
        """Return the URL of a database for one of the two roles."""
        return self.server.url(database, user, self.PASSWORD)

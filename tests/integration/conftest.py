"""Fixtures of the tests that migrate, which need databases without a schema, and a database behind PgBouncer."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest

from servers import pgbouncer
from servers.pgbouncer import PgBouncer
from support.next_migration import add_next_migration
from support.sql_places import PostgresDatabases, PostgresPlace
from todo_adapters.sql.postgres.store import PostgresTasks
from todo_adapters.sql.sqlite.store import SqliteTasks


@dataclass
class Database:
    """An empty database, as a migration finds it."""

    url: str
    run: Callable[[str], list[tuple]]  # as an administrator
    store: Callable[[], SqliteTasks | PostgresTasks]


@pytest.fixture
def sqlite_database(tmp_path):
    path = tmp_path / "todo.db"

    def run(statement):
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            return connection.execute(statement).fetchall()

    return Database(f"sqlite:///{path}", run, lambda: SqliteTasks(path))


@pytest.fixture
def empty_postgres(postgres_databases, request):
    server, name = postgres_databases.server, f"empty_{abs(hash(request.node.nodeid))}"
    server.create_database(name, owner=PostgresDatabases.OWNER)
    url = postgres_databases.url(name, PostgresDatabases.OWNER)
    yield Database(url, lambda statement: server.execute(statement, database=name), lambda: PostgresTasks(url))
    server.drop_database(name)


@pytest.fixture
def next_migration(tmp_path_factory, monkeypatch):
    """The revision of one migration more than the release has; `BASELINE` is the one before it."""
    return add_next_migration(tmp_path_factory.mktemp("next"), monkeypatch)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request):
    return request.getfixturevalue({"sqlite": "sqlite_database", "postgres": "empty_postgres"}[request.param])


@pytest.fixture(scope="module")
def pooler(postgres_databases, postgres_database) -> Iterator[PgBouncer]:
    """PgBouncer in transaction mode, with fewer connections to the server than a store has to it."""
    pgbouncer.require()
    logins = {PostgresDatabases.LOGIN: PostgresDatabases.PASSWORD}
    with PgBouncer(postgres_databases.server, postgres_database, pool_size=2, logins=logins) as pooler:
        yield pooler


@pytest.fixture
def pgbouncer_place(postgres_databases: PostgresDatabases, postgres_database: str, pooler: PgBouncer) -> PostgresPlace:
    """A database behind PgBouncer."""
    return PostgresPlace(postgres_databases.server, postgres_database, pooler.url(PostgresDatabases.LOGIN))

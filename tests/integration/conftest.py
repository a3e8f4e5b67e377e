"""Fixtures of the tests that migrate, which need databases without a schema."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import pytest

from support.next_migration import add_next_migration
from support.sql_places import PostgresDatabases
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

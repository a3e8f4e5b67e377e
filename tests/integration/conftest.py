"""Fixtures of the tests that migrate, and of those that fetch keys.

The former have databases without a schema, and copies of one that is migrated already.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from shutil import copyfile

import pytest

from servers.jwks import JwksServer
from support.next_migration import add_next_migration
from support.sql_places import PostgresDatabases
from support.verifying import FetchScene
from todo_adapters.sql.postgres.store import PostgresTasks
from todo_adapters.sql.sqlite.store import SqliteTasks


@dataclass
class Database:
    """A database as its owner has it."""

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
    yield _of_a_server(postgres_databases, name)
    server.drop_database(name)


def _of_a_server(databases, name):
    url = databases.url(name, PostgresDatabases.OWNER)
    return Database(
        url, lambda statement: databases.server.execute(statement, database=name), lambda: PostgresTasks(url)
    )


@pytest.fixture
def bypassing(postgres_databases):
    """A role that bypasses row-level security and owns nothing."""
    role, server = "todo_bypass", postgres_databases.server
    server.create_role(role, PostgresDatabases.PASSWORD, "NOSUPERUSER BYPASSRLS")
    yield role
    server.execute(f"DROP ROLE {role}")


@pytest.fixture
def next_migration(tmp_path_factory, monkeypatch):
    """The revision of one migration more than the release has; `BASELINE` is the one before it."""
    return add_next_migration(tmp_path_factory.mktemp("next"), monkeypatch)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request):
    return request.getfixturevalue({"sqlite": "sqlite_database", "postgres": "empty_postgres"}[request.param])


@pytest.fixture
def migrated_sqlite(sqlite_template, sqlite_database, tmp_path):
    copyfile(sqlite_template, tmp_path / "todo.db")
    return sqlite_database


@pytest.fixture
def migrated_postgres(postgres_databases):
    with postgres_databases.another() as name:
        yield _of_a_server(postgres_databases, name)


@pytest.fixture(params=["sqlite", "postgres"])
def migrated(request):
    """A database at the head, there in a moment. Not beside `next_migration`, with which a template would be made."""
    return request.getfixturevalue(f"migrated_{request.param}")


@pytest.fixture
async def server():
    """An issuer's server of keys."""
    async with JwksServer() as server:
        yield server


@pytest.fixture
async def scene(server):
    """Keys that are fetched from `server`."""
    scene = FetchScene(server)
    yield scene
    await scene.keys.aclose()

"""SQLite and PostgreSQL keep the contract of every store."""

from collections.abc import Iterator

import pytest

from servers import pgbouncer
from servers.pgbouncer import PgBouncer
from store_contract.durability import DurableStoreContract
from support.sql_places import PostgresDatabases, PostgresPlace


@pytest.fixture(scope="module")
def pooler(postgres_databases, postgres_database) -> Iterator[PgBouncer]:
    """PgBouncer in transaction mode, with fewer connections to the server than a store has to it."""
    pgbouncer.require()
    logins = {PostgresDatabases.LOGIN: PostgresDatabases.PASSWORD}
    with PgBouncer(postgres_databases.server, postgres_database, pool_size=2, logins=logins) as pooler:
        yield pooler


class TestSqlite(DurableStoreContract):
    @pytest.fixture
    def place(self, sqlite_place):
        return sqlite_place


class TestPostgres(DurableStoreContract):
    @pytest.fixture
    def place(self, postgres_place):
        return postgres_place


class TestPostgresThroughPgBouncer(DurableStoreContract):
    @pytest.fixture
    def place(self, postgres_databases, postgres_database, pooler) -> PostgresPlace:
        return PostgresPlace(postgres_databases.server, postgres_database, pooler.url(PostgresDatabases.LOGIN))

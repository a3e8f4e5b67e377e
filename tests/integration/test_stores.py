"""SQLite and PostgreSQL keep the contract of every store, PostgreSQL through PgBouncer as well.

All of the contract through PgBouncer is `tests/drills/test_pooled_store.py`.
"""

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from inspect import iscoroutinefunction
from pathlib import Path

import psycopg
import pytest

import store_contract
from store_contract.batches import Batches
from store_contract.durability import Durability, DurableStoreContract
from store_contract.erasing import Erasing
from store_contract.exporting import Exporting
from store_contract.feeds import Feeds
from store_contract.importing import Importing
from store_contract.isolation import Isolation
from store_contract.keys import Keys
from store_contract.races import Races
from store_contract.retries import Retries
from store_contract.trash import Trash
from todo_adapters.sql.postgres import calls
from todo_adapters.sql.postgres.connections import pipeline, session


@pytest.fixture(autouse=True)
def purges_have_time(monkeypatch):
    """On a busy machine, a purge may take longer than its part of a deadline, and is then left to a later write."""
    monkeypatch.setattr(calls, "_PURGE_TIMEOUT", 2.0)


class TestSqlite(DurableStoreContract):
    refusal = sqlite3.IntegrityError

    @pytest.fixture
    def place(self, sqlite_place):
        return sqlite_place


class TestPostgres(DurableStoreContract):
    refusal = psycopg.errors.CheckViolation

    @pytest.fixture
    def place(self, postgres_place):
        return postgres_place


class TestPostgresThroughPgBouncer(Isolation, Races, Batches, Trash, Erasing, Exporting, Feeds, Importing, Durability):
    """What can differ where connections are shared: whose context it is, locks, transactions, long responses."""

    refusal = psycopg.errors.CheckViolation

    @pytest.fixture
    def place(self, pgbouncer_place):
        return pgbouncer_place


class TestPostgresWithTheStatementsForCitus(Batches, Retries, Keys, Trash, Importing):
    """The writes that have another form there, on a server that needs no Citus: see `citus_writes`."""

    refusal = psycopg.errors.CheckViolation

    @pytest.fixture
    def place(self, postgres_place, monkeypatch):
        async def prepare(connection):
            return (await session.prepare(connection))._replace(citus=True)

        monkeypatch.setattr(pipeline, "prepare", prepare)
        return postgres_place


class RowRefused(Exception):
    """What another project's store raises: it shows nobody the driver that it uses."""


class Wrapped:
    """A store of another project: it keeps tasks by a store of ours, and raises no exception of a driver."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        method = getattr(self._store, name)
        if not iscoroutinefunction(method):
            return method

        async def guarded(*arguments, **named):
            try:
                return await method(*arguments, **named)
            except sqlite3.Error as error:
                raise RowRefused from error

        return guarded


class WrappedPlace:
    """The data of such a store."""

    def __init__(self, place):
        self._place = place
        self.count = place.count

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Wrapped]:
        async with self._place.open() as store:
            yield Wrapped(store)


class TestAStoreOfAnotherProject:
    """What the folder store, on which `test_own_store` runs the contract, cannot show: it has no constraints."""

    refusal = RowRefused
    test_a_row_that_it_refuses_leaves_no_trace = (
        DurableStoreContract.test_a_write_that_the_database_refuses_half_way_leaves_no_trace
    )

    @pytest.fixture
    def place(self, sqlite_place):
        return WrappedPlace(sqlite_place)


def test_the_contract_names_no_driver():
    folder = Path(store_contract.__file__).parent
    for file in folder.glob("*.py"):
        imported = re.findall(r"^\s*(?:import|from) (\w+)", file.read_text(), re.MULTILINE)
        assert not {"sqlite3", "psycopg", "sqlalchemy", "todo_adapters"} & set(imported), file.name

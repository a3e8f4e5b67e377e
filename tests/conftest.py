"""Fixtures that tests of every kind share. What needs a server is made when the first test asks for it."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile, disk_usage
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from servers import binaries
from support.length import examples
from support.places import MemoryPlace

if TYPE_CHECKING:
    from servers.pgbouncer import PgBouncer
    from servers.postgres import PostgresServer
    from support.sql_places import PostgresDatabases, PostgresPlace, SqlitePlace

_MEMORY = Path("/dev/shm")
if "TMPDIR" not in os.environ and os.access(_MEMORY, os.W_OK) and disk_usage(_MEMORY).free > 8 * 2**30:
    # Linux keeps it in memory, where a new database takes a sixth of the processor time that it takes on a disk.
    os.environ["TMPDIR"] = str(_MEMORY)
    tempfile.tempdir = None

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell has its background processes ignore Ctrl-C; those that the tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["store_contract.fixtures"]
pytest.register_assert_rewrite("support.store_state_machine", "store_contract")

# On a busy machine an example may take a second without meaning anything.
settings.register_profile("unhurried", parent=settings(), deadline=None, max_examples=examples(40))
settings.load_profile("unhurried")

# Python looks for cyclic garbage after each 700 new objects by default: a sixth of what the tests take of a processor.
gc.set_threshold(20_000, 20, 20)


def pytest_collection_finish() -> None:
    """Leave the thousands of collected tests to themselves: they are no garbage before the end."""
    gc.freeze()


def pytest_report_header() -> str | None:
    """Name the tests that this run leaves out: if they were skipped, they would hide others that are skipped."""
    return None if binaries.have_citus() else binaries.NO_CITUS


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the tests that need a cluster of Citus, which comes with no package."""
    return True if collection_path.name == "test_citus.py" and not binaries.have_citus() else None


def pytest_xdist_auto_num_workers() -> int:
    """Two processes more than there are processors, because many tests wait; five at most."""
    return min((os.cpu_count() or 1) + 2, 5)


@pytest.fixture
def memory_place() -> MemoryPlace:
    """A memory store of the test's own."""
    return MemoryPlace()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file without data, to be copied."""
    from todo_adapters.sql.migrations import upgrade

    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_place(sqlite_template: Path, tmp_path: Path) -> SqlitePlace:
    """A SQLite file of the test's own."""
    from support.sql_places import SqlitePlace

    return SqlitePlace(copyfile(sqlite_template, tmp_path / "todo.db"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for the whole run; tests that stop it or change its settings start their own.

    It is the coordinator of a cluster where TODO_TEST_PG_BIN names programs with Citus.
    """
    from servers import citus

    with citus.server() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_databases(postgres_server: PostgresServer) -> PostgresDatabases:
    """Migrated databases on that server, a new one in about 30 ms."""
    from support.sql_places import PostgresDatabases

    return PostgresDatabases(postgres_server)


@pytest.fixture(scope="module")
def postgres_database(postgres_databases: PostgresDatabases) -> Iterator[str]:
    """The name of a database of the test module's own; its tests keep apart by their users."""
    with postgres_databases.another() as name:
        yield name


@pytest.fixture
def postgres_place(postgres_databases: PostgresDatabases, postgres_database: str) -> PostgresPlace:
    """That database, by a login without any right but to become `todo_app`."""
    from support.sql_places import PostgresPlace

    url = postgres_databases.url(postgres_database)
    return PostgresPlace(postgres_databases.server, postgres_database, url)


@pytest.fixture(scope="module")
def pooler(postgres_databases: PostgresDatabases, postgres_database: str) -> Iterator[PgBouncer]:
    """PgBouncer in transaction mode, with fewer connections to the server than a store has to it."""
    from servers import pgbouncer

    pgbouncer.require()
    logins = {postgres_databases.LOGIN: postgres_databases.PASSWORD}
    with pgbouncer.PgBouncer(postgres_databases.server, postgres_database, pool_size=2, logins=logins) as pooler:
        yield pooler


@pytest.fixture
def pgbouncer_place(postgres_databases: PostgresDatabases, postgres_database: str, pooler: PgBouncer) -> PostgresPlace:
    """That database behind PgBouncer."""
    from support.sql_places import PostgresPlace

    return PostgresPlace(postgres_databases.server, postgres_database, pooler.url(postgres_databases.LOGIN))

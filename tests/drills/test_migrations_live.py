"""Migrations while both releases serve: several instances at once, ten in the long form, and no request fails.

`pytest -s` shows the figures.
"""

import re
import sqlite3
import subprocess
import threading
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import pytest

from servers.postgres import PostgresServer
from servers.todo import TODO, Served, environment
from support.faulty import SECRET, require_shape, token_of
from support.length import LONG
from support.next_migration import add_next_migration
from support.previous import NOW, PreviousOnPostgres, PreviousOnSqlite
from todo_adapters.sql import migrations, schema

LOCK_TIMEOUT = 0.2
OLD = schema.REVISIONS[-2]
"""The release before this one: what it sends is in `support.previous`."""
AT_ONCE = 10 if LONG else 4
SETTINGS = {"TODO_JWT_SECRET": SECRET, "TODO_AUDIT_LOG": "audit.log"}


@pytest.fixture
def the_next(tmp_path_factory, monkeypatch):
    """The settings of a service that is one release further; so is this process."""
    folder = tmp_path_factory.mktemp("next")
    add_next_migration(folder, monkeypatch)
    return SETTINGS | {"PYTHONPATH": str(folder)}


@dataclass
class Use:
    """What somebody did again and again: how long each took, and what went wrong."""

    seconds: list[float] = field(default_factory=list)
    failures: list[object] = field(default_factory=list)


@contextmanager
def using(**actions):
    """Do each action all the while, each in a thread of its own; yields what came of it, by the name of the action."""
    uses, over = {name: Use() for name in actions}, threading.Event()

    def again(name):
        while not over.is_set():
            began = time.monotonic()
            try:
                actions[name]()
            except Exception as error:  # noqa: BLE001  whatever it is, the test tells it
                uses[name].failures.append(error)
            uses[name].seconds.append(time.monotonic() - began)
            time.sleep(0.01)

    threads = [threading.Thread(target=again, args=[name]) for name in actions]
    for thread in threads:
        thread.start()
    try:
        yield uses
    finally:
        over.set()
        for thread in threads:
            thread.join()


def summary(uses):
    """The figures, for -s."""
    return ", ".join(
        f"{name}: {len(use.seconds)} done, {len(use.failures)} failed, longest {max(use.seconds) * 1000:.0f} ms"
        for name, use in uses.items()
    )


# PostgreSQL


@pytest.fixture(scope="module")
def server():
    """A server that logs every wait for a lock."""
    with PostgresServer(settings={"log_lock_waits": "on", "deadlock_timeout": "1ms"}) as server:
        yield server


@pytest.fixture
def old_database(server):
    """A database of this release's schema with 30,000 tasks of 300 users."""
    server.create_database("live")
    url = server.url("live")
    migrations.upgrade(url, OLD)
    server.execute(
        "INSERT INTO users SELECT 'user-' || n, 100, 100, 0, now() FROM generate_series(1, 300) n;"
        "INSERT INTO tasks (user_id, title, title_key, revision, created_at, updated_at)"
        " SELECT 'user-' || n, 'Old', 'old', r, now(), now() FROM generate_series(1, 300) n, generate_series(1, 100) r",
        database="live",
    )
    yield url
    server.drop_database("live")


def longest_wait_for_a_lock(server, migrations):
    """In seconds, of those who use the tables, as the server's log has it."""
    waits = re.findall(r"process (\d+) acquired (\w+) on (?:relation|tuple) .*? after ([\d.]+) ms", server.log)
    return max((float(ms) / 1000 for pid, mode, ms in waits if mode not in migrations), default=0.0)


def test_migrations_at_once_under_the_previous_release_fail_no_request_and_hold_nobody_up(
    server, old_database, tmp_path, the_next
):
    clients = [PreviousOnPostgres(old_database, f"user-{number}") for number in (1, 2, 3, 3)]
    actions = {"reader": clients[0].read, "second reader": clients[2].read}
    actions |= {"writer": clients[1].write, "second writer": clients[3].write}
    with using(**actions) as uses:
        time.sleep(0.3)
        several = [
            subprocess.Popen(
                [TODO, "migrate"],
                cwd=tmp_path,
                env=environment(TODO_DATABASE_URL=old_database, **the_next),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            for _ in range(AT_ONCE)
        ]
        endings = [process.communicate(timeout=60) for process in several]
        changes_of_the_revision = server.execute(
            "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'todo_alembic_version'", database="live"
        )
        for revision in (OLD, "head"):
            migrations.move(old_database, revision)
            time.sleep(0.2)
    for client in clients:
        client.close()
    assert [process.returncode for process in several] == [0] * AT_ONCE, endings
    assert {out.strip() for out, _ in endings} == {f"at {schema.head()}".encode()}
    # A share lock on the tables is a user's; the migration's own waits are for the exclusive one, which it gives up.
    waited = longest_wait_for_a_lock(server, {"AccessExclusiveLock", "ShareUpdateExclusiveLock"})
    waits = f"longest wait for a lock {waited * 1000:.0f} ms"
    print(f"\nPostgreSQL {server.major}, {AT_ONCE} migrations: {summary(uses)}; {waits}")  # noqa: T201  the figures, for -s
    assert not [use.failures for use in uses.values() if use.failures]
    assert waited <= LOCK_TIMEOUT + 0.05
    assert changes_of_the_revision == [(len(schema.missing(schema.BASE, schema.head())) - 1,)]  # the first is an INSERT


def asking(service, method, path, statuses, body=None):
    """Send that request each time; every status is noted, and an error has the contract's shape."""

    def ask():
        reply = service.request(method, path, token_of("ann"), body)
        statuses.append(reply.status)
        if reply.status >= 400:
            assert reply.status == 503, reply.body
            require_shape(reply)

    return ask


def while_the_schema_goes_back_and_forth(service, url):
    """What this release's service answers to reads and writes meanwhile; it must end with successes."""
    reads, writes, ready = [], [], []
    actions = {
        "reader": asking(service, "GET", "/api/me/tasks", reads),
        "writer": asking(service, "POST", "/api/me/tasks", writes, {"title": "x"}),
        "probe": asking(service, "GET", "/health/ready", ready),
    }
    with using(**actions) as uses:
        time.sleep(0.3)
        migrations.downgrade(url, "base")
        time.sleep(0.5)
        reason = service.request("GET", "/health/ready", "").body
        migrations.upgrade(url)
        time.sleep(0.5)
    assert "behind this release: run todo migrate" in reason["error"]
    assert [use.failures for use in uses.values()] == [[], [], []]
    assert set(reads) == {200, 503}
    assert set(writes) == {201, 503}
    assert (reads[-1], writes[-1], ready[-1]) == (200, 201, 200)
    return summary(uses)


def test_this_release_says_503_while_the_schema_is_behind_it_and_goes_on_when_it_is_back(
    server, old_database, tmp_path
):
    migrations.upgrade(old_database)
    with Served(tmp_path, TODO_DATABASE_URL=old_database, **SETTINGS) as service:
        figures = while_the_schema_goes_back_and_forth(service, old_database)
    print(f"\nPostgreSQL {server.major}, down and up under this release: {figures}")  # noqa: T201  the figures, for -s


# SQLite


@pytest.fixture
def old_file(tmp_path):
    """A file of this release's schema with 5,000 tasks of 50 users."""
    path = tmp_path / "todo.db"
    migrations.upgrade(f"sqlite:///{path}", OLD)
    with closing(sqlite3.connect(path)) as connection, connection:
        numbers = "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 5000) "
        connection.execute(f"INSERT INTO users {numbers} SELECT 'user-' || n, 100, 100, 0, '' FROM n WHERE n <= 50")
        connection.execute(
            "INSERT INTO tasks (user_id, id, title, title_key, revision, created_at, updated_at)"
            f" {numbers} SELECT 'user-' || (1 + n % 50), n, 'Old', 'old', 1 + n / 50, '{NOW}', '{NOW}' FROM n"
        )
        connection.execute("UPDATE task_ids SET last = 5000")
    return path


def test_services_that_start_at_once_on_an_old_file_migrate_it_once_and_fail_no_request(old_file, tmp_path, the_next):
    clients = [PreviousOnSqlite(old_file, f"user-{number}") for number in (1, 2)]
    with using(reader=clients[0].read, writer=clients[1].write) as uses:
        time.sleep(0.2)
        several = [Served(tmp_path, TODO_DATABASE_URL=f"sqlite:///{old_file}", **the_next) for _ in range(AT_ONCE)]
        try:
            for service in several:
                service.process.wait_for_http(f"{service.origin}/health/ready", seconds=60)
            made = [service.request("POST", "/api/me/tasks", token_of("ann"), {"title": "x"}) for service in several]
        finally:
            for service in several:
                service.process.stop()
        copies = [path.name for path in tmp_path.glob("todo.db.at-*")]
        for revision in (OLD, "head"):
            migrations.move(f"sqlite:///{old_file}", revision)
            time.sleep(0.2)
    for client in clients:
        client.close()
    print(f"\nSQLite {sqlite3.sqlite_version}, {AT_ONCE} services: {summary(uses)}")  # noqa: T201  the figures, for -s
    revisions = [response.body["revision"] for response in made]
    assert revisions == list(range(revisions[0], revisions[0] + AT_ONCE))
    assert not [use.failures for use in uses.values() if use.failures]
    # A reader of SQLite's log waits for nobody; the rest is this machine. In the short form three other drills run.
    assert max(uses["reader"].seconds) < (1 if LONG else 2.5)
    assert max(uses["writer"].seconds) < (2.4 if LONG else 4.5)
    assert copies == [f"todo.db.at-{OLD}"]


def test_this_release_says_503_while_the_schema_of_its_file_is_behind_it(old_file, tmp_path):
    url = f"sqlite:///{old_file}"
    migrations.upgrade(url)
    with Served(tmp_path, TODO_DATABASE_URL=url, **SETTINGS) as service:
        figures = while_the_schema_goes_back_and_forth(service, url)
    print(f"\nSQLite {sqlite3.sqlite_version}, down and up under this release: {figures}")  # noqa: T201  the figures, for -s

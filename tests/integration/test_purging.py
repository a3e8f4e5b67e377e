"""`todo purge`: what has expired of every user is removed, also of those who never write again."""

import itertools
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from servers.processes import free_port
from support.command import todo
from support.operating import over, url_for, walls
from support.sql_places import PostgresDatabases
from todo_adapters.sql import migrations
from todo_adapters.sql.purging import purge
from todo_adapters.sql.schema import SqlError
from todo_domain import Once, Resync, user_id
from todo_domain.changes import TOMBSTONES_KEPT
from todo_domain.retention import KEYS_KEPT
from todo_domain.trash import TRASH_KEPT

NOW = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)
USERS = [user_id(name) for name in ("ann", "Bob", "ünal", "日本 x")]
TABLES = ("trash", "idempotency_keys", "tombstones")


async def fill(tasks):
    """Give each user two deletions, one of them under a key, and a task."""
    for user in USERS:
        for number in range(2):
            made = await tasks.create(user, title="deleted", once=Once(f"{number}", b"x"))
            await tasks.delete(user, made.task.id)
        await tasks.create(user, title="kept")


@pytest.fixture
def filled(database):
    migrations.upgrade(database.url)
    over(database, fill, now=NOW)
    return database


@pytest.fixture
def filled_postgres(empty_postgres):
    migrations.upgrade(empty_postgres.url)
    over(empty_postgres, fill, now=NOW)
    return empty_postgres


def left(database):
    """How many rows there are of what can expire."""
    return [database.run(f"SELECT count(*) FROM {table}")[0][0] for table in TABLES]


ALL = 2 * len(USERS)


@pytest.mark.parametrize(
    ("later", "removed"),
    [
        (KEYS_KEPT - timedelta(microseconds=1), (0, 0, 0)),
        (KEYS_KEPT, (0, ALL, 0)),
        (TRASH_KEPT, (ALL, ALL, 0)),
        (TOMBSTONES_KEPT, (ALL, ALL, ALL)),
    ],
)
def test_what_has_expired_goes_and_nothing_else(filled, later, removed):
    before = filled.run("SELECT id, revision, task_count FROM users ORDER BY id")
    tasks = filled.run("SELECT * FROM tasks ORDER BY id")
    assert purge(filled.url, NOW + later, TRASH_KEPT) == (len(USERS), *removed)
    assert left(filled) == [ALL - each for each in removed]
    assert filled.run("SELECT id, revision, task_count FROM users ORDER BY id") == before
    assert filled.run("SELECT * FROM tasks ORDER BY id") == tasks
    assert purge(filled.url, NOW + later, TRASH_KEPT) == (len(USERS), 0, 0, 0)


def test_the_horizon_rises_over_what_is_forgotten(filled):
    whole = over(filled, lambda tasks: tasks.changes(USERS[0]), now=NOW)
    deletion = whole.revision - 1
    purge(filled.url, NOW + TOMBSTONES_KEPT, TRASH_KEPT)

    async def ask(tasks):
        assert (await tasks.changes(USERS[0])) == whole
        assert (await tasks.changes(USERS[0], since=deletion)).deleted == []
        with pytest.raises(Resync):
            await tasks.changes(USERS[0], since=deletion - 1)

    over(filled, ask, now=NOW)


def test_more_than_one_purge_removes_at_once_goes_too(filled):
    more = 600
    columns = "user_id, key, fingerprint, task_id, revision, created_at, number"
    filled.run(
        f"WITH RECURSIVE more (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more WHERE n < {more})"
        f" INSERT INTO idempotency_keys ({columns}) SELECT user_id, 'more ' || n, fingerprint, task_id,"
        " 100000000000000 + n, created_at, number FROM idempotency_keys, more WHERE user_id = 'ann' AND key = '0'"
    )
    assert purge(filled.url, NOW + KEYS_KEPT, TRASH_KEPT) == (len(USERS), 0, ALL + more, 0)
    assert left(filled) == [ALL, 0, ALL]


def test_without_a_trash_everything_in_it_goes(filled):
    assert purge(filled.url, NOW, timedelta(0)) == (len(USERS), ALL, 0, 0)


def test_the_command_says_what_it_removed_and_uses_the_direct_url(filled_postgres, tmp_path):
    gone = f"postgresql://u:p@127.0.0.1:{free_port()}/todo"
    filled_postgres.run("UPDATE idempotency_keys SET created_at = now() - interval '8 days'")
    settings = {"TODO_DATABASE_URL": gone, "TODO_DATABASE_DIRECT_URL": filled_postgres.url, "TODO_TRASH_DAYS": "0"}
    ran = todo("purge", cwd=tmp_path, **settings)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == f"purged: {ALL} tasks of the trash, {ALL} keys and 0 tombstones of {len(USERS)} users\n"


def test_what_is_in_the_way_is_one_sentence(database, tmp_path):
    database.run("SELECT 1")
    for url, sentence in {
        "memory:": "memory: has nothing to purge: name a file or a server in TODO_DATABASE_URL",
        f"sqlite:///{tmp_path}/none.db": "cannot be opened",
        f"postgresql://u:p@127.0.0.1:{free_port()}/todo": "cannot be reached",
        database.url: "run todo migrate",
    }.items():
        ran = todo("purge", cwd=tmp_path, TODO_DATABASE_URL=url)
        assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
        assert sentence in ran.stderr


def test_a_file_that_another_program_holds_is_said(sqlite_database, tmp_path):
    migrations.upgrade(sqlite_database.url)
    over(sqlite_database, fill, now=NOW)
    with closing(sqlite3.connect(tmp_path / "todo.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(SqlError, match="locked by another program"):
            purge(sqlite_database.url, NOW, TRASH_KEPT)


def test_the_service_goes_on_meanwhile(filled):
    """Writes and purges wait for each other; none fails, and each deletion is either told or forgotten."""
    over_, failures = threading.Event(), []

    def again():
        while not over_.is_set():
            try:
                purge(filled.url, NOW + KEYS_KEPT, timedelta(0))
            except Exception as error:  # noqa: BLE001  whatever it is, the test tells it
                failures.append(error)

    async def write(tasks):
        for number in range(40):
            made = [(await tasks.create(user, title="x", once=Once(f"more {number}", b"x"))).task for user in USERS]
            for task in made:
                await tasks.delete(task.user_id, task.id)

    purging = threading.Thread(target=again)
    purging.start()
    try:
        over(filled, write, now=NOW)
    finally:
        over_.set()
        purging.join()
    assert failures == []
    purge(filled.url, NOW + KEYS_KEPT, timedelta(0))
    assert left(filled) == [0, 0, ALL + 40 * len(USERS)]


def test_on_a_file_others_find_the_lock_free_half_of_the_time(sqlite_database, monkeypatch):
    """SQLite has no queue for its lock, so a writer would wait for as long as one transaction follows the other."""
    migrations.upgrade(sqlite_database.url)
    over(sqlite_database, fill, now=NOW)
    clock, pauses = itertools.count(), []
    monkeypatch.setattr("todo_adapters.sql.sqlite.commands.purging.monotonic", lambda: next(clock) * 7.0)
    monkeypatch.setattr("todo_adapters.sql.sqlite.commands.purging.sleep", pauses.append)
    assert purge(sqlite_database.url, NOW + KEYS_KEPT, TRASH_KEPT) == (len(USERS), 0, ALL, 0)
    assert pauses == [7.0] * len(USERS)


# Who may, on PostgreSQL


@pytest.mark.parametrize("role", [PostgresDatabases.OWNER, None], ids=["plain owner", "superuser"])
def test_owner_and_superuser_purge_and_the_wall_stands_as_before(filled_postgres, postgres_databases, role):
    url = url_for(postgres_databases, filled_postgres, role)
    before = walls(filled_postgres)
    assert before == [("users", True, True)]
    assert purge(url, NOW + KEYS_KEPT, TRASH_KEPT) == (len(USERS), 0, ALL, 0)
    assert walls(filled_postgres) == before
    if role is not None:
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM users").fetchone() == (0,)


def test_a_role_that_bypasses_the_wall_purges_once_it_is_granted_todo_app(
    filled_postgres, postgres_databases, bypassing
):
    url = url_for(postgres_databases, filled_postgres, bypassing)
    with pytest.raises(SqlError, match="owner of the tables, or as a role with BYPASSRLS"):
        purge(url, NOW + KEYS_KEPT, TRASH_KEPT)
    filled_postgres.run(f"GRANT todo_app TO {bypassing}")
    with psycopg.connect(filled_postgres.url) as reader:
        reader.execute("SELECT 1 FROM users")  # as a dump does, which would be in the way of an owner
        assert purge(url, NOW + KEYS_KEPT, TRASH_KEPT) == (len(USERS), 0, ALL, 0)
    assert left(filled_postgres) == [ALL, 0, ALL]


def test_the_login_of_the_service_may_not_and_changes_nothing(filled_postgres, postgres_databases):
    before = left(filled_postgres)
    with pytest.raises(SqlError, match="this login may not purge"):
        purge(url_for(postgres_databases, filled_postgres, PostgresDatabases.LOGIN), NOW + KEYS_KEPT, TRASH_KEPT)
    assert left(filled_postgres) == before


def test_an_owner_waits_briefly_for_a_long_reader_and_then_says_so(filled_postgres, postgres_databases, monkeypatch):
    monkeypatch.setattr("todo_adapters.sql.postgres.commands.purging._LOCK_TIMEOUT", 0.3)
    with psycopg.connect(filled_postgres.url) as reader:
        reader.execute("SELECT 1 FROM users")
        with pytest.raises(SqlError, match="the tables are in use"):
            purge(url_for(postgres_databases, filled_postgres, PostgresDatabases.OWNER), NOW + KEYS_KEPT, TRASH_KEPT)

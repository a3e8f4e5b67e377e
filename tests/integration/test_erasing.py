"""Erasing a user, by a look into the tables: what is left, what a failure leaves, and how long it takes."""

import asyncio
import json
import time

import psycopg
import pytest

from support.clock import FakeClock
from support.command import todo
from todo_adapters.http.protocol.transfers import TRANSFER_WITHIN
from todo_adapters.sql.migrations import upgrade
from todo_adapters.sql.postgres.commands import erasing as postgres_erasing
from todo_adapters.sql.postgres.connections import in_flight
from todo_domain import Deadline, Once, TaskService, Unavailable

TABLES = ("tasks", "tombstones", "trash", "idempotency_keys", "feeds")


@pytest.fixture
async def store(database):
    upgrade(database.url)
    store = database.store()
    await store.open()
    yield store
    await store.aclose()


def rows(database, table, owner):
    column = "id" if table == "users" else "user_id"
    return database.run(f"SELECT * FROM {table} WHERE {column} = '{owner}'")


async def fill(tasks, owner):
    for number in range(3):
        made = await tasks.create(owner, title="a secret", once=Once(f"key {number}", b"x"))
    await tasks.delete(owner, made.task.id)
    await tasks.make_feed(owner)


async def test_the_user_id_and_the_counter_are_all_that_is_left(database, store, ann, bob):
    tasks = TaskService(store, clock=FakeClock())
    for owner in (ann, bob):
        await fill(tasks, owner)
    before = {table: rows(database, table, bob) for table in ("users", *TABLES)}
    await tasks.erase(ann)
    assert {table: rows(database, table, ann) for table in TABLES} == {table: [] for table in TABLES}
    ((owner, revision, task_count, horizon, created_at),) = rows(database, "users", ann)
    assert (owner, revision, task_count, horizon) == (ann, 5, 0, 5)
    assert str(created_at).startswith("2026-01-01"), "the time of the first write is known still"
    assert {table: rows(database, table, bob) for table in ("users", *TABLES)} == before
    await tasks.erase("nobody has heard of me")
    assert rows(database, "users", "nobody has heard of me") == []


async def test_an_erasure_that_fails_in_the_middle_erases_nothing(database, store, ann):
    tasks = TaskService(store, clock=FakeClock())
    await fill(tasks, ann)
    before = {table: rows(database, table, ann) for table in ("users", *TABLES)}
    if "sqlite" in database.url:
        database.run("CREATE TRIGGER refuses BEFORE DELETE ON idempotency_keys BEGIN SELECT RAISE(ABORT, 'no'); END")
    else:
        database.run(
            "CREATE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;"
            "CREATE TRIGGER refuses BEFORE DELETE ON idempotency_keys FOR EACH ROW EXECUTE FUNCTION refuses()"
        )
    with pytest.raises(Unavailable, match="the log of the service has the reason"):
        await tasks.erase(ann)
    assert {table: rows(database, table, ann) for table in ("users", *TABLES)} == before


SERIES = {
    "sqlite": "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {most})",
    "postgres": "WITH series(n) AS (SELECT generate_series(1, {most}))",
}
FULL = {
    "tasks": """
        {series} INSERT INTO tasks
            (user_id, id, uid, title, title_key, description, description_key, revision, created_at, updated_at)
        SELECT '{owner}', n + 10, 'uid-0000-' || n, 'x', 'x', '{text}', '{text}', n + 10, '{now}', '{now}' FROM series
    """,
    "tombstones": """
        {series} INSERT INTO tombstones (user_id, task_id, uid, revision, deleted_at, number)
        SELECT '{owner}', n + 10010, 'uid-1111-' || n, n + 10010, '{now}', n FROM series
    """,
    "idempotency_keys": """
        {series} INSERT INTO idempotency_keys (user_id, key, fingerprint, task_id, revision, created_at, number)
        SELECT '{owner}', 'key ' || n, CAST('x' AS {bytes}), n, n, '{now}', n FROM series
    """,
}
BYTES = {"sqlite": "BLOB", "postgres": "bytea"}


async def test_a_user_with_all_there_can_be_is_erased_in_time(database, store, ann):
    """10,000 tasks, 100,000 tombstones and as many keys: 30 s are the most."""
    tasks = TaskService(store, clock=FakeClock())
    await tasks.create(ann, title="the first")
    engine = "sqlite" if "sqlite" in database.url else "postgres"
    for table, insert in FULL.items():
        series = SERIES[engine].format(most=9_999 if table == "tasks" else 100_000)
        said = {"owner": ann, "text": "x" * 300, "now": "2026-03-29T12:00:00.000000Z", "bytes": BYTES[engine]}
        database.run(insert.format(series=series, **said))
    database.run(f"UPDATE users SET revision = 200000, task_count = 10000 WHERE id = '{ann}'")
    begun = time.perf_counter()
    await tasks.erase(ann, deadline=Deadline.within(TRANSFER_WITHIN))
    took = time.perf_counter() - begun
    print(f"{engine}: 210,000 rows in {took:.2f} s")  # noqa: T201  the figure, for -s
    assert {table: rows(database, table, ann) for table in TABLES} == {table: [] for table in TABLES}


async def test_an_operator_erases_a_user_without_a_token(database, store, ann, bob, tmp_path):
    tasks = TaskService(store, clock=FakeClock())
    for owner in (ann, bob):
        await fill(tasks, owner)
    before = await tasks.counter(ann)
    settings = {"TODO_DATABASE_URL": database.url, "TODO_AUDIT_LOG": "audit.log"}
    ran = await asyncio.to_thread(todo, "erase", "--user", ann, cwd=tmp_path, **settings)
    assert (ran.returncode, ran.stdout) == (0, f"erased: all data of {ann!r} except the user id and the counter\n")
    assert {table: rows(database, table, ann) for table in TABLES} == {table: [] for table in TABLES}
    assert await tasks.counter(ann) == before + 1
    assert len((await tasks.list(bob)).tasks) == 2
    (line,) = map(json.loads, (tmp_path / "audit.log").read_text().splitlines())
    assert (line["event"], line["subject"]) == ("user_erased", ann)


@pytest.mark.usefixtures("store")
def test_an_operator_is_told_that_a_user_is_unknown_and_none_is_made(database, tmp_path):
    ran = todo("erase", "--user", "nobody", cwd=tmp_path, TODO_DATABASE_URL=database.url)
    assert ran.returncode == 1
    assert ran.stderr == "todo: 'nobody' has never written to this database: check the spelling of the user id\n"
    assert rows(database, "users", "nobody") == []


@pytest.mark.parametrize("table", ["users", "tasks", "feeds"])
async def test_an_operator_is_told_that_another_session_has_locked_a_table(
    migrated_postgres, ann, tmp_path, monkeypatch, table
):
    store = migrated_postgres.store()
    await TaskService(store).create(ann, title="not erased")
    await store.aclose()
    monkeypatch.setattr(postgres_erasing, "LOCK_TIMEOUT", "50ms")
    with psycopg.connect(migrated_postgres.url) as other:
        other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        ran = await asyncio.to_thread(
            todo, "erase", "--user", ann, cwd=tmp_path, TODO_DATABASE_URL=migrated_postgres.url
        )
    assert ran.returncode == 1
    says = f"todo: another session has locked {table}: end that session, or try again when it is done\n"
    assert ran.stderr == says
    assert len(rows(migrated_postgres, "tasks", ann)) == 1


async def test_an_erasure_may_take_longer_than_other_calls(migrated_postgres, ann, monkeypatch):
    store = migrated_postgres.store()
    tasks = TaskService(store, clock=FakeClock())
    await fill(tasks, ann)
    migrated_postgres.run(
        "CREATE FUNCTION takes_long() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END $$;"
        "CREATE TRIGGER takes_long AFTER DELETE ON tasks FOR EACH STATEMENT EXECUTE FUNCTION takes_long()"
    )
    monkeypatch.setattr(in_flight, "_SILENCE", 0.2)
    await tasks.erase(ann, deadline=Deadline.within(TRANSFER_WITHIN))
    assert rows(migrated_postgres, "tasks", ann) == []
    await store.aclose()

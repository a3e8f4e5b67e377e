"""`todo renew`: every counter and every id moves past what a restored backup has lost, whoever may do that."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from servers.processes import free_port
from support.command import todo
from support.operating import over, url_for, walls
from support.sql_places import PostgresDatabases
from todo_adapters.sql.postgres.commands.row_security import failures
from todo_adapters.sql.renewal import renew
from todo_adapters.sql.schema import IDS_SKIPPED, CannotRenewError
from todo_domain import Resync, Stale, user_id
from todo_domain.owner import COUNTERS_BEGIN, first_counter

NOW = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
USERS = [user_id(name) for name in ("ann", "bob", "eve")]


async def fill(tasks):
    """Give each of the users two tasks and a deletion, and return the last task of each."""
    last = []
    for user in USERS:
        made = [(await tasks.create(user, title=f"task {number}")).task for number in range(3)]
        await tasks.delete(user, made[0].id)
        last.append(made[-1])
    return last


@pytest.fixture
def filled(migrated):
    migrated.last = over(migrated, fill, now=NOW)
    return migrated


@pytest.fixture
def filled_postgres(migrated_postgres):
    migrated_postgres.last = over(migrated_postgres, fill, now=NOW)
    return migrated_postgres


def counters(database):
    return database.run("SELECT id, revision, horizon FROM users ORDER BY id")


def test_counters_and_horizons_are_now_and_nothing_from_before_fits(filled):
    counter = first_counter(LATER)
    assert counter == (LATER - COUNTERS_BEGIN) // timedelta(microseconds=1)
    before = counters(filled)
    assert renew(filled.url, counter) == (len(USERS), 0)
    assert counters(filled) == [(user, counter, counter) for user, _, _ in before]

    async def look(tasks):
        for user, (_, revision, _) in zip(USERS, before, strict=True):
            for known in (revision - 1, revision, revision + 5, counter - 1):
                with pytest.raises(Resync):
                    await tasks.changes(user, since=known)
            whole = await tasks.changes(user)
            assert len(whole.tasks) == 2
            assert whole.revision == counter
            assert (await tasks.changes(user, since=counter)).tasks == []
            assert (await tasks.create(user, title="new")).task.revision == counter + 1
            with pytest.raises(Stale):
                await tasks.edit(user, whole.tasks[0].id, if_match={whole.tasks[0].revision + 1}, title="x")

    over(filled, look, now=NOW)


def test_ids_go_on_far_behind_the_last_one(filled):
    renew(filled.url, first_counter(LATER))
    made = over(filled, lambda tasks: tasks.create(USERS[0], title="new"), now=NOW).task
    assert made.id > max(task.id for task in filled.last) + IDS_SKIPPED - 10


def test_a_counter_never_goes_backwards_and_a_slow_clock_is_said(filled):
    ahead = first_counter(LATER)
    filled.run(f"UPDATE users SET revision = {ahead}, horizon = {ahead} WHERE id = 'bob'")
    counter = first_counter(NOW + timedelta(minutes=1))
    assert renew(filled.url, counter) == (len(USERS), 1)
    assert counters(filled) == [("ann", counter, counter), ("bob", ahead, ahead), ("eve", counter, counter)]
    assert renew(filled.url, 0) == (len(USERS), len(USERS))  # a clock from before 2026
    assert counters(filled) == [("ann", counter, counter), ("bob", ahead, ahead), ("eve", counter, counter)]


def test_without_users_there_are_none_to_renew(migrated):
    assert renew(migrated.url, first_counter(LATER)) == (0, 0)


def test_an_empty_database_and_memory_are_said(database, tmp_path):
    database.run("SELECT 1")
    with pytest.raises(CannotRenewError, match="the database is not migrated"):
        renew(database.url, 1)
    for url, sentence in {
        "memory:": "memory: has no data to restore: name a file or a server in TODO_DATABASE_URL",
        f"sqlite:///{tmp_path}/none.db": "cannot be opened",
        f"postgresql://u:p@127.0.0.1:{free_port()}/todo": "cannot be reached",
    }.items():
        ran = todo("renew", cwd=tmp_path, TODO_DATABASE_URL=url)
        assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
        assert sentence in ran.stderr


def test_the_command_says_how_many_users_were_renewed_and_uses_the_direct_url(filled_postgres, tmp_path):
    gone = f"postgresql://u:p@127.0.0.1:{free_port()}/todo"
    ran = todo("renew", cwd=tmp_path, TODO_DATABASE_URL=gone, TODO_DATABASE_DIRECT_URL=filled_postgres.url)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("3 user(s) renewed: each device fetches its data anew")
    least = first_counter(datetime.now(UTC) - timedelta(minutes=5))
    assert all(revision == horizon > least for _, revision, horizon in counters(filled_postgres))


# Who may, on PostgreSQL


@pytest.mark.parametrize("role", [PostgresDatabases.OWNER, None], ids=["plain owner", "superuser"])
def test_owner_and_superuser_renew_and_the_wall_stands_as_before(filled_postgres, postgres_databases, role):
    url = url_for(postgres_databases, filled_postgres, role)
    before = walls(filled_postgres)
    assert before == [("users", True, True)]
    assert renew(url, first_counter(LATER)).users == len(USERS)
    assert walls(filled_postgres) == before
    if role is not None:
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT count(*) FROM users").fetchone() == (0,)


def test_a_role_that_bypasses_the_wall_renews_once_it_may_update(filled_postgres, postgres_databases, bypassing):
    url = url_for(postgres_databases, filled_postgres, bypassing)
    before = counters(filled_postgres)
    grants = [f"GRANT SELECT, UPDATE ON {each} TO {bypassing}" for each in ("users", "tasks_id_seq")]
    for grant in grants:
        with pytest.raises(CannotRenewError, match="owner of the tables, or as a role with BYPASSRLS"):
            renew(url, first_counter(LATER))
        assert counters(filled_postgres) == before
        filled_postgres.run(grant)
    assert renew(url, first_counter(LATER)).users == len(USERS)
    assert counters(filled_postgres) != before
    assert walls(filled_postgres) == [("users", True, True)]
    for grant in grants:
        filled_postgres.run(grant.replace("GRANT", "REVOKE").replace(" TO ", " FROM "))


def test_the_login_of_the_service_may_not_and_changes_nothing(filled_postgres, postgres_databases):
    before = counters(filled_postgres)
    with pytest.raises(CannotRenewError, match="this login may not renew"):
        renew(url_for(postgres_databases, filled_postgres, PostgresDatabases.LOGIN), first_counter(LATER))
    assert counters(filled_postgres) == before


def test_an_owner_who_lifted_the_wall_finds_it_lifted(filled_postgres):
    filled_postgres.run("ALTER TABLE users NO FORCE ROW LEVEL SECURITY")
    assert renew(filled_postgres.url, first_counter(LATER)).users == len(USERS)
    assert walls(filled_postgres) == [("users", True, False)]


def test_a_failure_half_way_leaves_counters_and_wall_as_they_were(filled_postgres):
    before = counters(filled_postgres)
    filled_postgres.run("ALTER TABLE users ADD CHECK (id <> 'eve' OR revision < 40000000000000) NOT VALID")
    with pytest.raises(psycopg.errors.CheckViolation):
        renew(filled_postgres.url, 40_000_000_000_000)
    assert counters(filled_postgres) == before
    assert walls(filled_postgres) == [("users", True, True)]


@pytest.mark.parametrize("role", [PostgresDatabases.OWNER, None], ids=["plain owner", "superuser"])
def test_a_writer_under_way_keeps_every_login_out_for_a_bounded_time(
    filled_postgres, postgres_databases, monkeypatch, role
):
    monkeypatch.setattr("todo_adapters.sql.postgres.commands.renewal._SETTINGS", "SET LOCAL lock_timeout = '50ms'")
    with psycopg.connect(filled_postgres.url) as holder:
        holder.execute("LOCK TABLE users IN ROW EXCLUSIVE MODE")  # as a write does
        with pytest.raises(CannotRenewError, match="stop the service"):
            renew(url_for(postgres_databases, filled_postgres, role), first_counter(LATER))


def test_an_error_that_a_coordinator_of_citus_reports_about_a_node_becomes_a_sentence():
    said = r"on Citus a node .*: stop the service, then run todo renew again"
    with pytest.raises(CannotRenewError, match=said), failures("todo renew", "not this login", CannotRenewError):
        raise psycopg.errors.InternalError_


def test_a_file_that_another_program_holds_is_said(migrated_sqlite, tmp_path):
    with closing(sqlite3.connect(tmp_path / "todo.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(CannotRenewError, match="locked by another program"):
            renew(migrated_sqlite.url, 1)

"""The schema's way up and down, on both engines, whoever else is there."""

import asyncio
import re
import sqlite3
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import psycopg
import pytest
import sqlalchemy as sa

from servers.citus import Coordinator
from servers.postgres import PostgresServer
from support.operating import over
from support.waiting import until
from todo_adapters.sql import migrations, schema
from todo_adapters.sql.postgres.commands import migration as postgres_migration
from todo_adapters.sql.schema import REVISIONS, UNRELEASED, MigrationError
from todo_adapters.sql.sqlite.commands import migration as sqlite_migration
from todo_adapters.sql.sqlite.store import SqliteTasks
from todo_adapters.sql.tables import DOMAINS, metadata, sqlite_metadata
from todo_domain import Priority, Unavailable, user_id

ANN = user_id("ann")
NEWEST = REVISIONS[-1]
NOW = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)

in_a_store = partial(over, now=NOW)


# Up and down


def test_the_revisions_are_those_of_the_folder():
    assert tuple(sorted(path.name[:4] for path in migrations.scripts().glob("versions/*.py"))) == REVISIONS
    assert schema.head() == REVISIONS[-1]


def test_an_empty_database_lacks_everything_and_looking_leaves_it_empty(database):
    assert migrations.pending(database.url) == list(REVISIONS)
    assert migrations.pending(database.url)
    assert migrations.current(database.url) == "base"
    assert database.run("SELECT 1") == [(1,)]
    assert migrations.pending(database.url) == list(REVISIONS)


def test_upgrading_goes_to_the_head_and_again_changes_nothing(database):
    assert migrations.upgrade(database.url) == schema.head()
    assert not migrations.pending(database.url)
    assert migrations.upgrade(database.url) == schema.head()


def test_a_database_that_is_further_stays_where_it_is(database, next_migration):
    assert migrations.upgrade(database.url) == next_migration
    assert migrations.upgrade(database.url, NEWEST) == next_migration


@pytest.mark.usefixtures("next_migration")
def test_every_step_up_and_down_can_be_taken_by_itself(database):
    for revision in schema.REVISIONS:
        assert migrations.upgrade(database.url, revision) == revision
    for revision in (*reversed(schema.REVISIONS[:-1]), "base"):
        assert migrations.downgrade(database.url, revision) == revision
        assert migrations.downgrade(database.url, revision) == revision
    assert migrations.pending(database.url) == list(schema.REVISIONS)


def test_moving_finds_the_direction_by_itself(database, next_migration):
    way = {NEWEST: NEWEST, "head": next_migration, "base": "base", next_migration: next_migration}
    for to in (NEWEST, "head", NEWEST, "base", next_migration):
        assert migrations.move(database.url, to).after == way[to]


@pytest.mark.parametrize("revision", UNRELEASED)
def test_a_database_of_an_unreleased_version_is_refused_in_one_sentence(migrated, revision):
    made = in_a_store(migrated, lambda tasks: tasks.create(ANN, title="kept"))
    migrated.run(f"UPDATE todo_alembic_version SET version_num = '{revision}'")
    for call in (
        migrations.current,
        migrations.pending,
        migrations.upgrade,
        lambda url: migrations.downgrade(url, "base"),
    ):
        with pytest.raises(MigrationError, match=r"made by an unreleased version, .* use an empty one$") as refused:
            call(migrated.url)
        assert "\n" not in str(refused.value)
    with pytest.raises(Unavailable, match="the schema is behind this release: run todo migrate"):
        in_a_store(migrated, lambda tasks: tasks._tasks.check())
    assert migrated.run("SELECT version_num FROM todo_alembic_version") == [(revision,)]
    assert migrated.run("SELECT id FROM tasks") == [(made.task.id,)]


def test_up_down_and_up_again_keeps_what_the_older_schema_can_hold(database, next_migration):
    assert migrations.upgrade(database.url) == next_migration

    async def fill(tasks):
        full = await tasks.create(
            ANN, title="Ärger", description="d", priority=Priority.HIGH, due_date=NOW.date(), tags=["a"], completed=True
        )
        plain = await tasks.create(ANN, title="plain")
        gone = await tasks.create(ANN, title="gone")
        await tasks.delete(ANN, gone.task.id)
        return full.task, plain.task

    full, plain = in_a_store(database, fill)
    migrations.downgrade(database.url, NEWEST)
    migrations.upgrade(database.url)

    changes = in_a_store(database, lambda tasks: tasks.changes(ANN))
    assert changes.tasks == [full, plain]
    assert changes.revision == plain.revision + 2
    assert [
        tombstone_row.revision
        for tombstone_row in in_a_store(database, lambda tasks: tasks.changes(ANN, since=full.revision)).deleted
    ] == [plain.revision + 2]
    later = in_a_store(database, lambda tasks: tasks.create(ANN, title="later"))
    assert later.task.revision == plain.revision + 3
    assert later.task.id > plain.id


def test_a_task_that_was_written_without_the_later_columns_has_the_defaults(migrated):
    migrated.run(
        "INSERT INTO users (id, revision, task_count, horizon, created_at) VALUES ('ann', 1, 1, 0, '2026-11-22')"
    )
    at = "2026-11-22T09:15:00.000000Z"
    migrated.run(
        "INSERT INTO tasks (user_id, id, title, title_key, revision, created_at, updated_at)"
        f" VALUES ('ann', 1, 'Old', 'old', 1, '{at}', '{at}')"
    )
    task = in_a_store(migrated, lambda tasks: tasks.get(ANN, 1))
    assert (task.priority, task.due_date, task.tags) == (Priority.NONE, None, ())
    assert task.created_at == NOW


def test_a_schema_that_is_ahead_is_left_alone(migrated):
    migrated.run("UPDATE todo_alembic_version SET version_num = '9999'")
    assert migrations.pending(migrated.url) == []
    assert migrations.upgrade(migrated.url) == "9999"
    in_a_store(migrated, lambda tasks: tasks._tasks.check())
    with pytest.raises(MigrationError, match="at 9999, from a newer release"):
        migrations.downgrade(migrated.url, NEWEST)
    assert schema.place(migrations.current(migrated.url)) == "at 9999, from a newer release"


async def test_a_file_that_another_process_has_locked_is_waited_for_and_the_log_says_so(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(sqlite_migration, "_NOTICE_MS", 10)
    path = tmp_path / "todo.db"
    migrations.upgrade(f"sqlite:///{path}")
    assert not caplog.records
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(asyncio.to_thread(migrations.upgrade, f"sqlite:///{path}"))
        await until(lambda: caplog.records)
        other.execute("ROLLBACK")
        await waiting
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} is locked by another process: waiting up to a minute"
    ]


@pytest.mark.usefixtures("next_migration")
def test_a_store_says_that_the_schema_is_behind(database):
    for sentence in ("missing|behind", "behind"):
        with pytest.raises(Exception, match=sentence):
            in_a_store(database, lambda tasks: tasks._tasks.check())
        migrations.upgrade(database.url, NEWEST)


def test_a_revision_that_does_not_exist_is_refused_and_the_choice_is_named(database):
    for function in (migrations.upgrade, migrations.downgrade, migrations.move):
        with pytest.raises(MigrationError, match=f"choose one of base, {', '.join(REVISIONS)}, head"):
            function(database.url, "0001")


# The schema


def described(index):
    """An index in words; its condition is an object that equals no other."""
    options = {name: str(option) for name, option in index.pop("dialect_options", {}).items()}
    return str(sorted((index | options).items()))


def added_later():
    """The columns that a migration adds to a table that is there."""
    return set(
        re.findall(
            r"^ALTER TABLE \w+ ADD COLUMN (\w+)", migrations.offline_sql("postgresql://nowhere/todo"), re.MULTILINE
        )
    )


def not_validated_yet():
    """The checks that the newest migration adds without a look at the rows; the next migration has to validate them."""
    newest = migrations.offline_sql("postgresql://nowhere/todo").rpartition("-- Running upgrade")[2]
    return set(re.findall(r"^ALTER TABLE \w+ ADD CONSTRAINT (\w+) .*NOT VALID;$", newest, re.MULTILINE))


def columns(url, **options):
    """What reflection tells of each table."""
    engine = sa.create_engine(url, poolclass=sa.NullPool, **options)
    seen, added = sa.inspect(engine), added_later()
    return {
        table: {
            "columns": {c["name"]: (plain(c["type"]), c["nullable"], c["default"]) for c in seen.get_columns(table)},
            "order": [
                c["name"] for c in seen.get_columns(table) if c["name"] not in added
            ],  # each added one is the last
            "key": seen.get_pk_constraint(table),
            "foreign keys": seen.get_foreign_keys(table),
            "indexes": sorted(map(described, seen.get_indexes(table))),
            "unique": seen.get_unique_constraints(table),
        }
        for table in seen.get_table_names()
        if table != "todo_alembic_version"
    }


def test_the_migrated_schema_is_the_declared_one_on_sqlite(sqlite_database, tmp_path):
    migrations.upgrade(sqlite_database.url)
    declared = f"sqlite:///{tmp_path}/declared.db"
    engine = sa.create_engine(declared, poolclass=sa.NullPool)
    for tables in (metadata, sqlite_metadata):
        tables.create_all(engine)
    assert columns(sqlite_database.url) == columns(declared)

    def details(path):
        with closing(sqlite3.connect(path)) as connection:
            texts = [" ".join(sql.split()) for (sql,) in connection.execute("SELECT sql FROM sqlite_master") if sql]
        texts = [text for text in texts if "todo_alembic_version" not in text]
        checks = sorted(re.findall(r"CONSTRAINT (\w+) CHECK \((.+?)\)(?:,| CONSTRAINT| \)|$)", "\n".join(texts)))
        return checks, sorted(text.split()[2] for text in texts if text.endswith("WITHOUT ROWID"))

    assert details(tmp_path / "todo.db") == details(tmp_path / "declared.db")


def plain(type_):
    """The type of a column, of a domain the one below it."""
    return str(getattr(type_, "data_type", type_)).partition(" COLLATE")[0]


def test_the_migrated_schema_is_the_declared_one_on_postgres(empty_postgres, postgres_databases):
    migrations.upgrade(empty_postgres.url)
    empty_postgres.run("CREATE SCHEMA declared")
    url = empty_postgres.url.replace("postgresql://", "postgresql+psycopg://").replace("todo_owner", "postgres")
    url = url.replace("not%20much%20of%20a%20secret", postgres_databases.server.password)
    in_it = {"connect_args": {"options": "-c search_path=declared"}}
    metadata.create_all(sa.create_engine(url, poolclass=sa.NullPool, **in_it))
    assert columns(url) == columns(url, **in_it)

    def checks(schema):
        """The checks of the tables, and those of the domains with the column in the place of the value."""
        tables = empty_postgres.run(
            "SELECT r.relname, pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid"
            f" WHERE r.relnamespace = '{schema}'::regnamespace AND c.contype = 'c'"
        )
        domains = empty_postgres.run(
            "SELECT r.relname, replace(pg_get_constraintdef(c.oid), 'VALUE', quote_ident(a.attname))"
            " FROM pg_constraint c JOIN pg_attribute a ON a.atttypid = c.contypid"
            " JOIN pg_class r ON r.oid = a.attrelid"
            f" WHERE r.relnamespace = '{schema}'::regnamespace AND r.relkind = 'r'"
        )
        return sorted(tables), sorted(domains)

    (of_several_columns, of_one_column), (declared, none) = checks("public"), checks("declared")
    assert none == []
    without_domain = [
        (table, check)
        for table, check in of_several_columns
        if table != "feeds" and not added_later() & set(re.findall(r"\w+", check))  # see tables.py and CONTRIBUTING.md
    ]
    assert without_domain == [("users", "CHECK (((horizon >= 0) AND (horizon <= (revision)::bigint)))")]
    of_several_columns = [
        (table, check.replace("(revision)::bigint", "revision").removesuffix(" NOT VALID"))
        for table, check in of_several_columns
    ]
    assert sorted(of_several_columns + of_one_column) == declared
    assert len(declared) > 10
    unchecked = {name for (name,) in empty_postgres.run("SELECT conname FROM pg_constraint WHERE NOT convalidated")}
    assert unchecked == not_validated_yet()
    domains = empty_postgres.run(
        "SELECT table_name || '.' || column_name, domain_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND domain_name IS NOT NULL"
    )
    assert dict(domains) == DOMAINS
    options = "SELECT relname, reloptions FROM pg_class WHERE relnamespace = '{}'::regnamespace AND relkind = 'r'"
    found, expected = [set(map(str, empty_postgres.run(options.format(schema)))) for schema in ("public", "declared")]
    assert expected <= found

    def collations(schema):
        return empty_postgres.run(
            "SELECT table_name, column_name, collation_name, is_identity, identity_generation"
            f" FROM information_schema.columns WHERE table_schema = '{schema}'"
            " AND table_name <> 'todo_alembic_version' AND table_name !~ '^citus_' ORDER BY 1, 2"  # views of Citus
        )

    assert collations("public") == collations("declared")


def test_row_level_security_is_forced_with_one_policy_on_every_table(migrated_postgres):
    walls = migrated_postgres.run(
        "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class"
        " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        " AND relname <> 'todo_alembic_version' ORDER BY 1"
    )
    assert walls == [(table, True, True) for table in sorted(metadata.tables)]
    policies = migrated_postgres.run(
        "SELECT tablename, cmd, permissive, roles, qual = with_check FROM pg_policies ORDER BY 1"
    )
    assert policies == [(table, "ALL", "PERMISSIVE", ["public"], True) for table in sorted(metadata.tables)]


def test_todo_app_owns_nothing_may_not_log_in_and_may_only_do_what_statements_do(migrated_postgres, postgres_databases):
    role = migrated_postgres.run(
        "SELECT rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication"
        " FROM pg_roles WHERE rolname = 'todo_app'"
    )
    on_citus = isinstance(postgres_databases.server, Coordinator)  # which connects to its nodes as this role
    assert role == [(on_citus, *(False,) * 5)]
    assert migrated_postgres.run("SELECT count(*) FROM pg_class WHERE relowner = 'todo_app'::regrole") == [(0,)]
    privileges = migrated_postgres.run(
        "SELECT table_name, string_agg(privilege_type, ' ' ORDER BY privilege_type)"
        " FROM information_schema.role_table_grants WHERE grantee = 'todo_app' GROUP BY 1 ORDER BY 1"
    )
    assert privileges == [
        ("feeds", "DELETE INSERT SELECT UPDATE"),
        ("idempotency_keys", "DELETE INSERT SELECT UPDATE"),
        ("tasks", "DELETE INSERT SELECT UPDATE"),
        ("todo_alembic_version", "SELECT"),
        ("tombstones", "DELETE INSERT SELECT"),
        ("trash", "DELETE INSERT SELECT"),
        ("users", "INSERT SELECT UPDATE"),
    ]


@pytest.mark.parametrize("through", [("head", "base")])
def test_the_printed_sql_does_the_same(database, through, tmp_path):
    to, since = through
    script = migrations.offline_sql(database.url, to, since)
    if database.url.startswith("sqlite"):
        with closing(sqlite3.connect(tmp_path / "todo.db")) as connection:
            connection.executescript(script)
    else:
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute(script)
    assert migrations.current(database.url) == schema.head()
    assert in_a_store(database, lambda tasks: tasks.create(ANN, title="x")).task.id == 1
    in_a_store(database, lambda tasks: tasks._tasks.check())


def test_the_printed_sql_can_lead_down(database, next_migration):
    assert "DROP COLUMN weight" in migrations.offline_sql(database.url, NEWEST, next_migration)
    assert "DROP TABLE tasks" in migrations.offline_sql(database.url, "base", NEWEST)


# Several at once; processes: tests/drills/test_migrations_at_once.py


@pytest.mark.usefixtures("next_migration")
def test_ten_at_once_on_data_make_one_copy(sqlite_database, tmp_path):
    migrations.upgrade(sqlite_database.url, NEWEST)
    sqlite_database.run("INSERT INTO users VALUES ('ann', 0, 0, 0, '')")
    threads = [threading.Thread(target=migrations.upgrade, args=[sqlite_database.url]) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not migrations.pending(sqlite_database.url)
    assert [path.name for path in tmp_path.glob("*.at-*")] == [f"todo.db.at-{NEWEST}"]


# What is left beside a SQLite file


def test_a_file_with_data_is_copied_first_and_the_copy_is_whole(sqlite_database, tmp_path, next_migration):
    migrations.upgrade(sqlite_database.url)
    made = in_a_store(sqlite_database, lambda tasks: tasks.create(ANN, title="kept", tags=["a"]))
    (tmp_path / "todo.db").chmod(0o600)
    migrations.downgrade(sqlite_database.url, NEWEST)

    copy = tmp_path / f"todo.db.at-{next_migration}"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert migrations.current(f"sqlite:///{copy}") == next_migration
    restored = replace(sqlite_database, url=f"sqlite:///{copy}", store=lambda: SqliteTasks(copy))
    assert in_a_store(restored, lambda tasks: tasks.get(ANN, made.task.id)) == made.task

    migrations.upgrade(sqlite_database.url)
    migrations.downgrade(sqlite_database.url, NEWEST)
    names = sorted(path.name for path in tmp_path.glob("*.at-*") if not path.name.endswith(("-wal", "-shm")))
    assert names == [f"todo.db.at-{revision}" for revision in (NEWEST, next_migration, f"{next_migration}.2")]


def test_a_file_without_data_is_not_copied(migrated_sqlite, tmp_path):
    migrations.downgrade(migrated_sqlite.url, "base")
    assert list(tmp_path.glob("*.at-*")) == []


@pytest.mark.usefixtures("next_migration")
def test_a_migration_that_fails_leaves_the_file_as_it_was(sqlite_database):
    migrations.upgrade(sqlite_database.url, NEWEST)
    sqlite_database.run("ALTER TABLE tasks ADD COLUMN height TEXT")  # in the way of the second step of the next
    before = sqlite_database.run("SELECT sql FROM sqlite_master")
    with pytest.raises(sa.exc.OperationalError):
        migrations.upgrade(sqlite_database.url)
    assert sqlite_database.run("SELECT sql FROM sqlite_master") == before
    assert migrations.current(sqlite_database.url) == NEWEST


# Beside those who use the database


@pytest.mark.usefixtures("next_migration")
def test_the_previous_release_goes_on_writing_and_reading_through_the_next_migration(empty_postgres):
    migrations.upgrade(empty_postgres.url, NEWEST)
    empty_postgres.run(
        "INSERT INTO users SELECT 'user-' || n, 100, 100, 0, now() FROM generate_series(1, 300) n;"
        "INSERT INTO tasks (user_id, title, title_key, revision, created_at, updated_at)"
        " SELECT 'user-' || n, 'Old', 'old', r, now(), now() FROM generate_series(1, 300) n, generate_series(1, 100) r"
    )
    done, pauses, failures = threading.Event(), [], []

    def use(statement):
        with psycopg.connect(empty_postgres.url, autocommit=True) as connection:
            while not done.is_set():
                began = time.monotonic()
                try:
                    connection.execute(statement)
                except psycopg.Error as error:
                    failures.append(error)
                pauses.append(time.monotonic() - began)

    context = "SELECT set_config('role', 'todo_app', true), set_config('todo.user_id', 'user-7', true);"
    writing = (
        "WITH turn AS (UPDATE users SET revision = revision + 1, task_count = task_count + 1 WHERE id = 'user-7'"
        " RETURNING revision) INSERT INTO tasks (user_id, title, title_key, revision, created_at, updated_at)"
        " SELECT 'user-7', 'New', 'new', revision, now(), now() FROM turn"
    )
    reading = (
        "SELECT id, title, revision FROM tasks WHERE user_id = 'user-7' ORDER BY created_at DESC, id DESC LIMIT 20"
    )
    users = [threading.Thread(target=use, args=[context + statement]) for statement in (writing, reading)]
    for user in users:
        user.start()
    time.sleep(0.2)
    migrations.upgrade(empty_postgres.url)
    time.sleep(0.2)
    done.set()
    for user in users:
        user.join()
    assert failures == []
    assert max(pauses) < 0.5
    assert empty_postgres.run("SELECT DISTINCT weight FROM tasks") == [(0,)]


@pytest.mark.usefixtures("next_migration")
def test_a_migration_waits_for_a_busy_table_without_holding_up_the_others(empty_postgres):
    migrations.upgrade(empty_postgres.url, NEWEST)
    with psycopg.connect(empty_postgres.url) as slow:
        slow.execute("SELECT count(*) FROM tasks")  # keeps its lock until it commits
        migration = threading.Thread(target=migrations.upgrade, args=[empty_postgres.url])
        migration.start()
        worst = 0.0
        with psycopg.connect(empty_postgres.url, autocommit=True) as reader:
            until = time.monotonic() + 1.5
            while time.monotonic() < until:
                began = time.monotonic()
                reader.execute("SELECT count(*) FROM tasks")
                worst = max(worst, time.monotonic() - began)
                time.sleep(0.01)
        assert migration.is_alive()
        assert worst < 0.5
        slow.commit()
    migration.join(timeout=10)
    assert not migrations.pending(empty_postgres.url)


def test_a_migration_that_was_broken_off_half_way_is_finished_by_the_next(empty_postgres, next_migration):
    migrations.upgrade(empty_postgres.url, NEWEST)
    not_validated = "SELECT count(*) FROM pg_constraint WHERE NOT convalidated"
    before = empty_postgres.run(not_validated)
    script = migrations.offline_sql(empty_postgres.url, next_migration, NEWEST)
    first_transaction = script[: script.index("COMMIT") + len("COMMIT")]
    with psycopg.connect(empty_postgres.url, autocommit=True) as connection:
        connection.execute(first_transaction)
    assert migrations.current(empty_postgres.url) == NEWEST
    assert migrations.upgrade(empty_postgres.url) == next_migration
    assert empty_postgres.run(not_validated) == before


def test_giving_up_on_another_migration_takes_a_bounded_time_and_says_so(empty_postgres, monkeypatch):
    monkeypatch.setattr(postgres_migration, "_TIMEOUT", 0.3)
    with psycopg.connect(empty_postgres.url) as other:
        other.execute("SELECT pg_advisory_lock(%s)", [postgres_migration._MIGRATION_LOCK])
        with pytest.raises(MigrationError, match="another migration has been running"):
            migrations.upgrade(empty_postgres.url)


@pytest.mark.usefixtures("next_migration")
def test_giving_up_on_a_busy_table_takes_a_bounded_time_and_says_so(empty_postgres, monkeypatch):
    migrations.upgrade(empty_postgres.url, NEWEST)
    monkeypatch.setattr(postgres_migration, "_TIMEOUT", 0.3)
    with psycopg.connect(empty_postgres.url) as other:
        other.execute("SELECT count(*) FROM tasks")
        with pytest.raises(MigrationError, match="in use for a minute"):
            migrations.upgrade(empty_postgres.url)


def test_while_another_session_locks_the_revision_reading_it_gives_up_and_says_so(empty_postgres, monkeypatch):
    migrations.upgrade(empty_postgres.url)
    monkeypatch.setattr(postgres_migration, "LOCK_TIMEOUT", "50ms")
    with psycopg.connect(empty_postgres.url) as other:
        other.execute(f"LOCK TABLE {schema.VERSION_TABLE} IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(MigrationError, match=f"another session has locked {schema.VERSION_TABLE}"):
            migrations.pending(empty_postgres.url)


def test_a_migration_waits_for_a_session_that_locks_the_revision(empty_postgres):
    migrations.upgrade(empty_postgres.url)
    with psycopg.connect(empty_postgres.url) as other:
        other.execute(f"LOCK TABLE {schema.VERSION_TABLE} IN ACCESS EXCLUSIVE MODE")
        ending = threading.Timer(1, other.rollback)  # five times as long as a migration waits for a lock at once
        ending.start()
        try:
            assert migrations.upgrade(empty_postgres.url) == migrations.current(empty_postgres.url)
        finally:
            ending.join()


def test_a_change_of_data_that_row_level_security_would_hide_is_an_error(empty_postgres):
    migrations.upgrade(empty_postgres.url)
    with pytest.raises(MigrationError, match="migrate as the owner"):
        postgres_migration.migrate(
            empty_postgres.url,
            lambda _: True,
            lambda connection: connection.exec_driver_sql("UPDATE tasks SET title = ''"),
        )


# What goes wrong


def test_what_is_wrong_with_the_way_to_postgres_is_one_sentence_without_the_password(empty_postgres):
    url, secret = empty_postgres.url, "not%20much%20of%20a%20secret"
    wrong = {
        url.replace(secret, "wrong-password"): "refuses this user or password",
        url.replace("todo_owner", "nobody-like-that"): "refuses this user or password",
        url.replace(f":{secret}", ""): "asks for a password",
        re.sub(r"/empty_\d+", "/nothing-here", url): "no such database",
        re.sub(r"@127.0.0.1:\d+", "@127.0.0.1:1", url): "cannot be reached",
        url.replace("127.0.0.1:", "[127.0.0.1:"): "cannot be understood",
        url.replace("postgresql", "mysql"): "must begin with",
    }
    for bad, sentence in wrong.items():
        for function in (migrations.upgrade, migrations.pending):
            with pytest.raises(MigrationError, match=sentence) as caught:
                function(bad)
            for part in ("wrong-password", secret, "not much", "127.0.0.1", "todo_owner", "\n"):
                assert part not in str(caught.value)


def test_a_file_that_is_no_database_is_one_sentence(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("no database at all " * 100)
    for function in (migrations.upgrade, migrations.pending):
        with pytest.raises(MigrationError, match="is not a database"):
            function(f"sqlite:///{path}")
    with pytest.raises(MigrationError, match="cannot be opened"):
        migrations.upgrade(f"sqlite:///{tmp_path}/missing/todo.db")


@pytest.fixture(scope="module")
def bare_server():
    """A server on which nobody has created the role yet."""
    with PostgresServer() as server:
        yield server


def test_a_login_that_may_not_create_roles_is_told_which_statement_an_administrator_must_run(bare_server):
    bare_server.create_role('own"er', "pw")
    bare_server.create_database("bare", owner='own"er')
    url = bare_server.url("bare", 'own"er', "pw")
    with pytest.raises(MigrationError, match="run CREATE ROLE todo_app NOLOGIN; GRANT todo_app TO") as first:
        migrations.upgrade(url)
    assert migrations.current(url) == "base"

    for statement in re.search(r"run (.+);$", str(first.value))[1].split("; "):
        bare_server.execute(statement)
    assert migrations.upgrade(url) == schema.head()


def test_a_login_that_may_not_become_todo_app_is_told_which_statement_an_administrator_must_run(bare_server):
    bare_server.create_role("second", "pw")
    bare_server.create_database("bare2", owner="second")
    if not bare_server.execute("SELECT 1 FROM pg_roles WHERE rolname = 'todo_app'"):
        bare_server.execute("CREATE ROLE todo_app NOLOGIN")
    url = bare_server.url("bare2", "second", "pw")
    with pytest.raises(MigrationError, match="run GRANT todo_app TO second") as refusal:
        migrations.upgrade(url)
    bare_server.execute(re.search(r"run (GRANT .+);$", str(refusal.value))[1])
    assert migrations.upgrade(url) == schema.head()


def test_a_role_that_would_bypass_the_wall_is_refused(bare_server):
    bare_server.create_database("bare3")
    if not bare_server.execute("SELECT 1 FROM pg_roles WHERE rolname = 'todo_app'"):
        bare_server.execute("CREATE ROLE todo_app NOLOGIN")
    bare_server.execute("ALTER ROLE todo_app BYPASSRLS")
    try:
        with pytest.raises(MigrationError, match="run ALTER ROLE todo_app NOSUPERUSER NOBYPASSRLS"):
            migrations.upgrade(bare_server.url("bare3"))
    finally:
        bare_server.execute("ALTER ROLE todo_app NOBYPASSRLS")


def test_a_login_that_owns_nothing_may_not_migrate(bare_server):
    bare_server.create_database("bare4")
    bare_server.create_role("guest", "pw")
    with pytest.raises(MigrationError, match=r"migrate as the owner|administrator"):
        migrations.upgrade(bare_server.url("bare4", "guest", "pw"))

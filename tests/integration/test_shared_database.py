"""A database that is not the service's alone: other programs' version tables, tables and schemas beside it."""

import asyncio
import threading

import pytest

from servers import pgbouncer
from servers.pgbouncer import PgBouncer
from servers.todo import Served
from support.command import todo
from support.sql_places import PostgresDatabases
from todo_adapters.sql import migrations, schema
from todo_adapters.sql.inventory import reserved_names
from todo_adapters.sql.schema import REVISIONS, UNRELEASED, MigrationError
from todo_adapters.sql.tables import DOMAINS, metadata
from todo_domain import TaskService, user_id

ANN = user_id("ann")
SECRET = "0123456789abcdef0123456789abcdef"
OTHERS = "CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)"


def create(database, title):
    """Create a task through a store over the database, and return it."""

    async def run():
        store = database.store()
        try:
            return (await TaskService(store).create(ANN, title=title)).task
        finally:
            await store.aclose()

    return asyncio.run(run())


# Version tables


@pytest.mark.parametrize("revisions", [["1a31ce608336"], ["0001"], ["0002"], ["one", "another"], []])
def test_another_programs_version_table_is_left_alone_and_the_schema_is_made_beside_it(database, revisions):
    database.run(OTHERS)
    for revision in revisions:
        database.run(f"INSERT INTO alembic_version VALUES ('{revision}')")
    assert migrations.pending(database.url) == list(REVISIONS)
    assert migrations.upgrade(database.url) == schema.head()
    assert not migrations.pending(database.url)
    assert create(database, "beside").title == "beside"
    assert database.run("SELECT version_num FROM alembic_version") == [(revision,) for revision in revisions]


@pytest.mark.parametrize("revision", UNRELEASED)
def test_tables_of_ours_beside_a_version_table_of_the_former_name_are_of_an_unreleased_version(migrated, revision):
    create(migrated, "kept")
    migrated.run("ALTER TABLE todo_alembic_version RENAME TO alembic_version")
    migrated.run(f"UPDATE alembic_version SET version_num = '{revision}'")
    for look in (migrations.current, migrations.pending, migrations.upgrade):
        with pytest.raises(MigrationError, match="made by an unreleased version"):
            look(migrated.url)
    assert migrated.run("SELECT title FROM tasks") == [("kept",)]


def test_a_version_table_beside_tables_of_the_same_names_is_not_taken_for_ours(database):
    database.run(OTHERS)
    database.run("INSERT INTO alembic_version VALUES ('0002')")
    for table in metadata.tables:
        database.run(f"CREATE TABLE {table} (id integer, user_id integer)")
    assert migrations.current(database.url) == "base"
    with pytest.raises(MigrationError, match="has another program's"):
        migrations.upgrade(database.url)
    assert database.run("SELECT version_num FROM alembic_version") == [("0002",)]


# Tables


def test_a_name_that_another_program_has_taken_is_said_in_one_sentence_and_nothing_is_made(database):
    for name in reserved_names():
        database.run(f"CREATE TABLE {name} (theirs integer)")
        with pytest.raises(MigrationError, match=f"has another program's {name}: give todo") as refused:
            migrations.upgrade(database.url)
        assert "\n" not in str(refused.value)
        assert migrations.pending(database.url) == list(REVISIONS)
        assert database.run(f"SELECT * FROM {name}") == []
        database.run(f"DROP TABLE {name}")
    assert migrations.upgrade(database.url) == schema.head()


def test_doctor_says_of_another_programs_database_what_migrate_says(database, tmp_path):
    database.run("CREATE TABLE tasks (theirs integer)")
    with pytest.raises(MigrationError, match="has another program's tasks: give todo") as refused:
        migrations.upgrade(database.url)
    ran = todo("doctor", cwd=tmp_path, TODO_DATABASE_URL=database.url, TODO_JWT_SECRET=SECRET)
    assert ran.returncode == 1
    assert f"FAIL  schema: {refused.value}\n" in ran.stdout
    assert "not migrated" not in ran.stdout
    assert database.run("SELECT * FROM tasks") == []


def test_sqlite_compares_names_without_case_and_so_does_the_refusal(sqlite_database):
    sqlite_database.run("CREATE TABLE Users (theirs integer)")
    with pytest.raises(MigrationError, match="has another program's Users"):
        migrations.upgrade(sqlite_database.url)


def test_a_type_of_one_of_our_names_is_said_too(empty_postgres):
    for name in ("tasks", *DOMAINS.values()):
        empty_postgres.run(f"CREATE TYPE {name} AS ENUM ('a')")
        with pytest.raises(MigrationError, match=f"the schema public has another program's {name}"):
            migrations.upgrade(empty_postgres.url)
        empty_postgres.run(f"DROP TYPE {name}")
    assert migrations.upgrade(empty_postgres.url) == schema.head()


@pytest.mark.parametrize("table", metadata.tables)
def test_a_missing_table_is_named_instead_of_saying_that_there_is_nothing_to_do(migrated, table):
    migrated.run(f"DROP TABLE {table}" + (" CASCADE" if migrated.url.startswith("postgres") else ""))
    for look in (migrations.current, migrations.pending, migrations.upgrade):
        with pytest.raises(MigrationError, match=f"is marked as at {schema.head()}, but it lacks {table}"):
            look(migrated.url)


def test_a_missing_column_is_named(migrated):
    migrated.run("ALTER TABLE tasks DROP COLUMN due_date")
    with pytest.raises(MigrationError, match=r"lacks tasks\.due_date"):
        migrations.upgrade(migrated.url)


def test_several_first_starts_at_once_note_one_migration(database):
    moved = []
    threads = [threading.Thread(target=lambda: moved.append(migrations.move(database.url))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert sorted(moved) == [(schema.head(), schema.head())] * 3 + [("base", schema.head())]


# A schema of one's own


def test_a_search_path_without_any_schema_is_said(empty_postgres):
    with pytest.raises(MigrationError, match="search_path names no schema that exists"):
        migrations.upgrade(f"{empty_postgres.url}?options=-csearch_path%3Dnowhere")


def test_a_table_that_hides_ours_is_said(empty_postgres, tmp_path):
    empty_postgres.run("CREATE SCHEMA todo AUTHORIZATION todo_owner")
    migrations.upgrade(f"{empty_postgres.url}?options=-csearch_path%3Dtodo")
    empty_postgres.run("CREATE TABLE public.users (theirs integer)")
    hidden = f"{empty_postgres.url}?options=-csearch_path%3Dpublic,todo"
    for look in (migrations.current, migrations.upgrade):
        with pytest.raises(MigrationError, match="the table users of another schema hides todo's"):
            look(hidden)
    ran = todo("doctor", cwd=tmp_path, TODO_DATABASE_URL=hidden, TODO_JWT_SECRET=SECRET)
    assert ran.returncode == 1
    assert "hides todo's" in ran.stdout


def test_a_schema_that_only_the_owner_finds_is_said(empty_postgres):
    empty_postgres.run("CREATE SCHEMA todo_owner AUTHORIZATION todo_owner")  # which "$user" finds, as todo_owner alone
    with pytest.raises(MigrationError, match="todo_app does not find the tables"):
        migrations.upgrade(empty_postgres.url)


@pytest.fixture
def shared(postgres_databases):
    """A database in which another program has its tables, of our names, and its version table."""
    server = postgres_databases.server
    server.create_database("shared", owner=PostgresDatabases.OWNER)
    for statement in (OTHERS, "INSERT INTO alembic_version VALUES ('0002')", "CREATE TABLE users (theirs integer)"):
        server.execute(statement, database="shared")
    yield "shared"
    server.drop_database("shared")


RECIPE = (
    "CREATE SCHEMA todo AUTHORIZATION todo_owner",
    "ALTER ROLE todo_owner IN DATABASE shared SET search_path = todo",
    "ALTER ROLE todo_login IN DATABASE shared SET search_path = todo",
)


@pytest.mark.parametrize("way", ["url", "roles", "pooler"])
def test_a_schema_of_ones_own_in_a_database_of_others(tmp_path, postgres_databases, shared, way):
    server = postgres_databases.server
    owner = postgres_databases.url(shared, PostgresDatabases.OWNER)
    login = postgres_databases.url(shared)
    if way == "url":
        server.execute(RECIPE[0], database=shared)
        owner, login = (f"{url}?options=-csearch_path%3Dtodo" for url in (owner, login))
    else:
        for statement in RECIPE:
            server.execute(statement, database=shared)
    settings = {"TODO_JWT_SECRET": SECRET, "TODO_DATABASE_URL": login}
    migrated = todo("migrate", cwd=tmp_path, **settings | {"TODO_DATABASE_URL": owner})
    assert migrated.returncode == 0, migrated.stderr
    if way == "pooler":
        pgbouncer.require()
        logins = {PostgresDatabases.LOGIN: PostgresDatabases.PASSWORD}
        with PgBouncer(server, shared, pool_size=2, logins=logins) as pooler:
            serve_and_create(tmp_path, settings | {"TODO_DATABASE_URL": pooler.url(PostgresDatabases.LOGIN)})
    else:
        serve_and_create(tmp_path, settings)
    assert server.execute("SELECT title FROM todo.tasks", database=shared) == [("mine",)]
    assert server.execute("SELECT version_num FROM public.alembic_version", database=shared) == [("0002",)]


def serve_and_create(tmp_path, settings):
    ran = todo("doctor", cwd=tmp_path, **settings)
    assert ran.returncode == 0, ran.stdout
    with Served(tmp_path, **settings) as served:
        made = served.request("POST", "/api/me/tasks", served.token("ann"), {"title": "mine"})
        assert made.status == 201

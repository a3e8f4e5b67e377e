"""What an administrator has set for a login or a database: the service works with it or names it, and never breaks."""

import asyncio
from contextlib import aclosing, contextmanager
from datetime import date
from itertools import count

import pytest
from psycopg import sql

from servers import pgbouncer
from servers.pgbouncer import PgBouncer
from support.command import todo
from support.sql_places import PostgresDatabases
from todo_adapters.sql.migrations import upgrade
from todo_adapters.sql.postgres.store import PostgresTasks
from todo_adapters.sql.schema import MigrationError
from todo_domain import Query, TaskService, Unavailable, user_id
from todo_domain.text import fold

LOGIN = PostgresDatabases.LOGIN
_users = count(1)

READ_ONLY = "read-only"
SETTINGS = {
    # setting and value: what is said of it on a connection of our own, and through a pooler; None where it works
    ("DateStyle", "German"): (None, None),
    ("DateStyle", "SQL, DMY"): (None, None),
    ("DateStyle", "Postgres, YMD"): (None, None),
    ("IntervalStyle", "sql_standard"): (None, None),
    ("TimeZone", "Asia/Kathmandu"): (None, None),
    ("standard_conforming_strings", "off"): (None, None),
    ("bytea_output", "escape"): (None, None),
    ("row_security", "off"): (None, "row_security is off"),
    ("default_transaction_isolation", "serializable"): (None, "not read committed"),
    ("default_transaction_isolation", "repeatable read"): (None, "not read committed"),
    ("default_transaction_read_only", "on"): (READ_ONLY, READ_ONLY),
    ("search_path", "nowhere"): ("schema is missing", "schema is missing"),
    ("lock_timeout", "1"): (None, None),
    ("exit_on_error", "on"): (None, "connection to the database broke"),
    ("extra_float_digits", "-15"): (None, None),
}


async def use(url):
    """Check a store, do what requests do, and prove its walls; return what was said of it, each as a sentence."""
    ann, said = user_id(f"ann-{next(_users)}"), []

    async def work(store):
        tasks = TaskService(store)
        made = (await tasks.create(ann, title="日本 \\ ' é", tags=["a\\b", "ü"], due_date=date(2026, 12, 24))).task
        assert await tasks.get(ann, made.id) == made
        assert (await store.page(ann, Query(text=fold("日本")), unless=None)).tasks == [made]
        edited = await tasks.edit(ann, made.id, description="'\\", completed=True)
        assert (await tasks.changes(ann, since=made.revision)).tasks == [edited]
        await tasks.delete(ann, made.id)
        assert len((await tasks.changes(ann, since=made.revision)).deleted) == 1

    async with aclosing(PostgresTasks(url, pool_size=3)) as store:
        for step in (store.check, lambda: work(store), store.prove_isolation):
            try:
                await step()
            except Unavailable as problem:
                said.append(str(problem))
    return said


@contextmanager
def setting(server, database, *pairs):
    """Settings of the login in a database, for as long as the block lasts."""
    statement = "ALTER ROLE {} IN DATABASE {} SET {} = {}"
    for name, value in pairs:
        names = map(sql.Identifier, (LOGIN, database, name))
        server.execute(sql.SQL(statement).format(*names, sql.SQL(value) if name == "search_path" else value))
    try:
        yield
    finally:
        server.execute(f"ALTER ROLE {LOGIN} IN DATABASE {database} RESET ALL")


@pytest.fixture
def through(postgres_databases, postgres_database):
    """The URL of the database, by a connection of our own or through a pooler that is started after the settings."""

    @contextmanager
    def way(name, mode="transaction"):
        if name == "direct":
            yield postgres_databases.url(postgres_database)
            return
        pgbouncer.require()
        logins = {LOGIN: PostgresDatabases.PASSWORD}
        server = postgres_databases.server
        with PgBouncer(server, postgres_database, pool_size=3, pool_mode=mode, logins=logins) as pooler:
            yield pooler.url(LOGIN)

    return way


@pytest.mark.parametrize("way", ["direct", "pooler"])
@pytest.mark.parametrize(("name", "value"), SETTINGS)
def test_a_setting_of_the_login_works_or_is_named(postgres_databases, postgres_database, through, name, value, way):
    expected = SETTINGS[name, value][way == "pooler"]
    with setting(postgres_databases.server, postgres_database, (name, value)), through(way) as url:
        said = asyncio.run(use(url))
    if expected is None:
        assert said == []
    else:
        assert expected in said[0]


def test_every_other_setting_of_two_or_a_few_values_leaves_the_service_working(postgres_databases, postgres_database):
    found = postgres_databases.server.execute(
        "SELECT name, CASE WHEN vartype = 'enum' THEN enumvals ELSE ARRAY['on', 'off'] END, setting FROM pg_settings"
        " WHERE context IN ('user', 'superuser') AND vartype IN ('bool', 'enum')"
        " AND name !~ '^(log_|transaction_|is_superuser)' ORDER BY name"
    )
    skipped = {name for name, _ in SETTINGS}
    values = {name: [value for value in all_ if value != now] for name, all_, now in found if name not in skipped}
    assert len(values) > 50
    for turn in range(max(map(len, values.values()))):
        pairs = [(name, others[turn % len(others)]) for name, others in values.items() if others]
        with setting(postgres_databases.server, postgres_database, *pairs):
            assert asyncio.run(use(postgres_databases.url(postgres_database))) == []


@pytest.mark.parametrize("name", ["statement_timeout", "lock_timeout", "transaction_timeout", "idle_session_timeout"])
@pytest.mark.parametrize("way", ["direct", "pooler"])
def test_a_tiny_timeout_works_or_is_named(postgres_databases, postgres_database, through, name, way):
    server = postgres_databases.server
    if not server.execute("SELECT 1 FROM pg_settings WHERE name = %(name)s", {"name": name}):
        pytest.skip(f"PostgreSQL {server.major} has no {name}")
    with setting(server, postgres_database, (name, "1")), through(way) as url:
        said = asyncio.run(use(url))
    # Whether a server is done within a millisecond is chance.
    known = (
        "reset statement_timeout",
        "raise idle_session_timeout",
        "too long to answer",
        "cannot be reached",
        "broke",
    )
    assert all(any(part in sentence for part in known) for sentence in said)


@pytest.fixture(params=["LATIN1", "SQL_ASCII"])
def narrow(request, postgres_databases):
    """A migrated database of another encoding, which todo migrate would have refused."""
    server = postgres_databases.server
    provider = "LOCALE_PROVIDER libc" if server.major >= 15 else ""
    server.execute(
        f"CREATE DATABASE narrow TEMPLATE template0 ENCODING '{request.param}' {provider} LOCALE 'C'"
        f" OWNER {PostgresDatabases.OWNER}"
    )
    yield postgres_databases.url("narrow", PostgresDatabases.OWNER)
    server.drop_database("narrow")


def test_an_encoding_that_cannot_hold_every_text_is_named_before_anything_is_made(narrow, monkeypatch, tmp_path):
    with pytest.raises(MigrationError, match="create it with the encoding UTF8"):
        upgrade(narrow)
    assert "the database is not migrated yet" in todo("doctor", cwd=tmp_path, TODO_DATABASE_URL=narrow).stdout
    monkeypatch.setattr("todo_adapters.sql.postgres.commands.migration._require_schema", lambda _: None)
    upgrade(narrow)
    said = asyncio.run(use(narrow))
    assert len(said) == 3
    assert all("create it with the encoding UTF8" in sentence for sentence in said)
    assert "create it with the encoding UTF8" in todo("doctor", cwd=tmp_path, TODO_DATABASE_URL=narrow).stdout


def test_a_pooler_in_statement_mode_breaks_no_request_and_is_named_by_every_command(through, tmp_path):
    with through("pooler", "statement") as url:
        assert asyncio.run(use(url)) == []
        for command in ("doctor", "migrate", "serve"):
            ran = todo(command, cwd=tmp_path, TODO_DATABASE_URL=url, TODO_JWT_SECRET="s" * 40)
            assert ran.returncode == 1
            assert "transaction blocks not allowed in statement pooling mode" in ran.stdout + ran.stderr


def test_a_privilege_that_is_missing_is_unavailable_and_doctor_is_named(postgres_databases, postgres_database):
    postgres_databases.server.execute("REVOKE INSERT ON tasks FROM todo_app", database=postgres_database)
    try:
        said = asyncio.run(use(postgres_databases.url(postgres_database)))
    finally:
        postgres_databases.server.execute("GRANT INSERT ON tasks TO todo_app", database=postgres_database)
    assert said[:1] == ["the database refuses a statement of the service: run todo doctor"]

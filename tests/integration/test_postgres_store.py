"""What is PostgreSQL's own: the wall that row-level security is, connections that break, and a pool that does not."""

import asyncio
import random
import re
import time
from contextlib import aclosing
from datetime import UTC, datetime

import psycopg
import pytest
import sqlalchemy as sa

from servers.delay import DelayProxy
from servers.postgres import PostgresServer
from servers.processes import free_port
from support.clock import FakeClock
from support.sql_places import PostgresDatabases
from support.waiting import refusal, until, until_locked_out
from todo_adapters.sql.migrations import upgrade
from todo_adapters.sql.postgres import calls as postgres
from todo_adapters.sql.postgres.statements import writes
from todo_adapters.sql.postgres.statements.transaction import Transaction
from todo_adapters.sql.postgres.store import PostgresTasks
from todo_adapters.sql.task_columns import columns
from todo_adapters.sql.values import POSTGRESQL_FORMS
from todo_domain import NotFound, Once, Query, Stale, TaskService, Unavailable, UserId
from todo_domain.deadline import RESPOND_WITHIN
from todo_domain.task import new_task

NOW = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)
OUR_LOCKS = int.from_bytes(b"todo", "big")
LOGINS = ["owner", "superuser", "least privileged"]


def url_of(databases, database, login="least privileged"):
    match login:
        case "owner":
            return databases.url(database, PostgresDatabases.OWNER)
        case "superuser":
            return databases.server.url(database)
        case _:
            return databases.url(database)


@pytest.fixture
def administrator(postgres_server, postgres_database):
    """A connection of the superuser's to the database, in autocommit mode."""
    with psycopg.connect(postgres_server.url(postgres_database), autocommit=True) as connection:
        yield connection


@pytest.fixture
def url(postgres_databases, postgres_database):
    return url_of(postgres_databases, postgres_database)


@pytest.fixture
async def store(url):
    async with aclosing(PostgresTasks(url)) as opened:
        yield opened


@pytest.fixture
def tasks(store):
    return TaskService(store, clock=FakeClock())


@pytest.fixture
def throwaway(postgres_databases):
    """The name of a migrated database that a test may break."""
    with postgres_databases.another() as name:
        yield name


@pytest.fixture(scope="module")
def own_server():
    """A server that a test may freeze, kill and restart, with a migrated database `todo` on it."""
    with PostgresServer() as server:
        server.create_database("todo")
        upgrade(server.url("todo"))
        yield server


# The wall


@pytest.mark.parametrize("login", LOGINS)
async def test_without_any_condition_a_user_sees_and_changes_only_their_own_rows(
    postgres_databases, postgres_database, login, ann, bob
):
    async with aclosing(PostgresTasks(url_of(postgres_databases, postgres_database, login))) as store:
        tasks = TaskService(store, clock=FakeClock())
        mine = (await tasks.create(ann, title="mine")).task
        theirs = (await tasks.create(bob, title="theirs")).task
        doomed = (await tasks.create(bob, title="doomed")).task
        await tasks.delete(bob, doomed.id)

        for table in ("users", "tasks", "tombstones", "trash", "idempotency_keys", "feeds"):
            owner = "id" if table == "users" else "user_id"
            rows = (await store._client.run(Transaction(sa.text(f"SELECT {owner} FROM {table}")), {"owner": ann}))[0]
            assert rows in ([], [(ann,)])
            assert (await store._client.run(Transaction(sa.text(f"SELECT count(*) FROM {table}")), {"owner": ""}))[
                0
            ] == [(0,)]
        changed = sa.text("UPDATE tasks SET title = 'stolen' WHERE id = :theirs OR id = :mine RETURNING id")
        ids = {"theirs": theirs.id, "mine": mine.id}
        assert await store._client.run(Transaction(changed, writes=True), {"owner": ann, **ids}) == [[(mine.id,)]]
        gone = sa.text("DELETE FROM tasks WHERE id = :theirs RETURNING id")
        assert await store._client.run(Transaction(gone, writes=True), {"owner": ann, **ids}) == [[]]
        moved = sa.text("UPDATE tasks SET user_id = :bob WHERE id = :mine")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await store._client.run(Transaction(moved, writes=True), {"owner": ann, "bob": bob, **ids})
        for statement in (writes.create, writes.provision):
            # The context is ann's, the statement speaks of bob.
            forged = Transaction(statement, writes=True)
            forged.parameters = (*forged.parameters, "victim")
            context, said = forged.statements
            owner, victim = forged.parameters.index("owner"), forged.parameters.index("victim")
            forged.statements = (
                context,
                said._replace(
                    parameter_indexes=tuple(victim if place == owner else place for place in said.parameter_indexes)
                ),
            )
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await store._client.run(forged, {"owner": ann, "victim": bob, **_a_task()})
        assert await tasks.get(bob, theirs.id) == theirs
        assert (await tasks.list(bob)).revision == 3


def _a_task():
    draft = new_task({"title": "x"}, id=0, owner=UserId("ann"), revision=0, now=NOW)
    return {"now": NOW, "begins": 0, "quota": 9, **columns(draft, POSTGRESQL_FORMS)}


async def test_nothing_of_a_user_is_left_on_a_connection(url, ann):
    async with aclosing(PostgresTasks(url, pool_size=3)) as store:
        await TaskService(store, clock=FakeClock()).create(ann, title="x")
        with pytest.raises(psycopg.errors.DivisionByZero):
            await store._client.run(Transaction(sa.text("SELECT 1 / 0")), {"owner": ann})
        _, connection = await store._client._reads.take()
        settings = "coalesce(current_setting('todo.user_id', true), ''), current_setting('statement_timeout')"
        connection._pg.exit_pipeline_mode()
        row = await (await connection._connection.execute(f"SELECT current_user, {settings}")).fetchone()
        connection._pg.enter_pipeline_mode()
        assert row == (PostgresDatabases.LOGIN, "", "0")


BREAKAGES = {
    "ALTER TABLE tasks DISABLE ROW LEVEL SECURITY": "row-level security is not in force",
    "CREATE POLICY everybody ON tombstones USING (true)": None,
    "ALTER ROLE todo_app BYPASSRLS": "row-level security is not in force",
    "UPDATE todo_alembic_version SET version_num = '0001'": "the schema is behind this release: run todo migrate",
    "DELETE FROM todo_alembic_version": "the schema is behind this release: run todo migrate",
    "DROP TABLE todo_alembic_version": "run todo migrate",
    "DROP TABLE trash": "run todo migrate",
    "DROP TABLE feeds": "run todo migrate",
    "ALTER TABLE trash NO FORCE ROW LEVEL SECURITY; ALTER TABLE trash DISABLE ROW LEVEL SECURITY": "not in force",
    "DROP TABLE tombstones CASCADE": "run todo migrate",
    "REVOKE ALL ON tasks FROM todo_app": "may not act as todo_app",
    "REVOKE todo_app FROM todo_login": "may not act as todo_app",
    "ALTER DATABASE {0} SET default_transaction_read_only = on": "read-only",
    "CREATE SCHEMA other; CREATE TABLE other.users (); GRANT USAGE ON SCHEMA other TO todo_app;"
    "ALTER DATABASE {0} SET search_path = other, public": "a table of another schema hides todo's",
}
REPAIRS = {
    "ALTER ROLE todo_app BYPASSRLS": "ALTER ROLE todo_app NOBYPASSRLS",
    "REVOKE todo_app FROM todo_login": "GRANT todo_app TO todo_login",
}


@pytest.mark.parametrize("breakage", BREAKAGES)
async def test_the_check_says_what_is_wrong_and_what_to_do(postgres_databases, throwaway, breakage):
    server, sentence = postgres_databases.server, BREAKAGES[breakage]
    if "tombstones" in breakage and sentence is None:
        # Only rows that are there can be seen.
        server.execute("INSERT INTO users VALUES ('ann', 1, 0, 0, now())", database=throwaway)
        server.execute("INSERT INTO tombstones VALUES ('ann', 1, 1, now(), 1)", database=throwaway)
        sentence = "row-level security is not in force"
    server.execute(breakage.format(throwaway), database=throwaway)
    try:
        async with aclosing(PostgresTasks(postgres_databases.url(throwaway))) as store:
            error, _ = await refusal(store.check())
            assert sentence in str(error)
            assert not error.outcome_unknown
    finally:
        if breakage in REPAIRS:
            server.execute(REPAIRS[breakage])


@pytest.mark.parametrize("table", ["users", "tasks", "tombstones", "trash", "idempotency_keys", "feeds"])
async def test_the_proof_finds_a_wall_that_lets_writes_in(postgres_databases, throwaway, table):
    server = postgres_databases.server
    async with aclosing(PostgresTasks(postgres_databases.url(throwaway))) as store:
        server.execute("INSERT INTO users VALUES ('ann', 1, 0, 0, now())", database=throwaway)
        server.execute(f"CREATE POLICY everybody ON {table} FOR INSERT WITH CHECK (true)", database=throwaway)
        error, _ = await refusal(store.prove_isolation())
        assert "a write to another user's row succeeded" in str(error)
    assert server.execute("SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM tasks)", database=throwaway) == [
        (1, 0)
    ]


async def test_a_missing_role_and_an_empty_database_are_told_apart():
    with PostgresServer() as server:
        server.create_database("empty")
        async with aclosing(PostgresTasks(server.url("empty"))) as store:
            error, _ = await refusal(store.check())
            assert "todo_app is missing: run todo migrate" in str(error)
        upgrade(server.url())
        async with aclosing(PostgresTasks(server.url("empty"))) as store:
            error, _ = await refusal(store.check())
            assert "schema is missing or behind" in str(error)


async def test_a_schema_that_is_ahead_passes_the_check(postgres_databases, throwaway):
    postgres_databases.server.execute("UPDATE todo_alembic_version SET version_num = '9999'", database=throwaway)
    async with aclosing(PostgresTasks(postgres_databases.url(throwaway))) as store:
        await store.check()


async def test_times_are_utc_whatever_the_servers_time_zone(postgres_databases, throwaway, ann):
    postgres_databases.server.execute(f"ALTER DATABASE {throwaway} SET timezone = 'Asia/Kathmandu'")
    async with aclosing(PostgresTasks(postgres_databases.url(throwaway))) as store:
        tasks = TaskService(store, clock=lambda: NOW.replace(microsecond=120_000))
        made = (await tasks.create(ann, title="x", completed=True, due_date=NOW.date())).task
        kept = await tasks.get(ann, made.id)
        assert kept == made
        assert {kept.created_at.tzinfo, kept.updated_at.tzinfo, kept.completed_at.tzinfo} == {UTC}
        zone = Transaction(sa.text("SELECT current_setting('TimeZone')"))
        assert await store._client.run(zone, {"owner": ann}) == [[("UTC",)]]  # for which psycopg's loader is compiled


@pytest.mark.parametrize("url", ["sqlite:///todo.db", "mysql://host/todo", "todo"])
def test_a_url_of_another_database_is_refused_without_being_repeated(url):
    with pytest.raises(ValueError, match="must begin with") as caught:
        PostgresTasks(url)
    assert url not in str(caught.value)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
async def test_each_spelling_of_the_scheme_works(url, scheme, ann):
    async with aclosing(PostgresTasks(url.replace("postgresql", scheme))) as store:
        assert (await store.page(ann, Query(), unless=None)).revision == 0


# The way there and back


async def test_the_write_that_purges_is_the_only_one_with_a_second_round_trip(postgres_server, url, ann):
    port = postgres_server.port
    with DelayProxy(port, round_trip=0.001) as proxy:
        async with aclosing(PostgresTasks(url.replace(f":{port}/", f":{proxy.port}/"), pool_size=3)) as store:
            tasks = TaskService(store, clock=FakeClock())
            await tasks.create(ann, title="connects")
            before = proxy.round_trips
            for _ in range(62):
                await tasks.create(ann, title="on the way to 63")
            assert proxy.round_trips - before == 62
            assert (await tasks.create(ann, title="purges")).task.revision == 64
            assert proxy.round_trips - before == 64


async def test_racing_for_a_few_connections_is_fair(url, ann):
    async with aclosing(PostgresTasks(url, pool_size=3)) as store:
        order = []

        async def one(number):
            await store._client.run(Transaction(sa.text("SELECT pg_sleep(0.01)")), {"owner": ann})
            order.append(number)

        await asyncio.gather(*(one(number) for number in range(20)))
        assert all(abs(place - number) <= 2 for place, number in enumerate(order))


async def test_no_more_connections_are_made_than_allowed(url, administrator, ann):
    async with aclosing(PostgresTasks(url, pool_size=3)) as store:
        await asyncio.gather(*(store.page(ann, Query(), unless=None) for _ in range(50)))
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'todo' AND datname = current_database()"
        assert administrator.execute(query).fetchone()[0] <= 3


async def test_what_loses_a_race_is_tried_again_a_few_times(store, administrator, ann):
    administrator.execute("CREATE SEQUENCE IF NOT EXISTS tries; GRANT USAGE ON tries TO todo_app")
    for state in ("40001", "40P01"):
        administrator.execute("ALTER SEQUENCE tries RESTART")
        fail = f"DO $$ BEGIN IF nextval('tries') < 4 THEN RAISE EXCEPTION USING ERRCODE = '{state}'; END IF; END $$"
        assert await store._client.run(
            Transaction(sa.text(fail), sa.text("SELECT 7"), writes=True), {"owner": ann}
        ) == [
            [],
            [(7,)],
        ]
    always = Transaction(sa.text("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '40001'; END $$"), writes=True)
    error, seconds = await refusal(store._client.run(always, {"owner": ann}))
    assert "changing the same data" in str(error)
    assert not error.outcome_unknown
    assert seconds < 1


STATES = {
    "25006": "read-only",
    "53100": "disk is full",
    "53300": "out of space",
    "57014": "too long",
    "42P01": "todo migrate",
    "55P03": "too many",
    "58030": "disk",
}


@pytest.mark.parametrize("state", STATES)
async def test_a_refusal_of_the_servers_is_unavailable_and_nothing_was_written(store, ann, state):
    transaction = Transaction(sa.text(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{state}'; END $$"), writes=True)
    error, _ = await refusal(store._client.run(transaction, {"owner": ann}))
    assert STATES[state] in str(error)
    assert not error.outcome_unknown
    assert not re.search(r"postgres|psycopg|127\.0\.0\.1|todo_login|SQL", str(error))


async def test_a_mistake_of_ours_is_raised_as_it_is(store, ann):
    with pytest.raises(psycopg.errors.SyntaxError):
        await store._client.run(Transaction(sa.text("SELEKT 1")), {"owner": ann})
    with pytest.raises(psycopg.errors.CheckViolation):
        await store._client.run(Transaction(writes.create, writes=True), {"owner": ann, **_a_task(), "title": ""})
    with pytest.raises(NotFound):
        await store.get(ann, 1)


async def test_a_column_that_changes_under_prepared_statements_fails_no_request(
    tasks, postgres_server, postgres_database, ann
):
    task = (await tasks.create(ann, title="x")).task
    for round_, change in enumerate(("varchar(300)", "text"), start=1):
        for _ in range(3):
            assert (await tasks.get(ann, task.id)).title == "x"
            assert (await tasks.toggle(ann, task.id)).title == "x"
        with psycopg.connect(postgres_server.url(postgres_database), autocommit=True) as administrator:
            administrator.execute("ALTER TABLE tasks ALTER COLUMN title TYPE " + change)
        found = await asyncio.gather(*(tasks.get(ann, task.id) for _ in range(8)), tasks.toggle(ann, task.id))
        assert {each.id for each in found} == {task.id}, round_


# Connections that break


async def test_connections_that_were_killed_while_idle_fail_no_request(tasks, administrator, ann):
    made = 0
    for _ in range(5):
        made += len(await asyncio.gather(*(tasks.create(ann, title="x") for _ in range(8))))
        killed = administrator.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE application_name = 'todo' AND datname = current_database()"
        ).fetchone()[0]
        assert killed
        await asyncio.sleep(0.05)
        assert (await tasks.list(ann)).revision == made


async def test_a_restarted_server_is_found_again(own_server, ann):
    async with aclosing(PostgresTasks(own_server.url("todo"))) as store:
        tasks = TaskService(store, clock=FakeClock())
        await asyncio.gather(*(tasks.create(ann, title="before") for _ in range(8)))
        await asyncio.to_thread(own_server.stop)
        for doing in (tasks.list(ann), tasks.create(ann, title="lost")):
            error, seconds = await refusal(doing)
            assert "cannot be reached" in str(error)
            assert not error.outcome_unknown
            assert seconds < 3
        error, _ = await refusal(store.check())
        assert "cannot be reached" in str(error)
        await asyncio.to_thread(own_server.start)
        await store.check()
        endings = await asyncio.gather(*(tasks.create(ann, title="after") for _ in range(8)))
        assert sorted(created.task.revision for created in endings) == list(range(9, 17))


async def test_a_frozen_server_is_unavailable_within_three_seconds_and_says_what_is_not_known(own_server, ann):
    async with aclosing(PostgresTasks(own_server.url("todo"), pool_size=3)) as store:
        tasks = TaskService(store, clock=FakeClock())
        await asyncio.gather(tasks.list(ann), tasks.create(ann, title="there"))
        await asyncio.to_thread(own_server.pause)
        try:
            doing = [
                tasks.create(ann, title="perhaps"),
                tasks.list(ann),
                tasks.list(ann),
                tasks.create(ann, title="no"),
            ]
            endings = await asyncio.gather(*(refusal(it) for it in doing))
        finally:
            await asyncio.to_thread(own_server.resume)
        assert max(seconds for _, seconds in endings) < 3
        # Both writes were sent, one behind the other.
        assert [error.outcome_unknown for error, _ in endings] == [True, False, False, True]
        assert "too many are waiting" in str(endings[2][0])
        await asyncio.sleep(0.5)
        page = await tasks.list(ann)
        assert {"there"} <= {task.title for task in page.tasks} <= {"there", "perhaps", "no"}
        await asyncio.gather(*(tasks.create(ann, title="afterwards") for _ in range(8)))


async def test_a_write_whose_connection_is_cut_is_of_unknown_outcome_and_a_read_is_tried_again(
    postgres_server, postgres_database, ann
):
    with DelayProxy(postgres_server.port, round_trip=0.02) as proxy:
        url = postgres_server.url(
            postgres_database, PostgresDatabases.LOGIN, PostgresDatabases.PASSWORD, port=proxy.port
        )
        async with aclosing(PostgresTasks(url, pool_size=3)) as store:
            tasks = TaskService(store, clock=FakeClock())
            await tasks.create(ann, title="first")
            sent = proxy.round_trips
            proxy.freeze()
            writing = asyncio.create_task(refusal(tasks.create(ann, title="perhaps")))
            await until(lambda: proxy.round_trips > sent)
            proxy.cut()
            proxy.restore()
            error, seconds = await writing
            assert error.outcome_unknown
            assert seconds < 3
            await tasks.list(ann)
            sent = proxy.round_trips
            proxy.freeze()
            reading = asyncio.create_task(tasks.list(ann))
            await until(lambda: proxy.round_trips > sent)
            proxy.cut()
            proxy.restore()
            assert (await reading).tasks


def asleep(administrator, seconds):
    """The backends that run `pg_sleep(seconds)` right now."""
    query = "SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s AND pid <> pg_backend_pid()"
    return [pid for (pid,) in administrator.execute(query, [f"%pg_sleep({seconds})%"]).fetchall()]


async def test_a_backend_that_is_killed_under_a_write_leaves_its_outcome_open(store, administrator, ann):
    sleeping = Transaction(sa.text("SELECT pg_sleep(2)"), writes=True)
    while True:  # on a busy machine it may have woken before it is killed
        writing = asyncio.create_task(refusal(store._client.run(sleeping, {"owner": ann})))
        await until(lambda task=writing: asleep(administrator, 2) or task.done())
        killed = [administrator.execute("SELECT pg_terminate_backend(%s)", [pid]) for pid in asleep(administrator, 2)]
        if killed:
            break
        await asyncio.gather(writing, return_exceptions=True)
    error, _ = await writing
    assert error.outcome_unknown


async def test_an_address_where_nobody_listens_is_unavailable_at_once():
    url = f"postgresql://ann:secret@127.0.0.1:{free_port()}/todo"
    async with aclosing(PostgresTasks(url)) as store:
        for doing in (store.get("ann", 1), store.check()):
            error, seconds = await refusal(doing)
            assert seconds < 0.5
            assert "secret" not in str(error)
            assert "127" not in str(error)


async def test_an_address_that_never_answers_is_unavailable_within_three_seconds(postgres_server):
    with DelayProxy(postgres_server.port) as proxy:
        proxy.freeze()
        async with aclosing(PostgresTasks(postgres_server.url(port=proxy.port))) as store:
            endings = await asyncio.gather(*(refusal(store.get("ann", 1)) for _ in range(10)))
        assert all(seconds < 3 and not error.outcome_unknown for error, seconds in endings)


async def test_a_user_whose_row_is_locked_for_long_is_unavailable_in_time_and_nothing_is_written(
    postgres_server, postgres_database, administrator, tasks, ann, bob
):
    task = (await tasks.create(ann, title="x")).task
    with psycopg.connect(postgres_server.url(postgres_database)) as other:
        other.execute("SELECT FROM users WHERE id = %s FOR UPDATE", [ann])
        blocked = asyncio.gather(refusal(tasks.toggle(ann, task.id)), refusal(tasks.create(ann, title="y")))
        await until_locked_out(administrator)
        assert (await tasks.get(ann, task.id)) == task
        assert (await tasks.create(bob, title="not held up")).task.revision == 1
        for error, seconds in await blocked:
            assert seconds < 3
            assert not error.outcome_unknown
            assert re.search("too long|too many others", str(error))
    assert (await tasks.list(ann)).tasks == [task]


@pytest.mark.parametrize("known", [True, False], ids=["a user with a row", "a user without one"])
async def test_a_user_whose_lock_is_held_for_long_is_unavailable_in_time_and_nothing_is_written(
    postgres_server, postgres_database, administrator, tasks, ann, bob, known
):
    before = [(await tasks.create(ann, title="x")).task] if known else []
    with psycopg.connect(postgres_server.url(postgres_database)) as other:
        other.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [ann, OUR_LOCKS])
        blocked = asyncio.create_task(refusal(tasks.create(ann, title="y", once=Once("key", b"body"))))
        await until_locked_out(administrator)
        assert (await tasks.create(bob, title="not held up")).task.revision == 1
        error, seconds = await blocked
        assert seconds < 3
        assert not error.outcome_unknown
    assert (await tasks.list(ann)).tasks == before


# Cancelling


@pytest.mark.parametrize("twice", [False, True])
async def test_a_storm_of_cancellations_leaves_the_pool_whole_and_every_write_atomic(url, administrator, ann, twice):
    dice = random.Random(11)
    async with aclosing(PostgresTasks(url, pool_size=4)) as store:
        tasks = TaskService(store, clock=FakeClock())
        pools = store._client._pools

        async def one():
            work = [tasks.create(ann, title="x"), tasks.list(ann, Query(limit=2)), tasks.changes(ann, since=1)]
            chosen = work.pop(dice.randrange(3))
            for unused in work:
                unused.close()
            doing = asyncio.create_task(chosen)
            if dice.random() < 0.5:
                for _ in range(dice.randrange(12)):
                    await asyncio.sleep(0)
            else:
                await asyncio.sleep(dice.uniform(0, 0.006))
            for _ in range(2 if twice else 1):
                doing.cancel()
                await asyncio.sleep(0)
            await asyncio.gather(doing, return_exceptions=True)

        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            await asyncio.gather(*(one() for _ in range(16)))
        for pool in pools:  # a second cancel does not wait for the end
            for slot in pool._slots:
                if slot.connection is not None:
                    await slot.connection.rest()
        assert not any(pool._waiting for pool in pools)
        assert not any(slot.load for pool in pools for slot in pool._slots)
        page = await once_there_is_time(lambda: tasks.list(ann))
        assert sorted(task.revision for task in page.tasks) == list(range(1, page.revision + 1))
        row = administrator.execute("SELECT revision, task_count FROM users WHERE id = %s", [ann]).fetchone()
        assert row is None or row == (page.revision, page.revision)
        lists = [once_there_is_time(lambda: tasks.list(ann)) for _ in range(16)]
        await asyncio.gather(*lists)  # more than there are connections: none of them is lost


async def once_there_is_time(call):
    """What `call()` returns; Unavailable, as a busy machine has it, is tried again, and for ever it is a failure."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await call()
            except Unavailable:
                await asyncio.sleep(0.1)


async def test_cancelling_those_who_wait_for_a_connection_loses_none(url, ann):
    async with aclosing(PostgresTasks(url, pool_size=3)) as store:
        sleeping = Transaction(sa.text("SELECT pg_sleep(0.005)"), alone=True)
        for _ in range(40):
            doing = [asyncio.create_task(store._client.run(sleeping, {"owner": ann})) for _ in range(4)]
            await asyncio.sleep(random.uniform(0, 0.012))
            for task in doing[1:]:
                task.cancel()
            await asyncio.gather(*doing, return_exceptions=True)
        await asyncio.wait_for(store.page(ann, Query(), unless=None), 2)
        assert store.connections()["busy"] == 0


async def test_who_cancels_a_write_knows_that_it_is_decided(url, ann):
    async with aclosing(PostgresTasks(url)) as store:
        tasks = TaskService(store, clock=FakeClock())
        for _ in range(20):
            writing = asyncio.create_task(tasks.create(ann, title="x"))
            await asyncio.sleep(random.uniform(0, 0.004))
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
            revision = (await tasks.list(ann)).revision
            await asyncio.sleep(0.01)
            assert (await tasks.list(ann)).revision == revision


async def test_closing_ends_those_who_wait_and_those_who_come_later(url, administrator, ann):
    store = PostgresTasks(url, pool_size=3)
    working = asyncio.create_task(store._client.run(Transaction(sa.text("SELECT pg_sleep(1)")), {"owner": ann}))
    blocking = asyncio.create_task(
        store._client.run(Transaction(sa.text("SELECT pg_sleep(1)"), alone=True), {"owner": ann})
    )
    await until(lambda: len(asleep(administrator, 1)) == 2)
    waiting = asyncio.create_task(refusal(TaskService(store, clock=FakeClock()).list(ann)))
    await until(lambda: any(pool._waiting for pool in store._client._pools))
    await store.aclose()
    for error, _ in (await waiting, await refusal(store.get(ann, 1))):
        assert "stopping" in str(error)
    await asyncio.gather(working, blocking)
    await store.aclose()
    left = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(1)%' AND pid <> pg_backend_pid()"
    await until(lambda: administrator.execute(left).fetchone() == (0,))


# Racing, as only a server with many connections can


async def test_edits_deletes_and_toggles_behind_an_uncommitted_one_see_it(
    postgres_server, postgres_database, administrator, tasks, ann
):
    """A second write is started while the first is held up between its statements: it must see what the first did."""
    task = (await tasks.create(ann, title="x")).task
    with psycopg.connect(postgres_server.url(postgres_database)) as first:
        first.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [ann, OUR_LOCKS])
        second = [
            asyncio.create_task(tasks.toggle(ann, task.id)),
            asyncio.create_task(tasks._tasks.replace(ann, task._replace(title="stale"), now=NOW)),
        ]
        await until_locked_out(administrator)
        first.execute("UPDATE users SET revision = 2 WHERE id = %s", [ann])
        first.execute("UPDATE tasks SET revision = 2, title = 'first' WHERE user_id = %s", [ann])
    toggled, stale = await asyncio.gather(*second, return_exceptions=True)
    assert (toggled.title, toggled.revision) == ("first", 3)
    assert isinstance(stale, Stale)
    assert stale.current.title == "first"
    with psycopg.connect(postgres_server.url(postgres_database)) as first:
        first.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [ann, OUR_LOCKS])
        second = [asyncio.create_task(tasks.delete(ann, task.id)), asyncio.create_task(tasks.toggle(ann, task.id))]
        await until_locked_out(administrator)
        first.execute("DELETE FROM tasks WHERE user_id = %s", [ann])
        first.execute("UPDATE users SET revision = 4, task_count = 0 WHERE id = %s", [ann])
    endings = await asyncio.gather(*second, return_exceptions=True)
    assert [type(ending) for ending in endings] == [NotFound, NotFound]
    assert (await tasks.list(ann)).revision == 4


# Bounds


def test_a_deadline_and_a_purge_together_take_three_seconds_at_most():
    assert RESPOND_WITHIN + postgres._PURGE_TIMEOUT <= 3

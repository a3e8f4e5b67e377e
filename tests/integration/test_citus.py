"""A Citus cluster, a coordinator and two nodes: users keep apart on the nodes, and what is missing there is named.

TODO_TEST_PG_BIN names the programs, because Citus comes with no package of ours. Where they have it, the store's
contract, the walls, the migrations and the HTTP suite run on such a cluster as well.
"""

import asyncio
import re
import time
from collections import Counter
from contextlib import ExitStack, aclosing, closing
from datetime import UTC, date, datetime
from functools import partial
from itertools import count
from shutil import copyfile

import psycopg
import pytest
from psycopg import sql

from servers import binaries, citus, pgbouncer
from servers.pgbouncer import PgBouncer
from servers.postgres import PostgresServer
from support.sql_places import PostgresDatabases
from todo_adapters.sql import migrations, schema
from todo_adapters.sql.copying import copy
from todo_adapters.sql.postgres.connections import pipeline
from todo_adapters.sql.postgres.store import PostgresTasks
from todo_adapters.sql.purging import purge
from todo_adapters.sql.renewal import renew
from todo_adapters.sql.sqlite.store import SqliteTasks
from todo_adapters.sql.tables import metadata
from todo_domain import (
    DeleteTask,
    Done,
    NotFound,
    NotIsolated,
    Once,
    Put,
    PutTask,
    Resync,
    TaskService,
    Unavailable,
    user_id,
)
from todo_domain.feed import new_feed_token
from todo_domain.trash import TRASH_KEPT

USERS = [user_id(f"user {number}") for number in range(24)]
NAME = "a-name-of-the-client"
PREVIOUS = schema.head()
TABLES = tuple(metadata.tables)


@pytest.fixture(scope="module")
def cluster():
    """A cluster of this module's own: its tests stop nodes and take away what serving needs."""
    if not binaries.have_citus():  # and yet the file was named
        pytest.skip(binaries.NO_CITUS)
    with citus.Coordinator() as coordinator:
        yield coordinator


@pytest.fixture(scope="module")
def databases(cluster):
    return PostgresDatabases(cluster)


@pytest.fixture
def database(databases):
    with databases.another() as name:
        yield name


@pytest.fixture
def url(databases, database):
    return databases.url(database)


async def filled(url):
    """Give each user two tasks and a deleted one, and return the first task of each."""
    first = {}
    async with aclosing(PostgresTasks(url)) as store:
        tasks = TaskService(store)
        for user in USERS:
            first[user], gone, _ = [(await tasks.create(user, title=f"{user}'s")).task for _ in range(3)]
            await tasks.delete(user, gone.id)
    return first


def node_of(cluster, database, user):
    """Return the node that has the rows of a user."""
    query = (
        "SELECT nodeport FROM citus_shards WHERE table_name = 'users'::regclass"
        " AND shardid = get_shard_id_for_distribution_column('users', %(user)s::text)"
    )
    ((port,),) = cluster.execute(query, {"user": user}, database=database)
    return next(node for node in cluster.nodes if node.port == port)


async def test_all_rows_of_a_user_are_on_one_node_and_every_node_has_users(cluster, database, url):
    await filled(url)
    nodes = Counter(node_of(cluster, database, user).port for user in USERS)
    assert len(nodes) == len(cluster.nodes)
    kinds = cluster.execute("SELECT DISTINCT colocation_id, citus_table_type FROM citus_tables", database=database)
    assert [kind for _, kind in kinds] == ["distributed"]


@pytest.mark.parametrize("table", TABLES)
async def test_row_level_security_alone_keeps_users_apart_on_the_nodes(cluster, database, url, table):
    """Neither the service nor a condition of the statement is in the way, only what each node checks."""
    await filled(url)
    column = sql.Identifier("id" if table == "users" else "user_id")
    everybody = sql.SQL("SELECT DISTINCT {} FROM {}").format(column, sql.Identifier(table))
    with closing(psycopg.connect(cluster.url(database))) as connection:
        connection.execute("SET LOCAL ROLE todo_app")
        assert connection.execute(everybody).fetchall() == []
        for user in USERS[:4]:
            connection.execute(sql.SQL("SET LOCAL todo.user_id TO {}").format(sql.Literal(user)))
            found = connection.execute(everybody).fetchall()
            assert found == ([] if table in {"idempotency_keys", "feeds"} else [(user,)])
        connection.rollback()
    for node in cluster.nodes:
        with closing(psycopg.connect(node.url(database))) as connection:
            connection.execute("SET citus.override_table_visibility = off")
            shards = connection.execute(
                "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relname ~ %s", [f"^{table}_[0-9]+$"]
            ).fetchall()
            assert shards
            connection.execute("SET LOCAL ROLE todo_app")
            for (shard,) in shards:
                assert connection.execute(f"SELECT count(*) FROM {shard}").fetchone() == (0,)
            connection.rollback()


async def test_a_write_for_another_user_is_refused_by_the_node(cluster, database, url):
    await filled(url)
    ann, bob = USERS[:2]
    with closing(psycopg.connect(cluster.url(database))) as connection:
        connection.execute("SET LOCAL ROLE todo_app")
        connection.execute(sql.SQL("SET LOCAL todo.user_id TO {}").format(sql.Literal(ann)))
        assert connection.execute("UPDATE tasks SET title = 'mine' WHERE user_id = %s", [bob]).rowcount == 0
        assert connection.execute("DELETE FROM tasks WHERE user_id = %s", [bob]).rowcount == 0
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            connection.execute(
                "INSERT INTO tombstones (user_id, task_id, revision, deleted_at, number) VALUES (%s, 1, 1, now(), 1)",
                [bob],
            )


@pytest.mark.parametrize(
    ("taken", "said"),
    [
        ("ALTER ROLE todo_app NOLOGIN", "ALTER ROLE todo_app LOGIN"),
        ("REVOKE USAGE ON SEQUENCE tasks_id_seq FROM todo_app", "USAGE on the sequence of tasks.id"),
        (
            "ALTER TABLE trash DROP CONSTRAINT trash_tombstone_fkey; SELECT undistribute_table('trash')",
            r"run SELECT create_distributed_table\('trash', 'user_id', colocate_with := 'users'\)",
        ),
    ],
)
async def test_readiness_names_what_is_missing(cluster, database, url, taken, said):
    async with aclosing(PostgresTasks(url)) as store:
        await store.check()
        await store.prove_isolation()
    cluster.execute(taken, database=database)
    try:
        async with aclosing(PostgresTasks(url)) as store:
            with pytest.raises(Unavailable, match=said):
                await store.check()
    finally:
        cluster.execute("ALTER ROLE todo_app LOGIN", database=database)


async def test_before_the_tables_are_distributed_the_service_works_as_on_any_postgresql(cluster, databases):
    cluster.create_database("not_yet", owner=databases.OWNER)
    owner = databases.url("not_yet", databases.OWNER)
    migrations.upgrade(owner)
    async with aclosing(PostgresTasks(owner)) as store:
        await store.check()
        await store.prove_isolation()
    await filled(owner)
    cluster.drop_database("not_yet")


async def test_a_connection_sets_itself_what_makes_the_nodes_learn_the_user(cluster, database, url):
    cluster.propagate(database, "none")
    first = await filled(url)
    async with aclosing(PostgresTasks(url)) as store:
        await store.check()
        assert all([await TaskService(store).get(user, task.id) == task for user, task in first.items()])


async def test_through_a_pooler_that_setting_is_demanded_of_the_database(cluster, database):
    pgbouncer.require()
    logins = {PostgresDatabases.LOGIN: PostgresDatabases.PASSWORD}
    for commands in ("none", "local"):
        cluster.propagate(database, commands)
        with PgBouncer(cluster, database, pool_size=2, logins=logins) as pooler:
            url = pooler.url(PostgresDatabases.LOGIN)
            if commands == "local":
                assert len(await filled(url)) == len(USERS)
                continue
            with pytest.raises(Unavailable, match="to local for this database"):
                await filled(url)


async def test_readiness_says_when_the_nodes_do_not_learn_the_user(url, monkeypatch):
    """As with a version of PostgreSQL or Citus that passes the command on no more."""
    monkeypatch.setattr(pipeline, "user_on_nodes", lambda *_: b"SELECT 1")
    async with aclosing(PostgresTasks(url)) as store:
        with pytest.raises(NotIsolated, match="the nodes do not learn whose rows to show"):
            await store.check()


@pytest.mark.parametrize("table", TABLES)
async def test_the_proof_names_the_table_of_a_shard_without_row_level_security(cluster, database, url, table):
    node = cluster.nodes[1]
    query = f"SELECT min(oid)::regclass::text FROM pg_class WHERE relkind = 'r' AND relname ~ '^{table}_[0-9]+$'"
    with closing(psycopg.connect(node.url(database), autocommit=True)) as connection:
        connection.execute("SET citus.override_table_visibility = off")
        ((shard,),) = connection.execute(query).fetchall()
        connection.execute("SET citus.enable_manual_changes_to_shards = on")
        connection.execute(f"ALTER TABLE {shard} NO FORCE ROW LEVEL SECURITY")
    async with aclosing(PostgresTasks(url)) as store:
        with pytest.raises(NotIsolated, match=rf"1 shard\(s\) of {table}"):
            await store.prove_isolation()


def split(cluster, database, node):
    """Return the users whose rows are on this node, and the others."""
    there = [user for user in USERS if node_of(cluster, database, user) is node]
    others = [user for user in USERS if user not in there]
    assert there
    assert others
    return there, others


async def write_in_every_way(tasks, user, task):
    """Write as every operation does, with a key and without one."""
    keys = (Once(f"key {number}", b"digest") for number in count())
    for key in (task.id, NAME):
        once = partial(next, keys) if key == NAME else lambda: None
        await tasks.put(user, NAME, Put({"title": "by name"}), once=once())
        await tasks.edit(user, key, title="edited", once=next(keys))
        await tasks.edit(user, key, title="edited again")
        await tasks.toggle(user, key, once=next(keys))
        await tasks.toggle(user, key)
        await tasks.delete(user, key, once=next(keys))
        await tasks.restore(user, key)
        await tasks.delete(user, key)
        await tasks.discard(user, key)
    await tasks.create(user, title="new")
    made = await tasks.create(user, title="new with a key", once=next(keys))
    batch = [PutTask("put-in-a-batch", Put({"title": "one"})), DeleteTask(made.task.id)]
    assert all(isinstance(result, Done) for result in await tasks.batch(user, batch))
    await tasks.feed(user, await tasks.make_feed(user))
    await tasks.empty_trash(user)


async def served_again(tasks, user, within):
    """Return once a read and a write of the user succeed, which they must within so many seconds."""
    give_up = time.monotonic() + within
    while True:
        try:
            await tasks.create(user, title="back")
            return await tasks.list(user)
        except Unavailable:
            assert time.monotonic() < give_up, f"{user} is not served"
            await asyncio.sleep(0.05)


PROMISED = 5
"""Seconds; one is promised, but the machine may be busy."""


async def all_served_again(store):
    """Return once every user is served, and the store says so; all must be within PROMISED."""
    back = time.monotonic()
    for user in USERS:
        await served_again(TaskService(store), user, back + PROMISED - time.monotonic())
    await store.check()


async def test_while_a_node_is_down_its_users_get_503_and_the_others_are_served(cluster, database, url):
    first = await filled(url)
    down = cluster.nodes[0]
    gone, there = split(cluster, database, down)
    async with aclosing(PostgresTasks(url)) as store:
        tasks = TaskService(store)
        assert await tasks.get(gone[0], first[gone[0]].id) == first[gone[0]]
        await tasks.create(there[0], title="kept", once=Once("before", b"digest"))
        down.stop("immediate")
        try:
            for _ in range(3):
                asked = await asyncio.gather(
                    *(tasks.get(user, first[user].id) for user in USERS), return_exceptions=True
                )
                assert {user for user, got in zip(USERS, asked, strict=True) if isinstance(got, Unavailable)} == {*gone}
                assert all(got == first[user] for user, got in zip(USERS, asked, strict=True) if user in there)
            for user in gone:
                for once in (None, Once("key", b"digest")):
                    with pytest.raises(Unavailable):
                        await tasks.create(user, title="lost", once=once)
            for user in there:
                await write_in_every_way(tasks, user, first[user])
            with pytest.raises(Unavailable):
                await store.check()
        finally:
            down.start()
        await all_served_again(store)
        titles = [[task.title for task in (await tasks.list(user)).tasks] for user in gone]
    assert not any("lost" in title for title in titles)


async def test_while_a_node_is_frozen_its_users_get_503_in_time_and_are_served_again_when_it_goes_on(
    cluster, database, url
):
    first = await filled(url)
    frozen = cluster.nodes[1]
    held, others = split(cluster, database, frozen)
    async with aclosing(PostgresTasks(url)) as store:
        tasks = TaskService(store)
        for user in USERS:
            assert await tasks.get(user, first[user].id) == first[user]
        frozen.pause()
        try:
            asked = await asyncio.gather(
                tasks.get(held[0], first[held[0]].id),
                tasks.create(held[0], title="late"),
                tasks.toggle(held[-1], first[held[-1]].id, once=Once("key", b"digest")),
                return_exceptions=True,
            )
            assert [type(got) for got in asked] == [Unavailable] * 3
            for user in others:
                await served_again(tasks, user, PROMISED)
        finally:
            frozen.resume()
        await all_served_again(store)


def test_after_a_migration_that_adds_a_table_readiness_names_the_statement_that_distributes_it(cluster, databases):
    cluster.create_database("behind", owner=databases.OWNER)
    owner, login = databases.url("behind", databases.OWNER), databases.url("behind")
    assert migrations.upgrade(owner, "0004") == "0004"
    cluster.execute(f"GRANT todo_app TO {databases.LOGIN}", database="behind")
    cluster.execute(re.sub(".*feeds.*", "", citus.recipe()), database="behind")
    assert migrations.upgrade(owner) == PREVIOUS

    async def check():
        async with aclosing(PostgresTasks(login)) as store:
            await store.check()
            await store.prove_isolation()

    with pytest.raises(Unavailable, match="the table feeds is not distributed") as problem:
        asyncio.run(check())
    cluster.execute(re.search("SELECT .*\\)", str(problem.value))[0], database="behind")
    asyncio.run(check())
    asyncio.run(filled(login))
    cluster.drop_database("behind")


def test_migrations_go_up_and_down_on_distributed_tables(cluster, databases, database, next_migration):
    owner = databases.url(database, databases.OWNER)
    asyncio.run(filled(databases.url(database)))
    assert migrations.upgrade(owner) == next_migration
    columns = "SELECT count(weight) FROM tasks"
    assert cluster.execute(columns, database=database) == [(2 * len(USERS),)]
    asyncio.run(filled(databases.url(database)))
    assert migrations.downgrade(owner, PREVIOUS) == PREVIOUS


def test_the_recipe_keeps_every_row_and_refuses_a_login_that_does_not_see_them_all(cluster, databases):
    cluster.create_database("with_rows", owner=databases.OWNER)
    owner = databases.url("with_rows", databases.OWNER)
    migrations.upgrade(owner)
    first = asyncio.run(filled(owner))
    before = cluster.execute("SELECT user_id, id, title, revision FROM tasks ORDER BY 1, 2", database="with_rows")
    with (
        closing(psycopg.connect(owner)) as connection,
        pytest.raises(psycopg.errors.RaiseException, match="run this file as a superuser"),
    ):
        connection.execute(citus.recipe().encode())
    cluster.distribute("with_rows")
    assert len(before) == 2 * len(first)
    after = cluster.execute("SELECT user_id, id, title, revision FROM tasks ORDER BY 1, 2", database="with_rows")
    assert after == before
    cluster.drop_database("with_rows")


@pytest.mark.parametrize("login", ["owner", "superuser"])
@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
async def test_a_copy_goes_into_the_cluster_and_out_of_it_again(
    cluster, databases, database, sqlite_template, tmp_path, engine, login
):
    back = f"sqlite:///{tmp_path}/back.db"
    there = cluster.url(database) if login == "superuser" else databases.url(database, databases.OWNER)
    with ExitStack() as held:
        if engine == "sqlite":
            origin = f"sqlite:///{copyfile(sqlite_template, tmp_path / 'todo.db')}"
            open_store = partial(SqliteTasks, tmp_path / "todo.db")
        else:
            plain = PostgresDatabases(held.enter_context(PostgresServer()))
            origin = plain.url(held.enter_context(plain.another()), plain.OWNER)
            open_store = partial(PostgresTasks, origin)
        async with aclosing(open_store()) as store:
            await store.open()
            tasks = TaskService(store)
            for user in USERS:
                made = [(await tasks.create(user, title=f"{user} {number}")).task for number in range(3)]
                await tasks.delete(user, made[0].id, once=Once("key", b"digest"))
                await tasks.make_feed(user)
        first = await asyncio.to_thread(copy, origin, there, lambda *_: None)
    again = await asyncio.to_thread(copy, there, back, lambda *_: None)
    assert first == again
    assert all(first.rows.values())
    async with aclosing(PostgresTasks(databases.url(database))) as store:
        await store.prove_isolation()
        for user in USERS:
            assert (await TaskService(store).create(user, title="next")).task.id > 3 * len(USERS)


async def test_an_erased_user_leaves_nothing_on_the_nodes(cluster, database, url):
    await filled(url)
    async with aclosing(PostgresTasks(url)) as store:
        for user in USERS[1:]:
            await TaskService(store).erase(user)
    for table in ("tasks", "tombstones", "trash"):
        assert cluster.execute(f"SELECT DISTINCT user_id FROM {table}", database=database) == [(USERS[0],)]


@pytest.mark.parametrize("login", ["owner", "superuser"])
async def test_renewing_moves_the_counters_on_every_node(cluster, databases, database, url, login):
    first = await filled(url)
    async with aclosing(PostgresTasks(url)) as store:
        tasks = TaskService(store)
        since = {user: (await tasks.changes(user, since=0)).revision for user in USERS}
        who = cluster.url(database) if login == "superuser" else databases.url(database, databases.OWNER)
        renewed = await asyncio.to_thread(renew, who, 2**50)
        assert renewed.users == len(USERS)
        for user in USERS:
            with pytest.raises(Resync):
                await tasks.changes(user, since=since[user])
            assert (await tasks.create(user, title="new")).task.id > max(task.id for task in first.values())


@pytest.mark.parametrize("login", ["owner", "superuser"])
async def test_purging_removes_what_has_expired_on_every_node(cluster, databases, database, url, login):
    await filled(url)
    who = cluster.url(database) if login == "superuser" else databases.url(database, databases.OWNER)
    later = datetime.now(UTC) + TRASH_KEPT
    assert await asyncio.to_thread(purge, who, later, TRASH_KEPT) == (len(USERS), len(USERS), 0, 0)
    assert await asyncio.to_thread(purge, who, later, TRASH_KEPT) == (len(USERS), 0, 0, 0)


async def test_a_feed_is_read_where_its_user_is(url):
    await filled(url)
    async with aclosing(PostgresTasks(url)) as store:
        tasks = TaskService(store)
        for user in USERS:
            task = (await tasks.create(user, title="due", due_date=date(2026, 12, 1))).task
            assert (await tasks.feed(user, await tasks.make_feed(user))).tasks == [task]
            with pytest.raises(NotFound):
                await tasks.feed(user, new_feed_token(user))
            await tasks.erase(user)
            assert not await tasks.end_feed(user)

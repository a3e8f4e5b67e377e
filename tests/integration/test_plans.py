"""What a statement touches: one partition of each table, and among many tasks never more than one user's rows."""

import asyncio
from contextlib import aclosing

import pytest

from support.plans import nodes, planning, plans
from todo_adapters.sql.postgres.statements import citus_writes
from todo_adapters.sql.postgres.statements import transactions as postgres
from todo_adapters.sql.postgres.store import PostgresTasks
from todo_domain import Once, TaskService, user_id

PARTITIONS = 16
KEYS = {
    "users": "id",
    "tasks": "user_id",
    "tombstones": "user_id",
    "trash": "user_id",
    "idempotency_keys": "user_id",
    "feeds": "user_id",
}
TRANSACTIONS = postgres.all_transactions() | citus_writes.all_transactions()


@pytest.fixture(scope="module")
def partitioned(postgres_databases):
    """The same tables, each in sixteen hash partitions by its user."""
    with postgres_databases.another() as name:
        for table, key in KEYS.items():
            for statement in (
                f"ALTER TABLE {table} RENAME TO {table}_plain",
                f"CREATE TABLE {table} (LIKE {table}_plain INCLUDING ALL) PARTITION BY HASH ({key})",
                *(
                    f"CREATE TABLE {table}_p{number} PARTITION OF {table} "
                    f"FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {number})"
                    for number in range(PARTITIONS)
                ),
                f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
                f"CREATE POLICY own ON {table} TO todo_app USING ({key} = nullif(current_setting('todo.user_id'), ''))",
                f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO todo_app",
            ):
                postgres_databases.server.execute(statement, database=name)
        with planning(postgres_databases.server.url(name)) as connection:
            yield connection


@pytest.mark.parametrize("name", TRANSACTIONS)
def test_each_statement_touches_one_partition_of_each_table(partitioned, name):
    for text, plan in plans(partitioned, name, TRANSACTIONS[name], "ann"):
        touched = [node["Relation Name"] for node in nodes(plan) if "Relation Name" in node]
        parts = {relation for relation in touched if relation not in KEYS}
        assert len({part.rpartition("_p")[2] for part in parts}) <= 1, text
        assert parts or not touched or "INSERT" in text, text


@pytest.fixture(scope="module")
def crowded(postgres_databases):
    """A hundred thousand tasks: many users with a few, some with hundreds, one with thousands."""
    server = postgres_databases.server
    with postgres_databases.another() as name:
        for statement in (
            "ALTER TABLE tasks NO FORCE ROW LEVEL SECURITY",
            (
                "INSERT INTO users (id, revision, task_count, horizon, created_at)"
                " SELECT 'user' || n, 10000, 10, 0, now() FROM generate_series(0, 32999) AS n"
            ),
            (
                "INSERT INTO tasks (user_id, title, title_key, revision, due_date, priority, created_at, updated_at)"
                " SELECT CASE WHEN n < 3000 THEN 'user0' WHEN n < 50000 THEN 'user' || (n % 160 + 1)"
                " ELSE 'user' || (n % 32000 + 500) END, 'task ' || n, 'task ' || n, n + 1,"
                " CASE WHEN n % 3 = 0 THEN DATE '2026-01-01' + n % 365 END, n % 4,"
                " now() - make_interval(secs => n), now() FROM generate_series(0, 99999) AS n"
            ),
            (
                "INSERT INTO tombstones (user_id, task_id, revision, deleted_at, number)"
                " SELECT 'user' || (n % 1000), n + 2000000, n + 2000000, now(), n FROM generate_series(0, 19999) AS n"
            ),
            "ALTER TABLE trash NO FORCE ROW LEVEL SECURITY",
            (
                "INSERT INTO trash"
                " (user_id, task_id, title, title_key, revision, uid, created_at, updated_at, deleted_at)"
                " SELECT user_id, task_id, 'x', 'x', revision, 'the-uid-' || revision, now(), now(), deleted_at"
                " FROM tombstones"
            ),
            (
                "INSERT INTO idempotency_keys (user_id, key, fingerprint, task_id, revision, created_at, number)"
                " SELECT 'user' || (n % 1000), n::text, 'x', n, n, now(), n FROM generate_series(0, 19999) AS n"
            ),
            "ALTER TABLE feeds NO FORCE ROW LEVEL SECURITY",
            "INSERT INTO feeds (user_id, digest, created_at) SELECT id, CAST('digest' AS bytea), now() FROM users",
            "ANALYZE",
        ):
            server.execute(statement, database=name)
        with planning(server.url(name)) as connection:
            yield connection


@pytest.mark.parametrize("user", ["user0", "user7", "user5000"])
def test_among_many_tasks_nothing_is_scanned_but_one_users_rows(crowded, user):
    for name, transaction in TRANSACTIONS.items():
        for text, plan in plans(crowded, name, transaction, user):
            for node in nodes(plan):
                assert node["Node Type"] != "Seq Scan", f"{name}: {text}"
                if node["Node Type"].endswith("Scan") and "Relation Name" in node:
                    conditions = f"{node.get('Index Cond')} {node.get('Recheck Cond')}"
                    assert user in conditions, f"{name}: {node}"


@pytest.mark.parametrize("user", ["user0", "user7", "user5000"])
def test_the_default_order_is_read_from_its_index_and_nothing_but_the_page_is_sorted(crowded, user):
    default = [name for name in TRANSACTIONS if "created_at" in name and "filter" not in name]
    assert default
    for name in default:
        for text, plan in plans(crowded, name, TRANSACTIONS[name], user):
            for node in nodes(plan):
                if "Sort" in node["Node Type"]:
                    assert node["Plan Rows"] <= 21, f"{name}: {text}"


async def test_no_write_reads_a_whole_table_where_statistics_say_that_it_is_empty(
    postgres_server, postgres_databases, postgres_database
):
    async def life(tasks, user):
        for number in range(8):
            task = (await tasks.create(user, title="x", once=Once(f"create {number}", b"digest"))).task
            await tasks.edit(user, task.id, title="y")
            await tasks.toggle(user, task.id)
            await tasks.delete(user, task.id, once=Once(f"delete {number}", b"digest"))
            await tasks.restore(user, task.id)
            await tasks.delete(user, task.id)

    backends = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'todo'"
    scans = "SELECT relname, seq_scan FROM pg_stat_user_tables WHERE seq_scan > 0"
    postgres_server.execute("VACUUM ANALYZE", database=postgres_database)
    async with aclosing(PostgresTasks(postgres_databases.url(postgres_database))) as store:
        await asyncio.gather(*(life(TaskService(store), user_id(f"user {number}")) for number in range(4)))
    # Each backend tells its counts as it ends.
    while postgres_server.execute(backends, database=postgres_database) != [(0,)]:  # noqa: ASYNC110  another process
        await asyncio.sleep(0.01)
    assert postgres_server.execute(scans, database=postgres_database) == []

"""What travels together: reads of one turn share a transaction, each under its own user; writes share nothing."""

import asyncio
import math
import select
import signal
import time
from contextlib import aclosing
from itertools import pairwise
from statistics import median

import psycopg
import pytest
import sqlalchemy as sa

from servers import pgbouncer
from servers.pgbouncer import PgBouncer
from support.sql_places import PostgresDatabases
from todo_adapters.sql.postgres.connections.loading import CHUNK, PAUSE
from todo_adapters.sql.postgres.connections.pipeline import PipelineConnection
from todo_adapters.sql.postgres.statements import writes
from todo_adapters.sql.postgres.statements.transaction import Transaction
from todo_adapters.sql.postgres.store import PostgresTasks
from todo_domain import TaskService, user_id

WHO = sa.text("SELECT current_setting('todo.user_id'), current_user, pg_current_xact_id()::text")
WHO_READS = Transaction(WHO)
WHO_WRITES = Transaction(WHO, writes=True)
FAILS = Transaction(sa.text("SELECT 1 / 0"))


@pytest.fixture
async def store(postgres_databases, postgres_database):
    async with aclosing(PostgresTasks(postgres_databases.url(postgres_database))) as opened:
        yield opened


async def who(store, transaction, names):
    """Return what each of them is told about themselves, all asking in the same turn."""
    await store._client.run(transaction, {"owner": "warms up"})
    results = await asyncio.gather(*(store._client.run(transaction, {"owner": name}) for name in names))
    return [row for ((row,),) in results]


async def test_reads_of_one_turn_share_a_transaction_and_each_is_its_own_user_in_it(store):
    names = [f"user{number}" for number in range(40)]
    found = await who(store, WHO_READS, names)
    assert [(user, role) for user, role, _ in found] == [(name, "todo_app") for name in names]
    assert len({transaction for _, _, transaction in found}) == 1


async def test_each_write_is_a_transaction_of_its_own(store):
    names = [f"user{number}" for number in range(40)]
    found = await who(store, WHO_WRITES, names)
    assert [user for user, _, _ in found] == names
    assert len({transaction for _, _, transaction in found}) == len(names)


@pytest.mark.parametrize("place", [0, 3, 6])
async def test_a_read_that_fails_fails_none_of_those_it_travels_with(store, ann, bob, place):
    tasks = TaskService(store)
    created = [(await tasks.create(user, title="x")).task for user in (ann, bob, ann, bob, ann, bob)]
    for _ in range(20):
        asked = [tasks.get(task.user_id, task.id) for task in created]
        asked.insert(place, store._client.run(FAILS, {"owner": ann}))
        found = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(found.pop(place), psycopg.errors.DivisionByZero)
        assert found == created


class TurnsOfChunks:
    """A budget that notes in which turn of the event loop each chunk of rows was counted."""

    def __init__(self):
        self.turn, self.of_chunks = 0, []

    def take(self, _size):
        self.of_chunks.append(self.turn)

    def empty(self):
        self.of_chunks.clear()

    async def count_turns(self):
        while True:
            await asyncio.sleep(0)
            self.turn += 1


async def test_others_run_between_the_chunks_of_a_long_read(store):
    numbers = Transaction(sa.text("SELECT generate_series(1, 1000)"))
    turns = TurnsOfChunks()
    counting = asyncio.create_task(turns.count_turns())
    (rows,) = await store._client.run(numbers, {"owner": "ann"}, budget=turns)
    counting.cancel()
    assert rows == [(number,) for number in range(1, 1001)]
    assert len(turns.of_chunks) == math.ceil(1000 / CHUNK)
    assert len(set(turns.of_chunks)) == len(turns.of_chunks)


async def test_a_long_read_pauses_only_while_others_are_in_flight(store):
    numbers = Transaction(sa.text("SELECT generate_series(1, 1000)"), alone=True)
    counting = asyncio.create_task((turns := TurnsOfChunks()).count_turns())
    await store._client.run(numbers, {"owner": "ann"}, budget=turns)
    assert median(b - a for a, b in pairwise(turns.of_chunks)) < 5
    lasting = asyncio.create_task(store._client.run(Transaction(sa.text("SELECT pg_sleep(1)")), {"owner": "bob"}))
    await asyncio.sleep(0)
    begun = time.monotonic()
    await store._client.run(numbers, {"owner": "ann"}, budget=turns)
    assert time.monotonic() - begun > 0.5 * PAUSE * len(turns.of_chunks)
    assert not lasting.done()
    counting.cancel()
    await lasting


async def test_a_write_that_fails_fails_none_of_those_on_the_same_connection(store):
    broken = Transaction(writes.provision, sa.text("SELECT 1 / 0"), writes=True)
    works = Transaction(WHO, writes=True)
    values = {"now": None, "begins": 0, "quota": 1}
    asked = [
        store._client.run(broken if number % 5 == 2 else works, {"owner": str(number), **values})
        for number in range(30)
    ]
    found = await asyncio.gather(*asked, return_exceptions=True)
    for number, outcome in enumerate(found):
        if number % 5 == 2:
            assert isinstance(outcome, psycopg.Error)
        else:
            assert outcome[0][0][0] == str(number)


async def test_a_response_too_many_ends_the_connection_rather_than_reach_somebody_else(store, ann, bob):
    tasks = TaskService(store)
    mine, theirs = (await tasks.create(ann, title="x")).task, (await tasks.create(bob, title="x")).task
    assert await tasks.get(ann, mine.id) == mine
    _, connection = store._client._reads.at_hand()
    for _ in range(5):
        asked = [asyncio.create_task(tasks.get(task.user_id, task.id)) for task in (mine, theirs)]
        await asyncio.sleep(0)
        if connection._open:
            connection._pg.pipeline_sync()
            connection._pg.pipeline_sync()
        assert await asyncio.gather(*asked) == [mine, theirs]
    assert connection.broken


async def test_behind_a_pooler_transactions_travel_one_at_a_time_and_nothing_is_prepared(
    postgres_server, postgres_database, ann
):
    pgbouncer.require()
    logins = {PostgresDatabases.LOGIN: PostgresDatabases.PASSWORD}
    with PgBouncer(postgres_server, postgres_database, pool_size=2, logins=logins) as pooler:
        async with aclosing(PostgresTasks(pooler.url(PostgresDatabases.LOGIN), pool_size=5)) as store:
            tasks = TaskService(store)
            made = await asyncio.gather(*(tasks.create(ann, title="x") for _ in range(30)))
            loads = []

            async def watch():
                while True:
                    loads.extend(
                        slot.connection.load for pool in store._client._pools for slot in pool._slots if slot.connection
                    )
                    await asyncio.sleep(0)

            watching = asyncio.create_task(watch())
            found = await asyncio.gather(*(tasks.get(ann, one.task.id) for one in made for _ in range(10)))
            watching.cancel()
            assert {task.id for task in found} == {one.task.id for one in made}
            assert max(loads) == 1
            assert store.connections()["limit"] == 5
            connections = [slot.connection for pool in store._client._pools for slot in pool._slots if slot.connection]
            assert all(connection.pooled for connection in connections)
        prepared = "SELECT count(*) FROM pg_prepared_statements"
        with psycopg.connect(
            pooler.url(PostgresDatabases.LOGIN), autocommit=True, prepare_threshold=None
        ) as connection:
            assert connection.execute(prepared).fetchone() == (0,)


async def test_a_direct_connection_carries_many_transactions_at_once(store, ann):
    tasks = TaskService(store)
    task = (await tasks.create(ann, title="x")).task
    assert await tasks.get(ann, task.id) == task
    asked = [asyncio.create_task(tasks.get(ann, task.id)) for _ in range(50)]
    await asyncio.sleep(0)
    (slot,) = store._client._reads._slots
    assert slot.connection.load == 50
    assert not slot.connection.pooled
    assert await asyncio.gather(*asked) == [task] * 50


async def test_a_pooler_that_is_not_noticed_at_once_is_known_by_what_it_does_not_know(
    postgres_server, postgres_database, ann, monkeypatch
):
    pgbouncer.require()
    logins = {PostgresDatabases.LOGIN: PostgresDatabases.PASSWORD}
    connect = PipelineConnection.to

    async def unnoticed(info):
        connection = await connect(info)
        connection.pooled = False
        return connection

    monkeypatch.setattr(PipelineConnection, "to", unnoticed)
    with PgBouncer(postgres_server, postgres_database, pool_size=2, logins=logins) as pooler:
        async with aclosing(PostgresTasks(pooler.url(PostgresDatabases.LOGIN), pool_size=5)) as store:
            tasks = TaskService(store)
            users = [user_id(f"{ann} {number}") for number in range(8)]
            made = [(await tasks.create(user, title="x")).task for user in users]
            for _ in range(20):
                lists = (tasks.list(user) for user in users)  # each on a connection of its own, beside the writes
                await asyncio.gather(*(tasks.toggle(task.user_id, task.id) for task in made), *lists)
                found = await asyncio.gather(*(tasks.get(task.user_id, task.id) for task in made))
                assert [(task.user_id, task.id) for task in found] == [(task.user_id, task.id) for task in made]
            connections = [slot.connection for pool in store._client._pools for slot in pool._slots if slot.connection]
            assert all(connection.pooled for connection in connections)


async def test_a_server_that_hangs_up_before_a_group_is_closed_breaks_that_connection_and_holds_up_nobody(
    postgres_server, postgres_databases, postgres_database
):
    connection = await PipelineConnection.to(postgres_databases.url(postgres_database))
    values = {"owner": "ann", "timeout": "1000"}
    await connection.send(WHO_READS, values, deadline=time.monotonic() + 2).outcome
    sent = connection.send(
        WHO_READS, values, deadline=time.monotonic() + 2
    )  # its group is closed at the end of this turn
    postgres_server.execute(f"SELECT pg_terminate_backend({connection._pg.backend_pid}, 1000)")
    assert select.select([connection._socket], [], [], 2)[0]
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it goes on reading what will never come"))
    signal.alarm(2)
    try:
        connection._read()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(psycopg.OperationalError):
        await sent.outcome
    assert connection.broken


NAMES = ["ann", "o'brien", "back\\slash", "'; RESET ALL; --", "\\'", "müller 🦊", "", 'quo"te', "a,b", "DEFAULT"]


async def test_on_citus_each_unit_is_a_transaction_that_sets_its_user_by_a_command(postgres_databases, monkeypatch):
    """Citus passes only the command on to its nodes. What PostgreSQL itself is told shows what the command says."""
    reads = Transaction(WHO)
    context, who_am_i = reads.statements
    silent = context._replace(text=b"SELECT 1", name=b"silent", parameter_indexes=())
    monkeypatch.setattr(reads, "statements", (silent, who_am_i))
    with postgres_databases.another() as database:
        connection = await PipelineConnection.to(postgres_databases.url(database))
        monkeypatch.setattr(connection, "citus", True)
        try:
            deadline = asyncio.get_running_loop().time() + 10
            sent = [connection.send(reads, {"owner": name, "timeout": "0"}, deadline=deadline) for name in NAMES]
            found = [connection.rows(await each.outcome) for each in sent]
        finally:
            connection.close()
    rows = [row for ((row,),) in found]
    assert [user for user, _, _ in rows] == NAMES
    assert len({transaction for _, _, transaction in rows}) == len(NAMES)

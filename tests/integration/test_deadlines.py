"""A deadline is kept by every store, however little is left of it, and costs nobody else anything."""

import asyncio
from contextlib import aclosing
from datetime import UTC, datetime

import psycopg
import pytest
import sqlalchemy as sa

from servers.delay import DelayProxy
from support.clock import FakeClock
from support.waiting import refusal
from todo_adapters.sql.postgres.statements.transaction import Transaction
from todo_adapters.sql.postgres.store import PostgresTasks
from todo_domain import Deadline, Query, TaskService
from todo_domain.extra import ExtraPatch

NOW = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)
TWO_TRIPS = {"extra": ExtraPatch({"x": 1})}
"""An edit that depends on the task: it is read, and then written."""
OUR_LOCKS = int.from_bytes(b"todo", "big")


@pytest.fixture(params=["sqlite", "postgres"])
def place(request):
    return request.getfixturevalue(f"{request.param}_place")


async def test_what_has_no_time_left_is_not_begun(store, ann):
    task = (await TaskService(store).create(ann, title="x")).task
    late = Deadline.within(0.05)
    for write in (
        store.create(ann, {"title": "y"}, now=NOW, quota=9, once=None, deadline=late),
        store.replace(ann, task._replace(title="y"), now=NOW, deadline=late),
        store.toggle(ann, task.id, now=NOW, deadline=late),
        store.delete(ann, task.id, now=NOW, expected=None, deadline=late),
    ):
        error, seconds = await refusal(write)
        assert not error.outcome_unknown
        assert seconds < 1
    assert (await store.page(ann, Query(), unless=None)).tasks == [task]


async def test_a_caller_with_less_time_than_the_one_before_it_gives_up_alone(postgres_place, ann):
    async with postgres_place.open() as store:
        task = (await TaskService(store).create(ann, title="x")).task
        assert await store.get(ann, task.id) == task  # the connection for short reads is there
        slow = asyncio.create_task(store._client.run(Transaction(sa.text("SELECT pg_sleep(1.2)")), {"owner": ann}))
        await asyncio.sleep(0.1)
        error, seconds = await refusal(store.get(ann, task.id, deadline=Deadline.within(0.6)))
        assert not error.outcome_unknown
        assert seconds < 1
        assert await slow == [[("",)]]
        assert await store.get(ann, task.id) == task
        assert store.connections()["busy"] == 0


async def test_a_write_that_waits_for_the_lock_of_its_user_and_then_for_a_row_ends_in_time_and_is_known_not_done(
    postgres_server, postgres_database, postgres_place, ann
):
    """Each wait alone is shorter than what the deadline leaves, both together are longer."""
    url = postgres_server.url(postgres_database)
    async with postgres_place.open() as store:
        task = (await TaskService(store).create(ann, title="x")).task
        for write in (
            lambda: store.create(ann, {"title": "y"}, now=NOW, quota=9, once=None, deadline=Deadline.within(1.5)),
            lambda: store.replace(ann, task._replace(title="y"), now=NOW, deadline=Deadline.within(1.5)),
            lambda: store.toggle(ann, task.id, now=NOW, deadline=Deadline.within(1.5)),
            lambda: store.delete(ann, task.id, now=NOW, expected=None, deadline=Deadline.within(1.5)),
        ):
            with psycopg.connect(url) as turn, psycopg.connect(url) as row:
                turn.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", [ann, OUR_LOCKS])
                row.execute("SELECT FROM users, tasks WHERE users.id = %s FOR UPDATE", [ann])
                refused = asyncio.create_task(refusal(write()))
                await asyncio.sleep(0.7)
                turn.rollback()
                error, seconds = await refused
            assert seconds < 3
            assert not error.outcome_unknown
        assert (await store.page(ann, Query(), unless=None)).tasks == [task]


async def test_an_edit_that_has_to_connect_twice_over_a_slow_network_is_refused_in_time(
    postgres_server, postgres_database, ann
):
    """The read makes a connection and so does the write: each alone is in time, both together are not."""
    with DelayProxy(postgres_server.port, round_trip=0.01) as proxy:
        url = postgres_server.url(postgres_database, port=proxy.port)
        async with aclosing(PostgresTasks(url)) as store:
            task = (await TaskService(store).create(ann, title="x")).task
        proxy.round_trip = 0.3
        async with aclosing(PostgresTasks(url)) as store:
            error, seconds = await refusal(TaskService(store).edit(ann, task.id, **TWO_TRIPS))
            assert seconds < 3
            assert not error.outcome_unknown


async def test_an_edit_over_a_network_that_slow_is_refused_in_time_and_not_done(
    postgres_server, postgres_database, ann
):
    """A patch of `extra` takes two trips and has time for one: nothing is written, and that is known."""
    with DelayProxy(postgres_server.port, round_trip=0.01) as proxy:
        url = postgres_server.url(postgres_database, port=proxy.port)
        async with aclosing(PostgresTasks(url)) as store:
            tasks = TaskService(store, clock=FakeClock())
            task = (await tasks.create(ann, title="x")).task
            task = await tasks.edit(ann, task.id, extra=ExtraPatch({"y": 1}))
            proxy.round_trip = 2.3
            error, seconds = await refusal(tasks.edit(ann, task.id, **TWO_TRIPS))
            assert seconds < 3
            assert not error.outcome_unknown
            proxy.round_trip = 0.01
            await asyncio.sleep(0.5)
            assert await tasks.get(ann, task.id) == task

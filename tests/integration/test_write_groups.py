"""Writes of several users in one transaction: each keeps its own user, its own response and its own deadline."""

import asyncio
import itertools
import math
import random
import time
from contextlib import aclosing, contextmanager

import psycopg
import pytest
import sqlalchemy as sa

from servers.delay import DelayProxy
from support.clock import FakeClock
from support.sql_places import PostgresDatabases
from support.waiting import until
from todo_adapters.sql.postgres.connections import write_groups
from todo_adapters.sql.postgres.connections.pipeline import PipelineConnection
from todo_adapters.sql.postgres.statements import writes
from todo_adapters.sql.postgres.statements.transaction import Transaction
from todo_adapters.sql.postgres.store import PostgresTasks
from todo_domain import QuotaReached, Stale, TaskService, Unavailable, user_id
from todo_domain.deadline import Deadline

WHO = Transaction(
    sa.text("SELECT current_setting('todo.user_id'), current_user, pg_current_xact_id()::text"), grouped=True
)
FAILS = Transaction(sa.text("SELECT 1 / 0"), grouped=True)
NAPS = Transaction(sa.text("SELECT pg_sleep(0.02)"), grouped=True)
SLEEPS = Transaction(sa.text("SELECT pg_sleep(1.5)"), grouped=True)
OUR_LOCKS = int.from_bytes(b"todo", "big")
MOST = 16


@pytest.fixture
def url(postgres_databases, postgres_database):
    return postgres_databases.url(postgres_database)


@pytest.fixture
async def store(url):
    async with aclosing(PostgresTasks(url)) as opened:
        await opened._client.run(WHO, {"owner": "warms up"})
        yield opened


@pytest.fixture
def tasks(store):
    return TaskService(store, clock=FakeClock())


@pytest.fixture
def users(ann):
    """Many users, in an order that is not that of their names."""
    return [user_id(f"{ann} {number * 7 % 20:02}") for number in range(20)]


async def asleep(store, owner):
    await store._client.run(SLEEPS, {"owner": owner}, deadline=Deadline.within(10))


@contextmanager
def far_away(server, database, *, round_trip):
    """A proxy before the server, and the URL of the database behind it."""
    with DelayProxy(server.port, round_trip=round_trip) as proxy:
        yield proxy, server.url(database, PostgresDatabases.LOGIN, PostgresDatabases.PASSWORD, port=proxy.port)


async def revisions(tasks, users):
    return [(await tasks.list(user)).revision for user in users]


async def test_writes_of_one_turn_share_a_transaction_and_each_is_its_own_user_in_it(store):
    names = [f"user{number * 7 % 40}" for number in range(40)]
    results = await asyncio.gather(*(store._client.run(WHO, {"owner": name}) for name in names))
    found = [row for ((row,),) in results]
    assert [(user, role) for user, role, _ in found] == [(name, "todo_app") for name in names]
    sizes = [len(list(group)) for _, group in itertools.groupby(transaction for _, _, transaction in found)]
    assert sizes == [MOST, MOST, 8]


async def test_writes_of_one_user_in_one_group_are_done_in_the_order_in_which_they_came(tasks, ann):
    made = await asyncio.gather(*(tasks.create(ann, title=f"{number}") for number in range(MOST)))
    assert [created.task.revision for created in made] == list(range(1, MOST + 1))
    assert [created.task.title for created in made] == [f"{number}" for number in range(MOST)]


@pytest.mark.parametrize("places", [{0}, {7}, {MOST - 1}, {0, 1, 2, 3}, {3, 9, 14}])
async def test_a_write_that_fails_changes_no_response_but_its_own(store, tasks, users, places):
    for round_ in range(1, 4):
        names = users[:MOST]
        asked = [
            store._client.run(FAILS, {"owner": user}) if place in places else tasks.create(user, title="x")
            for place, user in enumerate(names)
        ]
        found = await asyncio.gather(*asked, return_exceptions=True)
        for place, outcome in enumerate(found):
            if place in places:
                assert isinstance(outcome, psycopg.errors.DivisionByZero)
            else:
                assert (outcome.task.user_id, outcome.task.revision) == (names[place], round_)
        assert await revisions(tasks, names) == [0 if place in places else round_ for place in range(MOST)]


async def test_what_the_database_refuses_a_user_it_refuses_nobody_else_in_the_group(store, users):
    full = TaskService(store, clock=FakeClock(), quota=1)
    tasks = TaskService(store, clock=FakeClock())
    first, second, third, fourth, fifth = users[:5]
    old = (await tasks.create(first, title="x")).task
    await tasks.toggle(first, old.id)
    await tasks.create(second, title="x")
    untitled = {"owner": third, "now": None, "begins": 0, "quota": 9} | dict.fromkeys(writes.MEMBERS)
    found = await asyncio.gather(
        tasks.delete(first, old.id, if_match=[old.revision]),
        full.create(second, title="one too many"),
        store._client.run(Transaction(writes.create, grouped=True), untitled),
        tasks.create(fourth, title="fine"),
        tasks.create(fifth, title="fine"),
        return_exceptions=True,
    )
    refused, kept = found[:3], found[3:]
    assert [type(error) for error in refused] == [Stale, QuotaReached, psycopg.errors.NotNullViolation]
    assert [created.task.title for created in kept] == ["fine", "fine"]
    assert await revisions(tasks, users[:5]) == [2, 1, 0, 1, 1]


async def test_groups_of_two_workers_never_wait_for_each_other(url, postgres_server, postgres_database, users):
    query = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"

    async def work(order):
        async with aclosing(PostgresTasks(url)) as store:
            tasks = TaskService(store, clock=FakeClock())
            mine = {user: (await tasks.create(user, title="x")).task.id for user in users}
            for _ in range(60):
                await asyncio.gather(*(tasks.toggle(user, mine[user]) for user in order))

    def worker(order):  # an event loop of its own, as a worker process has it
        asyncio.run(work(order))

    before = postgres_server.execute(query, database=postgres_database)
    await asyncio.gather(asyncio.to_thread(worker, users), asyncio.to_thread(worker, users[::-1]))
    assert postgres_server.execute(query, database=postgres_database) == before
    async with aclosing(PostgresTasks(url)) as store:
        assert await revisions(TaskService(store), users) == [2 * 61] * len(users)


HELD = {
    "lock": "SELECT pg_advisory_xact_lock(hashtextextended(%(user)s, %(ours)s))",
    "row": "SELECT FROM users WHERE id = %(user)s FOR UPDATE",
}


@pytest.mark.parametrize("held", HELD)
async def test_a_user_whose_lock_or_row_is_held_holds_up_no_other_user(
    postgres_server, postgres_database, tasks, users, held
):
    kept, *others = users
    await asyncio.gather(*(tasks.create(user, title="there") for user in users))
    shares = []
    while len(shares) < 5 and min(shares, default=1) > 0.4:  # on a busy machine everything takes its time
        with psycopg.connect(postgres_server.url(postgres_database)) as session:
            session.execute(HELD[held], {"user": kept, "ours": OUR_LOCKS})
            began = time.monotonic()
            blocked = [asyncio.create_task(tasks.create(kept, title="x")) for _ in range(40)]
            for _ in range(3):
                await asyncio.gather(*(tasks.create(user, title="x") for user in others))
            took = time.monotonic() - began
            endings = await asyncio.gather(*blocked, return_exceptions=True)
            shares.append(took / (time.monotonic() - began))
        assert all(isinstance(ending, Unavailable) and not ending.outcome_unknown for ending in endings)
    assert shares[-1] <= 0.4
    assert await revisions(tasks, users) == [1, *[1 + 3 * len(shares)] * len(others)]


async def test_a_user_whose_lock_is_held_for_long_has_one_connection_at_most(
    postgres_server, postgres_database, store, tasks, ann
):
    with psycopg.connect(postgres_server.url(postgres_database), autocommit=True) as session:
        session.execute("SELECT pg_advisory_lock(hashtextextended(%s, %s))", [ann, OUR_LOCKS])
        blocked = [asyncio.create_task(tasks.create(ann, title="x")) for _ in range(20)]
        busy = set()
        while not any(writing.done() for writing in blocked):
            busy.add(sum(slot.load for slot in store._client._writes._slots))
            await asyncio.sleep(0.01)
        assert max(busy) == 1
        endings = await asyncio.gather(*blocked, return_exceptions=True)
        assert all(isinstance(ending, Unavailable) and not ending.outcome_unknown for ending in endings)
    assert store.connections()["waiting"] == 0
    assert (await tasks.create(ann, title="afterwards")).task.revision == 1


async def test_of_a_group_that_was_cut_off_nothing_is_known_and_the_next_one_is_sent(
    postgres_server, postgres_database, store, users
):
    with far_away(postgres_server, postgres_database, round_trip=0.001) as (proxy, url):
        async with aclosing(PostgresTasks(url)) as distant:
            tasks = TaskService(distant, clock=FakeClock())
            await tasks.create(users[0], title="connects")
            proxy.freeze()
            names = users[:MOST]
            writing = [asyncio.create_task(tasks.create(user, title="x")) for user in (*names, *names[:4])]
            while distant.connections()["waiting"] != 4:  # noqa: ASYNC110  nothing tells
                await asyncio.sleep(0)
            proxy.cut()
            proxy.restore()
            endings = await asyncio.gather(*writing, return_exceptions=True)
            sent, waited = endings[:MOST], endings[MOST:]
            assert [(type(error), error.outcome_unknown) for error in sent] == [(Unavailable, True)] * MOST
            assert [created.task.user_id for created in waited] == names[:4]
            assert await revisions(TaskService(store), names) == [2, 1, 1, 1, *[0] * (MOST - 4)]


async def test_a_connection_that_breaks_takes_no_group_but_its_own_with_it(
    postgres_server, postgres_database, tasks, users, ann, bob
):
    async def asleep_on_the_server(number):
        query = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' ORDER BY xact_start"
        found = []
        while len(found) < number:
            await asyncio.sleep(0.005)
            found = [pid for (pid,) in postgres_server.execute(query)]
        return found

    with far_away(postgres_server, postgres_database, round_trip=0.02) as (_, url):
        async with aclosing(PostgresTasks(url)) as distant:
            far = TaskService(distant, clock=FakeClock())
            await asyncio.gather(*(far.create(user, title="connects") for user in users[:2]))
            broken = [asyncio.create_task(asleep(distant, ann)), asyncio.create_task(far.create(users[0], title="x"))]
            await asleep_on_the_server(1)
            whole = [asyncio.create_task(asleep(distant, bob)), asyncio.create_task(far.create(users[1], title="x"))]
            first, _ = await asleep_on_the_server(2)
            postgres_server.execute(f"SELECT pg_terminate_backend({first})")
            lost = await asyncio.gather(*broken, return_exceptions=True)
            assert [(type(error), error.outcome_unknown) for error in lost] == [(Unavailable, True)] * 2
            assert (await asyncio.gather(*whole))[1].task.user_id == users[1]
    assert await revisions(tasks, users[:2]) == [1, 2]


async def test_the_writes_of_one_user_need_one_connection_however_far_the_database_is(
    postgres_server, postgres_database, ann
):
    with far_away(postgres_server, postgres_database, round_trip=0.05) as (proxy, url):
        async with aclosing(PostgresTasks(url)) as distant:
            far = TaskService(distant, clock=FakeClock())
            made = await asyncio.gather(*(far.create(ann, title="x") for _ in range(40)))
        assert [created.task.revision for created in made] == list(range(1, 41))
        assert proxy.connections == 1


async def test_of_many_first_writes_to_a_database_far_away_none_is_refused(postgres_server, postgres_database):
    async def refused():
        with far_away(postgres_server, postgres_database, round_trip=0.28) as (
            _,
            url,
        ):  # a connection takes six of them
            async with aclosing(PostgresTasks(url)) as distant:
                far = TaskService(distant, clock=FakeClock())
                asked = (far.create(user_id(f"user {number}"), title="x") for number in range(64))
                found = await asyncio.gather(*asked, return_exceptions=True)
        return [error for error in found if isinstance(error, Exception)]

    errors = await refused()
    for _ in range(3):  # on a busy machine everything takes its time
        errors = errors and await refused()
    assert errors == []


async def test_groups_in_flight_together_have_no_user_in_common(
    postgres_server, postgres_database, tasks, users, monkeypatch
):
    in_flight, together = [], set()
    send_group = PipelineConnection.send_group

    def watched(self, group, *, done):
        owners = {values["owner"] for _, values in group}
        assert not any(owners & others for others in in_flight)
        in_flight.append(owners)
        together.add(len(in_flight))

        def ended():
            in_flight.remove(owners)
            done()

        return send_group(self, group, done=ended)

    with far_away(postgres_server, postgres_database, round_trip=0.02) as (_, url):
        async with aclosing(PostgresTasks(url)) as distant:
            monkeypatch.setattr(PipelineConnection, "send_group", watched)
            far = TaskService(distant, clock=FakeClock())
            asked = random.choices(users, k=200)
            await asyncio.gather(*(far.create(user, title="x") for user in asked))
    assert max(together) > 1
    assert await revisions(tasks, users) == [asked.count(user) for user in users]


async def test_near_the_database_two_groups_are_in_flight_and_no_more(store, monkeypatch):
    in_flight, together = set(), []
    send_group = PipelineConnection.send_group

    def watched(self, group, *, done):
        number = len(together)
        in_flight.add(number)
        together.append(len(in_flight))

        def ended():
            in_flight.remove(number)
            done()

        return send_group(self, group, done=ended)

    monkeypatch.setattr(PipelineConnection, "send_group", watched)
    monkeypatch.setattr(write_groups, "_APART", math.inf)  # on a busy machine every database seems far away
    names = [f"user {number}" for number in range(4 * MOST)]
    await asyncio.gather(*(store._client.run(NAPS, {"owner": name}) for name in names))
    assert max(together) == 2


def asking(store, owner):
    return asyncio.create_task(store._client.run(WHO, {"owner": owner}, deadline=Deadline.within(10)))


@pytest.mark.parametrize(("in_the_first", "enough"), [(2, 2), (12, MOST // 2)])
async def test_near_the_database_the_second_group_leaves_when_as_many_writes_wait_as_are_in_the_first_or_half_a_group(
    store, monkeypatch, in_the_first, enough
):
    monkeypatch.setattr(write_groups, "_APART", 60)  # on a busy machine every database seems far away
    names = (f"user {number}" for number in itertools.count())

    def ask(number):
        return [asking(store, next(names)) for _ in range(number)]

    first = [asyncio.create_task(asleep(store, next(names))), *ask(in_the_first - 1)]
    await until(lambda: store.connections()["busy"] == 1)
    await asyncio.gather(*ask(enough))  # makes the second connection
    early = ask(enough - 1)
    for _ in range(100):
        await asyncio.sleep(0)
    assert store.connections()["waiting"] == enough - 1
    found = await asyncio.gather(*early, *ask(1))
    assert len({transaction for (((_, _, transaction),),) in found}) == 1
    assert not any(each.done() for each in first)
    await asyncio.gather(*first)


async def test_near_the_database_a_write_soon_leaves_behind_a_larger_group(store, users, monkeypatch):
    monkeypatch.setattr(write_groups, "_APART", 0.5)
    first = [asyncio.create_task(asleep(store, users[0])), asking(store, users[1]), asking(store, users[2])]
    await until(lambda: store.connections()["busy"] == 1)
    await asking(store, users[3])
    assert not any(each.done() for each in first)
    await asyncio.gather(*first)


async def test_a_write_that_is_cancelled_before_its_group_leaves_never_happens(store, tasks, ann):
    sleeping = asyncio.create_task(asleep(store, ann))
    await until(lambda: store.connections()["busy"] == 1)
    waiting = asyncio.create_task(tasks.create(ann, title="x"))
    await until(lambda: store.connections()["waiting"] == 1)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not sleeping.done()
    await sleeping
    assert (await tasks.create(ann, title="y")).task.revision == 1
    assert store.connections()["waiting"] == 0


async def test_a_write_that_is_cancelled_on_its_way_is_decided_when_the_cancellation_is_over(store, tasks, ann, bob):
    sleeping = asyncio.create_task(asleep(store, ann))
    writing = asyncio.create_task(tasks.create(bob, title="x", deadline=Deadline.within(10)))
    await asyncio.sleep(0.05)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert (await tasks.list(bob)).revision == 1
    await sleeping


async def test_a_write_that_waits_for_its_group_until_its_deadline_has_not_happened(store, tasks, ann):
    sleeping = asyncio.create_task(asleep(store, ann))
    await until(lambda: store.connections()["busy"] == 1)
    with pytest.raises(Unavailable) as caught:
        await tasks.create(ann, title="x", deadline=Deadline.within(0.5))
    assert not caught.value.outcome_unknown
    assert not sleeping.done()
    await sleeping
    assert (await tasks.create(ann, title="y")).task.revision == 1


async def test_a_slow_write_of_a_group_leaves_the_others_the_time_they_need(store, tasks, ann, bob):
    slow = Transaction(sa.text("SELECT pg_sleep(1.6)"), grouped=True)
    began = time.monotonic()
    found = await asyncio.gather(
        store._client.run(slow, {"owner": ann}), tasks.create(bob, title="x"), return_exceptions=True
    )
    assert time.monotonic() - began < 3
    assert isinstance(found[0], Unavailable)
    assert not found[0].outcome_unknown
    assert found[1].task.revision == 1

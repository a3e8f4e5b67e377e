"""What an operation costs on the way: with 50 ms to PostgreSQL and back, one round trip each, a PUT by id two."""

import asyncio
import time
from contextlib import aclosing
from statistics import median

import pytest

from servers.citus import Coordinator
from servers.delay import DelayProxy
from support.clock import FakeClock
from todo_adapters.sql.postgres.connections.pipeline import PipelineConnection
from todo_adapters.sql.postgres.store import PostgresTasks
from todo_domain import ExtraPatch, Once, PatchTask, Put, PutTask, Query, TaskService, user_id

ROUND_TRIP = 0.05
UID = "0199c3a8-5d1e-7c4f"


@pytest.fixture
async def far_away(postgres_databases, postgres_database):
    """The service, 50 ms away from its database."""
    server = postgres_databases.server
    with DelayProxy(server.port, round_trip=ROUND_TRIP) as proxy:
        url = server.url(postgres_database, postgres_databases.LOGIN, postgres_databases.PASSWORD, port=proxy.port)
        async with aclosing(PostgresTasks(url)) as store:
            await store.open()
            yield TaskService(store, clock=FakeClock())


async def _trips(call, most=1.5):
    """The median time of three calls, in round trips; the best of up to five such, for the machine may be busy."""
    medians = []
    while len(medians) < 5 and min(medians, default=9) > most:
        took = []
        for _ in range(3):
            begun = time.perf_counter()
            await call()
            took.append((time.perf_counter() - begun) / ROUND_TRIP)
        medians.append(median(took))
    return min(medians)


async def test_reads_and_writes_take_one_round_trip_and_a_put_by_id_two(far_away, ann):
    tasks = far_away
    task = (await tasks.create(ann, title="x")).task
    ids = [(await tasks.create(ann, title="x")).task.id for _ in range(24)]
    deleted = [(await tasks.create(ann, title="x")).task.id for _ in range(30)]
    for id_ in deleted:
        await tasks.delete(ann, id_)
    numbers = iter(range(10_000))
    trips = {
        "get": await _trips(lambda: tasks.get(ann, task.id)),
        "list": await _trips(lambda: tasks.list(ann, Query(limit=20))),
        "whole list": await _trips(lambda: tasks.list(ann)),
        "search": await _trips(lambda: tasks.list(ann, Query(text="x"))),
        "changes": await _trips(lambda: tasks.changes(ann, since=task.revision)),
        "create": await _trips(lambda: tasks.create(ann, title="x")),
        "create once": await _trips(lambda: tasks.create(ann, title="x", once=Once(f"{next(numbers)}", b"x"))),
        "edit": await _trips(lambda: tasks.edit(ann, task.id, title=f"{next(numbers)}")),
        "toggle": await _trips(lambda: tasks.toggle(ann, task.id)),
        "delete": await _trips(lambda: tasks.delete(ann, ids.pop())),
        "trash": await _trips(lambda: tasks.trash(ann, limit=20)),
        "restore": await _trips(lambda: tasks.restore(ann, deleted.pop())),
        "discard": await _trips(lambda: tasks.discard(ann, deleted.pop())),
        "empty trash": await _trips(lambda: tasks.empty_trash(ann)),
    }
    put = await _trips(lambda: tasks.put(ann, task.id, Put({"title": f"{next(numbers)}"})), most=2.5)
    print({name: round(figure, 2) for name, figure in {**trips, "put": put}.items()})  # noqa: T201  the figures, for -s
    assert {name: figure for name, figure in trips.items() if figure > 1.5} == {}
    assert put <= 2.5


async def test_a_write_of_many_clients_does_not_wait_for_the_round_trip_of_another(far_away):
    users = [user_id(f"user {number}") for number in range(64)]

    async def client(user, times):
        await far_away.create(user, title="connects")
        for number in range(4):
            begun = time.perf_counter()
            task = (await far_away.create(user, title="x")).task
            edited = time.perf_counter()
            await far_away.edit(user, task.id, title=f"{number}")
            times += [(edited - begun) / ROUND_TRIP, (time.perf_counter() - edited) / ROUND_TRIP]

    found = []
    while len(found) < 5 and min(found, default=9) > 2:  # on a busy machine everything takes its time
        times: list[float] = []
        await asyncio.gather(*(client(user, times) for user in users))
        found.append(median(times))
    assert min(found) <= 2  # four groups of 16, one after the other, would take four


SENT = {  # units, and the statements in them with the context of each
    "get": (1, 2),
    "list": (1, 2),
    "changes": (1, 2),
    "create": (1, 2),
    "create once": (1, 4),
    "toggle": (1, 2),
    "delete": (1, 3),
    "edit": (1, 2),
    "edit that changes nothing": (2, 4),
    "edit of contradicting twins": (2, 5),
    "patch of extra": (2, 5),
    "create by uid": (1, 4),
    "repeat by uid": (1, 4),
    "get by uid": (1, 3),
    "put by uid": (2, 7),
    "edit by uid": (1, 2),
    "edit by uid that changes nothing": (2, 5),
    "toggle by uid": (1, 3),
    "delete by uid": (1, 4),
    "delete again by uid": (1, 4),
    "create by uid once": (1, 5),
    "edit once": (1, 3),
    "toggle once": (1, 3),
    "delete once": (1, 4),
    "trash": (1, 2),
    "restore": (1, 4),
    "delete, then discard": (2, 5),
    "restore by uid": (1, 4),
    "empty trash": (1, 2),
    "batch of a hundred creates": (2, 7),
    "batch of a hundred edits": (2, 7),
    "export": (1, 2),
    "make a feed": (1, 2),
    "feed": (1, 2),
    "end a feed": (1, 2),
    "erase": (1, 2),
}


async def delete_and_discard(tasks, owner, task_id):
    await tasks.delete(owner, task_id)
    await tasks.discard(owner, task_id)


async def test_no_operation_sends_more_than_it_did(postgres_databases, postgres_database, ann, monkeypatch):
    if isinstance(postgres_databases.server, Coordinator):
        pytest.skip("Citus is sent other statements, and this counts what an ordinary PostgreSQL is sent")
    sent = []
    send, send_group = PipelineConnection.send, PipelineConnection.send_group

    def counted(wire, transaction, values, **how):
        sent.append(len(transaction.statements))
        return send(wire, transaction, values, **how)

    def counted_group(wire, group, **how):
        sent.append(sum(len(transaction.statements) for transaction, _ in group))
        return send_group(wire, group, **how)

    async with aclosing(PostgresTasks(postgres_databases.url(postgres_database))) as store:
        tasks = TaskService(store, clock=FakeClock())
        task, other = [(await tasks.create(ann, title="x")).task for _ in range(2)]
        operations = {
            "get": tasks.get(ann, task.id),
            "list": tasks.list(ann, Query(limit=20)),
            "changes": tasks.changes(ann, since=task.revision),
            "create": tasks.create(ann, title="x"),
            "create once": tasks.create(ann, title="x", once=Once("key", b"x")),
            "toggle": tasks.toggle(ann, task.id),
            "delete": tasks.delete(ann, other.id),
            "edit": tasks.edit(ann, task.id, title="y"),
            "edit that changes nothing": tasks.edit(ann, task.id, title="y"),
            "edit of contradicting twins": tasks.edit(ann, task.id, completed=True, status="incomplete", revision=7),
            "patch of extra": tasks.edit(ann, task.id, extra=ExtraPatch({"a": 1})),
            "create by uid": tasks.put(ann, UID, Put({"title": "x"})),
            "repeat by uid": tasks.put(ann, UID, Put({"title": "x"})),
            "get by uid": tasks.get(ann, UID),
            "put by uid": tasks.put(ann, UID, Put({"title": "y"})),
            "edit by uid": tasks.edit(ann, UID, title="z"),
            "edit by uid that changes nothing": tasks.edit(ann, UID, title="z"),
            "toggle by uid": tasks.toggle(ann, UID),
            "delete by uid": tasks.delete(ann, UID),
            "delete again by uid": tasks.delete(ann, UID),
            "create by uid once": tasks.put(ann, f"{UID}-2", Put({"title": "x"}), once=Once("1", b"x")),
            "edit once": tasks.edit(ann, task.id, title="once", once=Once("2", b"x")),
            "toggle once": tasks.toggle(ann, task.id, once=Once("3", b"x")),
            "delete once": tasks.delete(ann, task.id, once=Once("4", b"x")),
            "trash": tasks.trash(ann),
            "restore": tasks.restore(ann, task.id),
            "delete, then discard": delete_and_discard(tasks, ann, task.id),
            "restore by uid": tasks.restore(ann, UID),
            "empty trash": tasks.empty_trash(ann),
            "batch of a hundred creates": tasks.batch(
                ann, [PutTask(f"{UID}-{number}", Put({"title": "x"})) for number in range(3, 103)]
            ),
            "batch of a hundred edits": tasks.batch(
                ann, [PatchTask(f"{UID}-{number}", {"title": "y"}) for number in range(3, 103)]
            ),
            "export": tasks.export(ann),
            "make a feed": store.make_feed(ann, b"digest", now=FakeClock()()),
            "feed": store.feed(ann, b"digest", unless=None),
            "end a feed": tasks.end_feed(ann),
            "erase": tasks.erase(ann),
        }
        monkeypatch.setattr(PipelineConnection, "send", counted)
        monkeypatch.setattr(PipelineConnection, "send_group", counted_group)
        found = {}
        for name, operation in operations.items():
            sent.clear()
            await operation
            found[name] = len(sent), sum(sent)
    assert found == SENT

"""A batch does what its operations would do as requests of their own, one after the other."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.clock import FakeClock
from todo_adapters.memory import MemoryTasks
from todo_domain import (
    Changes,
    DeleteTask,
    Done,
    Exists,
    Gone,
    Invalid,
    OperationFailed,
    PatchTask,
    Put,
    PutTask,
    QuotaReached,
    Refused,
    Snapshot,
    Stale,
    TaskService,
    TodoError,
    user_id,
)
from todo_domain.batch import plan

ANN = user_id("ann")
UIDS = ["first-name", "other-name", "third-name"]
REVISIONS = range(1, 16)
KEYS = st.sampled_from([*UIDS, "gone-name-", 1, 2, 99])
SEEN = st.none() | st.sampled_from(REVISIONS).map(lambda revision: {revision})
MEMBERS = st.fixed_dictionaries(
    {},
    optional={
        "title": st.sampled_from(["a", "b", " "]),
        "description": st.sampled_from([None, "more"]),
        "completed": st.booleans(),
    },
)
PUTS = st.builds(
    lambda members, revision, seen, create_only, owner: Put(
        members if revision is None else members | {"revision": revision},
        user_id=owner,
        if_match=seen,
        conditional=seen is not None,
        create_only=create_only,
    ),
    MEMBERS,
    st.none() | st.sampled_from(REVISIONS),
    SEEN,
    st.booleans(),
    st.sampled_from([None, None, None, ANN, "bob"]),
)
OPERATIONS = st.lists(
    st.builds(PutTask, KEYS, PUTS)
    | st.builds(PutTask, KEYS, MEMBERS.map(Put))
    | st.builds(PatchTask, KEYS, MEMBERS, SEEN)
    | st.builds(DeleteTask, KEYS, SEEN),
    min_size=1,
    max_size=12,
)


async def one(tasks, operation):
    """Return what the operation's single request gives."""
    try:
        match operation:
            case PutTask(key, put):
                task, created = await tasks.put(ANN, key, put)
                return Done(task, created)
            case PatchTask(key, members, if_match):
                return Done(await tasks.edit(ANN, key, if_match=if_match, **members))
            case DeleteTask(key, if_match):
                return Done(await tasks.delete(ANN, key, if_match=if_match))
    except TodoError as error:
        return error


def said(result):
    """Return a result as something that equals another one."""
    return (type(result), str(result), vars(result)) if isinstance(result, TodoError) else result


async def begun(quota, clock):
    """A task of id 1 and a deleted one of id 2: no operation knows the id of a task that is made later."""
    store = MemoryTasks()
    for operation in (
        PutTask("first-name", Put({"title": "a"})),
        PutTask("gone-name-", Put({"title": "b"})),
        DeleteTask("gone-name-"),
    ):
        await one(TaskService(store, clock=clock), operation)
    return TaskService(store, clock=clock, quota=quota)


async def state(tasks):
    return await tasks.changes(ANN), await tasks.changes(ANN, since=1), await tasks.trash(ANN)


@given(OPERATIONS, st.integers(1, 4), st.booleans())
def test_a_batch_equals_the_same_single_requests_one_after_the_other(operations, quota, atomic):
    async def compare():
        clock = FakeClock()
        single, batched = await begun(quota, clock), await begun(quota, clock)
        clock.advance(seconds=1)
        before = await state(batched)
        expected = [said(await one(single, operation)) for operation in operations]
        failed = [index for index, result in enumerate(expected) if not isinstance(result, Done)]
        if atomic and failed:
            with pytest.raises(OperationFailed) as failure:
                await batched.batch(ANN, operations, atomic=True)
            assert failure.value.index == failed[0]
            assert said(failure.value.error)[:2] == expected[failed[0]][:2]
            assert await state(batched) == before
        else:
            results = await batched.batch(ANN, operations, atomic=atomic)
            assert list(map(said, results)) == expected
            assert await state(batched) == await state(single)

    asyncio.run(compare())


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def tasks(clock):
    return TaskService(MemoryTasks(), clock=clock, quota=2)


async def test_a_later_operation_sees_what_an_earlier_one_did(tasks, clock):
    name = UIDS[0]
    results = await tasks.batch(
        ANN,
        [
            PutTask(name, Put({"title": "made"}, create_only=True)),
            PutTask(name, Put({"title": "again"}, create_only=True)),
            PatchTask(name, {"completed": True}),
            PatchTask(name, {"completed": True}),
            DeleteTask(name),
            DeleteTask(name),
            PutTask(name, Put({"title": "raised"})),
        ],
    )
    made, exists, completed, same, deleted, done, gone = results
    assert (made.created, made.task.id, made.task.revision) == (True, 1, 1)
    assert isinstance(exists, Exists)
    assert exists.current == made.task
    assert completed.task == made.task._replace(completed_at=clock.now, revision=2)
    assert same == completed
    assert deleted == done == Done(None)
    assert isinstance(gone, Gone)
    assert gone.deleted == (1, name, 3, clock.now)
    assert await tasks.changes(ANN) == Changes([], [], 3, has_more=False)


async def test_what_a_batch_deletes_is_handed_to_the_store_as_it_was_last(clock):
    operations = [PutTask(UIDS[0], Put({"title": "made"})), PatchTask(UIDS[0], {"title": "last"}), DeleteTask(UIDS[0])]
    changes = plan(operations, Snapshot(0, 0, 0, [], []), owner=ANN, quota=1, now=clock.now).changes
    assert [(task.id, task.title, task.revision) for task in changes.deleted] == [(0, "last", changes.revision + 3)]
    assert (list(changes.made), list(changes.tasks), changes.growth) == ([UIDS[0]], [], 0)


async def test_a_deletion_makes_room_for_the_create_behind_it(tasks):
    results = await tasks.batch(ANN, [PutTask(uid, Put({"title": "x"})) for uid in UIDS])
    assert [type(result) for result in results] == [Done, Done, QuotaReached]
    results = await tasks.batch(ANN, [DeleteTask(UIDS[0]), PutTask(UIDS[2], Put({"title": "x"}))])
    assert [type(result) for result in results] == [Done, Done]


async def test_an_operation_that_cannot_be_read_is_refused_and_holds_up_no_other(tasks):
    error = Invalid("title", "must be a string")
    results = await tasks.batch(ANN, [Refused(UIDS[0], error), PutTask(UIDS[1], Put({"title": "x"}))])
    assert results[0] is error
    assert results[1].created
    with pytest.raises(OperationFailed) as failure:
        await tasks.batch(ANN, [PutTask(UIDS[2], Put({"title": "x"})), Refused(UIDS[0], error)], atomic=True)
    assert (failure.value.index, failure.value.error, failure.value.known) == (1, error, True)
    assert len((await tasks.list(ANN)).tasks) == 1


async def test_what_an_atomic_batch_made_itself_and_took_back_is_not_known(tasks):
    put = PutTask(UIDS[0], Put({"title": "x"}, create_only=True))
    with pytest.raises(OperationFailed) as failure:
        await tasks.batch(ANN, [put, put], atomic=True)
    assert not failure.value.known
    await tasks.batch(ANN, [put])
    with pytest.raises(OperationFailed) as failure:
        await tasks.batch(ANN, [put], atomic=True)
    assert failure.value.known


class Meddling(MemoryTasks):
    """A store in which another device writes between the snapshot and the changes, once."""

    def __init__(self, write):
        super().__init__()
        self.write = write
        self.snapshots = 0

    async def snapshot(self, owner, keys, *, deadline=None):
        found = await super().snapshot(owner, keys, deadline=deadline)
        self.snapshots += 1
        if self.snapshots == 1:
            await self.write(TaskService(self, quota=3))
        return found


@pytest.mark.parametrize(
    ("write", "operation", "snapshots", "ends"),
    [
        (lambda tasks: tasks.edit(ANN, 1, title="theirs"), PatchTask(1, {"completed": True}), 2, Done),
        (lambda tasks: tasks.edit(ANN, 1, title="theirs"), PatchTask(1, {"completed": True}, {1}), 2, Stale),
        (lambda tasks: tasks.edit(ANN, 1, title="theirs"), PatchTask(2, {"completed": True}), 1, Done),
        (lambda tasks: tasks.put(ANN, UIDS[2], Put({"title": "x"})), PatchTask(2, {"completed": True}), 1, Done),
        (lambda tasks: tasks.put(ANN, UIDS[2], Put({"title": "x"})), PutTask(UIDS[2], Put({"title": "y"})), 2, Done),
        (
            lambda tasks: tasks.put(ANN, UIDS[2], Put({"title": "x"})),
            PutTask("fourth-name", Put({"title": "y"})),
            2,
            QuotaReached,
        ),
        (lambda tasks: tasks.delete(ANN, 1), PutTask("fourth-name", Put({"title": "y"})), 1, Done),
        (lambda tasks: tasks.edit(ANN, 1, title="theirs"), PatchTask(2, {"completed": True}, {3}), 1, Stale),
    ],
)
async def test_a_batch_is_judged_again_only_if_what_it_depends_on_has_changed(write, operation, snapshots, ends):
    store = Meddling(write)
    tasks = TaskService(store, quota=3)
    for uid in UIDS[:2]:
        await tasks.put(ANN, uid, Put({"title": "x"}))
    first = (await tasks.get(ANN, 1)).revision
    if isinstance(operation, PatchTask) and operation.if_match is not None:
        operation = operation._replace(if_match={revision - 1 + first for revision in operation.if_match})
    (result,) = await tasks.batch(ANN, [operation])
    assert (type(result), store.snapshots) == (ends, snapshots)
    revisions = [task.revision for task in (await tasks.changes(ANN)).tasks]
    assert len(set(revisions)) == len(revisions)

"""Batches: all or nothing, operations in order, and no starvation."""

import asyncio
from datetime import UTC, datetime
from random import Random

import pytest

from store_contract.races import at_once, cancelled
from todo_domain import (
    DeleteTask,
    Done,
    Exists,
    Gone,
    NotFound,
    OperationFailed,
    PatchTask,
    Put,
    PutTask,
    Query,
    QuotaReached,
    Stale,
    TaskService,
    Tombstone,
)
from todo_domain.changes import TOMBSTONES_KEPT
from todo_domain.retention import PURGE_EVERY

UID = "name-in-a-batch"


def puts(name, many=10):
    return [PutTask(f"{name}-{number:08}", Put({"title": f"{name} {number}"})) for number in range(many)]


async def known(tasks, owner):
    """Return all tasks and all deletions of a user."""
    changes = await tasks.changes(owner)
    since = min((task.revision for task in changes.tasks), default=2) - 1
    return changes, await tasks.changes(owner, since=since or 1)


class Batches:
    async def test_a_hundred_creates_are_one_batch(self, tasks, clock, ann):
        results = await tasks.batch(ann, puts("x", 100))
        assert all(result.created for result in results)
        made = [result.task for result in results]
        assert [task.revision for task in made] == list(range(1, 101))
        assert len({task.id for task in made}) == 100
        assert {task.created_at for task in made} == {clock.now}
        assert (await tasks.changes(ann)).tasks == made
        assert (await tasks.list(ann, Query())).revision == 100

    async def test_a_counter_of_a_batch_begins_where_every_counter_does(self, store, clock, ann, bob):
        clock.now = datetime(2026, 11, 22, tzinfo=UTC)
        tasks = TaskService(store, clock=clock)
        (result,) = await tasks.batch(ann, puts("x", 1))
        assert result.task.revision == (await tasks.create(bob, title="x")).task.revision

    async def test_operations_do_what_their_requests_do_and_see_those_before_them(self, tasks, clock, ann):
        old, other = [(await tasks.create(ann, title=title, tags=("a", "b"))).task for title in ("old", "other")]
        clock.advance(seconds=1)
        operations = [
            PutTask(UID, Put({"title": "new", "tags": ("t",), "extra": {"a": 1}, "completed": True})),
            PatchTask(UID, {"description": "more", "completed": False}),
            PutTask(UID, Put({"title": "x"}, create_only=True)),
            PatchTask(old.id, {"title": "stale"}, {other.revision}),
            PatchTask(old.id, {"title": "old"}),
            PatchTask(old.id, {"title": "edited"}, {old.revision}),
            DeleteTask(other.id, {other.revision}),
            DeleteTask(other.id),
            PatchTask("no-such-name", {"title": "x"}),
        ]
        new, more, exists, stale, same, edited, deleted, again, absent = await tasks.batch(ann, operations)
        task = more.task
        assert (task.uid, task.revision, task.completed_at, task.tags, task.extra) == (UID, 4, None, ("t",), '{"a":1}')
        assert new.created
        assert new.task == task._replace(description=None, completed_at=clock.now, revision=3)
        assert isinstance(exists, Exists)
        assert exists.current == task
        assert isinstance(stale, Stale)
        assert stale.current == old
        assert same == Done(old)
        assert edited == Done(old._replace(title="edited", updated_at=clock.now, revision=5))
        assert deleted == Done(None)
        assert [type(result) for result in (again, absent)] == [NotFound, NotFound]
        changes = await tasks.changes(ann, since=2)
        assert (changes.tasks, changes.revision) == ([task, edited.task], 6)
        assert changes.deleted == [Tombstone(other.id, None, 6, clock.now)]
        assert [await tasks.get(ann, key) for key in (UID, task.id, old.id)] == [task, task, edited.task]

    async def test_what_a_batch_makes_and_deletes_leaves_a_tombstone_and_is_not_raised(self, store, tasks, clock, ann):
        first = (await tasks.create(ann, title="first")).task
        put = PutTask(UID, Put({"title": "x"}))
        results = await tasks.batch(ann, [put, DeleteTask(UID), put, DeleteTask(UID)])
        assert [type(result) for result in results] == [Done, Done, Gone, Done]
        deleted = results[2].deleted
        assert deleted == Tombstone(results[0].task.id, UID, first.revision + 2, clock.now)
        assert await tasks.changes(ann, since=first.revision) == ([], [deleted], first.revision + 2, False)
        with pytest.raises(Gone) as gone:
            await store.get(ann, UID)
        assert gone.value.deleted == deleted
        assert (await tasks.create(ann, title="next")).task.id > deleted.id
        assert len((await tasks.list(ann)).tasks) == 2

    async def test_a_quota_that_is_reached_in_the_middle_refuses_the_rest_until_there_is_room(self, store, clock, ann):
        tasks = TaskService(store, clock=clock, quota=3)
        results = await tasks.batch(ann, puts("x", 5))
        assert [type(result) for result in results] == [Done] * 3 + [QuotaReached] * 2
        results = await tasks.batch(ann, [DeleteTask("x-00000000"), *puts("y", 2)])
        assert [type(result) for result in results] == [Done, Done, QuotaReached]
        assert await tasks.delete(ann, "x-00000001") is None
        assert (await tasks.create(ann, title="fits")).task.title == "fits"
        with pytest.raises(QuotaReached):
            await tasks.create(ann, title="one too many")

    async def test_an_atomic_batch_is_done_whole_or_not_at_all(self, tasks, ann):
        await tasks.create(ann, title="x")
        before = await known(tasks, ann)
        with pytest.raises(OperationFailed) as failed:
            await tasks.batch(ann, [*puts("x"), DeleteTask("no-such-name")], atomic=True)
        assert (failed.value.index, type(failed.value.error)) == (10, NotFound)
        assert await known(tasks, ann) == before
        assert all(result.created for result in await tasks.batch(ann, puts("x"), atomic=True))

    async def test_a_batch_that_changes_nothing_moves_nothing(self, tasks, ann):
        results = await tasks.batch(ann, [DeleteTask(7), PatchTask(UID, {"title": "x"})])
        assert [type(result) for result in results] == [NotFound, NotFound]
        assert (await tasks.list(ann)).revision == 0
        task = (await tasks.create(ann, title="x")).task
        assert await tasks.batch(ann, [PatchTask(task.id, {"title": "x"})]) == [Done(task)]
        assert (await tasks.list(ann)).revision == task.revision

    async def test_a_batch_reaches_no_task_of_another_user(self, tasks, ann, bob):
        task = (await tasks.put(bob, UID, Put({"title": "theirs"}))).task
        operations = [PatchTask(task.id, {"title": "x"}), DeleteTask(task.id), PutTask(UID, Put({"title": "mine"}))]
        patched, deleted, made = await tasks.batch(ann, operations)
        assert [type(result) for result in (patched, deleted)] == [NotFound, NotFound]
        assert made.created
        assert await tasks.get(bob, UID) == task

    async def test_eight_devices_that_send_batches_at_once_all_finish(self, tasks, ann):
        devices = [f"device-{number}" for number in range(8)]
        endings = await at_once(*(tasks.batch(ann, puts(name)) for name in devices))
        made = [result.task for results in endings for result in results]
        assert sorted(task.revision for task in made) == list(range(1, 81))
        assert (await tasks.changes(ann)).tasks == sorted(made, key=lambda task: task.revision)

    async def test_racing_batches_of_one_name_make_one_task_and_lose_no_edit(self, tasks, ann):
        def operations(number):
            return [PutTask(UID, Put({"title": "x"}, create_only=True)), PatchTask(UID, {"description": f"{number}"})]

        endings = await at_once(*(tasks.batch(ann, operations(number)) for number in range(8)))
        assert sorted(type(made).__name__ for made, _ in endings) == ["Done"] + ["Exists"] * 7
        revisions = sorted(edited.task.revision for _, edited in endings)
        assert revisions == list(range(2, 10))
        assert (await tasks.get(ann, UID)).revision == 9

    async def test_batches_race_with_single_writes_and_lose_nothing(self, tasks, ann):
        task = (await tasks.put(ann, UID, Put({"title": "x"}))).task
        batched = [tasks.batch(ann, [PatchTask(task.id, {"title": f"{n}"}), *puts(f"b{n}", 2)]) for n in range(6)]
        single = [tasks.edit(ann, UID, description=f"{n}") for n in range(6)]
        toggled = [tasks.toggle(ann, UID) for _ in range(6)]
        endings = await at_once(*batched, *single, *toggled)
        assert all(isinstance(result, Done) for results in endings[:6] for result in results)
        after = await tasks.get(ann, UID)
        assert not after.completed
        assert (await tasks.list(ann)).revision == 1 + 6 * 3 + 6 + 6
        assert len((await tasks.list(ann)).tasks) == 13

    async def test_a_batch_that_is_cancelled_is_kept_whole_or_not_at_all(self, tasks, ann):
        random = Random(5)
        await tasks.create(ann, title="x")
        for number in range(20):
            await cancelled(tasks.batch(ann, puts(f"c{number:02}", 7)), random)
        await asyncio.sleep(0)
        found = [task.uid[:3] for task in (await tasks.changes(ann)).tasks if task.uid]
        assert {found.count(name) for name in found} <= {7}
        assert (await tasks.list(ann)).revision == 1 + len(found)

    async def test_a_batch_that_jumps_over_the_number_at_which_one_purges_purges(self, tasks, clock, ann, place):
        await tasks.batch(ann, [*puts("x", 40), DeleteTask("x-00000000")])
        clock.advance(days=TOMBSTONES_KEPT.days + 1)
        assert PURGE_EVERY == 64
        await tasks.batch(ann, puts("y", 50))
        assert place.count("tombstones", ann) == 0

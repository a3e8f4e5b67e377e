"""Concurrent callers: nothing is lost or done twice, and the revisions have no gaps."""

import asyncio
from collections import Counter
from random import Random

import pytest

from todo_domain import KeyReused, NotFound, Once, Priority, Query, QuotaReached, Stale, TaskService, TodoError

WHOLE = {"since": 0, "limit": 1}


async def at_once(*racers):
    """Run all calls concurrently; return the result or the error of each."""
    endings = await asyncio.gather(*racers, return_exceptions=True)
    for ending in endings:
        if isinstance(ending, BaseException) and not isinstance(ending, TodoError):
            raise ending
    return endings


def kinds(endings):
    """Return the number of each kind of outcome."""
    return Counter(type(ending) for ending in endings)


async def cancelled(write, random):
    """Start a write and cancel it before, while or after it happens."""
    writing = asyncio.ensure_future(write)
    for _ in range(random.randrange(4)):
        await asyncio.sleep(random.choice([0, 0.0005, 0.005]))
    writing.cancel()
    await asyncio.wait([writing])


def _ids(items):
    return {item.id for item in items}


class Races:
    async def test_of_racing_put_backs_of_one_revision_one_wins_and_the_others_are_stale(self, tasks, ann):
        read = (await tasks.create(ann, title="read")).task
        puts = (tasks.edit(ann, read.id, title=f"by {number}", revision=read.revision) for number in range(20))
        endings = await at_once(*puts)
        winner = await tasks.get(ann, read.id)
        assert winner.revision == read.revision + 1
        assert sorted(type(ending).__name__ for ending in endings) == ["Stale"] * 19 + ["Task"]
        assert all(ending.current == winner for ending in endings if isinstance(ending, Stale))
        assert winner in endings

    async def test_racing_repeats_of_one_put_back_do_not_conflict_with_each_other(self, tasks, ann):
        read = (await tasks.create(ann, title="read")).task
        puts = (tasks.edit(ann, read.id, title="put back", revision=read.revision) for _ in range(20))
        assert set(await asyncio.gather(*puts)) == {await tasks.get(ann, read.id)}
        assert (await tasks.list(ann)).revision == read.revision + 1

    async def test_fifty_creates_of_a_new_user_take_fifty_revisions(self, store, tasks, ann):
        made = await at_once(*(tasks.create(ann, title=f"task {number}") for number in range(50)))
        by_revision = sorted((created.task for created in made), key=lambda task: task.revision)
        assert [task.revision for task in by_revision] == list(range(1, 51))
        assert len({task.id for task in by_revision}) == 50
        assert await store.changes(ann, **WHOLE) == (by_revision, [], 50, False)

    async def test_fifty_writers_leave_no_gap_and_repeat_no_revision(self, store, tasks, ann, bob):
        pool = [(await tasks.create(ann, title=f"task {number}")).task.id for number in range(5)]
        random = Random(50)

        async def write(number):
            task_id = random.choice(pool)
            if number % 5 == 0:
                return (await tasks.create(ann, title=f"new {number}")).task
            if number % 5 == 1:
                return await tasks.edit(ann, task_id, title=f"edited {number}")
            if number % 5 == 2:
                return await tasks.toggle(ann, task_id)
            if number % 5 == 3:
                return await tasks.edit(ann, task_id, priority=Priority(number % 4), description=f"edited {number}")
            return (await tasks.create(bob, title=f"of bob {number}")).task

        written = await at_once(*(write(number) for number in range(50)))
        assert sorted(task.revision for task in written if task.user_id == ann) == list(range(6, 46))
        assert sorted(task.revision for task in written if task.user_id == bob) == list(range(1, 11))
        assert (await store.changes(ann, **WHOLE)).revision == 45
        assert (await store.changes(bob, **WHOLE)).revision == 10

    async def test_forty_toggles_of_one_task_are_all_counted(self, store, tasks, ann):
        task = (await tasks.create(ann, title="flickering")).task
        toggled = await at_once(*(tasks.toggle(ann, task.id) for _ in range(40)))
        assert sorted(seen.revision for seen in toggled) == list(range(2, 42))
        assert all(seen.completed == (seen.revision % 2 == 0) for seen in toggled)
        assert await store.get(ann, task.id) == max(toggled, key=lambda seen: seen.revision)

    async def test_one_of_ten_deletes_wins(self, store, clock, ann):
        tasks = TaskService(store, clock=clock, quota=2)
        task = (await tasks.create(ann, title="wanted gone")).task
        stays = (await tasks.create(ann, title="stays")).task
        assert kinds(await at_once(*(tasks.delete(ann, task.id) for _ in range(10)))) == {type(None): 1, NotFound: 9}
        assert await store.changes(ann, since=2, limit=9) == ([], [(task.id, None, 3, clock.now)], 3, False)
        assert (await store.page(ann, Query(), unless=None)).tasks == [stays]
        await tasks.create(ann, title="the room it made")
        with pytest.raises(QuotaReached):
            await tasks.create(ann, title="the room it did not make nine times")

    async def test_one_of_ten_replacements_wins_and_the_others_get_the_winner(self, store, tasks, clock, ann):
        task = (await tasks.create(ann, title="contended")).task
        endings = await at_once(
            *(store.replace(ann, task._replace(title=f"by {number}"), now=clock()) for number in range(10))
        )
        assert kinds(endings) == {type(task): 1, Stale: 9}
        winner = await store.get(ann, task.id)
        assert winner in endings
        assert winner.revision == 2
        assert all(ending.current == winner for ending in endings if isinstance(ending, Stale))

    async def test_edits_of_different_members_all_survive(self, store, tasks, ann):
        task = (await tasks.create(ann, title="before")).task
        members = {"title": "after", "description": "described", "priority": Priority.HIGH, "tags": ("t",)}
        await at_once(*(tasks.edit(ann, task.id, **{name: value}) for name, value in members.items()))
        assert await store.get(ann, task.id) == task._replace(**members, revision=5)

    async def test_an_edit_or_a_toggle_never_brings_a_deleted_task_back(self, store, tasks, ann):
        for number in range(10):
            task = (await tasks.create(ann, title="doomed")).task
            racers = [
                tasks.edit(ann, task.id, title="revived"),
                tasks.toggle(ann, task.id),
                tasks.delete(ann, task.id),
                tasks.edit(ann, task.id, description="revived"),
            ]
            shift = number % len(racers)
            endings = await at_once(*racers[shift:], *racers[:shift])
            assert type(None) in kinds(endings)
            assert set(kinds(endings)) <= {type(task), type(None), NotFound}
            with pytest.raises(NotFound):
                await store.get(ann, task.id)
            whole = await store.changes(ann, **WHOLE)
            assert whole.tasks == []
            tombstone_row = (await store.changes(ann, since=whole.revision - 1, limit=9)).deleted
            assert [(tombstone.id, tombstone.revision) for tombstone in tombstone_row] == [(task.id, whole.revision)]

    async def test_a_deletion_with_a_condition_never_takes_another_revision(self, store, tasks, ann):
        for _ in range(10):
            task = (await tasks.create(ann, title="watched")).task
            edited, deleted = await at_once(
                tasks.edit(ann, task.id, title="moved on"), tasks.delete(ann, task.id, if_match={task.revision})
            )
            if deleted is None:
                assert isinstance(edited, NotFound)
            else:
                assert isinstance(deleted, Stale)
                assert deleted.current == edited == await store.get(ann, task.id)

    async def test_the_quota_holds_against_fifty_at_once(self, store, clock, ann):
        tasks = TaskService(store, clock=clock, quota=10)
        endings = await at_once(*(tasks.create(ann, title=f"task {number}") for number in range(50)))
        assert kinds(endings)[QuotaReached] == 40
        whole = await store.changes(ann, **WHOLE)
        assert [task.revision for task in whole.tasks] == list(range(1, 11))
        assert whole.revision == 10

    async def test_fifty_creates_with_one_key_make_one_task(self, store, tasks, ann):
        once = Once("key", b"body")
        made = await at_once(*(tasks.create(ann, once=once, title="only one") for _ in range(50)))
        assert Counter(created.replayed for created in made) == {False: 1, True: 49}
        task = made[0].task
        assert all(created.task == task for created in made)
        assert await store.changes(ann, **WHOLE) == ([task], [], 1, False)

    async def test_one_key_for_ten_bodies_makes_one_task(self, store, tasks, ann):
        endings = await at_once(
            *(tasks.create(ann, once=Once("key", bytes([number])), title=f"{number}") for number in range(10))
        )
        assert kinds(endings)[KeyReused] == 9
        assert (await store.changes(ann, **WHOLE)).revision == 1

    async def test_whoever_reads_a_counter_also_sees_everything_up_to_it(self, store, tasks, ann):
        writers = [asyncio.create_task(tasks.create(ann, title=f"task {number}")) for number in range(40)]
        done = False
        while not done:
            done = all(writer.done() for writer in writers)
            page, changes = await asyncio.gather(store.page(ann, Query(), unless=None), store.changes(ann, **WHOLE))
            for seen in (page, changes):
                assert sorted(task.revision for task in seen.tasks) == list(range(1, seen.revision + 1))
        assert page.revision == changes.revision == 40

    async def test_a_cancelled_write_has_happened_wholly_or_not_at_all(self, store, clock, tasks, ann):
        doomed = [(await tasks.create(ann, title="doomed")).task for _ in range(20)]
        random = Random(20)
        for two in zip(doomed[::2], doomed[1::2], strict=True):
            writes = [tasks.create(ann, title="perhaps") for _ in range(8)] + [tasks.delete(ann, it.id) for it in two]
            await asyncio.gather(*(cancelled(write, random) for write in writes))
        last = (await tasks.create(ann, title="afterwards")).task

        known = await store.changes(ann, since=1, limit=1_000)
        living = {task.revision for task in known.tasks} | ({1} if doomed[0].id not in _ids(known.deleted) else set())
        deaths = {tombstone.revision for tombstone in known.deleted}
        births_of_the_dead = {task.revision for task in doomed if task.id in _ids(known.deleted)}
        assert sorted([*living, *deaths, *births_of_the_dead]) == list(range(1, last.revision + 1))
        assert known.revision == last.revision

        with pytest.raises(QuotaReached):
            await TaskService(store, clock=clock, quota=len(living)).create(ann, title="no room")
        await TaskService(store, clock=clock, quota=len(living) + 1).create(ann, title="room")

    async def test_a_cancelled_create_is_safe_to_repeat_with_its_key(self, store, tasks, ann):
        random = Random(7)
        keys = [Once(f"key {number}", b"body") for number in range(60)]
        for some in (keys[:20], keys[20:40], keys[40:]):
            await asyncio.gather(*(cancelled(tasks.create(ann, once=once, title=once.key), random) for once in some))
        made = await asyncio.gather(*(tasks.create(ann, once=once, title=once.key) for once in keys))
        whole = await store.changes(ann, **WHOLE)
        assert sorted(task.title for task in whole.tasks) == sorted(once.key for once in keys)
        assert sorted(created.task for created in made) == sorted(whole.tasks)
        assert whole.revision == 60

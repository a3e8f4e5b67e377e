"""Exports: the tasks, the trash and the counter in one snapshot."""

import asyncio
from datetime import timedelta

from todo_domain import Put
from todo_domain.portability import Everything
from todo_domain.trash import TRASH_KEPT

UID = "0199c3a8-5d1e-7c4f-9b0a-3f7d2c11e8aa"


class Exporting:
    async def test_an_export_has_the_tasks_and_the_trash_the_oldest_first(self, tasks, clock, ann, bob):
        named = (await tasks.put(ann, UID, Put({"title": "named", "tags": ("a",), "extra": {"b": [1]}}))).task
        first, second = [(await tasks.create(ann, title=title)).task for title in ("first", "second")]
        await tasks.create(bob, title="of bob")
        for task in (second, first):
            clock.advance(seconds=1)
            await tasks.delete(ann, task.id)
        named = await tasks.toggle(ann, named.id)
        later = (await tasks.create(ann, title="later")).task
        now = clock.advance(seconds=1)
        exported = await tasks.export(ann)
        assert exported.tasks == [named, later]
        assert [each.task.id for each in exported.trash] == [first.id, second.id]
        assert exported.trash == (await tasks.trash(ann)).trashed  # which has the last deleted first
        assert (exported.revision, exported.exported_at) == (7, now)

    async def test_what_has_expired_is_in_no_export(self, tasks, clock, ann):
        gone = (await tasks.create(ann, title="gone")).task
        await tasks.delete(ann, gone.id)
        clock.now += TRASH_KEPT - timedelta(microseconds=1)
        assert [each.task.title for each in (await tasks.export(ann)).trash] == ["gone"]
        clock.now += timedelta(microseconds=1)
        assert await tasks.export(ann) == Everything([], [], 2, clock.now)

    async def test_the_export_of_a_user_who_never_wrote_is_empty(self, tasks, clock, ann):
        assert await tasks.export(ann) == Everything([], [], 0, clock.now)

    async def test_an_export_is_of_one_moment(self, tasks, ann):
        """During deletes and restores, each task is in one place, in agreement with the counter."""
        made = [(await tasks.create(ann, title=f"{number}")).task for number in range(12)]

        async def move():
            for task in made:
                await tasks.delete(ann, task.id)
            for task in made:
                await tasks.restore(ann, task.id)

        moving = asyncio.create_task(move())
        exports = 0
        while not moving.done() or not exports:
            exported = await tasks.export(ann)
            exports += 1
            places = [task.id for task in exported.tasks] + [each.task.id for each in exported.trash]
            assert sorted(places) == [task.id for task in made]
            moved = exported.revision - 12
            assert len(exported.trash) == (moved if moved <= 12 else 24 - moved)
            await asyncio.sleep(0)
        await moving

"""The parts of `snapshot` and `apply` that batches do not use: given times, and restored tasks."""

from datetime import timedelta

import pytest

from store_contract.naming import TITLE, UID
from store_contract.trash import FULL, trashed
from todo_domain import Changeset, Gone, NotFound, Put, Snapshot, Tombstone
from todo_domain.task import check_new, new_task
from todo_domain.trash import TRASH_KEPT

OTHER = "another-name-of-a-task"
EARLIER = timedelta(days=400)


def changeset(snapshot, *tasks, **how):
    """The changes that store these tasks, each at the next revision."""
    kept = [task._replace(revision=snapshot.revision + place) for place, task in enumerate(tasks, start=1)]
    made = [task.uid for task in kept if task.id == 0]
    conditions = {"tombstones": {}, "expected": {}, "absent": [], "least": 0, "most": 100, "exact": False}
    return Changeset(snapshot.revision, len(kept), made, kept, [], **conditions | how)


async def deleted(tasks, owner, uid=UID):
    """A deleted task of this uid, with its tombstone."""
    task = (await tasks.put(owner, uid, Put(dict(FULL)))).task
    await tasks.delete(owner, task.id)
    with pytest.raises(Gone) as gone:
        await tasks.put(owner, uid, TITLE)
    return task, gone.value.deleted


async def state(tasks, owner):
    return await tasks.changes(owner), await tasks.changes(owner, since=1), await tasks.trash(owner)


class Changesets:
    async def test_times_are_kept_as_the_changes_have_them(self, store, tasks, clock, ann):
        old = (await tasks.put(ann, UID, TITLE)).task
        clock.advance(hours=1)
        new = new_task(check_new(dict(FULL)), id=0, uid=OTHER, owner=ann, revision=0, now=clock.now)
        new = new._replace(created_at=clock.now - EARLIER, completed_at=clock.now - EARLIER / 2)
        edited = old._replace(title="edited", created_at=old.created_at - EARLIER, updated_at=clock.now)
        snapshot = await store.snapshot(ann, [UID, OTHER])
        changes = changeset(snapshot, new, edited, expected={old.id: old.revision}, absent=[OTHER])
        kept = await store.apply(ann, changes, now=clock.now)
        assert kept.revision == old.revision
        expected = [new._replace(id=kept.ids[OTHER], revision=2), edited._replace(revision=3)]
        assert (await tasks.changes(ann)).tasks == expected
        assert [await tasks.get(ann, key) for key in (OTHER, UID)] == expected

    async def test_a_snapshot_shows_what_the_trash_holds_by_both_names_and_expired_too(self, store, tasks, clock, ann):
        task, tombstone = await deleted(tasks, ann)
        nameless = (await tasks.create(ann, title="x")).task
        await tasks.delete(ann, nameless.id)
        gone, gone_tombstone = await deleted(tasks, ann, OTHER)
        await tasks.discard(ann, OTHER)
        for _ in range(2):
            for key in (UID, task.id):
                found = await store.snapshot(ann, [key])
                assert found == Snapshot(6, 0, 0, [], [tombstone], {task.id: task._replace(revision=2)})
            found = await store.snapshot(ann, [nameless.id])
            assert found.tombstones == [Tombstone(nameless.id, None, 4, tombstone.deleted_at)]
            assert found.trashed == {nameless.id: nameless._replace(revision=4)}
            found = await store.snapshot(ann, [OTHER])
            assert (found.tombstones, dict(found.trashed)) == ([gone_tombstone], {})
            assert dict((await store.snapshot(ann, [gone.id])).trashed) == {}
            clock.advance(seconds=TRASH_KEPT.total_seconds() + 1)

    async def test_a_task_of_the_trash_comes_back_under_its_id(self, store, place, tasks, clock, ann):
        task, tombstone = await deleted(tasks, ann)
        horizon = await tasks.changes(ann, since=1)
        clock.advance(hours=1)
        snapshot = await store.snapshot(ann, [UID])
        back = task._replace(title="edited", created_at=task.created_at - EARLIER, updated_at=clock.now)
        changes = changeset(snapshot, back, tombstones={task.id: tombstone.revision})
        assert changes.growth == 1
        assert await store.apply(ann, changes, now=clock.now) == (2, {})
        back = back._replace(revision=3)
        assert [await tasks.get(ann, key) for key in (UID, task.id)] == [back, back]
        assert (horizon.revision, await trashed(tasks, ann)) == (2, [])
        assert await tasks.changes(ann, since=1) == ([back], [], 3, False)
        assert (place.count("trash", ann), place.count("tombstones", ann), place.count("tasks", ann)) == (0, 0, 1)
        await tasks.delete(ann, UID)
        assert [each.id for each in await trashed(tasks, ann)] == [task.id]

    async def test_a_new_task_takes_the_place_of_a_tombstone(self, store, place, tasks, clock, ann):
        task, tombstone = await deleted(tasks, ann)
        other, _ = await deleted(tasks, ann, OTHER)
        await tasks.discard(ann, UID)
        new = task._replace(id=0, title="new")
        snapshot = await store.snapshot(ann, [UID])
        kept = await store.apply(ann, changeset(snapshot, new, tombstones={task.id: tombstone.revision}), now=clock.now)
        new = new._replace(id=kept.ids[UID], revision=5)
        assert new.id > other.id
        assert await tasks.get(ann, UID) == new
        with pytest.raises(NotFound):
            await tasks.get(ann, task.id)
        assert (place.count("trash", ann), place.count("tombstones", ann), place.count("tasks", ann)) == (1, 1, 1)
        assert (await tasks.changes(ann, since=1)).tasks == [new]
        assert (await tasks.edit(ann, UID, title="goes on")).revision == 6

    @pytest.mark.parametrize("meanwhile", ["restore", "discard", "another revision", "no tombstone", "its name"])
    async def test_nothing_is_kept_if_what_comes_back_is_no_longer_there(self, store, tasks, clock, ann, meanwhile):
        task, tombstone = await deleted(tasks, ann)
        snapshot = await store.snapshot(ann, [UID])
        revisions = {task.id: tombstone.revision}
        more = task._replace(id=0, uid=OTHER)
        match meanwhile:
            case "restore":
                await tasks.restore(ann, UID)
            case "discard":
                await tasks.discard(ann, UID)
            case "another revision":
                await tasks.restore(ann, UID)
                await tasks.delete(ann, UID)
            case "no tombstone":
                revisions = {task.id + 100: tombstone.revision}
            case "its name":
                await tasks.put(ann, OTHER, TITLE)
        before = await state(tasks, ann)
        changes = changeset(snapshot, more, task, tombstones=revisions, absent=[OTHER])
        assert await store.apply(ann, changes, now=clock.now) is None
        assert await state(tasks, ann) == before

    async def test_nothing_is_kept_if_the_user_was_erased_meanwhile(self, store, tasks, clock, ann):
        await tasks.put(ann, UID, TITLE)
        snapshot = await store.snapshot(ann, [OTHER])
        assert (snapshot.revision, snapshot.horizon) == (1, 0)
        new = new_task(check_new(dict(FULL)), id=0, uid=OTHER, owner=ann, revision=0, now=clock.now)
        changes = changeset(snapshot, new, absent=[OTHER])
        await tasks.erase(ann)
        assert await store.apply(ann, changes, now=clock.now) is None
        snapshot = await store.snapshot(ann, [OTHER])
        assert snapshot == Snapshot(2, 2, 0, [], [])
        assert (await store.apply(ann, changeset(snapshot, new, absent=[OTHER]), now=clock.now)).revision == 2

    async def test_nothing_of_another_user_comes_back_or_goes(self, store, tasks, clock, ann, bob):
        task, tombstone = await deleted(tasks, bob)
        await tasks.create(ann, title="x")
        assert await store.snapshot(ann, [UID, task.id]) == Snapshot(1, 0, 1, [], [])
        snapshot, before = await store.snapshot(bob, [UID]), await state(tasks, bob)
        changes = changeset(snapshot, task, tombstones={task.id: tombstone.revision})
        assert await store.apply(ann, changes, now=clock.now) is None
        assert await state(tasks, bob) == before

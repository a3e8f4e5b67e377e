"""The trash: how long deleted tasks can be restored, the effects of a restore, and the changes for devices."""

from datetime import timedelta
from random import Random

import pytest

from store_contract.naming import TITLE, UID
from store_contract.purging import write_until
from store_contract.races import at_once, kinds
from store_contract.words import NASTY
from support.device import Device
from todo_domain import (
    DeleteTask,
    Gone,
    NotFound,
    Once,
    OperationFailed,
    PatchTask,
    Priority,
    Put,
    PutTask,
    QuotaReached,
    Resync,
    TaskService,
    Tombstone,
    retention,
)
from todo_domain.changes import TOMBSTONES_KEPT
from todo_domain.retention import PURGE_EVERY
from todo_domain.trash import TRASH_KEPT

MOMENT = timedelta(microseconds=1)
FULL = {
    "title": "everything",
    "description": "".join(NASTY),
    "completed": True,
    "priority": Priority.HIGH,
    "tags": ["home", "ẞ", "{}"],
    "position": "a0V",
    "extra": {"color": "teal", "n": 1.0},
}


async def trashed(tasks, owner, **how):
    """The tasks in the trash, the last deleted first."""
    return [each.task for each in (await tasks.trash(owner, **how)).trashed]


async def delete_some(tasks, clock, owner, count):
    """Make some tasks and delete them, each a second after the last; return them as in the trash, in order."""
    made = [(await tasks.create(owner, title=f"{number}")).task for number in range(count)]
    for task in made:
        clock.advance(seconds=1)
        await tasks.delete(owner, task.id)
    return (await trashed(tasks, owner, limit=count))[::-1]


async def in_step(tasks, owner, *devices):
    """The copy of each device ends up equal to the list."""
    listed = {task.id: task for task in (await tasks.list(owner)).tasks}
    for device in devices:
        await device.sync()
        assert device.copy == listed


class Trash:
    async def test_a_deleted_task_lies_in_the_trash_as_it_was_and_nowhere_else(self, place, tasks, clock, ann):
        task = (await tasks.create(ann, **FULL)).task
        other = (await tasks.create(ann, title="stays")).task
        clock.advance(seconds=5)
        assert (await tasks.trash(ann)).trashed == []
        await tasks.delete(ann, task.id)
        in_trash = task._replace(revision=3)
        assert await tasks.trash(ann) == ([(in_trash, clock.now, clock.now + TRASH_KEPT)], False)
        assert await tasks.list(ann) == ([other], 3, False)
        assert (await tasks.changes(ann)).tasks == [other]
        assert (await tasks.changes(ann, since=2)).deleted == [Tombstone(task.id, None, 3, clock.now)]
        with pytest.raises(NotFound):
            await tasks.get(ann, task.id)
        assert (place.count("trash", ann), place.count("tombstones", ann)) == (1, 1)

    @pytest.mark.parametrize("by_uid", [False, True], ids=["by id", "by uid"])
    async def test_restoring_gives_back_the_same_task_at_a_new_revision(self, store, place, tasks, clock, ann, by_uid):
        task = (await tasks.put(ann, UID, Put(dict(FULL)))).task
        key = UID if by_uid else task.id
        clock.advance(hours=1)
        await tasks.delete(ann, key)
        clock.advance(hours=1)
        restored = await tasks.restore(ann, key)
        assert restored == task._replace(revision=3, updated_at=clock.now)
        for name in (UID, task.id):
            assert await tasks.get(ann, name) == restored
        assert (await tasks.list(ann)).tasks == [restored]
        assert await store.changes(ann, since=1, limit=9) == ([restored], [], 3, False)
        assert (await tasks.trash(ann)).trashed == []
        assert (place.count("trash", ann), place.count("tombstones", ann), place.count("tasks", ann)) == (0, 0, 1)
        edited = await tasks.edit(ann, UID, title="goes on")
        assert edited.revision == 4

    async def test_text_comes_back_exactly_from_the_trash(self, tasks, ann):
        standing = []
        for text in NASTY:
            members = {"title": f"|{text}|", "description": text, "tags": [f"a{text[:40]}|", "second"]}
            task = (await tasks.create(ann, **members)).task
            await tasks.delete(ann, task.id)
            assert await trashed(tasks, ann) == [task._replace(revision=task.revision + 1)], ascii(text)
            standing.insert(0, await tasks.restore(ann, task.id))
            assert standing[0] == task._replace(revision=task.revision + 2), ascii(text)
            assert (await tasks.list(ann)).tasks == standing, ascii(text)

    async def test_updated_at_does_not_go_back_when_the_clock_does(self, tasks, clock, ann):
        task = (await tasks.create(ann, title="x")).task
        await tasks.delete(ann, task.id)
        clock.now -= timedelta(hours=1)
        assert (await tasks.restore(ann, task.id)).updated_at == task.updated_at

    async def test_restoring_a_task_that_is_not_deleted_changes_nothing(self, tasks, clock, ann):
        task = (await tasks.put(ann, UID, TITLE)).task
        clock.advance(seconds=1)
        for key in (UID, task.id):
            assert await tasks.restore(ann, key) == task
        await tasks.delete(ann, UID)
        restored = await tasks.restore(ann, UID)
        assert await tasks.restore(ann, UID) == restored
        assert (await tasks.list(ann)).revision == 3

    async def test_what_is_in_neither_place_is_not_found_and_makes_no_user(self, tasks, ann, bob):
        await tasks.empty_trash(ann)
        assert await tasks.trash(ann) == ([], False)
        hers = (await tasks.put(bob, UID, TITLE)).task
        await tasks.delete(bob, UID)
        for key in (7, UID, hers.id, 2**53 - 1):
            for write in (tasks.restore, tasks.discard):
                with pytest.raises(NotFound):
                    await write(ann, key)
        assert (await tasks.list(ann)).revision == 0
        await tasks.create(ann, title="alive")
        for key in (UID, hers.id):
            for write in (tasks.restore, tasks.discard):
                with pytest.raises(NotFound):
                    await write(ann, key)
        await tasks.empty_trash(ann)
        assert await trashed(tasks, ann) == []
        assert await trashed(tasks, bob) == [hers._replace(revision=2)]
        assert (await tasks.restore(bob, UID)).id == hers.id

    async def test_a_full_quota_refuses_to_restore_and_loses_nothing(self, store, place, clock, ann):
        tasks = TaskService(store, clock=clock, quota=2)
        task = (await tasks.put(ann, UID, TITLE)).task
        await tasks.delete(ann, UID)
        kept = [(await tasks.create(ann, title="in its room")).task for _ in range(2)]
        before = await tasks.trash(ann), await tasks.changes(ann, since=1), place.count("tombstones", ann)
        for key in (UID, task.id):
            with pytest.raises(QuotaReached):
                await tasks.restore(ann, key)
        assert (await tasks.trash(ann), await tasks.changes(ann, since=1), place.count("tombstones", ann)) == before
        await tasks.delete(ann, kept[0].id)
        assert (await tasks.restore(ann, UID)).revision == 6
        with pytest.raises(QuotaReached):
            await tasks.create(ann, title="one too many")
        with pytest.raises(QuotaReached):
            await tasks.restore(ann, kept[0].id)
        await TaskService(store, clock=clock, quota=3).restore(ann, kept[0].id)

    async def test_discarding_removes_one_for_good_and_moves_nothing_else(self, store, place, tasks, ann):
        first = (await tasks.put(ann, UID, TITLE)).task
        second = (await tasks.create(ann, title="second")).task
        for task in (first, second):
            await tasks.delete(ann, task.id)
        changes = await store.changes(ann, since=1, limit=9)
        await tasks.discard(ann, UID)
        assert await trashed(tasks, ann) == [second._replace(revision=4)]
        for key in (UID, first.id):
            for write in (tasks.restore, tasks.discard):
                with pytest.raises(NotFound):
                    await write(ann, key)
        await tasks.discard(ann, second.id)
        assert await trashed(tasks, ann) == []
        assert await store.changes(ann, since=1, limit=9) == changes
        assert (place.count("trash", ann), place.count("tombstones", ann)) == (0, 2)
        await tasks.delete(ann, UID)
        with pytest.raises(Gone):
            await tasks.put(ann, UID, TITLE)

    async def test_a_task_that_is_not_deleted_cannot_be_discarded(self, tasks, ann):
        task = (await tasks.put(ann, UID, TITLE)).task
        for key in (UID, task.id):
            with pytest.raises(NotFound):
                await tasks.discard(ann, key)
        assert await tasks.get(ann, UID) == task

    async def test_emptying_removes_all_of_the_owners_and_nothing_of_others(self, store, place, tasks, clock, ann, bob):
        deletions = await delete_some(tasks, clock, ann, 5)
        theirs = await delete_some(tasks, clock, bob, 2)
        changes = await store.changes(ann, since=1, limit=99)
        await tasks.empty_trash(ann)
        await tasks.empty_trash(ann)
        assert await trashed(tasks, ann) == []
        assert await store.changes(ann, since=1, limit=99) == changes
        assert (place.count("trash", ann), place.count("tombstones", ann)) == (0, 5)
        with pytest.raises(NotFound):
            await tasks.restore(ann, deletions[0].id)
        assert await trashed(tasks, bob) == theirs[::-1]

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
    async def test_a_walk_shows_each_task_once_the_last_deleted_first(self, tasks, clock, ann, limit):
        deletions = await delete_some(tasks, clock, ann, 7)
        await delete_some(tasks, clock, ann, 0)
        seen, before = [], None
        while True:
            page = await tasks.trash(ann, limit=limit, before=before)
            assert len(page.trashed) <= limit
            seen += [each.task for each in page.trashed]
            if not page.more:
                break
            before = seen[-1].revision
        assert seen == deletions[::-1]

    async def test_a_walk_goes_on_behind_a_task_that_left_the_trash_meanwhile(self, tasks, clock, ann):
        deletions = (await delete_some(tasks, clock, ann, 6))[::-1]
        page = await tasks.trash(ann, limit=2)
        await tasks.restore(ann, deletions[1].id)
        await tasks.discard(ann, deletions[2].id)
        rest = await trashed(tasks, ann, before=page.trashed[-1].task.revision)
        assert rest == deletions[3:]

    # Time

    async def test_what_has_expired_is_absent_for_every_reader_before_it_is_removed(self, place, tasks, clock, ann):
        first = (await tasks.put(ann, UID, TITLE)).task
        second = (await tasks.create(ann, title="a moment later")).task
        await tasks.delete(ann, UID)
        clock.now += MOMENT
        await tasks.delete(ann, second.id)
        deleted_at = clock.now - MOMENT

        clock.now = deleted_at + TRASH_KEPT - MOMENT
        assert [each.expires_at for each in (await tasks.trash(ann)).trashed] == [
            deleted_at + TRASH_KEPT + MOMENT,
            deleted_at + TRASH_KEPT,
        ]
        assert await self.restorable(tasks, ann)
        clock.now = deleted_at + TRASH_KEPT
        assert await trashed(tasks, ann) == [second._replace(revision=4)]
        assert await trashed(tasks, ann, limit=1) == [second._replace(revision=4)]
        assert not await self.restorable(tasks, ann)
        for key in (UID, first.id):
            for write in (tasks.restore, tasks.discard):
                with pytest.raises(NotFound):
                    await write(ann, key)
        assert place.count("trash", ann) == 2
        assert (await tasks.list(ann)).revision == 4

    @staticmethod
    async def restorable(tasks, owner):
        """The error of every kind of write to the deleted UID."""
        said = set()
        for write in (
            lambda: tasks.put(owner, UID, TITLE),
            lambda: tasks.put(owner, UID, Put({"description": "cannot create"})),
            lambda: tasks.edit(owner, UID, title="x"),
            lambda: tasks.edit(owner, UID, title="x", if_match={1}),
            lambda: tasks.edit(owner, UID, title="x", once=Once("unused", b"x")),
            lambda: tasks.toggle(owner, UID),
            lambda: tasks.toggle(owner, UID, if_match={1}),
        ):
            with pytest.raises(Gone) as gone:
                await write()
            said.add(gone.value.restorable)
        (restorable,) = said
        return restorable

    async def test_gone_says_whether_the_task_can_be_restored(self, tasks, ann):
        await tasks.put(ann, UID, TITLE)
        await tasks.delete(ann, UID)
        assert await self.restorable(tasks, ann)
        await tasks.discard(ann, UID)
        assert not await self.restorable(tasks, ann)

    async def test_the_repetition_of_a_keyed_write_says_it_too(self, tasks, ann):
        await tasks.put(ann, UID, TITLE)
        once = Once("key", b"toggle")
        await tasks.toggle(ann, UID, once=once)
        await tasks.delete(ann, UID)
        for restorable in (True, False):
            with pytest.raises(Gone) as gone:
                await tasks.toggle(ann, UID, once=once)
            assert gone.value.restorable == restorable
            await tasks.empty_trash(ann)

    async def test_without_a_trash_a_deleted_task_is_gone_for_good(self, store, place, tasks, clock, ann):
        before = (await tasks.create(ann, title="deleted while there was a trash")).task
        await tasks.delete(ann, before.id)
        off = TaskService(store, clock=clock, trash_kept=timedelta(0))
        await off.put(ann, UID, TITLE)
        await off.delete(ann, UID)
        assert place.count("trash", ann) == 1
        assert await off.trash(ann) == ([], False)
        assert not await self.restorable(off, ann)
        for key in (UID, before.id):
            for write in (off.restore, off.discard):
                with pytest.raises(NotFound):
                    await write(ann, key)
        clock.now -= timedelta(days=1)  # a clock that goes back brings nothing back
        assert (await off.trash(ann)).trashed == []
        clock.now += timedelta(days=1)
        await off.create(ann, title="stays")
        await write_until(off, ann, PURGE_EVERY)
        assert place.count("trash", ann) == 0
        assert place.count("tombstones", ann) == 2

    @pytest.mark.parametrize("kind", ["create", "create by uid", "edit", "toggle", "delete", "restore"])
    async def test_every_kind_of_write_removes_what_has_expired_if_it_is_the_64th(
        self, place, tasks, clock, ann, bob, kind
    ):
        for owner in (ann, bob):
            await delete_some(tasks, clock, owner, 2)
        task = (await tasks.create(ann, title="stays")).task
        young = (await tasks.create(ann, title="deleted later")).task
        clock.now += TRASH_KEPT - MOMENT
        await tasks.delete(ann, young.id)
        clock.now += MOMENT
        for _ in range(PURGE_EVERY - 1 - (await tasks.list(ann)).revision):
            await tasks.toggle(ann, task.id)
        assert place.count("trash", ann) == 3
        await {
            "create": lambda: tasks.create(ann, title="the 64th"),
            "create by uid": lambda: tasks.put(ann, UID, TITLE),
            "edit": lambda: tasks.edit(ann, task.id, title="the 64th"),
            "toggle": lambda: tasks.toggle(ann, task.id),
            "delete": lambda: tasks.delete(ann, task.id),
            "restore": lambda: tasks.restore(ann, young.id),
        }[kind]()
        assert (await tasks.list(ann)).revision == PURGE_EVERY
        assert place.count("trash", ann) == {"delete": 2, "restore": 0}.get(kind, 1)
        assert place.count("trash", bob) == 2

    async def test_of_too_many_the_oldest_go_with_later_writes(self, place, tasks, clock, ann, bob, monkeypatch):
        monkeypatch.setattr(retention, "MOST_TRASHED", 10)
        deletions = await delete_some(tasks, clock, ann, 14)
        theirs = await delete_some(tasks, clock, bob, 12)
        await tasks.create(ann, title="stays")
        restored, discarded = deletions.pop(), deletions.pop()
        await tasks.restore(ann, restored.id)
        await tasks.discard(ann, discarded.id)
        assert await trashed(tasks, ann) == deletions[::-1]
        await write_until(tasks, ann, PURGE_EVERY)
        assert await trashed(tasks, ann) == deletions[2:][::-1]
        assert (place.count("trash", ann), place.count("tombstones", ann)) == (10, 13)
        with pytest.raises(NotFound):
            await tasks.restore(ann, deletions[1].id)
        assert await trashed(tasks, bob) == theirs[::-1]

    async def test_those_that_were_restored_do_not_count_among_too_many_tombstones(
        self, place, tasks, clock, ann, monkeypatch
    ):
        monkeypatch.setattr(retention, "MOST_KEPT", 10)
        deletions = await delete_some(tasks, clock, ann, 14)
        for deletion in deletions[3:9]:
            await tasks.restore(ann, deletion.id)
        since = (await tasks.list(ann)).revision
        await write_until(tasks, ann, PURGE_EVERY)
        assert place.count("tombstones", ann) == 8
        assert (await tasks.changes(ann, since=since)).deleted == []
        assert len((await tasks.changes(ann, since=1)).deleted) == 8

    async def test_a_task_leaves_the_trash_with_its_tombstone_at_the_latest_and_its_uid_is_free(
        self, place, tasks, clock, ann, monkeypatch
    ):
        monkeypatch.setattr(retention, "MOST_KEPT", 3)
        old = (await tasks.put(ann, UID, TITLE)).task
        await tasks.delete(ann, UID)
        young = await delete_some(tasks, clock, ann, 3)
        await tasks.create(ann, title="stays")
        await write_until(tasks, ann, PURGE_EVERY)
        assert (place.count("tombstones", ann), place.count("trash", ann)) == (3, 3)
        assert await trashed(tasks, ann) == young[::-1]
        for key in (UID, old.id):
            with pytest.raises(NotFound):
                await tasks.restore(ann, key)
        again = await tasks.put(ann, UID, TITLE)
        assert again.created
        assert again.task.id > old.id

    async def test_after_90_days_neither_is_left_however_long_the_trash_is_kept(self, store, place, clock, ann):
        tasks = TaskService(store, clock=clock, trash_kept=TOMBSTONES_KEPT)
        await tasks.put(ann, UID, TITLE)
        await tasks.create(ann, title="stays")
        await tasks.delete(ann, UID)
        clock.now += TOMBSTONES_KEPT - MOMENT
        assert await self.restorable(tasks, ann)
        clock.now += MOMENT
        assert not await self.restorable(tasks, ann)
        await write_until(tasks, ann, PURGE_EVERY)
        assert (place.count("tombstones", ann), place.count("trash", ann)) == (0, 0)
        assert (await tasks.put(ann, UID, TITLE)).created

    # Batches

    async def test_what_a_batch_deletes_lies_in_the_trash_as_it_was_then(self, place, tasks, clock, ann):
        old, edited = [(await tasks.create(ann, **FULL)).task for _ in range(2)]
        clock.advance(seconds=1)
        batch = [
            DeleteTask(old.id),
            PatchTask(edited.id, {"title": "edited", "completed": False}),
            PutTask(UID, Put({**FULL, "title": "made"})),
            DeleteTask(edited.id),
            PatchTask(UID, {"description": None}),
            DeleteTask(UID),
            PutTask(UID, TITLE),
        ]
        results = await tasks.batch(ann, batch)
        assert isinstance(results[-1], Gone)
        assert results[-1].restorable
        made = results[4].task
        in_trash = [
            made._replace(revision=8),
            edited._replace(title="edited", completed_at=None, updated_at=clock.now, revision=6),
            old._replace(revision=3),
        ]
        assert await tasks.trash(ann) == (
            [(task, clock.now, clock.now + TRASH_KEPT) for task in in_trash],
            False,
        )
        assert (place.count("trash", ann), place.count("tombstones", ann)) == (3, 3)
        clock.advance(seconds=1)
        for number, task in enumerate(in_trash):
            assert await tasks.restore(ann, task.id) == task._replace(revision=9 + number, updated_at=clock.now)
        assert await tasks.get(ann, UID) == in_trash[0]._replace(revision=9, updated_at=clock.now)

    async def test_a_batch_says_whether_a_deleted_task_can_be_restored(self, store, tasks, clock, ann):
        for number in range(3):
            await tasks.put(ann, f"{UID}-{number}", TITLE)
            await tasks.delete(ann, f"{UID}-{number}")
            clock.advance(days=1)
        await tasks.discard(ann, f"{UID}-1")
        batch = [PatchTask(f"{UID}-{number}", {"title": "x"}) for number in range(3)]
        off = TaskService(store, clock=clock, trash_kept=timedelta(0))
        short = TaskService(store, clock=clock, trash_kept=timedelta(days=2))
        for service, expected in ((tasks, [True, False, True]), (short, [False, False, True]), (off, [False] * 3)):
            results = await service.batch(ann, batch)
            assert [(type(each), each.restorable) for each in results] == [(Gone, each) for each in expected]
            with pytest.raises(OperationFailed) as failed:
                await service.batch(ann, batch, atomic=True)
            assert failed.value.error.restorable == expected[0]

    async def test_without_a_trash_a_batch_deletes_for_good(self, store, place, clock, ann):
        off = TaskService(store, clock=clock, trash_kept=timedelta(0))
        task = (await off.create(ann, title="x")).task
        put = PutTask(UID, TITLE)
        *_, gone = await off.batch(ann, [put, DeleteTask(UID), DeleteTask(task.id), put])
        assert not gone.restorable
        assert (place.count("trash", ann), place.count("tombstones", ann)) == (0, 2)

    async def test_a_batch_purges_the_trash_when_it_jumps_over_the_64th_write(self, place, tasks, clock, ann):
        await delete_some(tasks, clock, ann, 3)
        clock.now += TRASH_KEPT
        await tasks.batch(ann, [PutTask(f"{UID}-{number:02}", TITLE) for number in range(PURGE_EVERY)])
        assert place.count("trash", ann) == 0
        assert place.count("tombstones", ann) == 3

    async def test_a_batch_that_races_restores_loses_nothing(self, tasks, ann):
        for number in range(6):
            uid = f"{UID}-{number}"
            await tasks.put(ann, uid, TITLE)
            await tasks.delete(ann, uid)
            await at_once(
                *(tasks.batch(ann, [PatchTask(uid, {"description": "d"}), DeleteTask(uid)]) for _ in range(3)),
                *(tasks.restore(ann, uid) for _ in range(3)),
            )
            alive = [task.uid for task in (await tasks.list(ann)).tasks].count(uid)
            dead = [task.uid for task in await trashed(tasks, ann)].count(uid)
            assert alive + dead == 1

    # Devices

    async def test_a_device_that_missed_any_part_of_it_ends_with_the_list(self, tasks, clock, ann):
        """Each device falls behind at another moment, and then reads one change at a time."""
        stays = [(await tasks.create(ann, title=f"{number}")).task for number in range(4)]
        task = (await tasks.put(ann, UID, TITLE)).task
        devices = []
        for step in (
            lambda: tasks.edit(ann, stays[0].id, title="between"),
            lambda: tasks.delete(ann, UID),
            lambda: tasks.toggle(ann, stays[1].id),
            lambda: tasks.delete(ann, stays[2].id),
            lambda: tasks.restore(ann, UID),
            lambda: tasks.edit(ann, UID, title="after"),
            lambda: tasks.delete(ann, UID),
            lambda: tasks.discard(ann, stays[2].id),
            lambda: tasks.restore(ann, task.id),
            lambda: tasks.create(ann, title="last"),
        ):
            devices += [Device(tasks, ann, limit) for limit in (1, 2, 1_000)]
            for device in devices[-3:]:
                await device.sync()
            clock.advance(seconds=1)
            await step()
        resyncs = [device.resyncs for device in devices]
        await in_step(tasks, ann, *devices)
        assert [device.resyncs for device in devices] == resyncs, "nobody had to start again"

    async def test_restoring_does_not_raise_the_horizon(self, store, tasks, clock, ann):
        deletions = await delete_some(tasks, clock, ann, 3)
        for deletion in deletions:
            await tasks.restore(ann, deletion.id)
        page = await store.changes(ann, since=1, limit=99)
        assert [task.id for task in page.tasks] == [deletion.id for deletion in deletions]
        assert page.deleted == []

    async def test_the_horizon_stays_where_a_purge_has_put_it(self, store, tasks, clock, ann):
        old = await delete_some(tasks, clock, ann, 2)
        clock.now += TOMBSTONES_KEPT
        young = (await delete_some(tasks, clock, ann, 1))[0]
        await tasks.create(ann, title="stays")
        await write_until(tasks, ann, PURGE_EVERY)
        await tasks.restore(ann, young.id)
        with pytest.raises(Resync):
            await store.changes(ann, since=old[1].revision - 1, limit=9)
        assert (await store.changes(ann, since=old[1].revision, limit=9)).deleted == []

    # Races

    async def test_racing_restores_of_one_task_are_one_change(self, tasks, ann):
        task = (await tasks.put(ann, UID, TITLE)).task
        await tasks.delete(ann, UID)
        endings = await at_once(*(tasks.restore(ann, key) for key in (UID, task.id) * 10))
        assert set(endings) == {task._replace(revision=3)}
        assert (await tasks.list(ann)) == ([endings[0]], 3, False)

    async def test_a_restore_that_races_a_discard_leaves_the_task_in_one_place_or_none(self, place, tasks, ann):
        for number in range(10):
            task = (await tasks.create(ann, title=f"{number}")).task
            await tasks.delete(ann, task.id)
            restored, discarded, emptied = await at_once(
                tasks.restore(ann, task.id), tasks.discard(ann, task.id), tasks.empty_trash(ann)
            )
            alive = [each.id for each in (await tasks.list(ann)).tasks].count(task.id)
            assert alive == (not isinstance(restored, NotFound))
            assert discarded is None or isinstance(discarded, NotFound)
            assert emptied is None
            assert place.count("trash", ann) == 0

    async def test_racing_restores_take_no_more_room_than_there_is(self, store, clock, ann):
        tasks = TaskService(store, clock=clock, quota=3)
        deletions = await delete_some(tasks, clock, ann, 3)
        deletions += await delete_some(tasks, clock, ann, 3)
        endings = await at_once(*(tasks.restore(ann, deletion.id) for deletion in deletions))
        assert kinds(endings)[QuotaReached] == 3
        assert len((await tasks.list(ann)).tasks) == 3
        assert len(await trashed(tasks, ann)) == 3

    async def test_deletes_and_restores_that_race_edits_leave_no_gap_and_every_device_right(self, tasks, ann):
        random = Random(1)
        made = [(await tasks.create(ann, title=f"{number}")).task for number in range(6)]
        device, late = Device(tasks, ann, limit=1), Device(tasks, ann, limit=1)
        await late.sync()
        for _ in range(8):
            task = random.choice(made)
            await at_once(
                tasks.delete(ann, task.id),
                tasks.restore(ann, task.id),
                tasks.toggle(ann, task.id),
                tasks.restore(ann, random.choice(made).id),
                tasks.edit(ann, random.choice(made).id, title="edited"),
                tasks.delete(ann, random.choice(made).id),
            )
            await in_step(tasks, ann, device)
        await in_step(tasks, ann, device, late)
        alive, dead = [task.id for task in (await tasks.list(ann)).tasks], [t.id for t in await trashed(tasks, ann)]
        assert sorted(alive + dead) == sorted(task.id for task in made)

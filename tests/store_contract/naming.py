"""Uids: one task for each, never created again after a deletion, found by id and by uid."""

from datetime import UTC, datetime

import pytest

from store_contract.races import at_once, kinds
from todo_domain import (
    Exists,
    Gone,
    Invalid,
    NotFound,
    Put,
    Query,
    QuotaReached,
    Stale,
    TaskService,
    Tombstone,
    Unavailable,
    Written,
)
from todo_domain.changes import TOMBSTONES_KEPT
from todo_domain.retention import PURGE_EVERY

UID = "0199c3a8-5d1e-7c4f-9b0a-3f7d2c11e8aa"
TITLE = Put({"title": "by its name"})
CAN_CREATE_NOTHING = [
    Put({"description": "no title"}),
    TITLE._replace(id=7),
    TITLE._replace(members={"title": "x", "revision": 7}),
    TITLE._replace(if_match={7}, conditional=True),
    TITLE._replace(conditional=True),
]


class Naming:
    async def test_a_put_of_an_unknown_uid_makes_a_task_that_has_both_names(self, store, tasks, clock, ann):
        put = Put({"title": " by its name ", "tags": ("a",), "extra": {"b": 1}, "position": "a0", "completed": True})
        task, created = await tasks.put(ann, UID, put)
        assert created
        assert task[1:4] == (UID, ann, "by its name")
        assert (task.revision, task.created_at, task.completed_at) == (1, clock.now, clock.now)
        assert [await store.get(ann, key) for key in (UID, task.id)] == [task, task]
        assert await store.page(ann, Query(), unless=None) == ([task], 1, False)
        assert (await store.changes(ann, since=0, limit=1)).tasks == [task]
        named_by_us = (await tasks.create(ann, title="without a name")).task
        assert named_by_us.uid is None
        assert (await store.changes(ann, since=1, limit=9)).tasks == [named_by_us]

    async def test_every_method_takes_either_name(self, tasks, clock, ann):
        task = (await tasks.put(ann, UID, TITLE)).task
        for key in (UID, task.id):
            clock.advance(seconds=1)
            for write in (
                lambda key, seen: tasks.edit(ann, key, title=f"edited {key}", if_match={seen}),
                lambda key, _: tasks.toggle(ann, key),
                lambda key, seen: tasks.toggle(ann, key, if_match={seen}),
            ):
                written = await write(key, task.revision)
                assert (written.id, written.uid, written.revision) == (task.id, UID, task.revision + 1)
                assert await tasks.get(ann, key) == written
                task = written
            put = await tasks.put(ann, key, Put({"title": f"put {key}"}, id=task.id, uid=UID, user_id=ann))
            assert put == Written(task._replace(title=f"put {key}", revision=task.revision + 1), created=False)
            task = put.task
        with pytest.raises(Stale) as stale:
            await tasks.delete(ann, UID, if_match={task.revision - 1})
        assert stale.value.current == task
        await tasks.delete(ann, UID, if_match={task.revision})
        assert (await tasks.changes(ann, since=task.revision)).deleted == [
            Tombstone(task.id, UID, task.revision + 1, clock.now)
        ]

    async def test_a_new_name_that_is_no_uid_is_invalid_and_nothing_is_made(self, tasks, ann):
        for name in ("short", "0123456789", "x" * 129, "with a space", "undefined"):
            with pytest.raises(Invalid) as refused:
                await tasks.put(ann, name, Put({"title": "x"}))
            assert refused.value.field == "key"
        assert await tasks.counter(ann) == 0

    async def test_a_repeated_put_changes_nothing_and_one_that_only_creates_says_that_it_is_there(self, tasks, ann):
        first = (await tasks.put(ann, UID, TITLE)).task
        assert await tasks.put(ann, UID, TITLE) == Written(first, created=False)
        for key in (UID, first.id):
            for put in (TITLE, Put({"title": "other"}), Put({"description": "no title"})):
                with pytest.raises(Exists) as exists:
                    await tasks.put(ann, key, put._replace(create_only=True))
                assert exists.value.current == first
        changed = await tasks.put(ann, UID, Put({"title": "changed"}))
        assert changed == Written(first._replace(title="changed", revision=2), created=False)

    async def test_what_cannot_create_is_not_found_and_makes_no_user(self, store, tasks, clock, ann):
        clock.now = datetime(2027, 1, 1, tzinfo=UTC)
        for put in CAN_CREATE_NOTHING:
            for only in (False, True):
                with pytest.raises(NotFound):
                    await tasks.put(ann, UID, put._replace(create_only=only))
        for put in (TITLE, TITLE._replace(create_only=True)):
            with pytest.raises(NotFound):
                await tasks.put(ann, 7, put)
        for write in (
            lambda: tasks.edit(ann, UID, title="x"),
            lambda: tasks.toggle(ann, UID),
            lambda: tasks.toggle(ann, UID, if_match={1}),
            lambda: tasks.delete(ann, UID),
            lambda: tasks.delete(ann, UID, if_match={1}),
            lambda: tasks.get(ann, UID),
        ):
            with pytest.raises(NotFound):
                await write()
        with pytest.raises(QuotaReached):
            await TaskService(store, clock=clock, quota=0).put(ann, UID, TITLE)
        assert (await tasks.list(ann)).revision == 0

    async def test_a_deleted_name_is_gone_for_every_write_as_long_as_its_tombstone_is_kept(
        self, store, tasks, clock, ann
    ):
        task = (await tasks.put(ann, UID, TITLE)).task
        other = (await tasks.create(ann, title="stays")).task
        clock.advance(seconds=5)
        await tasks.delete(ann, UID)
        tombstone = Tombstone(task.id, UID, 3, clock.now)
        assert await store.changes(ann, since=1, limit=9) == ([other], [tombstone], 3, False)
        for write in (
            *(lambda put=put: tasks.put(ann, UID, put) for put in (TITLE, *CAN_CREATE_NOTHING)),
            lambda: tasks.put(ann, UID, TITLE._replace(create_only=True)),
            lambda: tasks.edit(ann, UID, title="x"),
            lambda: tasks.edit(ann, UID, title="x", if_match={task.revision}),
            lambda: tasks.toggle(ann, UID),
            lambda: tasks.toggle(ann, UID, if_match={1}),
            lambda: store.delete(ann, UID, now=clock(), expected=None),
        ):
            with pytest.raises(Gone) as gone:
                await write()
            assert (gone.value.deleted, gone.value.restorable) == (tombstone, True)
        await tasks.delete(ann, UID)
        await tasks.delete(ann, UID, if_match={1})
        with pytest.raises(NotFound):
            await tasks.get(ann, UID)
        for write in (tasks.edit(ann, task.id, title="x"), tasks.toggle(ann, task.id), tasks.delete(ann, task.id)):
            with pytest.raises(NotFound):
                await write
        assert (await tasks.list(ann)).revision == 3

        clock.now += TOMBSTONES_KEPT
        for _ in range(PURGE_EVERY):
            await tasks.toggle(ann, other.id)
        with pytest.raises(NotFound):
            await tasks.toggle(ann, UID)
        again = await tasks.put(ann, UID, TITLE)
        assert again.created
        assert again.task.id > other.id

    async def test_the_quota_holds_for_a_create_and_not_for_an_update_by_name(self, store, clock, ann):
        tasks = TaskService(store, clock=clock, quota=1)
        task = (await tasks.put(ann, UID, TITLE)).task
        with pytest.raises(QuotaReached):
            await tasks.put(ann, f"{UID}-2", TITLE)
        assert (await tasks.put(ann, UID, Put({"title": "more"}))).task.revision == task.revision + 1
        await tasks.delete(ann, UID)
        assert (await tasks.put(ann, f"{UID}-2", TITLE)).created

    async def test_a_name_belongs_to_one_user_and_differs_by_case(self, tasks, ann, bob):
        made = [
            (await tasks.put(owner, uid, TITLE)).task for owner in (ann, bob) for uid in ("abcdefghij", "Abcdefghij")
        ]
        assert len({task.id for task in made}) == 4
        await tasks.delete(bob, "abcdefghij")
        assert await tasks.get(ann, "abcdefghij") == made[0]
        assert await tasks.get(bob, "Abcdefghij") == made[3]

    async def test_what_is_put_back_must_be_the_tasks_own(self, tasks, ann, bob):
        task = (await tasks.put(ann, UID, TITLE)).task
        other = (await tasks.create(ann, title="without a name")).task
        for key, wrong in (
            (UID, {"id": task.id + 1}),
            (task.id, {"uid": "another-name"}),
            (task.id, {"uid": UID.upper()}),
            (other.id, {"uid": UID}),
            (UID, {"user_id": bob}),
            (UID, {"id": float(task.id)}),
            ("a-new-name", {"uid": UID}),
            ("a-new-name", {"user_id": bob}),
        ):
            for only in (False, True):
                with pytest.raises(Invalid) as refused:
                    await tasks.put(ann, key, TITLE._replace(**wrong, create_only=only))
                assert refused.value.field in wrong
        assert (await tasks.list(ann)).revision == 2

    async def test_of_thirty_racing_puts_of_one_name_one_creates_and_all_have_one_task(self, store, tasks, ann):
        endings = await at_once(*(tasks.put(ann, UID, TITLE) for _ in range(30)))
        (task,) = (await store.page(ann, Query(), unless=None)).tasks
        assert sorted(written.created for written in endings) == [False] * 29 + [True]
        assert {written.task for written in endings} == {task}
        assert task.revision == 1

    async def test_of_racing_puts_that_only_create_one_does_and_the_others_say_that_it_is_there(self, tasks, ann):
        only = TITLE._replace(create_only=True)
        endings = await at_once(*(tasks.put(ann, UID, only) for _ in range(20)))
        assert kinds(endings) == {Written: 1, Exists: 19}
        (task,) = (await tasks.list(ann)).tasks
        assert {ending.current for ending in endings if isinstance(ending, Exists)} == {task}

    async def test_racing_edits_by_name_of_different_members_all_survive(self, tasks, ann):
        await tasks.put(ann, UID, TITLE)
        values = {"description": "d", "tags": ("t",), "position": "a0", "completed": True}
        await at_once(*(tasks.put(ann, UID, Put({name: value})) for name, value in values.items()))
        task = await tasks.get(ann, UID)
        assert {name: getattr(task, name) for name in values} == values
        assert task.revision == 1 + len(values)

    async def test_a_create_that_races_its_deletion_is_never_both_alive_and_gone(self, store, tasks, ann):
        for number in range(12):
            uid = f"{UID}-{number}"
            await at_once(
                *(tasks.put(ann, uid, TITLE) for _ in range(3)),
                *(tasks.delete(ann, uid) for _ in range(3)),
                *(tasks.edit(ann, uid, title="edited") for _ in range(2)),
            )
            changes = await store.changes(ann, since=0, limit=1)
            alive = [task for task in changes.tasks if task.uid == uid]
            gone = [one for one in (await store.changes(ann, since=1, limit=1_000)).deleted if one.uid == uid]
            assert len(alive) + len(gone) == 1
            if gone:
                with pytest.raises(Gone):
                    await tasks.put(ann, uid, TITLE)
            else:
                assert await tasks.get(ann, uid) == alive[0]

    async def test_an_edit_by_name_that_races_the_deletion_says_gone(self, tasks, ann):
        for number in range(10):
            uid = f"{UID}-{number}"
            await tasks.put(ann, uid, TITLE)
            endings = await at_once(
                *(tasks.put(ann, uid, Put({"title": f"put {n}"})) for n in range(4)), tasks.delete(ann, uid)
            )
            assert set(kinds(endings)) <= {Written, Gone, type(None), Unavailable}
            with pytest.raises(Gone):
                await tasks.edit(ann, uid, title="late")

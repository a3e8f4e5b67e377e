"""Erasing a user: only the user id and a counter remain, and all earlier revisions are stale."""

import pytest

from store_contract.races import at_once, kinds
from todo_domain import NotFound, Once, Put, Query, Resync, TaskService

UID = "0199c3a8-5d1e-7c4f-9b0a-3f7d2c11e8aa"
TABLES = ("tasks", "tombstones", "trash", "idempotency_keys", "feeds")


async def fill(tasks, owner):
    """Make tasks, a deletion, keys and a feed of a user; return a task that is still there."""
    await tasks.put(owner, UID, Put({"title": "has a name"}), once=Once("named", b"body"))
    gone = (await tasks.create(owner, title="gone", once=Once("gone", b"body"))).task
    kept = (await tasks.create(owner, title="kept", tags=["a"], description="described")).task
    await tasks.put(owner, f"{UID}-2", Put({"title": "goes by its name"}))
    await tasks.delete(owner, gone.id, once=Once("deleted", b"body"))
    await tasks.delete(owner, f"{UID}-2")
    await tasks.make_feed(owner)
    return await tasks.toggle(owner, kept.id)


async def all_of(store, place, owner):
    """All data of a user: the tasks and the number of rows."""
    whole = await store.changes(owner, since=0, limit=1)
    since = min((task.revision for task in whole.tasks), default=whole.revision) - 1 or whole.revision
    later = await store.changes(owner, since=since, limit=1_000)
    return whole, later, [place.count(table, owner) for table in TABLES]


class Erasing:
    async def test_nothing_is_left_of_the_user_and_another_user_stays_as_they_were(self, place, store, tasks, ann, bob):
        task = await fill(tasks, ann)
        await fill(tasks, bob)
        before, his = await store.page(ann, Query(), unless=None), await all_of(store, place, bob)
        assert [place.count(table, ann) for table in TABLES] == [2, 2, 2, 3, 1]

        await tasks.erase(ann)
        assert [place.count(table, ann) for table in TABLES] == [0, 0, 0, 0, 0]
        counter = before.revision + 1
        assert await store.page(ann, Query(), unless=None) == ([], counter, False)
        assert (await store.page(ann, Query(), unless=before.revision)).revision == counter
        assert await store.changes(ann, since=0, limit=9) == ([], [], counter, False)
        for key in (task.id, UID, f"{UID}-2"):
            with pytest.raises(NotFound):
                await tasks.edit(ann, key, title="raised from the dead")
        assert await all_of(store, place, bob) == his

    async def test_every_revision_from_before_is_too_old(self, store, tasks, ann):
        await fill(tasks, ann)
        before = (await store.page(ann, Query(), unless=None)).revision
        await tasks.erase(ann)
        for since in (1, 2, before - 1, before):
            with pytest.raises(Resync):
                await store.changes(ann, since=since, limit=9)
        assert await store.changes(ann, since=before + 1, limit=9) == ([], [], before + 1, False)

    async def test_the_user_may_begin_anew_with_the_names_and_keys_of_before(self, place, store, clock, ann):
        tasks = TaskService(store, clock=clock, quota=4)
        task = await fill(tasks, ann)
        await tasks.erase(ann)
        counter = (await store.page(ann, Query(), unless=None)).revision
        for number, uid in enumerate((UID, f"{UID}-2"), 1):
            made, created = await tasks.put(ann, uid, Put({"title": "anew"}))
            assert (created, made.revision, made.id > task.id) == (True, counter + number, True)
        again = await tasks.create(ann, title="gone", once=Once("gone", b"another body"))
        assert (again.replayed, again.task.revision) == (False, counter + 3)
        await tasks.create(ann, title="the quota is free again")
        assert [place.count(table, ann) for table in TABLES] == [4, 0, 0, 1, 0]
        assert len((await store.changes(ann, since=counter, limit=9)).tasks) == 4

    async def test_of_a_user_who_never_wrote_nothing_is_made(self, store, tasks, ann):
        await tasks.erase(ann)
        assert await store.page(ann, Query(), unless=None) == ([], 0, False)
        assert (await tasks.create(ann, title="first")).task.revision == 1

    async def test_erasing_twice_is_erasing_what_came_in_between(self, place, store, tasks, ann):
        await fill(tasks, ann)
        await tasks.erase(ann)
        between = (await tasks.create(ann, title="in between")).task
        await tasks.erase(ann)
        assert await store.page(ann, Query(), unless=None) == ([], between.revision + 1, False)
        assert [place.count(table, ann) for table in TABLES] == [0, 0, 0, 0, 0]

    async def test_a_write_at_the_same_time_comes_before_or_after_and_never_half(self, place, store, tasks, ann, bob):
        task = (await tasks.create(ann, title="at first")).task
        his = (await tasks.create(bob, title="of bob")).task
        writes = [
            *(tasks.create(ann, title=f"task {number}", once=Once(f"{number}", b"x")) for number in range(8)),
            tasks.erase(ann),
            tasks.toggle(ann, task.id),
            tasks.put(ann, UID, Put({"title": "named"}, create_only=True)),
            tasks.erase(ann),
            *(tasks.create(ann, title=f"task {number}", once=Once(f"{number}", b"x")) for number in range(8, 16)),
        ]
        refused = [ending for ending in await at_once(*writes) if isinstance(ending, Exception)]
        assert set(kinds(refused)) <= {NotFound}
        whole = await store.changes(ann, since=0, limit=1)
        horizon = 1
        while await _is_too_old(store, ann, horizon):
            horizon += 1
        assert horizon > 2
        assert [one.revision for one in whole.tasks] == list(range(horizon + 1, whole.revision + 1))
        assert place.count("tasks", ann) == len(whole.tasks)
        assert place.count("idempotency_keys", ann) == sum(one.uid is None for one in whole.tasks)
        assert await store.get(bob, his.id) == his


async def _is_too_old(store, owner, since):
    try:
        await store.changes(owner, since=since, limit=1)
    except Resync:
        return True
    return False

"""Isolation: no user can read, change or detect another user's data."""

import pytest

from todo_domain import NotFound, Once, Query, QuotaReached, Resync, TaskService, user_id

ANYTHING = Query()

METHODS = {
    "get": lambda store, owner, task, _: store.get(owner, task.id),
    "replace": lambda store, owner, task, now: store.replace(
        owner, task._replace(title="taken", updated_at=now), now=now
    ),
    "toggle": lambda store, owner, task, now: store.toggle(owner, task.id, now=now),
    "delete": lambda store, owner, task, now: store.delete(owner, task.id, now=now, expected=None),
    "delete this": lambda store, owner, task, now: store.delete(owner, task.id, now=now, expected={task.revision}),
    "delete another": lambda store, owner, task, now: store.delete(owner, task.id, now=now, expected={9_999}),
}

TWINS = [
    ("ann", "Ann"),
    ("ann", "ann "),
    ("ann_1", "ann%1"),
    ("\xe9", "e\u0301"),
    ("straße", "strasse"),
    ("\u0130", "i\u0307"),
    ("me", "\u2067me"),
    ("'; drop table tasks; --", "''; drop table tasks; --"),
    ("😀" * 240, "😀" * 239),
]


class Isolation:
    @pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
    @pytest.mark.parametrize("his_tasks", [0, 1], ids=["newcomer", "user"])
    async def test_another_users_task_is_like_one_that_never_was(
        self, store, tasks, clock, ann, bob, method, his_tasks
    ):
        for _ in range(his_tasks):
            await tasks.create(bob, title="of bob")
        hers = (await tasks.create(ann, title="of ann")).task
        never = hers._replace(id=hers.id + 1_000_000)

        refusals = []
        for aim in (hers, never):
            with pytest.raises(NotFound) as refusal:
                await method(store, bob, aim, clock.advance(seconds=1))
            refusals.append((type(refusal.value), refusal.value.args))

        assert refusals[0] == refusals[1]
        assert await store.page(ann, ANYTHING, unless=None) == ([hers], 1, False)
        assert (await store.page(bob, ANYTHING, unless=None)).revision == his_tasks

    async def test_lists_and_changes_show_the_owners_tasks_alone(self, store, tasks, ann, bob):
        hers = [(await tasks.create(ann, title=f"of ann {number}")).task for number in range(3)]
        gone = (await tasks.create(bob, title="of bob, gone")).task
        his = (await tasks.create(bob, title="of bob")).task
        await tasks.delete(bob, gone.id)

        assert await store.page(ann, ANYTHING, unless=None) == (hers[::-1], 3, False)
        assert await store.page(bob, ANYTHING, unless=None) == ([his], 3, False)
        assert (await store.page(bob, Query(text="ann"), unless=None)).tasks == []
        assert await store.changes(ann, since=0, limit=1) == (hers, [], 3, False)
        assert await store.changes(ann, since=1, limit=1_000) == (hers[1:], [], 3, False)
        assert [tombstone.id for tombstone in (await store.changes(bob, since=1, limit=1_000)).deleted] == [gone.id]

    async def test_counters_and_quotas_are_each_users_own(self, store, clock, ann, bob):
        narrow = TaskService(store, clock=clock, quota=1)
        assert (await narrow.create(ann, title="of ann")).task.revision == 1
        assert (await narrow.create(bob, title="of bob")).task.revision == 1
        with pytest.raises(QuotaReached):
            await narrow.create(ann, title="one too many")

    async def test_the_same_key_of_two_users_stands_for_two_tasks(self, tasks, ann, bob):
        hers = await tasks.create(ann, once=Once("key", b"of ann"), title="of ann")
        his = await tasks.create(bob, once=Once("key", b"of bob"), title="of bob")
        assert (hers.replayed, his.replayed) == (False, False)
        assert hers.task.id != his.task.id

    async def test_ids_are_unique_over_all_users(self, tasks, ann, bob):
        ids = [(await tasks.create(owner, title="mine")).task.id for owner in (ann, bob, bob, ann, ann, bob)]
        assert len(set(ids)) == len(ids)
        assert all(1 <= task_id <= 2**53 - 1 for task_id in ids)

    async def test_a_user_nobody_has_heard_of_has_an_empty_list(self, store, ann):
        assert await store.page(ann, ANYTHING, unless=None) == ([], 0, False)
        assert await store.changes(ann, since=0, limit=1_000) == ([], [], 0, False)
        with pytest.raises(Resync):
            await store.changes(ann, since=1, limit=1_000)

    @pytest.mark.parametrize("twins", TWINS, ids=lambda twins: ascii(twins)[:24])
    async def test_users_whose_ids_look_alike_are_different_users(self, store, tasks, ann, twins):
        one, other = (user_id(f"{twin} {ann}") for twin in twins)
        task = (await tasks.create(one, title="private")).task
        assert task.user_id == one
        assert (await store.page(one, ANYTHING, unless=None)).tasks == [task]
        assert (await store.page(other, ANYTHING, unless=None)).tasks == []
        with pytest.raises(NotFound):
            await store.get(other, task.id)

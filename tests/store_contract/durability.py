"""Durability: data outlives a store, and several stores over the same data agree."""

from collections import Counter
from typing import ClassVar

import pytest

from store_contract import StoreContract
from store_contract.purging import insert_tombstone, write_until
from store_contract.races import at_once, kinds
from todo_domain import KeyReused, NotFound, Once, Priority, Query, Resync, TaskService
from todo_domain.changes import TOMBSTONES_KEPT
from todo_domain.retention import PURGE_EVERY


class Durability:
    """The additional promises of `DurableStoreContract`."""

    refusal: ClassVar[type[Exception] | None] = None
    """The exception of the store's own constraints for a refused row; None if it has no constraints."""

    async def test_what_was_written_is_there_when_the_store_is_opened_again(self, place, clock, ann):
        once = Once("key", b"body")
        async with place.open() as store:
            tasks = TaskService(store, clock=clock)
            first = (await tasks.create(ann, once=once, title="first", tags=["b", "a"])).task
            gone = (await tasks.create(ann, title="gone")).task
            edited = await tasks.edit(ann, first.id, description="", priority=Priority.LOW, completed=True)
            await tasks.delete(ann, gone.id)
        async with place.open() as store:
            tasks = TaskService(store, clock=clock)
            assert await tasks.list(ann) == ([edited], 4, False)
            assert await tasks.changes(ann, since=1) == ([edited], [(gone.id, None, 4, clock.now)], 4, False)
            assert await tasks.create(ann, once=once, title="first", tags=["b", "a"]) == (first, True)
            with pytest.raises(KeyReused):
                await tasks.create(ann, once=once._replace(fingerprint=b"other"), title="other")
            after = (await tasks.create(ann, title="after")).task
            assert after.revision == 5
            assert after.id > gone.id

    async def test_the_horizon_is_there_when_the_store_is_opened_again(self, place, clock, ann):
        async with place.open() as store:
            tasks = TaskService(store, clock=clock)
            (tombstone_row,) = await insert_tombstone(tasks, clock, ann, 1)
            clock.now += 2 * TOMBSTONES_KEPT
            await write_until(tasks, ann, PURGE_EVERY)
        async with place.open() as store:
            with pytest.raises(Resync):
                await store.changes(ann, since=tombstone_row.revision - 1, limit=1)
            await store.changes(ann, since=tombstone_row.revision, limit=1)

    async def test_an_id_is_not_used_again_although_the_newest_task_went_before_the_restart(self, place, clock, ann):
        seen = []
        for _ in range(3):
            async with place.open() as store:
                tasks = TaskService(store, clock=clock)
                seen.append((await tasks.create(ann, title="short-lived")).task.id)
                await tasks.delete(ann, seen[-1])
        assert seen == sorted(set(seen))

    @pytest.mark.parametrize("kind", ["create", "create once", "replace"])
    async def test_a_write_that_the_database_refuses_half_way_leaves_no_trace(self, store, tasks, clock, ann, kind):
        if self.refusal is None:
            pytest.skip("this store has no constraints of its own: it refuses no row")
        kept = (await tasks.create(ann, title="kept")).task
        long = {"title": "x" * 256}  # which the service would have refused, and a constraint does
        long_key = Once("k" * 256, b"body")
        write = {
            "create": lambda: store.create(ann, long, now=clock(), quota=9, once=Once("key", b"body")),
            "create once": lambda: store.create(ann, {"title": "fine"}, now=clock(), quota=9, once=long_key),
            "replace": lambda: store.replace(ann, kept._replace(description="x" * 5_001), now=clock()),
        }[kind]
        for _ in range(3):
            with pytest.raises(self.refusal):
                await write()
        assert await store.changes(ann, since=0, limit=1) == ([kept], [], 1, False)
        narrow = TaskService(store, clock=clock, quota=2)
        after = await narrow.create(ann, once=Once("key", b"body"), title="after")
        assert (after.task.revision, after.replayed) == (2, False)

    async def test_what_one_store_wrote_the_other_reads_at_once(self, place, clock, ann):
        async with place.open() as one, place.open() as other:
            task = (await TaskService(one, clock=clock).create(ann, title="by one")).task
            assert await other.get(ann, task.id) == task
            toggled = await other.toggle(ann, task.id, now=clock())
            assert await one.page(ann, Query(), unless=1) == ([toggled], 2, False)
            await one.delete(ann, task.id, now=clock(), expected={toggled.revision})
            with pytest.raises(NotFound):
                await other.get(ann, task.id)

    async def test_writers_of_two_stores_leave_no_gap_and_lose_nothing(self, place, clock, ann):
        async with place.open() as one, place.open() as other:
            services = [TaskService(store, clock=clock) for store in (one, other)]
            task = (await services[0].create(ann, title="shared")).task
            once = Once("key", b"body")
            written = await at_once(
                *(services[number % 2].toggle(ann, task.id) for number in range(10)),
                *(services[number % 2].create(ann, title=f"{number}") for number in range(10)),
                *(services[number % 2].edit(ann, task.id, description=f"{number}") for number in range(10)),
                *(services[number % 2].create(ann, once=once, title="once") for number in range(10)),
            )
            toggles, creates, edits, repeats = written[:10], written[10:20], written[20:30], written[30:]
            assert Counter(repeat.replayed for repeat in repeats) == {False: 1, True: 9}
            tasks = [*toggles, *edits, *(created.task for created in creates), repeats[0].task]
            assert sorted(task.revision for task in tasks) == list(range(2, 33))
            assert (await one.get(ann, task.id)).completed is False

            deleted = await at_once(*(services[number % 2].delete(ann, task.id) for number in range(10)))
            assert kinds(deleted) == {type(None): 1, NotFound: 9}


class DurableStoreContract(StoreContract, Durability):
    """The promises of `Tasks`, kept over restarts and between several stores at once."""

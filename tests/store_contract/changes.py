"""Incremental sync: the guarantees for a device that keeps a copy up to date from a revision."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from support.device import Device
from todo_domain import Once, Query, Resync
from todo_domain.owner import COUNTERS_BEGIN


class Changes:
    @pytest.mark.parametrize("once", [None, Once("key", b"body")], ids=["plain", "with a key"])
    async def test_a_counter_begins_at_the_microseconds_since_2026_of_the_first_write(
        self, tasks, store, clock, ann, once
    ):
        clock.now = datetime(2026, 11, 22, 9, 15, 0, 123456, tzinfo=UTC)
        begins = (clock.now - COUNTERS_BEGIN) // timedelta(microseconds=1)
        assert await store.changes(ann, since=0, limit=1) == ([], [], 0, False)
        assert (await tasks.list(ann)).revision == 0
        task = (await tasks.create(ann, once=once, title="first")).task
        assert task.revision == begins + 1
        clock.advance(days=1)
        assert (await tasks.create(ann, title="second")).task.revision == begins + 2

        assert len((await store.changes(ann, since=begins, limit=9)).tasks) == 2
        for since in (1, begins - 1):  # the horizon begins where the counter does
            with pytest.raises(Resync):
                await store.changes(ann, since=since, limit=9)

    @pytest.mark.parametrize("before", [timedelta(0), timedelta(microseconds=1), timedelta(days=20_000)])
    async def test_a_counter_begins_at_0_if_the_clock_is_before_2026(self, tasks, clock, ann, before):
        clock.now = COUNTERS_BEGIN - before
        assert (await tasks.create(ann, title="first")).task.revision == 1

    async def test_nothing_of_a_lost_life_of_the_data_fits_the_new_one(self, tasks, store, clock, ann, bob):
        """Ann's tasks of the first life are lost; Bob, who begins a second later, stands for her second life."""
        clock.now = datetime(2026, 11, 22, 9, 15, 0, tzinfo=UTC)
        for number in range(5):
            lost = (await tasks.create(ann, title=f"{number}")).task
        clock.advance(seconds=1)
        reborn = (await tasks.create(bob, title="another")).task
        assert reborn.revision > lost.revision
        with pytest.raises(Resync):
            await store.changes(bob, since=lost.revision, limit=9)
        assert (await store.page(bob, Query(), unless=lost.revision)).tasks == [reborn]

    async def test_without_a_revision_everything_comes_in_one_piece(self, store, tasks, ann):
        one, two, three = [(await tasks.create(ann, title=title)).task for title in ("one", "two", "three")]
        one = await tasks.toggle(ann, one.id)
        await tasks.delete(ann, two.id)
        for limit in (1, 1_000):
            assert await store.changes(ann, since=0, limit=limit) == ([three, one], [], 5, False)

    async def test_since_a_revision_come_the_later_ones_in_their_order(self, store, tasks, clock, ann):
        one, two, three = [(await tasks.create(ann, title=title)).task for title in ("one", "two", "three")]
        edited = await tasks.edit(ann, two.id, title="zwei")
        await tasks.delete(ann, three.id)
        first_death = clock.now
        four = (await tasks.create(ann, title="four")).task
        clock.advance(hours=1)
        await tasks.delete(ann, one.id)

        deaths = [(three.id, None, 5, first_death), (one.id, None, 7, clock.now)]
        assert await store.changes(ann, since=1, limit=1_000) == ([edited, four], deaths, 7, False)
        assert await store.changes(ann, since=4, limit=1_000) == ([four], deaths, 7, False)
        assert await store.changes(ann, since=6, limit=1_000) == ([], deaths[1:], 7, False)
        assert await store.changes(ann, since=7, limit=1_000) == ([], [], 7, False)

    async def test_pages_hold_the_lowest_revisions_of_tasks_and_tombstones_together(self, store, tasks, clock, ann):
        made = [(await tasks.create(ann, title=f"{number}")).task for number in range(6)]
        await tasks.delete(ann, made[1].id)  # 7
        toggled = await tasks.toggle(ann, made[2].id)  # 8
        await tasks.delete(ann, made[3].id)  # 9
        seven, nine = (made[1].id, None, 7, clock.now), (made[3].id, None, 9, clock.now)

        assert await store.changes(ann, since=1, limit=1) == ([made[4]], [], 5, True)
        assert await store.changes(ann, since=1, limit=2) == (made[4:], [], 6, True)
        assert await store.changes(ann, since=1, limit=3) == (made[4:], [seven], 7, True)
        assert await store.changes(ann, since=1, limit=4) == ([*made[4:], toggled], [seven], 8, True)
        assert await store.changes(ann, since=1, limit=5) == ([*made[4:], toggled], [seven, nine], 9, False)
        assert await store.changes(ann, since=7, limit=1) == ([toggled], [], 8, True)
        assert await store.changes(ann, since=8, limit=1) == ([], [nine], 9, False)

    async def test_the_last_page_answers_with_the_counter(self, store, tasks, ann):
        task = (await tasks.create(ann, title="made, and deleted before anybody looked")).task
        await tasks.delete(ann, task.id)
        await tasks.create(ann, title="stays")
        await tasks.create(ann, title="goes on")
        page = await store.changes(ann, since=1, limit=2)
        assert (page.revision, page.has_more) == (3, True)
        assert (await store.changes(ann, since=3, limit=1))[2:] == (4, False)

    async def test_a_revision_from_another_life_of_the_data_is_refused(self, store, tasks, ann):
        await tasks.create(ann, title="the only one")
        for since in (2, 64, 2**53 - 1):
            with pytest.raises(Resync):
                await store.changes(ann, since=since, limit=1_000)
        assert (await store.changes(ann, since=1, limit=1_000)).revision == 1

    async def test_devices_that_sync_in_pages_of_any_size_agree_with_the_list(self, tasks, ann):
        devices = [Device(tasks, ann, limit) for limit in (1, 2, 7, 1_000)]
        made = []
        for round_ in range(6):
            made += [(await tasks.create(ann, title=f"{round_}.{number}")).task.id for number in range(4)]
            await tasks.edit(ann, made[-2], title="edited")
            await tasks.toggle(ann, made[0])
            await tasks.delete(ann, made.pop(round_))
            for device in devices[round_ % 2 :]:
                await device.sync()
                assert device.copy == {task.id: task for task in (await tasks.list(ann)).tasks}

    async def test_a_device_that_syncs_while_writers_race_misses_nothing(self, tasks, ann):
        pool = [(await tasks.create(ann, title=f"{number}")).task.id for number in range(12)]
        device = Device(tasks, ann, limit=3)
        await device.sync()

        async def write(number):
            for step in range(4):
                await tasks.create(ann, title=f"new {number}.{step}")
                await tasks.edit(ann, pool[(number + step) % 6], description=f"edited {number}.{step}")
                await tasks.toggle(ann, pool[step])
            await tasks.delete(ann, pool[6 + number])

        writers = asyncio.gather(*(write(number) for number in range(6)))
        while not writers.done():
            await device.sync()
            await asyncio.sleep(0)  # a store that never waits would not let them write
        await writers
        await device.sync()
        assert device.copy == {task.id: task for task in (await tasks.list(ann)).tasks}
        assert device.since == 12 + 6 * 13

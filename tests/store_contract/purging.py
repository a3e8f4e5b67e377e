"""Purging: when, how much at a time, and its visible effects."""

from datetime import timedelta

import pytest

from todo_domain import Once, Resync, retention
from todo_domain.changes import TOMBSTONES_KEPT
from todo_domain.retention import KEYS_KEPT, PURGE_AT_MOST, PURGE_EVERY

MOMENT = timedelta(microseconds=1)


async def write_until(tasks, owner, revision):
    """Toggle a task of the owner's until the counter is at this revision."""
    page = await tasks.list(owner)
    for _ in range(revision - page.revision):
        await tasks.toggle(owner, page.tasks[0].id)


async def insert_tombstone(tasks, clock, owner, count):
    """Make one task that stays and `count` that are deleted, each a second after the last; return the tombstones."""
    await tasks.create(owner, title="stays")
    doomed = [(await tasks.create(owner, title="doomed")).task.id for _ in range(count)]
    for task_id in doomed:
        clock.advance(seconds=1)
        await tasks.delete(owner, task_id)
    return (await tasks.changes(owner, since=1)).deleted


class Purging:
    async def test_tombstones_go_with_the_next_64th_write_after_90_days(self, place, tasks, clock, ann):
        tombstones = await insert_tombstone(tasks, clock, ann, 3)
        clock.now = tombstones[0].deleted_at + TOMBSTONES_KEPT - MOMENT
        await write_until(tasks, ann, PURGE_EVERY)
        assert (await tasks.changes(ann, since=1)).deleted == tombstones

        clock.now = tombstones[1].deleted_at + TOMBSTONES_KEPT + MOMENT  # too late for two of them
        await write_until(tasks, ann, 2 * PURGE_EVERY - 1)
        assert (await tasks.changes(ann, since=1)).deleted == tombstones
        await write_until(tasks, ann, 2 * PURGE_EVERY)
        assert place.count("tombstones", ann) == 1
        assert (await tasks.changes(ann, since=tombstones[1].revision)).deleted == tombstones[2:]

    async def test_a_clock_that_once_ran_ahead_makes_no_edit_forget_early(self, place, tasks, clock, ann):
        await insert_tombstone(tasks, clock, ann, 1)
        clock.now += TOMBSTONES_KEPT + MOMENT
        ahead = (await tasks.create(ann, title="from the future")).task
        clock.now -= TOMBSTONES_KEPT
        for number in range(PURGE_EVERY):
            await tasks.edit(ann, ahead.id, title=f"{number}")
        assert place.count("tombstones", ann) == 1

    async def test_who_last_asked_before_the_horizon_must_start_again(self, tasks, clock, ann):
        tombstones = await insert_tombstone(tasks, clock, ann, 3)
        clock.now += TOMBSTONES_KEPT + MOMENT
        await write_until(tasks, ann, PURGE_EVERY)
        horizon = tombstones[-1].revision
        for since in (1, horizon - 1):
            with pytest.raises(Resync):
                await tasks.changes(ann, since=since)
        for since in (horizon, horizon + 1, PURGE_EVERY):
            assert (await tasks.changes(ann, since=since)).deleted == []
        page = await tasks.list(ann)
        assert (len(page.tasks), page.revision) == (1, PURGE_EVERY)
        assert await tasks.changes(ann, since=0, limit=1) == (page.tasks, [], PURGE_EVERY, False)

    async def test_a_purge_takes_a_bounded_number_of_tombstones_oldest_first(self, place, tasks, clock, ann):
        tombstones = await insert_tombstone(tasks, clock, ann, PURGE_AT_MOST + 20)
        clock.now += TOMBSTONES_KEPT + MOMENT
        next_purge = -(-(await tasks.list(ann)).revision // PURGE_EVERY) * PURGE_EVERY
        await write_until(tasks, ann, next_purge)
        assert place.count("tombstones", ann) == 20
        assert (await tasks.changes(ann, since=tombstones[-21].revision)).deleted == tombstones[-20:]
        with pytest.raises(Resync):
            await tasks.changes(ann, since=tombstones[-21].revision - 1)

        await write_until(tasks, ann, next_purge + PURGE_EVERY)
        assert place.count("tombstones", ann) == 0
        with pytest.raises(Resync):
            await tasks.changes(ann, since=tombstones[-1].revision - 1)
        assert (await tasks.changes(ann, since=tombstones[-1].revision)).deleted == []

    @pytest.mark.parametrize("kind", ["create", "create once", "edit", "toggle", "delete"])
    async def test_every_kind_of_write_purges_if_it_is_the_64th(self, place, tasks, clock, ann, bob, kind):
        for owner in (ann, bob):
            await insert_tombstone(tasks, clock, owner, 1)
            await tasks.create(owner, once=Once("expiring", b"body"), title="once")
        clock.now += TOMBSTONES_KEPT + MOMENT
        await write_until(tasks, ann, PURGE_EVERY - 1)
        task = (await tasks.list(ann)).tasks[0]
        assert (place.count("tombstones", ann), place.count("idempotency_keys", ann)) == (1, 1)
        await {
            "create": lambda: tasks.create(ann, title="the 64th"),
            "create once": lambda: tasks.create(ann, once=Once("fresh", b"body"), title="the 64th"),
            "edit": lambda: tasks.edit(ann, task.id, title="the 64th"),
            "toggle": lambda: tasks.toggle(ann, task.id),
            "delete": lambda: tasks.delete(ann, task.id),
        }[kind]()
        assert place.count("tombstones", ann) == (kind == "delete")
        assert place.count("idempotency_keys", ann) == (kind == "create once")
        assert (place.count("tombstones", bob), place.count("idempotency_keys", bob)) == (1, 1)

    async def test_a_purge_takes_a_bounded_number_of_expired_keys_and_no_others(self, place, tasks, clock, ann):
        for number in range(PURGE_AT_MOST + 20):
            await tasks.create(ann, once=Once(f"old {number}", b"body"), title="once")
        clock.now += KEYS_KEPT
        await tasks.create(ann, once=Once("young", b"body"), title="once")
        clock.now += MOMENT
        next_purge = -(-(await tasks.list(ann)).revision // PURGE_EVERY) * PURGE_EVERY
        await write_until(tasks, ann, next_purge - 1)
        assert place.count("idempotency_keys", ann) == PURGE_AT_MOST + 21
        await write_until(tasks, ann, next_purge)
        assert place.count("idempotency_keys", ann) == 21
        await write_until(tasks, ann, next_purge + PURGE_EVERY)
        assert place.count("idempotency_keys", ann) == 1
        assert (await tasks.create(ann, once=Once("young", b"body"), title="once")).replayed

    async def test_of_too_many_tombstones_the_oldest_go_early_and_the_horizon_rises(
        self, place, tasks, clock, ann, bob, monkeypatch
    ):
        monkeypatch.setattr(retention, "MOST_KEPT", 20)
        tombstones = await insert_tombstone(tasks, clock, ann, 30)
        theirs = await insert_tombstone(tasks, clock, bob, 1)
        await write_until(tasks, ann, PURGE_EVERY - 1)
        assert place.count("tombstones", ann) == 30
        await write_until(tasks, ann, PURGE_EVERY)
        assert place.count("tombstones", ann) == 20
        assert (await tasks.changes(ann, since=tombstones[9].revision)).deleted == tombstones[10:]
        with pytest.raises(Resync):
            await tasks.changes(ann, since=tombstones[9].revision - 1)
        assert (await tasks.changes(bob, since=1)).deleted == theirs

    async def test_of_too_many_keys_the_oldest_go_early(self, place, tasks, ann, monkeypatch):
        monkeypatch.setattr(retention, "MOST_KEPT", 20)
        first = [await tasks.create(ann, once=Once(f"{number}", b"body"), title="once") for number in range(30)]
        await write_until(tasks, ann, PURGE_EVERY)
        assert place.count("idempotency_keys", ann) == 20
        assert await tasks.create(ann, once=Once("10", b"body"), title="once") == (first[10].task, True)
        again = await tasks.create(ann, once=Once("9", b"body"), title="once")
        assert (again.replayed, again.task.id > first[29].task.id) == (False, True)

    async def test_a_key_that_was_renewed_counts_from_its_renewal(self, place, tasks, clock, ann, monkeypatch):
        monkeypatch.setattr(retention, "MOST_KEPT", 1)
        await tasks.create(ann, once=Once("renewed", b"body"), title="once")
        await tasks.create(ann, once=Once("older", b"body"), title="once")
        clock.now += KEYS_KEPT + MOMENT
        renewed = await tasks.create(ann, once=Once("renewed", b"body"), title="once")
        await write_until(tasks, ann, PURGE_EVERY)
        assert place.count("idempotency_keys", ann) == 1
        assert await tasks.create(ann, once=Once("renewed", b"body"), title="once") == (renewed.task, True)

    async def test_a_write_that_renews_an_expired_key_does_not_purge_it(self, place, tasks, clock, ann):
        once = Once("renewed", b"body")
        await tasks.create(ann, once=once, title="first")
        clock.now += 2 * KEYS_KEPT
        await write_until(tasks, ann, PURGE_EVERY - 1)
        renewed = await tasks.create(ann, once=once, title="first")
        assert renewed.task.revision == PURGE_EVERY
        assert await tasks.create(ann, once=once, title="first") == (renewed.task, True)
        assert place.count("idempotency_keys", ann) == 1

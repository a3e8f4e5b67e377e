"""A single caller: exact round trips, compare-and-set, atomic writes, one revision for each write."""

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from store_contract.words import NASTY
from todo_domain import (
    ExtraPatch,
    Invalid,
    KeyReused,
    NotFound,
    Once,
    Priority,
    Query,
    QuotaReached,
    Stale,
    TaskService,
)

MOMENTS = [
    datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2026, 3, 29, 1, 30, 0, 1, tzinfo=UTC),
    datetime(2000, 1, 1, tzinfo=UTC),
    datetime(2099, 12, 31, 0, 0, 0, 100, tzinfo=UTC),
]

DAYS = [None, date.min, date(1582, 10, 10), date(2024, 2, 29), date.max]


async def counter(store, owner):
    return (await store.page(owner, Query(), unless=None)).revision


class Writes:
    async def test_a_new_task_is_what_was_asked_for(self, store, tasks, clock, ann):
        created = await tasks.create(ann, title="  Buy groceries ")
        assert not created.replayed
        task = created.task
        assert task[1:] == (None, ann, "Buy groceries", None, None, 0, None, (), None, "{}", 1, clock.now, clock.now)
        assert await store.get(ann, task.id) == task
        assert (await store.page(ann, Query(), unless=None)).tasks == [task]

    async def test_a_task_may_be_born_complete(self, tasks, clock, ann):
        task = (await tasks.create(ann, title="done", completed=True)).task
        assert task.completed_at == clock.now
        assert await tasks.get(ann, task.id) == task

    async def test_text_comes_back_exactly(self, tasks, ann):
        made = (await tasks.create(ann, title="plain")).task
        for text in NASTY:
            title, tags = f"|{text}|", (f"a{text[:40]}|", "second")
            edited = await tasks.edit(ann, made.id, title=title, description=text, tags=list(tags))
            assert (edited.title, edited.description, edited.tags) == (title, text, tags), ascii(text)
            assert await tasks.get(ann, made.id) == edited, ascii(text)
            assert (await tasks.list(ann)).tasks == [edited], ascii(text)
            assert (await tasks.changes(ann)).tasks == [edited], ascii(text)

    async def test_the_longest_task_comes_back_exactly(self, tasks, ann):
        most = {"title": "😀" * 255, "description": "𐍈" * 5_000, "tags": [f"{n:02}{'ﬃ' * 48}" for n in range(20)]}
        task = (await tasks.create(ann, **most)).task
        assert await tasks.get(ann, task.id) == task
        assert (task.title, task.description, list(task.tags)) == tuple(most.values())

    async def test_an_empty_description_is_not_a_missing_one(self, tasks, ann):
        empty = (await tasks.create(ann, title="empty", description="")).task
        missing = (await tasks.create(ann, title="missing")).task
        assert (await tasks.get(ann, empty.id)).description == ""
        assert (await tasks.get(ann, missing.id)).description is None
        assert (await tasks.edit(ann, empty.id, description=None)).description is None
        assert (await tasks.get(ann, empty.id)).description is None

    @pytest.mark.parametrize("moment", MOMENTS, ids=str)
    async def test_times_come_back_to_the_microsecond_and_in_utc(self, tasks, clock, ann, moment):
        clock.now = moment
        task = (await tasks.create(ann, title="timely", completed=True)).task
        for kept in (
            task,
            await tasks.get(ann, task.id),
            *(await tasks.list(ann)).tasks,
            *(await tasks.changes(ann)).tasks,
        ):
            times = (kept.created_at, kept.updated_at, kept.completed_at)
            assert times == (moment, moment, moment)
            assert [time.utcoffset() for time in times] == [timedelta(0)] * 3

    @pytest.mark.parametrize("day", DAYS, ids=str)
    async def test_a_due_date_comes_back_as_the_day_it_is(self, tasks, ann, day):
        task = (await tasks.create(ann, title="due", due_date=day)).task
        kept = await tasks.get(ann, task.id)
        assert kept == task
        assert kept.due_date == day
        assert type(kept.due_date) is type(day)

    @pytest.mark.parametrize("priority", Priority)
    async def test_a_priority_comes_back_as_a_priority(self, tasks, ann, priority):
        task = (await tasks.create(ann, title="ranked", priority=priority)).task
        for kept in (task, await tasks.get(ann, task.id), *(await tasks.list(ann)).tasks):
            assert kept.priority is priority

    async def test_an_object_of_the_clients_own_comes_back_equal_and_of_its_kinds(self, tasks, ann):
        extra = {
            "numbers": [1, 1.0, True, -(2**53), 2**53, 1e300, -0.5, 1e2],
            "texts": NASTY,
            "É": {"E\u0301": {"deep": [None]}},
        }
        task = (await tasks.create(ann, title="own", extra=extra)).task
        for kept in (
            task,
            await tasks.get(ann, task.id),
            *(await tasks.list(ann)).tasks,
            *(await tasks.changes(ann)).tasks,
            *(await tasks.changes(ann, since=task.revision - 1)).tasks,
        ):
            assert repr(json.loads(kept.extra)) == repr(json.loads(json.dumps(extra, sort_keys=True)))
        assert await tasks.edit(ann, task.id, extra=dict(reversed(extra.items()))) == task
        for other in ({"a": 1}, {"a": 1.0}, {"a": True}, {}):
            edited = await tasks.edit(ann, task.id, extra=other)
            assert repr(json.loads(edited.extra)) == repr(other)
            assert edited.revision == task.revision + 1
            task = await tasks.get(ann, task.id)
            assert task == edited

    async def test_a_merge_patch_of_it_is_applied_to_what_is_there_and_nothing_beyond_the_limit_is_kept(
        self, store, tasks, ann
    ):
        task = (await tasks.create(ann, title="own", extra={"a": {"b": 1, "c": 2}, "d": [1]})).task
        task = await tasks.edit(ann, task.id, extra=ExtraPatch({"a": {"b": None, "e": {"f": None, "g": "x"}}}))
        assert json.loads(task.extra) == {"a": {"c": 2, "e": {"g": "x"}}, "d": [1]}
        assert await tasks.edit(ann, task.id, extra=ExtraPatch({"gone": None, "a": {"c": 2}})) == task
        with pytest.raises(Invalid, match=r"^extra must be at most 4,096 bytes as JSON$"):
            await tasks.edit(ann, task.id, extra=ExtraPatch({"h": "x" * 4_096}))
        assert await store.get(ann, task.id) == task

    async def test_every_member_can_be_edited_and_the_others_stay(self, store, tasks, clock, ann):
        other = (await tasks.create(ann, title="other")).task
        task = (await tasks.create(ann, title="before")).task
        changes = [
            {"title": "after"},
            {"description": "more"},
            {"priority": Priority.HIGH},
            {"due_date": date(2026, 4, 1)},
            {"tags": ("b", "a")},
            {"position": "a0V"},
            {"extra": '{"a":[1,1.0,true,null],"b":{"c":"\xc9"}}'},
            {"completed": True},
        ]
        for members in changes:
            edited = await tasks.edit(ann, task.id, **members)
            kept = {"completed_at": clock.now} if "completed" in members else members
            assert edited == task._replace(**kept, revision=task.revision + 1, updated_at=clock.now)
            assert await store.get(ann, task.id) == edited
            task = edited
            clock.advance(seconds=1)
        assert await store.get(ann, other.id) == other

    async def test_a_toggle_completes_and_reopens(self, store, tasks, clock, ann):
        task = (await tasks.create(ann, title="to do")).task
        done = await tasks.toggle(ann, task.id)
        assert done == task._replace(completed_at=clock.now, revision=2)
        clock.advance(minutes=1)
        assert await tasks.toggle(ann, task.id) == task._replace(revision=3, updated_at=clock.now)
        assert (await store.get(ann, task.id)).completed_at is None

    async def test_replace_wants_the_revision_it_replaces(self, store, tasks, clock, ann):
        read = (await tasks.create(ann, title="read")).task
        moved = await tasks.edit(ann, read.id, title="moved on")
        for revision in (read.revision, moved.revision + 1):
            with pytest.raises(Stale) as stale:
                await store.replace(ann, read._replace(title="too late", revision=revision), now=clock())
            assert stale.value.current == moved
        assert await store.get(ann, read.id) == moved
        assert (await store.replace(ann, moved._replace(title="in time"), now=clock())).revision == 3

    async def test_delete_takes_any_revision_or_one_of_those_expected(self, store, tasks, clock, ann):
        one, two = [(await tasks.create(ann, title=title)).task for title in ("one", "two")]
        for expected in ({two.revision}, {two.revision, 9_999}, set()):
            with pytest.raises(Stale) as stale:
                await store.delete(ann, one.id, now=clock(), expected=expected)
            assert stale.value.current == one
        await store.delete(ann, one.id, now=clock(), expected=(9_999, one.revision))
        await store.delete(ann, two.id, now=clock(), expected=None)
        assert (await store.page(ann, Query(), unless=None)) == ([], 4, False)

    async def test_a_deleted_task_is_gone_for_every_method(self, store, tasks, clock, ann):
        task = (await tasks.create(ann, title="gone")).task
        await tasks.delete(ann, task.id)
        for late in (
            store.get(ann, task.id),
            store.replace(ann, task._replace(title="back again"), now=clock()),
            store.toggle(ann, task.id, now=clock()),
            store.delete(ann, task.id, now=clock(), expected=None),
            store.delete(ann, task.id, now=clock(), expected={task.revision}),
        ):
            with pytest.raises(NotFound):
                await late
        assert await counter(store, ann) == 2

    async def test_ids_are_never_used_again(self, tasks, ann, bob):
        seen = set()
        for _ in range(3):
            for owner in (ann, bob):
                task = (await tasks.create(owner, title="short-lived")).task
                assert task.id not in seen
                seen.add(task.id)
                await tasks.delete(owner, task.id)

    async def test_the_largest_ids_there_can_be_are_merely_not_there(self, store, clock, ann):
        for task_id in (1, 2**31, 2**53 - 1):
            with pytest.raises(NotFound):
                await store.get(ann, task_id)
            with pytest.raises(NotFound):
                await store.delete(ann, task_id, now=clock(), expected={2**53 - 1})

    async def test_each_write_is_one_step_of_the_counter_and_a_refused_one_is_none(self, store, clock, ann):
        tasks = TaskService(store, clock=clock, quota=2)
        one = (await tasks.create(ann, once=Once("key", b"one"), title="one")).task
        two = (await tasks.create(ann, title="two")).task
        edited = await tasks.edit(ann, one.id, title="uno")
        toggled = await tasks.toggle(ann, two.id)
        assert [task.revision for task in (one, two, edited, toggled)] == [1, 2, 3, 4]
        before = await store.changes(ann, since=0, limit=1)

        assert await tasks.edit(ann, one.id, title="uno") == edited
        assert (await tasks.create(ann, once=Once("key", b"one"), title="one")).replayed
        for refused, error in (
            (tasks.create(ann, title="three"), QuotaReached),
            (tasks.create(ann, once=Once("fresh", b"three"), title="three"), QuotaReached),
            (tasks.create(ann, once=Once("key", b"other"), title="other"), KeyReused),
            (tasks.create(ann, title=""), Invalid),
            (tasks.edit(ann, one.id, if_match={1}, title="late"), Stale),
            (tasks.toggle(ann, one.id, if_match={1}), Stale),
            (tasks.delete(ann, one.id, if_match={1}), Stale),
            (tasks.edit(ann, two.id + 1_000_000, title="never"), NotFound),
            (tasks.toggle(ann, two.id + 1_000_000), NotFound),
            (tasks.delete(ann, two.id + 1_000_000), NotFound),
        ):
            with pytest.raises(error):
                await refused
        assert await store.changes(ann, since=0, limit=1) == before
        assert await store.changes(ann, since=2, limit=9) == ([edited, toggled], [], 4, False)

    async def test_where_nobody_may_have_a_task_even_the_first_is_refused(self, store, clock, ann):
        tasks = TaskService(store, clock=clock, quota=0)
        for once in (None, Once("key", b"body")):
            with pytest.raises(QuotaReached):
                await tasks.create(ann, once=once, title="first")
        assert await tasks.list(ann) == ([], 0, False)
        assert (await TaskService(store, clock=clock, quota=1).create(ann, title="first")).task.revision == 1

    async def test_a_key_that_met_the_quota_is_not_used_up(self, store, clock, ann):
        tasks = TaskService(store, clock=clock, quota=1)
        first = (await tasks.create(ann, title="first")).task
        with pytest.raises(QuotaReached):
            await tasks.create(ann, once=Once("key", b"second"), title="second")
        await tasks.delete(ann, first.id)
        assert not (await tasks.create(ann, once=Once("key", b"another"), title="another")).replayed

    async def test_a_delete_makes_room_for_exactly_one_more(self, store, clock, ann):
        tasks = TaskService(store, clock=clock, quota=3)
        made = [(await tasks.create(ann, title="one of three")).task for _ in range(3)]
        await tasks.toggle(ann, made[0].id)
        await tasks.edit(ann, made[1].id, title="edited at the brim")
        await tasks.delete(ann, made[2].id)
        await tasks.create(ann, title="the new third")
        with pytest.raises(QuotaReached):
            await tasks.create(ann, title="the fourth")
        lowered = TaskService(store, clock=clock, quota=1)
        with pytest.raises(QuotaReached):
            await lowered.create(ann, title="far beyond")
        assert len((await lowered.list(ann)).tasks) == 3

    async def test_updated_at_never_goes_back_though_the_clock_does(self, store, tasks, clock, ann):
        task = (await tasks.create(ann, title="made today")).task
        clock.advance(days=-400)
        assert (await tasks.edit(ann, task.id, title="edited last year")).updated_at == task.updated_at
        toggled = await tasks.toggle(ann, task.id)
        assert (toggled.updated_at, toggled.completed_at) == (task.updated_at, clock.now)
        assert (await store.get(ann, task.id)).updated_at == task.updated_at
        clock.now = task.updated_at + timedelta(microseconds=1)
        assert (await tasks.toggle(ann, task.id)).updated_at == clock.now

    async def test_an_open_store_can_serve(self, store):
        await store.check()

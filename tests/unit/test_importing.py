"""What a file means for the tasks that there are: `todo_domain.importing`, over the memory store."""

import asyncio
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store_contract.words import NASTY
from support.clock import FakeClock
from todo_adapters.memory import MemoryTasks
from todo_domain import Gone, Invalid, Put, QuotaReached, TaskService, user_id
from todo_domain.importing import Import, entry_of, uid_of
from todo_domain.instants import instant_of_text, text_of_instant
from todo_domain.trash import TRASH_KEPT

ANN, BOB = user_id("ann"), user_id("bob")
UIDS = ["first-name", "other-name", "third-name", "gone-name-", "trash-name"]
EARLY, LATE = datetime(2020, 2, 29, 1, 2, 3, 4, UTC), datetime(2126, 1, 1, tzinfo=UTC)
TIMES = [EARLY, EARLY + timedelta(days=1), LATE, FakeClock().now]
# As in an export, no id of a task with a name is that of one without.
ENTRIES = st.lists(
    st.builds(
        lambda members, uid, id_, created, completed: entry_of(
            members, uid=uid, id=id_, created_at=text_of_instant(created), completed_at=completed
        ),
        st.fixed_dictionaries(
            {"title": st.sampled_from(["a", "b"])}, optional={"description": st.sampled_from([None, "more"])}
        ),
        st.none() | st.sampled_from(UIDS),
        st.sampled_from([2, 6, 90, 91]),
        st.sampled_from(TIMES),
        st.none() | st.sampled_from(TIMES).map(text_of_instant),
    ),
    max_size=12,
)


def entry(task):
    """The entry of a task in an export."""
    members = {
        name: getattr(task, name)
        for name in ("title", "description", "completed", "priority", "due_date", "tags", "position", "extra")
    }
    completed_at = task.completed_at and text_of_instant(task.completed_at)
    return entry_of(
        members,
        uid=task.uid,
        id=task.id,
        created_at=text_of_instant(task.created_at),
        completed_at=completed_at,
    )


def new(title="x", **how):
    return entry_of({"title": title}, **{"uid": None, "id": None, "created_at": None, "completed_at": None, **how})


async def begun(clock, quota=100):
    """A user with tasks 1 to 3, of which 2 has no name, one of which only a tombstone is left, and two in the trash."""
    store = MemoryTasks()
    tasks = TaskService(store, clock=clock)
    await tasks.put(ANN, "first-name", Put({"title": "a", "completed": True}))
    await tasks.create(ANN, title="a")
    await tasks.put(ANN, "other-name", Put({"title": "b"}))
    for uid in ("gone-name-", "trash-name"):
        await tasks.put(ANN, uid, Put({"title": "a"}))
        await tasks.delete(ANN, uid)
    await tasks.discard(ANN, "gone-name-")
    nameless = (await tasks.create(ANN, title="a")).task
    await tasks.delete(ANN, nameless.id)
    clock.advance(seconds=1)
    return TaskService(store, clock=clock, quota=quota)


async def bring(tasks, entries, source=ANN, step=100, owner=ANN):
    """Import in steps of so many; return what became of each entry, an error by its type and text."""
    file, outcomes = Import(source), []
    for begin in range(0, len(entries), step):
        outcomes += await tasks.import_step(owner, file, entries[begin : begin + step])
    return [outcome if isinstance(outcome, str) else (type(outcome), str(outcome)) for outcome in outcomes]


async def state(tasks, owner=ANN):
    return await tasks.changes(owner), await tasks.changes(owner, since=1), await tasks.trash(owner)


def at_once(tasks):
    """What is the same whatever the steps: all but the revisions."""
    return sorted(task._replace(revision=0) for task in tasks)


@given(ENTRIES, st.sampled_from([ANN, BOB]), st.integers(3, 12), st.integers(1, 5))
def test_a_second_import_changes_nothing_and_steps_make_no_difference(entries, source, quota, step):
    async def compare():
        tasks = await begun(FakeClock(), quota)
        outcomes = await bring(tasks, entries, source)
        assert len(outcomes) == len(entries)
        first = await state(tasks)
        assert len(first[0].tasks) <= quota
        again = await bring(tasks, entries, source)
        expected = ["unchanged" if outcome in {"created", "updated"} else outcome for outcome in outcomes]
        assert again == expected
        assert await state(tasks) == first

        stepwise = await begun(FakeClock(), quota)
        assert await bring(stepwise, entries, source, step) == outcomes
        second = await state(stepwise)
        assert at_once(second[0].tasks) == at_once(first[0].tasks)
        assert second[0].revision == first[0].revision

    asyncio.run(compare())


@given(ENTRIES, st.sampled_from([ANN, BOB]))
def test_what_became_of_an_entry_is_what_there_is_then(entries, source):
    async def compare():
        tasks = await begun(FakeClock())
        before = {task.id: task for task in (await tasks.list(ANN)).tasks}
        trash = {each.task.id: each.task for each in (await tasks.trash(ANN)).trashed}
        outcomes = await bring(tasks, entries, source)
        after = {task.id: task for task in (await tasks.list(ANN)).tasks}
        counts = {name: outcomes.count(name) for name in ("created", "updated")}
        assert len(after) - len(before) == counts["created"]
        assert len([id_ for id_, task in before.items() if after[id_] != task]) == counts["updated"]
        now = FakeClock().now + timedelta(seconds=1)
        for given_, outcome in zip(entries, outcomes, strict=True):
            if outcome not in counts:
                continue
            uid = uid_of(given_, source)
            task = next((task for task in after.values() if task.uid == uid), None) or after[given_.id]
            assert (task.title, task.completed) == (given_.members["title"], "completed" in given_.members) or (
                task.id in before.keys() | trash.keys() and task.title == given_.members["title"]
            )
            assert task.created_at <= now
            assert task.created_at == given_.created_at or given_.created_at > now
            assert task.completed_at is None or task.completed_at <= now

    asyncio.run(compare())


async def test_an_export_comes_back_the_same_in_an_empty_place():
    clock = FakeClock()
    tasks = TaskService(MemoryTasks(), clock=clock)
    for number, text in enumerate(NASTY):
        how = {"description": text, "tags": [f"{text[:40]}|"], "extra": {"a": [number, 1.0, True, text]}}
        clock.advance(seconds=1)
        await tasks.create(ANN, title=f"|{text}|", completed=number % 2 == 0, position=f"a{number}", **how)
    await tasks.put(ANN, "has-a-name", Put({"title": "x"}))
    exported = (await tasks.export(ANN)).tasks
    clock.advance(days=1)
    assert set(await bring(tasks, [entry(task) for task in exported], ANN, owner=BOB)) == {"created"}
    again = (await tasks.export(BOB)).tasks
    assert len(again) == len(NASTY) + 1
    for old, new_ in zip(exported, again, strict=True):
        ours = {"id": old.id, "user_id": ANN, "revision": old.revision, "updated_at": old.updated_at, "uid": old.uid}
        assert new_._replace(**ours) == old
        digest = sha256(f"ann\0{old.id}\0{text_of_instant(old.created_at)}".encode()).hexdigest()
        assert new_.uid == (old.uid or f"import-{digest[:40]}")
        assert new_.updated_at == clock.now


async def test_a_file_of_ones_own_finds_nameless_tasks_by_id_and_time_and_no_others():
    clock = FakeClock()
    tasks = await begun(clock)
    task = await tasks.get(ANN, 2)
    known = {"id": 2, "created_at": text_of_instant(task.created_at)}
    assert await bring(tasks, [new("a", **known)]) == ["unchanged"]
    assert await bring(tasks, [new("edited", **known)]) == ["updated"]
    assert (await tasks.get(ANN, 2)).title == "edited"
    assert await bring(tasks, [new("edited", **known)], BOB) == ["created"]
    assert await bring(tasks, [new("other", id=2, created_at=text_of_instant(EARLY))]) == ["created"]
    assert (await tasks.get(ANN, 2)).title == "edited"
    assert (await tasks.list(ANN)).tasks[-1].created_at == EARLY


@pytest.mark.parametrize("key", ["trash-name", 6])
async def test_what_lies_in_the_trash_comes_back_under_its_old_id_while_it_lies_there(key):
    clock = FakeClock()
    tasks = await begun(clock)
    (old,) = [each.task for each in (await tasks.trash(ANN)).trashed if key in (each.task.id, each.task.uid)]
    given_ = entry(old)
    assert await bring(tasks, [given_]) == ["created"]
    back = await tasks.get(ANN, old.id)
    assert back == old._replace(revision=back.revision, updated_at=clock.now)
    await tasks.delete(ANN, old.id)
    clock.advance(seconds=TRASH_KEPT.total_seconds())
    assert await bring(tasks, [given_]) == ["created"]
    (again,) = [task for task in (await tasks.list(ANN)).tasks if task.uid == uid_of(given_, ANN)]
    assert again.id > old.id


async def test_a_name_of_which_only_a_tombstone_is_left_is_a_new_task():
    tasks = await begun(FakeClock())
    with pytest.raises(Gone) as gone:
        await tasks.put(ANN, "gone-name-", Put({"title": "x"}))
    assert await bring(tasks, [new(uid="gone-name-")]) == ["created"]
    task = await tasks.get(ANN, "gone-name-")
    assert task.id > gone.value.deleted.id
    assert (await tasks.changes(ANN, since=1)).deleted != []
    assert gone.value.deleted not in (await tasks.changes(ANN, since=1)).deleted


async def test_times_come_from_the_file_and_are_never_later_than_now():
    clock = FakeClock()
    tasks = await begun(clock)
    early, late = text_of_instant(EARLY), text_of_instant(LATE)
    assert await bring(tasks, [new(uid="second-one", created_at=early, completed_at=early)]) == ["created"]
    task = await tasks.get(ANN, "second-one")
    assert (task.created_at, task.completed_at, task.updated_at) == (EARLY, EARLY, clock.now)
    moved = text_of_instant(EARLY + timedelta(days=1))
    assert await bring(tasks, [new(uid="second-one", created_at=moved, completed_at=moved)]) == ["updated"]
    moved_task = await tasks.get(ANN, "second-one")
    assert moved_task.created_at == moved_task.completed_at == EARLY + timedelta(days=1)
    for uid in ("second-one", "third-name"):
        await bring(tasks, [new(uid=uid, created_at=late, completed_at=late)])
    assert (await tasks.get(ANN, "second-one")).created_at == moved_task.created_at
    future = await tasks.get(ANN, "third-name")
    assert future.created_at == future.completed_at == clock.now


async def test_the_second_of_two_entries_for_one_task_is_skipped_in_a_later_step_too():
    tasks = await begun(FakeClock())
    task = await tasks.get(ANN, 2)
    by_id = {"id": 2, "created_at": text_of_instant(task.created_at)}
    twice = [new("1", uid="third-name"), new("1", **by_id), new("2", uid="third-name"), new("2", **by_id)]
    message = "is that of an earlier task in the file"
    expected = ["created", "updated", (Invalid, f"uid {message}"), (Invalid, f"id {message}")]
    assert await bring(tasks, twice, step=2) == expected
    assert (await tasks.get(ANN, 2)).title == (await tasks.get(ANN, "third-name")).title == "1"


async def test_a_full_quota_skips_what_is_new_and_lets_the_rest_through():
    tasks = await begun(FakeClock(), quota=4)
    entries = [new("c", uid="first-name"), new(uid="third-name"), new(uid="trash-name"), new("d", uid="other-name")]
    created, full = "created", (QuotaReached, str(QuotaReached(4)))
    assert await bring(tasks, entries) == ["updated", created, full, "updated"]
    assert len((await tasks.list(ANN)).tasks) == 4


@pytest.mark.parametrize(
    ("how", "field"),
    [
        ({"id": 1}, "created_at"),
        ({"created_at": text_of_instant(EARLY)}, "id"),
        ({}, "id"),
        ({"uid": "undefined"}, "uid"),
        ({"uid": 17}, "uid"),
        ({"uid": "12345678901"}, "uid"),
        ({"uid": "first-name", "id": 0}, "id"),
        ({"uid": "first-name", "id": 2**53}, "id"),
        ({"uid": "first-name", "id": True}, "id"),
        ({"uid": "first-name", "created_at": "2026-02-30T00:00:00.000000Z"}, "created_at"),
        ({"uid": "first-name", "created_at": "2026-01-01T00:00:00Z"}, "created_at"),
        ({"uid": "first-name", "created_at": "2026-01-01T24:00:00.000000Z"}, "created_at"),
        ({"uid": "first-name", "created_at": 7}, "created_at"),
        ({"uid": "first-name", "completed_at": "now"}, "completed_at"),
    ],
    ids=str,
)
def test_an_entry_that_breaks_a_rule_is_refused_with_its_field(how, field):
    with pytest.raises(Invalid) as refused:
        new(**how)
    assert refused.value.field == field


def test_a_completed_at_means_complete_and_contradicts_an_open_task():
    how = {"uid": "first-name", "id": None, "created_at": None, "completed_at": text_of_instant(EARLY)}
    assert entry_of({"title": "x"}, **how).members["completed"] is True
    with pytest.raises(Invalid, match="completed_at must be null"):
        entry_of({"title": "x", "status": "incomplete"}, **how)
    with pytest.raises(Invalid, match="title is required"):
        entry_of({}, **how)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_comes_back_from_its_text(instant):
    assert instant_of_text("created_at", text_of_instant(instant)) == instant

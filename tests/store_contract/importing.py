"""Imports: in steps, each whole, between the writes of others."""

from datetime import UTC, datetime, timedelta
from itertools import chain

import pytest

from store_contract.naming import TITLE, UID
from store_contract.races import at_once
from store_contract.words import NASTY
from todo_domain import ErasedMeanwhile, Once, Put, QuotaReached, TaskService
from todo_domain.importing import Import, entry_of
from todo_domain.instants import text_of_instant

TIMES = ("created_at", "completed_at")
LONG_AGO = datetime(1, 1, 1, 0, 0, 0, 1, UTC)


def entry(task):
    """The entry of a task in an export."""
    names = ("title", "description", "completed", "priority", "due_date", "tags", "position", "extra")
    times = {name: getattr(task, name) and text_of_instant(getattr(task, name)) for name in TIMES}
    return entry_of({name: getattr(task, name) for name in names}, uid=task.uid, id=task.id, **times)


def titled(title, uid, **how):
    return entry_of({"title": title}, uid=uid, id=None, **{"created_at": None, "completed_at": None, **how})


class Importing:
    async def test_an_export_comes_back_the_same_and_a_second_time_changes_nothing(self, tasks, clock, ann, bob):
        for number, text in enumerate(NASTY):
            how = {"description": text, "tags": [f"{text[:40]}|"], "extra": {"a": [number, 1.0, True, text]}}
            await tasks.create(ann, title=f"|{text}|", completed=number % 2 == 0, position=f"a{number}", **how)
            clock.advance(seconds=1)
        named = (await tasks.put(ann, UID, TITLE)).task
        entries = [entry(task) for task in (await tasks.export(ann)).tasks]
        clock.advance(days=1)
        assert await tasks.import_step(bob, Import(ann), entries) == ["created"] * len(entries)
        brought = (await tasks.export(bob)).tasks
        assert [entry(task)._replace(id=None, uid=None) for task in brought] == [
            each._replace(id=None, uid=None) for each in entries
        ]
        assert {task.updated_at for task in brought} == {clock.now}
        assert brought[-1].uid == UID
        assert await tasks.import_step(bob, Import(ann), entries) == ["unchanged"] * len(entries)
        assert await tasks.import_step(ann, Import(ann), entries) == ["unchanged"] * len(entries)
        assert (await tasks.export(bob)).tasks == brought
        assert await tasks.get(ann, UID) == named

    async def test_a_task_is_as_old_as_its_file_says(self, tasks, ann):
        await tasks.put(ann, UID, TITLE)
        times = dict.fromkeys(TIMES, text_of_instant(LONG_AGO))
        entries = [titled("x", UID, **times), titled("x", "another-name", **times)]
        assert await tasks.import_step(ann, Import(ann), entries) == ["updated", "created"]
        for task in (await tasks.list(ann)).tasks:
            assert (task.created_at, task.completed_at) == (LONG_AGO, LONG_AGO)

    async def test_what_was_deleted_comes_back_in_one_step(self, tasks, clock, ann):
        in_trash, gone = [(await tasks.put(ann, uid, TITLE)).task for uid in (UID, "another-name")]
        for task in (in_trash, gone):
            await tasks.delete(ann, task.id)
        await tasks.discard(ann, gone.id)
        counter = (await tasks.list(ann)).revision
        entries = [titled("back", uid) for uid in (UID, "another-name", "third-name")]
        assert await tasks.import_step(ann, Import(ann), entries) == ["created"] * 3
        back, new, third = sorted((await tasks.list(ann)).tasks, key=lambda task: task.revision)
        assert back == in_trash._replace(title="back", revision=counter + 1, updated_at=clock.now)
        assert (new.uid, new.revision, third.uid) == ("another-name", counter + 2, "third-name")
        assert gone.id < new.id < third.id
        assert (await tasks.trash(ann)).trashed == []
        assert await tasks.changes(ann, since=1) == ([back, new, third], [], counter + 3, False)

    async def test_two_imports_of_one_file_at_once_make_each_task_once(self, tasks, ann):
        await tasks.put(ann, "name-number-0", TITLE)
        await tasks.delete(ann, "name-number-0")
        entries = [titled("x", f"name-number-{number}") for number in range(20)]
        endings = await at_once(*(tasks.import_step(ann, Import(ann), entries) for _ in range(4)))
        assert sorted(outcome for outcomes in endings for outcome in outcomes) == ["created"] * 20 + ["unchanged"] * 60
        assert len((await tasks.list(ann)).tasks) == 20

    async def test_an_import_and_other_writers_lose_nothing(self, store, tasks, clock, ann):
        await tasks.create(ann, title="x")
        for number in range(5):
            await tasks.put(ann, f"name-number-{number}", Put({"title": "before", "description": "before"}))
        entries = [titled("imported", f"name-number-{number}") for number in range(10)]
        writes = [tasks.edit(ann, f"name-number-{number}", description="edited") for number in range(5)]
        made = [tasks.create(ann, title="made", once=Once(f"{number}", b"x")) for number in range(5)]
        outcomes, *_ = await at_once(tasks.import_step(ann, Import(ann), entries), *writes, *made)
        assert outcomes == ["updated"] * 5 + ["created"] * 5
        for number in range(5):
            task = await tasks.get(ann, f"name-number-{number}")
            assert (task.title, task.description) == ("imported", "edited")
        assert (await tasks.list(ann)).revision == 1 + 5 + 10 + 5 + 5
        full = TaskService(store, clock=clock, quota=17)
        more = [titled("x", "one-more-name"), titled("x", "too-many-names"), titled("y", "name-number-0")]
        created, refused, updated = await full.import_step(ann, Import(ann), more)
        assert (created, type(refused), updated) == ("created", QuotaReached, "updated")

    async def test_an_import_touches_nothing_of_another_user(self, tasks, clock, ann, bob):
        theirs = (await tasks.create(bob, title="x")).task
        named = (await tasks.put(bob, UID, TITLE)).task
        before = await tasks.changes(bob)
        clock.advance(seconds=1)
        entries = [entry(task)._replace(created_at=task.created_at - timedelta(days=1)) for task in (theirs, named)]
        for source in (ann, bob):
            assert "created" in await tasks.import_step(ann, Import(source), [*entries, entry(theirs)])
        assert await tasks.changes(bob) == before
        assert {task.id for task in (await tasks.list(ann)).tasks}.isdisjoint({theirs.id, named.id})

    @pytest.mark.parametrize("of", ["created", "updated", "unchanged"])
    async def test_an_import_ends_when_the_user_is_erased_between_two_steps(self, store, place, tasks, ann, bob, of):
        file = Import(ann)
        steps = [[titled("x", f"name-number-{step}-{number}") for number in range(3)] for step in range(3)]
        if of != "created":
            before = [each._replace(members={"title": "x" if of == "unchanged" else "y"}) for each in chain(*steps)]
            await tasks.import_step(ann, Import(ann), before)
        for step in steps[:2]:
            assert await tasks.import_step(ann, file, step) == [of] * 3
        other = TaskService(store)
        await other.erase(ann)
        erased = (await tasks.list(ann)).revision
        for _ in range(2):
            with pytest.raises(ErasedMeanwhile):
                await tasks.import_step(ann, file, steps[2])
        assert (await tasks.list(ann)).revision == erased
        assert place.count("tasks", ann) == 0
        assert await tasks.import_step(bob, Import(ann), steps[2]) == ["created"] * 3
        assert await tasks.import_step(ann, Import(ann), steps[2]) == ["created"] * 3

    async def test_an_import_ends_when_the_user_is_erased_within_a_step(self, place, tasks, ann, monkeypatch):
        file = Import(ann)
        await tasks.import_step(ann, file, [titled("x", "name-number-1")])
        snapshot = tasks._tasks.snapshot

        async def erased_afterwards(*arguments, **named):
            found = await snapshot(*arguments, **named)
            monkeypatch.undo()
            await tasks.erase(ann)
            return found

        monkeypatch.setattr(tasks._tasks, "snapshot", erased_afterwards)
        with pytest.raises(ErasedMeanwhile):
            await tasks.import_step(ann, file, [titled("x", "name-number-2")])
        assert place.count("tasks", ann) == 0

    async def test_an_import_goes_on_beside_the_first_writes_of_a_user_and_purges(
        self, store, place, tasks, clock, ann
    ):
        """Both raise the horizon; neither is an erasure."""
        clock.advance(days=365)
        file = Import(ann)
        await tasks.import_step(ann, file, [])
        await TaskService(store, clock=clock).create(ann, title="first")
        assert await tasks.import_step(ann, file, [titled("x", "name-number-1")]) == ["created"]
        await tasks.delete(ann, "name-number-1")
        clock.advance(days=91)
        assert await tasks.import_step(ann, file, [titled("x", "name-number-2")]) == ["created"]
        for number in range(64):
            await tasks.create(ann, title=f"{number}")
        assert place.count("tombstones", ann) == 0
        assert await tasks.import_step(ann, file, [titled("x", "name-number-3")]) == ["created"]

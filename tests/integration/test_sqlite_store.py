"""What is SQLite's own: processes that share a file, locks, and files that are not what they were."""

import asyncio
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import aclosing, closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from store_contract.lists import Counted
from support.clock import FakeClock
from support.waiting import refusal
from todo_adapters.sql import lists
from todo_adapters.sql.sqlite import batch
from todo_adapters.sql.sqlite import texts as sqlite
from todo_adapters.sql.sqlite.file import TOO_SLOW, connect, explain
from todo_adapters.sql.sqlite.store import SqliteTasks
from todo_domain import BudgetExceeded, NotFound, Query, Sort, TaskService, Unavailable, user_id

NOW = datetime(2026, 11, 22, 9, 15, tzinfo=UTC)


@pytest.fixture
def path(sqlite_template, tmp_path) -> Path:
    return Path(shutil.copyfile(sqlite_template, tmp_path / "todo.db"))


@pytest.fixture
async def store(path):
    async with aclosing(SqliteTasks(path)) as opened:
        yield opened


@pytest.fixture
def tasks(store):
    return TaskService(store, clock=FakeClock())


def lock(path):
    """A connection that keeps everybody else from writing until it is closed."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return closing(connection)


# Sharing a file


def test_processes_share_a_file_and_no_revision_is_lost(path):
    program = """if True:
        import asyncio, sys
        from todo_adapters.sql.sqlite.store import SqliteTasks
        from todo_domain import TaskService

        async def main():
            store = SqliteTasks(sys.argv[1])
            tasks = TaskService(store)
            for _ in range(20):
                await asyncio.gather(*(tasks.create("ann", title="x") for _ in range(5)))
                await asyncio.gather(*(tasks.toggle("ann", 1) for _ in range(5)))
            await store.aclose()

        asyncio.run(main())
    """
    asyncio.run(_first_task(path))
    processes = [subprocess.Popen([sys.executable, "-c", program, path], stderr=subprocess.PIPE) for _ in range(4)]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err.decode()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT revision, task_count FROM users").fetchall() == [(801, 401)]
        ids, revisions = zip(*connection.execute("SELECT id, revision FROM tasks"), strict=True)
        assert sorted(ids) == list(range(1, 402))
        assert len(set(revisions)) == 401
        assert connection.execute("SELECT completed_at FROM tasks WHERE id = 1").fetchone() == (None,)


async def _first_task(path):
    async with aclosing(SqliteTasks(path)) as store:
        await TaskService(store, clock=FakeClock()).create(user_id("ann"), title="first")


async def test_what_another_process_wrote_is_seen_at_once(path, tasks, ann):
    await tasks.create(ann, title="mine")
    async with aclosing(SqliteTasks(path)) as other:
        theirs = (await TaskService(other, clock=FakeClock()).create(ann, title="theirs")).task
    assert await tasks.get(ann, theirs.id) == theirs
    assert (await tasks.list(ann)).revision == 2


async def test_a_connection_waits_for_the_disk_and_keeps_foreign_keys(store):
    def pragmas(connection):
        names = ("journal_mode", "synchronous", "foreign_keys")
        return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    assert await store._writer.run(pragmas) == ["wal", 2, 1]
    assert await store._reader.run(pragmas) == ["wal", 2, 1]
    with pytest.raises(Unavailable):
        await store._reader.run(lambda connection: connection.execute("DELETE FROM tasks"))


# Locks and time


LOCKED = "the database is locked by another program: try again"


async def test_a_locked_file_is_unavailable_within_three_seconds_and_nothing_is_written(path, store, tasks, ann):
    await tasks.create(ann, title="before")
    with lock(path):
        endings = await asyncio.gather(*(refusal(tasks.create(ann, title=f"{n}")) for n in range(20)))
        checked, _ = await refusal(store.check())
        assert len((await tasks.list(ann)).tasks) == 1  # reading goes on
    for error, seconds in endings:
        assert seconds < 3
        assert not error.outcome_unknown
    said = {str(error) for error in (checked, *(error for error, _ in endings))}
    assert LOCKED in said
    assert said <= {LOCKED, TOO_SLOW}  # the deadline may pass before a busy machine hears of the lock
    assert (await tasks.create(ann, title="after")).task.revision == 2
    await store.check()


async def test_a_lock_that_goes_in_time_is_waited_for(path, tasks, ann):
    with lock(path) as connection:
        writing = asyncio.create_task(tasks.create(ann, title="patient"))
        await asyncio.sleep(0.5)
        connection.rollback()
        assert (await writing).task.revision == 1


async def test_cancelling_at_any_moment_leaves_whole_writes_and_a_working_store(store, tasks, ann):
    dice = random.Random(3)
    for _ in range(30):
        writing = [asyncio.create_task(tasks.create(ann, title="perhaps")) for _ in range(8)]
        await asyncio.sleep(dice.uniform(0, 0.002))
        for task in writing:
            task.cancel()
        await asyncio.gather(*writing, return_exceptions=True)
        page = await tasks.list(ann)
        assert sorted(task.revision for task in page.tasks) == list(range(1, page.revision + 1))

    def count(connection):
        return connection.execute("SELECT revision - task_count FROM users").fetchone()

    assert await store._reader.run(count) in ((0,), None)


async def test_a_closed_store_is_unavailable(store, ann):
    await store.open()
    await store.aclose()
    await store.aclose()
    for doing in (store.get(ann, 1), store.toggle(ann, 1, now=NOW), store.check()):
        error, _ = await refusal(doing)
        assert "stopping" in str(error)


# Files that are not what they were


async def test_a_missing_file_is_named_as_the_reason_and_not_created(tmp_path):
    async with aclosing(SqliteTasks(tmp_path / "none.db")) as store:
        error, _ = await refusal(store.open())
        assert "run todo migrate" in str(error)
    assert list(tmp_path.iterdir()) == []


async def test_a_file_that_is_deleted_takes_no_more_writes_until_it_is_back(path, store, tasks, ann):
    await tasks.create(ann, title="kept")
    aside = path.with_name("aside.db")
    path.rename(aside)
    for doing in (tasks.create(ann, title="lost"), tasks.list(ann), store.check()):
        error, _ = await refusal(doing)
        assert "deleted or replaced" in str(error)
        assert not error.outcome_unknown
    assert not path.exists()
    aside.rename(path)
    assert [task.title for task in (await tasks.list(ann)).tasks] == ["kept"]
    await tasks.create(ann, title="again")


async def test_a_file_that_is_replaced_is_not_written_into(path, sqlite_template, tasks, ann):
    await tasks.create(ann, title="kept")
    shutil.copyfile(sqlite_template, path.with_name("new.db")).replace(path)
    for doing in (tasks.create(ann, title="lost"), tasks.list(ann)):
        error, _ = await refusal(doing)
        assert "deleted or replaced" in str(error)


async def test_a_file_that_is_replaced_during_a_write_makes_its_outcome_unknown(path, sqlite_template, store):
    def replace(_):
        shutil.copyfile(sqlite_template, path.with_name("new.db")).replace(path)

    error, _ = await refusal(store._writer.run(replace))
    assert error.outcome_unknown


async def test_a_file_that_is_no_database_is_unavailable(tmp_path, ann):
    path = tmp_path / "notes.txt"
    path.write_text("no database at all " * 100)
    async with aclosing(SqliteTasks(path)) as store:
        for doing in (store.open(), store.get(ann, 1), store.check()):
            error, _ = await refusal(doing)
            assert "is not a database" in str(error)
    assert path.read_text().startswith("no database")


async def test_a_damaged_file_is_unavailable(path, ann):
    async with aclosing(SqliteTasks(path)) as store:
        await TaskService(store, clock=FakeClock()).create(ann, title="x")
    damaged = bytearray(path.read_bytes())
    damaged[4096:] = b"\xff" * (len(damaged) - 4096)
    path.write_bytes(damaged)
    async with aclosing(SqliteTasks(path)) as store:
        error, _ = await refusal(store.page(ann, Query(), unless=None))
        assert "damaged" in str(error)


async def test_a_full_disk_writes_nothing_and_is_over_when_there_is_room(store, tasks, ann):
    await store.open()
    pages = await store._reader.run(lambda c: c.execute("PRAGMA page_count").fetchone()[0])
    await store._writer.run(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchone())
    creates = (tasks.create(ann, title="x", description="y" * 5_000) for _ in range(20))
    endings = await asyncio.gather(*creates, return_exceptions=True)
    refused = [ending for ending in endings if isinstance(ending, Exception)]
    made = len(endings) - len(refused)
    assert refused
    assert {str(error) for error in refused} == {"the disk is full: free some space"}
    assert not any(error.outcome_unknown for error in refused)
    assert (await tasks.list(ann)).revision == made
    await store._writer.run(lambda c: c.execute("PRAGMA max_page_count = 100000").fetchone())
    assert (await tasks.create(ann, title="room")).task.revision == made + 1


def test_every_trouble_of_the_file_is_one_sentence_and_a_mistake_of_ours_is_none():
    for name in ("BUSY", "LOCKED", "FULL", "READONLY", "PERM", "CANTOPEN", "IOERR", "CORRUPT", "NOTADB", "NOMEM"):
        error = sqlite3.OperationalError()
        error.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{name}") | 3 << 8  # an extended code of that kind
        assert "sqlite" not in explain(error).lower()
    for mistake in (sqlite3.ProgrammingError("closed"), _error("SELECT 1 FROM nowhere")):
        assert explain(mistake) is None


def _error(sql):
    with closing(sqlite3.connect(":memory:")) as connection:
        try:
            connection.execute(sql)
        except sqlite3.Error as error:
            return error


async def test_a_mistake_of_ours_is_raised_as_it_is_and_rolled_back(store, tasks, ann):
    def wrong(connection):
        connection.execute("INSERT INTO users VALUES ('half', 0, 0, 0, '')")
        connection.execute("SELECT 1 FROM nowhere")

    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await store._writer.run(wrong)
    assert (await tasks.create(ann, title="next")).task.revision == 1
    with pytest.raises(NotFound):
        await tasks.get(user_id("half"), 1)


async def test_a_short_page_is_counted_before_its_tasks_are_made(store, tasks, ann):
    description = "\U0001f600" * 5_000
    for _ in range(4):
        await tasks.create(ann, title="x", description=description)
    budget = Counted()
    page = await store.page(ann, Query(limit=3), unless=None, budget=budget)
    assert (len(page.tasks), page.more) == (3, True)
    texts = len(description) * 4 * 4  # of the task behind the page, too
    assert texts < budget.size < 1.1 * texts
    with pytest.raises(BudgetExceeded):
        await store.page(ann, Query(limit=3), unless=None, budget=Counted(texts))


# How far it looks


def plan(path, sql):
    with closing(connect(path)) as connection:
        names = {"owner": "ann", "most": 21, "since": 5}
        given = dict.fromkeys(sqlite3_names(sql), None) | names
        return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", given)]


def sqlite3_names(sql):
    return {word.strip(":),") for word in sql.split() if word.startswith((":", "(:"))} | {
        part.split(")")[0].split(",")[0].split(" ")[0] for part in sql.split(":")[1:]
    }


SUBQUERIES = {"page", "live", "gone", "kept", "change", "due", "found", "anon_1", "anon_2", "anon_3"}


@pytest.mark.parametrize("name", sqlite.all_texts())
def test_no_statement_scans_a_table(path, name):
    for step in plan(path, sqlite.all_texts()[name]):
        if step.startswith("SCAN") and "task_ids" not in step:
            assert step.split()[1] in SUBQUERIES or "VIRTUAL" in step or step == "SCAN CONSTANT ROW"


@pytest.mark.parametrize("behind", ["nothing", "value"])
@pytest.mark.parametrize("filtered", [False, True])
def test_the_default_list_is_read_in_the_order_of_its_index(path, behind, filtered):
    steps = plan(path, sqlite.page(lists.Shape(Sort(), behind, filtered)))
    assert any("USING INDEX tasks_newest" in step for step in steps)
    # The tags of a task are compared in one of their own.
    assert not [step for step in steps if "TEMP B-TREE" in step and "EXCEPT" not in step]


async def test_a_snapshot_of_many_keys_does_not_hold_up_a_short_read(store, tasks, ann, monkeypatch):
    task = (await tasks.create(ann, title="x")).task
    begun, over = threading.Event(), threading.Event()

    def held_up(*asked):
        begun.set()
        over.wait()
        return snapshot(*asked)

    snapshot = batch.snapshot
    monkeypatch.setattr(batch, "snapshot", held_up)
    reading = asyncio.create_task(store.snapshot(ann, range(1, 101)))
    try:
        await asyncio.to_thread(begun.wait)
        assert await tasks.get(ann, task.id) == task
    finally:
        over.set()
    assert (await reading).revision == task.revision

"""Calls that wait at a SQLite file at the same time: what they share, and what each has to itself."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from support.clock import FakeClock
from todo_adapters.sql.sqlite import worker
from todo_adapters.sql.sqlite.file import File
from todo_adapters.sql.sqlite.store import SqliteTasks
from todo_adapters.sql.sqlite.worker import SqliteWorker
from todo_domain import NotFound, Query, TaskService, Unavailable
from todo_domain.deadline import Deadline

ADD = "INSERT INTO users VALUES (?, 0, 0, 0, '')"


@pytest.fixture
def path(sqlite_template, tmp_path) -> Path:
    return Path(shutil.copyfile(sqlite_template, tmp_path / "todo.db"))


@pytest.fixture
async def writer(path):
    async with aclosing(SqliteWorker(File(path), writes=True)) as opened:
        await opened.run(lambda _: None)
        yield opened


@pytest.fixture
async def reader(path):
    async with aclosing(SqliteWorker(File(path), writes=False)) as opened:
        await opened.run(lambda _: None)
        yield opened


class Disk:
    """A worker's connection on a disk of which a test says how it writes."""

    def __init__(self, opened, at_commit=lambda: None):
        self._connection = opened._connection
        self._at_commit = at_commit
        self.counts = Counter()
        opened._connection = self

    def __getattr__(self, name):
        return getattr(self._connection, name)

    def execute(self, sql, *values):
        self.counts[sql] += 1
        if sql == "COMMIT":
            self._at_commit()
        return self._connection.execute(sql, *values)


def trouble(name):
    error = sqlite3.OperationalError("trouble")
    error.sqlite_errorcode = getattr(sqlite3, f"SQLITE_{name}")
    return error


def raising(error):
    def work(*_):
        raise error

    return work


def adding(name, then=lambda: None):
    def work(connection):
        connection.execute(ADD, [name])
        then()
        return name

    return work


@asynccontextmanager
async def busy(opened):
    """Keep the worker's thread busy for the block, so that what is asked for meanwhile waits together."""
    begun, over = threading.Event(), threading.Event()

    def work(_):
        begun.set()
        over.wait()

    working = asyncio.create_task(opened.run(work))
    await asyncio.to_thread(begun.wait)
    try:
        yield working
        await asyncio.sleep(0)  # the calls are made
        await asyncio.sleep(0)  # and handed over to the thread
    finally:
        over.set()
        await asyncio.gather(working, return_exceptions=True)


async def together(opened, *works):
    """How these end, all of which wait at the same time."""
    async with busy(opened):
        asked = [asyncio.create_task(opened.run(work)) for work in works]
    return await asyncio.gather(*asked, return_exceptions=True)


def users(path):
    connection = sqlite3.connect(path)
    try:
        return {row[0] for row in connection.execute("SELECT id FROM users")}
    finally:
        connection.close()


# Writes


async def test_five_hundred_creates_at_once_on_a_slow_disk_all_succeed_within_the_deadline(path, ann):
    async with aclosing(SqliteTasks(path)) as store:
        await store.open()
        disk = Disk(store._writer, at_commit=lambda: time.sleep(0.05))
        tasks = TaskService(store, clock=FakeClock())
        created = await asyncio.gather(*(tasks.create(ann, title=f"{number}") for number in range(500)))
        assert sorted(made.task.revision for made in created) == list(range(1, 501))
        assert disk.counts["COMMIT"] < 50
        assert len((await tasks.list(ann)).tasks) == 500


async def test_nobody_hears_of_a_write_before_it_is_on_the_disk(path, writer):
    heard = []
    asked = []

    def look():
        time.sleep(0.1)  # long enough for a response to arrive that was given too early
        heard.extend(task.done() for task in asked)

    Disk(writer, at_commit=look)
    async with busy(writer):
        asked += [asyncio.create_task(writer.run(work)) for work in (adding("a"), raising(NotFound()), adding("b"))]
    await asyncio.gather(*asked, return_exceptions=True)
    assert heard == [False, False, False]
    assert users(path) == {"a", "b"}


@pytest.mark.parametrize(
    "failure", [NotFound(), sqlite3.IntegrityError("a constraint"), sqlite3.OperationalError("no such table")]
)
async def test_what_fails_is_undone_alone(path, writer, failure):
    disk = Disk(writer)
    endings = await together(writer, adding("a"), adding("not", then=raising(failure)), adding("b"))
    assert endings == ["a", failure, "b"]
    assert users(path) == {"a", "b"}
    assert disk.counts["COMMIT"] == 1


@pytest.mark.parametrize("undone_by_sqlite", [False, True])
@pytest.mark.parametrize("code", ["FULL", "IOERR", "NOMEM", "CORRUPT"])
async def test_trouble_with_the_file_is_told_to_all_who_share_the_transaction(path, writer, code, undone_by_sqlite):
    def fail(connection):
        connection.execute(ADD, ["not"])
        if undone_by_sqlite:
            connection.execute("ROLLBACK")
        raise trouble(code)

    first, second, third = await together(writer, adding("a"), fail, adding("after"))
    for ending in (first, second):
        assert type(ending) is Unavailable
        assert not ending.outcome_unknown
    assert first is not second
    assert third == "after"
    assert users(path) == {"after"}


@pytest.mark.parametrize(("code", "unknown"), [("FULL", False), ("IOERR", True)])
async def test_a_commit_that_fails_is_told_to_everybody_in_it(path, writer, code, unknown):
    Disk(writer, at_commit=raising(trouble(code)))
    endings = await together(writer, adding("a"), adding("not", then=raising(NotFound())), adding("b"))
    assert [type(ending) for ending in endings] == [Unavailable] * 3
    assert [ending.outcome_unknown for ending in endings] == [unknown, False, unknown]
    assert len({id(ending) for ending in endings}) == 3
    assert users(path) == set()


async def test_a_file_that_is_replaced_during_a_transaction_makes_every_write_in_it_unknown(
    path, sqlite_template, writer
):
    def replace(_):
        shutil.copyfile(sqlite_template, path.with_name("new.db")).replace(path)

    endings = await together(writer, adding("a"), replace, raising(NotFound()))
    assert [ending.outcome_unknown for ending in endings] == [True, True, False]


async def test_a_transaction_takes_nothing_more_in_after_a_while(writer):
    disk = Disk(writer)
    asked = [asyncio.create_task(writer.run(lambda _: time.sleep(worker._JOINING / 4))) for _ in range(24)]
    first, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
    assert len(first) < 12
    await asyncio.gather(*asked)
    assert disk.counts["COMMIT"] >= 4


# Giving up and being cancelled


@pytest.fixture
def impatient(monkeypatch):
    """What is asked for without a deadline is due 0.2 s later, and waits for its turn half of that."""
    monkeypatch.setattr(Deadline, "within", classmethod(lambda cls: cls(time.monotonic() + 0.2)))
    monkeypatch.setattr(worker, "_GRACE", 0.1)


@pytest.mark.usefixtures("impatient")
async def test_a_write_that_is_given_up_before_it_has_ended_is_undone(path, writer):
    began = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        await writer.run(adding("slow", then=lambda: time.sleep(0.5)))
    assert not caught.value.outcome_unknown
    assert time.monotonic() - began < 0.4
    await writer.aclose()
    assert users(path) == set()


@pytest.mark.usefixtures("impatient")
async def test_of_a_write_that_is_given_up_after_it_has_ended_the_outcome_is_unknown(path, writer):
    slow = adding("slow", then=lambda: time.sleep(0.5))
    endings = await together(writer, adding("quick"), slow)
    assert [ending.outcome_unknown for ending in endings] == [True, False]
    await writer.aclose()
    assert users(path) == {"quick"}


@pytest.mark.usefixtures("impatient")
async def test_a_write_that_is_given_up_during_the_commit_is_of_unknown_outcome(writer):
    Disk(writer, at_commit=lambda: time.sleep(0.5))
    with pytest.raises(Unavailable) as caught:
        await writer.run(adding("a"))
    assert caught.value.outcome_unknown


@pytest.mark.usefixtures("impatient")
async def test_a_write_whose_time_has_come_too_late_is_refused_and_not_done(path, writer):
    slow = asyncio.create_task(writer.run(lambda _: time.sleep(0.15)))
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="too many other") as caught:
        await writer.run(adding("late"))
    assert not caught.value.outcome_unknown
    await slow
    await writer.aclose()
    assert users(path) == set()


async def test_a_cancelled_write_that_has_not_begun_is_not_done(path, writer):
    async with busy(writer):
        asked = [asyncio.create_task(writer.run(adding(name))) for name in "abc"]
        await asyncio.sleep(0)
        asked[1].cancel()
    endings = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(ending) for ending in endings] == [str, asyncio.CancelledError, str]
    assert users(path) == {"a", "c"}


async def test_a_cancelled_write_that_has_begun_is_finished_before_whoever_cancelled_goes_on(path, writer):
    begun = asyncio.Event()
    loop = asyncio.get_running_loop()

    def work(connection):
        loop.call_soon_threadsafe(begun.set)
        time.sleep(0.1)
        connection.execute(ADD, ["a"])

    asked = asyncio.create_task(writer.run(work))
    await begun.wait()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert users(path) == {"a"}


async def test_a_write_that_is_cancelled_in_the_moment_of_its_response_keeps_nobody_waiting(path, writer):
    asked = asyncio.create_task(writer.run(adding("a")))
    await asyncio.sleep(0)  # the call is made
    await asyncio.sleep(0)  # and handed over to the thread
    time.sleep(0.1)  # noqa: ASYNC251  the response arrives while the loop can do nothing
    asked.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert time.monotonic() - began < 1
    assert users(path) == {"a"}


async def test_a_cancelled_read_is_not_waited_for(reader):
    async with busy(reader) as working:
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(working, 1)


async def test_closing_finishes_what_was_given_before_and_ends_the_thread(path):
    writer = SqliteWorker(File(path), writes=True)
    asked = [asyncio.create_task(writer.run(adding(f"{number}"))) for number in range(20)]
    await asyncio.sleep(0)
    await writer.aclose()
    await asyncio.gather(*asked)
    assert len(users(path)) == 20
    writer._thread.join(1)
    assert not writer._thread.is_alive()


def test_a_worker_that_nobody_closed_keeps_no_process_alive(path):
    program = """if True:
        import asyncio, sys
        from pathlib import Path
        from todo_adapters.sql.sqlite.worker import SqliteWorker
        from todo_adapters.sql.sqlite.file import File
        asyncio.run(SqliteWorker(File(Path(sys.argv[1])), writes=True).run(lambda _: None))
    """
    subprocess.run([sys.executable, "-c", program, path], check=True, timeout=10)


# Reads


def count(connection):
    return connection.execute("SELECT count(*) FROM users").fetchone()[0]


async def test_reads_that_wait_together_share_snapshots(reader):
    disk = Disk(reader)
    assert await together(reader, *[count] * 50) == [0] * 50
    assert disk.counts["BEGIN"] < 10


async def test_reads_called_in_one_turn_of_the_event_loop_begin_after_it(reader):
    async def late():
        time.sleep(0.05)  # noqa: ASYNC251  the turn goes on while the thread has time to begin
        ended = time.monotonic()
        await reader.run(count)
        return ended

    first = asyncio.create_task(reader.run(lambda _: time.monotonic()))
    ended = await asyncio.create_task(late())
    assert await first > ended


async def test_a_read_sees_nothing_that_is_written_meanwhile(writer, reader):
    def twice(connection):
        before = count(connection)
        asyncio.run_coroutine_threadsafe(writer.run(adding("meanwhile")), loop).result()
        return before, count(connection)

    loop = asyncio.get_running_loop()
    assert await reader.run(twice) == (0, 0)
    assert await reader.run(count) == 1


async def test_a_read_that_is_asked_for_after_a_write_sees_it_however_long_snapshots_last(writer, reader, monkeypatch):
    def first(connection):
        seen = count(connection)
        looked.set()
        written.wait()
        return seen

    monkeypatch.setattr(worker, "_SNAPSHOT", 10)
    looked, written = threading.Event(), threading.Event()
    earlier = asyncio.create_task(reader.run(first))
    await asyncio.to_thread(looked.wait)
    await writer.run(adding("a"))
    later = asyncio.create_task(reader.run(count))
    await asyncio.sleep(0)
    written.set()
    assert await asyncio.gather(earlier, later) == [0, 1]


async def test_a_read_fails_alone(reader):
    endings = await together(reader, count, raising(NotFound()), count, raising(trouble("CORRUPT")), count)
    assert [type(ending) for ending in endings] == [int, NotFound, int, Unavailable, int]
    disk = Disk(reader)
    await together(reader, raising(trouble("CORRUPT")))
    assert reader._connection is not disk


async def test_whoever_was_told_of_a_write_reads_it_among_any_number_of_others(path, ann):
    async with aclosing(SqliteTasks(path)) as store:
        tasks = TaskService(store, clock=FakeClock())

        async def write_and_read():
            for _ in range(25):
                made = (await tasks.create(ann, title="x")).task
                assert await tasks.get(ann, made.id) == made
                assert (await tasks.list(ann)).revision >= made.revision

        await asyncio.gather(*(write_and_read() for _ in range(16)))


async def test_responses_wait_no_longer_for_those_of_others_than_a_snapshot_lasts(reader):
    async with busy(reader):
        quick = [asyncio.create_task(reader.run(lambda _: time.sleep(0.005))) for _ in range(2)]
        await asyncio.sleep(0)
        slow = asyncio.create_task(reader.run(lambda _: time.sleep(0.5)))
        await asyncio.sleep(0)
    await asyncio.gather(*quick)
    assert not slow.done()
    await slow


ENDLESS = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers) SELECT count(*) FROM numbers"


async def test_a_read_ends_at_its_deadline_and_the_next_one_has_the_thread(reader):
    with pytest.raises(Unavailable, match="takes too long"):
        await reader.run(lambda connection: connection.execute(ENDLESS).fetchone(), Deadline.within(0.3))
    assert await reader.run(lambda connection: connection.execute("SELECT 7").fetchone()) == (7,)
    assert reader.load == 0


class Held:
    """A room in which a read stands still until the test lets it go on."""

    def __init__(self):
        self.entered = threading.Event()
        self.goes_on = threading.Event()

    def take(self, _):
        self.entered.set()
        assert self.goes_on.wait(20)

    def empty(self):
        pass


async def test_short_reads_and_one_more_long_one_go_on_beside_a_long_read(path, ann, bob):
    async with aclosing(SqliteTasks(path)) as store:
        tasks = TaskService(store)
        made = [(await tasks.create(owner, title="x")).task for owner in (ann, bob)]
        budget = Held()
        long = asyncio.create_task(store.changes(ann, since=0, limit=1, budget=budget))
        assert await asyncio.to_thread(budget.entered.wait, 20)
        assert await store.get(ann, made[0].id) == made[0]
        assert (await store.page(bob, Query(limit=1), unless=None)).tasks == [made[1]]
        assert (await store.page(bob, Query(text="x"), unless=None)).tasks == [made[1]]
        assert (await store.changes(bob, since=0, limit=1)).tasks == [made[1]]
        assert not long.done()
        budget.goes_on.set()
        assert (await long).tasks == [made[0]]


def no_thread(_):
    raise RuntimeError("can't start new thread")


@pytest.mark.parametrize("writes", [True, False])
async def test_a_worker_that_gets_no_thread_says_so_and_works_as_soon_as_it_gets_one(path, monkeypatch, writes):
    opened = SqliteWorker(File(path), writes=writes)
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(Unavailable, match="no more threads"):
            await opened.run(lambda _: None)
    assert await opened.run(lambda connection: connection.execute("SELECT 1").fetchone()) == (1,)
    await asyncio.wait_for(opened.aclose(), 10)


async def test_a_worker_that_never_got_a_thread_closes(path, monkeypatch):
    opened = SqliteWorker(File(path), writes=True)
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    with pytest.raises(Unavailable):
        await opened.run(lambda _: None)
    await asyncio.wait_for(opened.aclose(), 10)

"""Group commit for a SQLite file: one thread with one connection runs all waiting calls in one transaction."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, TypeVar

from todo_adapters.sql.sqlite.additions import refusal_by_addition
from todo_adapters.sql.sqlite.file import TOO_SLOW, File, code_of, explain, refusal
from todo_domain.deadline import Deadline
from todo_domain.errors import BudgetExceeded, Unavailable

Result = TypeVar("Result")
Work = Callable[[sqlite3.Connection], Result]

_GRACE: Final = 0.2
"""Seconds before the deadline at which the thread stops waiting for locks; at the deadline the caller gives up."""

_JOINING: Final = 0.02
"""Seconds in which further work may join a transaction: the last to join begins within this time."""

_SNAPSHOT: Final = 0.002
"""Seconds for which reads share a snapshot. Then their callers get their results, and the next read a new snapshot."""

_OPCODES: Final = 20_000
"""Steps of SQLite's virtual machine, about a millisecond, between two checks of a read's deadline."""

_PASSING: Final = {
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_INTERRUPT,
}
"""Errors after which the connection is kept; after any other error of SQLite it is replaced."""


class _Ending(NamedTuple):
    """The end of a job: an error, or else a result."""

    error: Exception | None
    result: Any = None


class _Job:
    """Work that a caller waits for.

    Each of its two locks is taken once, for good: the thread or caller that takes it decides.
    """

    __slots__ = ("begin", "deadline", "ending", "keep", "outcome", "over", "work")

    def __init__(self, work: Work[Any], outcome: asyncio.Future[_Ending], deadline: Deadline) -> None:
        self.work = work
        self.outcome = outcome
        self.over = False  # whether the caller has got the outcome
        self.deadline = deadline.at - _GRACE
        self.ending = _Ending(None)  # only the thread uses it until the caller is answered
        self.begin = threading.Lock()  # taken by the thread to start the work, or by the caller to cancel it
        self.keep = threading.Lock()  # taken by the thread to keep what the work did, or by a caller that gives up


_Report = Callable[[list[_Job]], None]


class SqliteWorker:
    """One thread with one connection, which runs the work of its callers in the order of their calls.

    A worker that `writes` runs all waiting work in one transaction. Work that returns is kept, unless its caller has
    given up; work that raises is rolled back alone, and each caller gets its result once the transaction is on the
    disk. A worker that reads runs all waiting work in one snapshot. If the file cannot be used, every caller of the
    transaction gets Unavailable, by its deadline.

    If a caller is cancelled, its work is dropped if it has not begun, and a write that has begun is finished. All calls
    must come from one event loop.
    """

    def __init__(self, file: File, *, writes: bool) -> None:
        self._file = file
        self._writes = writes
        self._given = 0  # counted by the event loop
        self._done = 0  # counted by the thread
        self._gives_up_at = 0.0  # the deadline of the read that is running
        self._connection: sqlite3.Connection | None = None
        self._called: list[_Job] = []  # in this turn of the event loop
        self._waiting: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()  # None ends the thread
        self._thread: threading.Thread | None = None
        self._closing = False
        self._closed = asyncio.Event()

    @property
    def load(self) -> int:
        """How many calls are waiting or running."""
        return self._given - self._done

    async def run(self, work: Work[Result], deadline: Deadline | None = None) -> Result:
        """Run `work` with the connection and return its result, by the deadline or else within RESPOND_WITHIN.

        Raises the errors of `work`, and Unavailable if the deadline passes or the worker is closing.
        """
        deadline = deadline or Deadline.within()
        if self._closing:
            raise Unavailable("the service is stopping: try again")
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = self._started(loop)
        job = _Job(work, loop.create_future(), deadline)
        timer = loop.call_later(deadline.left(), self._give_up, job)
        self._given += 1
        if not self._called:
            loop.call_soon(self._hand_over)
        self._called.append(job)
        try:
            error, result = await job.outcome
        except asyncio.CancelledError:
            begun = not job.begin.acquire(blocking=False)
            if begun and self._writes and not job.over:
                job.outcome = loop.create_future()
                await job.outcome  # a write that has begun is finished, so its outcome is settled when this call ends
            raise
        finally:
            timer.cancel()
        if error is not None:
            raise error
        returned: Result = result
        return returned

    def _started(self, loop: asyncio.AbstractEventLoop) -> threading.Thread:
        name = f"todo-sqlite-{'writer' if self._writes else 'reader'}"
        thread = threading.Thread(target=self._serve, args=(loop,), name=name, daemon=True)
        try:
            thread.start()
        except RuntimeError:
            raise Unavailable("the system allows the service no more threads: raise its limit of processes") from None
        return thread

    def _hand_over(self) -> None:
        # All calls of a turn together wake the thread once, and it and the loop contend less for the interpreter.
        jobs, self._called = self._called, []
        for job in jobs:
            self._waiting.put(job)

    def _give_up(self, job: _Job) -> None:
        known = not self._writes or job.begin.acquire(blocking=False) or job.keep.acquire(blocking=False)
        _settle(job, _Ending(Unavailable(TOO_SLOW, outcome_unknown=not known)))

    async def aclose(self) -> None:
        """Finish the calls that were made, close the connection and end the thread."""
        if not self._closing:
            self._closing = True
            self._hand_over()
            self._waiting.put(None)
        if self._thread is not None:
            await self._closed.wait()

    # The methods below run in the thread.

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        def report(jobs: list[_Job]) -> None:
            self._done += len(jobs)  # before the callers continue, because they may read the load
            with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(_settle_all, jobs)

        do = self._write if self._writes else self._read
        while (first := self._waiting.get()) is not None:
            if first.begin.acquire(blocking=False):
                do(first, report)
            else:
                self._done += 1
            del first  # frees its result, which may be long, before the wait for the next job
        self._discard()
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(self._closed.set)

    def _more(self) -> Iterator[_Job]:
        until = time.monotonic() + _JOINING
        with contextlib.suppress(queue.Empty):
            while time.monotonic() < until:
                if (job := self._waiting.get_nowait()) is None:
                    self._waiting.put(None)
                    return
                if job.begin.acquire(blocking=False):
                    yield job
                else:
                    self._done += 1

    def _write(self, first: _Job, report: _Report) -> None:
        jobs, committing = [first], False
        try:
            connection = self._ready()
            wait = max(0, first.deadline - time.monotonic())
            connection.execute(f"PRAGMA busy_timeout = {int(wait * 1000)}")
            connection.execute("BEGIN IMMEDIATE")
            try:
                _do_apart(first, connection)
                for job in self._more():
                    jobs.append(job)
                    _do_apart(job, connection)
                committing = True
                connection.execute("COMMIT")
            finally:
                self._roll_back()
            self._file.require_same()
        except Exception as error:  # noqa: BLE001  each caller gets the error
            self._discard_after(error)
            for job in jobs:
                written = committing and job.ending.error is None
                job.ending = _Ending(refusal(error, committing=written))
        report(jobs)

    def _read(self, first: _Job, report: _Report) -> None:
        # The snapshot is taken after all of these calls were made, so it shows every write that their callers know of.
        jobs = [first, *self._more()]
        done, until = 0, time.monotonic() + _SNAPSHOT
        for number, job in enumerate(jobs, 1):
            try:
                self._gives_up_at = job.deadline + _GRACE
                job.ending = _Ending(None, _do(job, self._snapshot()))
            except BudgetExceeded as full:
                job.ending = _Ending(full.with_traceback(None))  # the frames would keep the rows in memory
            except Exception as error:  # noqa: BLE001  the caller gets the error
                self._discard_after(error)
                job.ending = _Ending(refusal(error, committing=False))
            if number == len(jobs) or time.monotonic() > until:
                self._roll_back()
                report(jobs[done:number])
                done, until = number, time.monotonic() + _SNAPSHOT

    def _snapshot(self) -> sqlite3.Connection:
        if (connection := self._connection) is None or not connection.in_transaction:
            connection = self._ready()
            connection.execute("BEGIN")
        return connection

    def _ready(self) -> sqlite3.Connection:
        self._file.require_same()
        if self._connection is None:
            self._connection = self._file.connect()
            if not self._writes:
                self._connection.execute("PRAGMA query_only = ON")
                self._connection.set_progress_handler(lambda: time.monotonic() > self._gives_up_at, _OPCODES)
        return self._connection

    def _roll_back(self) -> None:
        try:
            if self._connection is not None and self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._discard()

    def _discard_after(self, error: Exception) -> None:
        if isinstance(error, sqlite3.Error) and code_of(error) not in _PASSING:
            self._discard()

    def _discard(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def _do(job: _Job, connection: sqlite3.Connection) -> object:
    if time.monotonic() > job.deadline:
        raise Unavailable("too many other processes are using the database: try again")
    return job.work(connection)


def _do_apart(job: _Job, connection: sqlite3.Connection) -> None:
    """Run a job in a savepoint, so that it is undone alone if it raises. Errors that end the transaction are raised."""
    connection.execute("SAVEPOINT job")
    try:
        result = _do(job, connection)
    except Exception as error:
        if isinstance(error, sqlite3.Error) and explain(error):
            raise
        job.ending = _Ending(refusal_by_addition(error, connection) or error)
    else:
        if job.keep.acquire(blocking=False):
            job.ending = _Ending(None, result)
            connection.execute("RELEASE job")
            return
    connection.execute("ROLLBACK TO job")
    connection.execute("RELEASE job")


def _settle_all(jobs: list[_Job]) -> None:
    for job in jobs:
        _settle(job, job.ending)


def _settle(job: _Job, ending: _Ending) -> None:
    job.over = True
    if not job.outcome.done():
        job.outcome.set_result(ending)

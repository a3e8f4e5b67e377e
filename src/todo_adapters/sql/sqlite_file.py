"""One SQLite file: connections in threads of their own, transactions with a deadline, errors in a sentence."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from todo_domain.errors import Unavailable

Result = TypeVar("Result")
Work = Callable[[sqlite3.Connection], Result]

PATIENCE: Final = 2.4
"""Seconds that a call may wait for its turn in this process and for the locks of others."""

_GRACE: Final = 0.4
"""Seconds beyond PATIENCE after which a call is given up although its thread has not answered."""

_BUSY: Final = "the database is locked by another program: try again"
_REPLACED: Final = "the database file was deleted or replaced: put it back, or restart the service"
_SENTENCES: Final = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_PROTOCOL: _BUSY,
    sqlite3.SQLITE_FULL: "the disk is full: make room on it",
    sqlite3.SQLITE_READONLY: "the database cannot be written: check the permissions of its file and directory",
    sqlite3.SQLITE_PERM: "the database cannot be opened: check the permissions of its file and directory",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened: check that its file exists, and its permissions",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write the database: check it",
    sqlite3.SQLITE_CORRUPT: "the database file is damaged: restore it from a copy",
    sqlite3.SQLITE_NOTADB: "the database file is not a database: check its path, or restore it from a copy",
    sqlite3.SQLITE_NOMEM: "there is not enough memory to use the database",
}
_PASSING: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_FULL}


def explain(error: sqlite3.Error) -> str | None:
    """Return the sentence for an error that is the file's or the system's, or None for a mistake of ours."""
    return _SENTENCES.get(_primary_code(error))


def connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """Return a connection that begins no transaction by itself and waits up to PATIENCE for a lock.

    Unless told to create it, the file must exist. Raises sqlite3.Error.
    """
    give_up = time.monotonic() + PATIENCE
    uri = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
    connection = sqlite3.connect(
        uri, uri=True, timeout=PATIENCE, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                # While several connections change the mode at once, SQLite refuses without waiting.
                if _primary_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                    raise
                time.sleep(0.01)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


class File:
    """The file that was opened first under a path: another one that takes its place is not it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity: tuple[int, int] | None = None

    def connect(self) -> sqlite3.Connection:
        """Return a new connection to it. Raises Unavailable if it is missing or another, and sqlite3.Error."""
        self.require_same()
        if not self.path.exists():
            raise Unavailable("the database file is missing: run todo migrate")
        connection = connect(self.path)
        self._identity = self._identity or self._find()
        self.require_same()
        return connection

    def require_same(self, *, committing: bool = False) -> None:
        """Raise Unavailable if it is gone or another. Before it is first opened, anything is the same."""
        # SQLite itself goes on with a file that has no name any more, and would lose whatever it says it has kept.
        if self._identity is not None and self._find() != self._identity:
            raise Unavailable(_REPLACED, outcome_unknown=committing)

    def _find(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)  # noqa: PTH116  half the time of Path.stat, on every call
        except OSError:
            return None
        return found.st_dev, found.st_ino


class Lane:
    """One thread with one connection, which does what it is given in the order it was given.

    A writing lane makes a transaction of each piece of work: it commits if the work returns, and rolls back if it
    raises. A reading lane shows it one snapshot. Work whose caller is cancelled is not done if it has not
    begun, and is finished if it has. Trouble with the file is Unavailable, within PATIENCE and a little.
    """

    def __init__(self, file: File, *, writes: bool) -> None:
        self._file = file
        self._writes = writes
        self._connection: sqlite3.Connection | None = None
        name = "todo-sqlite-writer" if writes else "todo-sqlite-reader"
        self._thread: ThreadPoolExecutor | None = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, work: Work[Result]) -> Result:
        """Return what `work` returns when it is given the connection."""
        if self._thread is None:
            raise Unavailable("the service is stopping")
        deadline = time.monotonic() + PATIENCE
        ticket = threading.Lock()  # taken once: by the thread to commit, or by the caller who gives up
        do = self._transaction if self._writes else self._reading
        job: Future[Result] = self._thread.submit(do, work, deadline, ticket)
        try:
            async with asyncio.timeout(PATIENCE + _GRACE) as limit:
                try:
                    return await asyncio.wrap_future(job)
                except asyncio.CancelledError:
                    if self._writes and not limit.expired() and not job.cancelled():
                        # What has begun is finished: whoever cancelled may know that it is decided.
                        await asyncio.shield(self._end_of(job))
                    raise
        except TimeoutError:
            unknown = self._writes and not ticket.acquire(blocking=False)
            raise Unavailable("the database takes too long to answer", outcome_unknown=unknown) from None

    async def _end_of(self, job: Future[Result]) -> None:
        done, loop = asyncio.Event(), asyncio.get_running_loop()

        def tell(_: Future[Result]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(done.set)

        job.add_done_callback(tell)
        await done.wait()

    async def aclose(self) -> None:
        """Finish what has begun, close the connection and end the thread."""
        if (thread := self._thread) is not None:
            self._thread = None
            await asyncio.get_running_loop().run_in_executor(thread, self._discard)
            thread.shutdown(wait=False)

    def _reading(self, work: Work[Result], deadline: float, _: threading.Lock) -> Result:
        try:
            connection = self._ready(deadline)
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")  # which a transaction that only reads need not be spared
        except sqlite3.Error as error:
            raise self._trouble(error, committing=False) from error

    def _transaction(self, work: Work[Result], deadline: float, ticket: threading.Lock) -> Result:
        committing = False
        try:
            connection = self._ready(deadline)
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                if committing := ticket.acquire(blocking=False):
                    connection.execute("COMMIT")
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise self._trouble(error, committing=committing) from error
        self._file.require_same(committing=True)
        return result

    def _ready(self, deadline: float) -> sqlite3.Connection:
        left = deadline - time.monotonic()
        if left <= 0:
            raise Unavailable("too many others are using the database: try again")
        self._file.require_same()
        if self._connection is None:
            self._connection = self._file.connect()
            if not self._writes:
                self._connection.execute("PRAGMA query_only = ON")
        if self._writes:
            self._connection.execute(f"PRAGMA busy_timeout = {int(left * 1000)}")
        return self._connection

    def _trouble(self, error: sqlite3.Error, *, committing: bool) -> Exception:
        code = _primary_code(error)
        if code not in _PASSING:
            self._discard()
        sentence = explain(error)
        if sentence is None:
            return error
        # Only a failing disk leaves it open whether the commit is in the log.
        return Unavailable(sentence, outcome_unknown=committing and code == sqlite3.SQLITE_IOERR)

    def _discard(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def _primary_code(error: sqlite3.Error) -> int:
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF

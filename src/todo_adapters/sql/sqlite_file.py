"""One SQLite file: connections in threads of their own, transactions with a deadline, errors in a sentence."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
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


class Lane:
    """One thread with one connection, which does what it is given in the order it was given.

    A writing lane makes a transaction of each piece of work: it commits if the work returns, and rolls back if it
    raises. A reading lane runs statements by themselves. Work whose caller is cancelled is not done if it has not
    begun, and is finished if it has. Trouble with the file is Unavailable, within PATIENCE and a little.
    """

    def __init__(self, path: Path, *, writes: bool) -> None:
        self._path = path
        self._writes = writes
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        name = "todo-sqlite-writer" if writes else "todo-sqlite-reader"
        self._thread: ThreadPoolExecutor | None = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    async def run(self, work: Work[Result]) -> Result:
        """Return what `work` returns when it is given the connection."""
        if self._thread is None:
            raise Unavailable("the service is stopping")
        deadline = time.monotonic() + PATIENCE
        ticket = threading.Lock()  # taken once: by the thread to commit, or by the caller who gives up
        do = self._transaction if self._writes else self._reading
        try:
            async with asyncio.timeout(PATIENCE + _GRACE):
                return await asyncio.get_running_loop().run_in_executor(self._thread, do, work, deadline, ticket)
        except TimeoutError:
            unknown = self._writes and not ticket.acquire(blocking=False)
            raise Unavailable("the database takes too long to answer", outcome_unknown=unknown) from None

    async def aclose(self) -> None:
        """Finish what has begun, close the connection and end the thread."""
        if (thread := self._thread) is not None:
            self._thread = None
            await asyncio.get_running_loop().run_in_executor(thread, self._discard)
            thread.shutdown(wait=False)

    def _reading(self, work: Work[Result], deadline: float, _: threading.Lock) -> Result:
        try:
            return work(self._ready(deadline))
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
        self._require_same_file(committing=True)
        return result

    def _ready(self, deadline: float) -> sqlite3.Connection:
        left = deadline - time.monotonic()
        if left <= 0:
            raise Unavailable("too many others are using the database: try again")
        if self._connection is None:
            self._open()
        else:
            self._require_same_file(committing=False)
        assert self._connection is not None  # noqa: S101  for the type checker
        if self._writes:
            self._connection.execute(f"PRAGMA busy_timeout = {int(left * 1000)}")
        return self._connection

    def _open(self) -> None:
        if not self._path.exists():
            raise Unavailable("the database file is missing: run todo migrate")
        connection = connect(self._path)
        if not self._writes:
            connection.execute("PRAGMA query_only = ON")
        self._connection = connection
        found = self._find()
        if self._identity not in {None, found}:
            self._require_same_file(committing=False)
        self._identity = found

    def _find(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116  half the time of Path.stat, on every call
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def _require_same_file(self, *, committing: bool) -> None:
        # SQLite itself goes on with a file that has no name any more, and would lose whatever it says it has kept.
        if self._find() != self._identity:
            raise Unavailable(_REPLACED, outcome_unknown=committing)

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

"""One SQLite file: its connections, its identity, and its errors as sentences."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Final

from todo_domain.errors import Unavailable
from todo_domain.text import finder

TIMEOUT: Final = 2.4
"""Seconds that a call may wait in this process's queue and for locks of other processes."""

MODE: Final = 0o600
"""The mode of a database file and of each copy."""

LARGEST_LOG: Final = 16_777_216
"""Bytes that the write-ahead log keeps after a checkpoint. It grows beyond that while a reader holds an old
snapshot."""

TOO_SLOW: Final = "the database takes too long to answer: try again"
_BUSY: Final = "the database is locked by another program: try again"
_SENTENCES: Final = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_PROTOCOL: _BUSY,
    sqlite3.SQLITE_INTERRUPT: TOO_SLOW,
    sqlite3.SQLITE_FULL: "the disk is full: free some space",
    sqlite3.SQLITE_READONLY: "the database cannot be written: check the permissions of its file and directory",
    sqlite3.SQLITE_PERM: "the database cannot be opened: check the permissions of its file and directory",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened: check TODO_DATABASE_URL, and the permissions of the file",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write the database: check it",
    sqlite3.SQLITE_CORRUPT: "the database file is damaged: restore it from a copy",
    sqlite3.SQLITE_NOTADB: "the database file is not a database: check its path, or restore it from a copy",
    sqlite3.SQLITE_NOMEM: "there is not enough memory to use the database: free some",
}

_finder: Final = lru_cache(16)(finder)


def explain(error: sqlite3.Error) -> str | None:
    """Return the sentence for an error of the file or the system, None for a bug."""
    return _SENTENCES.get(code_of(error))


def code_of(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code, without the extension."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def refusal(error: Exception, *, committing: bool) -> Exception:
    """Return the error for one caller of a transaction that failed."""
    if isinstance(error, sqlite3.Error) and (sentence := explain(error)):
        # Of SQLite's errors, only a disk error leaves unknown whether the log holds the commit.
        refused = Unavailable(sentence, outcome_unknown=committing and code_of(error) == sqlite3.SQLITE_IOERR)
    elif isinstance(error, Unavailable):
        refused = Unavailable(str(error), outcome_unknown=committing)
    else:
        return error
    refused.__cause__ = error
    return refused


def connect(path: Path, *, create: bool = False) -> sqlite3.Connection:
    """Return a connection that begins no transaction by itself and waits up to TIMEOUT for a lock.

    Without `create`, the file must exist. A created file is accessible to its owner only, and so are the files that
    SQLite makes beside it, which get its mode. Raises sqlite3.Error.
    """
    if create:
        with suppress(OSError):  # it exists, or SQLite reports the problem with a code
            os.mknod(path.resolve(), MODE)  # no descriptor: closing one would release the locks of this process
    give_up = time.monotonic() + TIMEOUT
    uri = f"{path.absolute().as_uri()}?mode={'rwc' if create else 'rw'}"
    connection = sqlite3.connect(
        uri, uri=True, timeout=TIMEOUT, isolation_level=None, check_same_thread=False, cached_statements=256
    )
    try:
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
                break
            except sqlite3.OperationalError as error:
                # While several connections change the mode at once, SQLite refuses without waiting.
                if code_of(error) != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                    raise
                time.sleep(0.01)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA journal_size_limit = {LARGEST_LOG}")
        connection.create_function("contains", 2, _contains, deterministic=True)
    except BaseException:
        connection.close()
        raise
    return connection


def sync_to_disk(path: Path) -> None:
    """Return once a file is on the disk, or for a directory, the names in it. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _contains(key: str | None, text: str) -> bool:
    """Implement the SQL function `contains`: SQLite's own `instr` is slow if both texts are repetitive."""
    return key is not None and _finder(text)(key)


class File:
    """The file that was first opened under a path, by its identity: a replacement is another file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._identity: tuple[int, int] | None = None

    def connect(self) -> sqlite3.Connection:
        """Return a new connection. Raises Unavailable if the file is missing or replaced, and sqlite3.Error."""
        self.require_same()
        if not self.path.exists():
            raise Unavailable(
                "the database file is missing: check TODO_DATABASE_URL, or run todo migrate for a new file"
            )
        connection = connect(self.path)
        self._identity = self._identity or self._find()
        self.require_same()
        return connection

    def require_same(self) -> None:
        """Raise Unavailable if the file is missing or replaced. Before the first connection, every file is accepted."""
        # SQLite continues with a deleted file, so acknowledged writes would be lost.
        if self._identity is not None and self._find() != self._identity:
            raise Unavailable("the database file was deleted or replaced: put it back, or restart the service")

    def _find(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self.path)  # noqa: PTH116  half the time of Path.stat, on every call
        except OSError:
            return None
        return found.st_dev, found.st_ino

"""A SQLite file, and what others do to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

from chaos.faults import Fault, Lasting
from servers.todo import todo

# Old enough to be purged by one of the next writes.
_AGE = "UPDATE tombstones SET deleted_at = '2020' || substr(deleted_at, 5)"


class SqliteStore:
    """The file `todo.db` in a directory."""

    workers = 1

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.path = directory / "todo.db"
        self.url = f"sqlite:///{self.path}"
        self.direct_url = None

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement past the service."""
        with closing(self._connect()) as connection:
            return connection.execute(statement).fetchall()

    def faults(self, lasting: Lasting) -> list[Fault]:
        """Return what can befall the file."""

        def locked(random: Random) -> None:
            with closing(self._connect()) as connection:
                connection.execute("BEGIN EXCLUSIVE")
                lasting.hold(random)
                connection.execute("ROLLBACK")

        def read_for_long(random: Random) -> None:
            with closing(self._connect()) as connection:
                connection.execute("BEGIN")
                connection.execute("SELECT count(*) FROM tasks").fetchone()
                lasting.hold(random)

        def moved_away(random: Random) -> None:
            elsewhere = self.path.with_name("elsewhere")
            self.path.rename(elsewhere)
            lasting.hold(random)
            elsewhere.rename(self.path)

        def backed_up(_: Random) -> None:
            copy = self._directory / "copy.db"
            made = todo("backup", str(copy), cwd=self._directory, TODO_DATABASE_URL=self.url)
            assert made.returncode == 0, made.stderr
            copy.unlink()

        return [
            Fault("locked by another program", locked),
            Fault("a reader that does not end", read_for_long),
            Fault("the file moved away and back", moved_away),
            Fault("todo backup", backed_up),
            Fault("tombstones grow old", lambda _: self._age()),
        ]

    def copy(self, directory: Path) -> SqliteStore:
        """Return a copy in another directory, which nobody serves."""
        self.query(f"VACUUM INTO '{directory / 'todo.db'}'")
        return SqliteStore(directory)

    def _age(self) -> None:
        with closing(self._connect()) as connection:
            connection.execute(_AGE)

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=20, isolation_level=None)

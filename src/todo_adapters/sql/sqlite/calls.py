"""Calls of a SQLite file whose schema may be older than this release."""

from __future__ import annotations

import sqlite3

from todo_adapters.sql.additions import RefusedByAddition
from todo_adapters.sql.schema import BEHIND, SELECT_REVISION, VERSION_TABLE, is_behind
from todo_adapters.sql.sqlite.worker import Result, SqliteWorker, Work
from todo_adapters.sql.values import Row
from todo_domain.deadline import Deadline
from todo_domain.errors import Unavailable


class SqliteCalls(SqliteWorker):
    """A worker that raises Unavailable, not sqlite3.OperationalError, if the schema is older than its statements."""

    async def run(self, work: Work[Result], deadline: Deadline | None = None) -> Result:
        """Run `work` with the connection and return its result."""
        deadline = deadline or Deadline.within()
        try:
            return await super().run(work, deadline)
        except RefusedByAddition as refused:
            refused.log()  # here and not in the thread, so that the line has the id of the request
            raise
        except sqlite3.OperationalError as error:
            if await super().run(schema_is_behind, deadline):
                raise Unavailable(BEHIND) from error
            # The schema was older a moment ago, or the error is a bug, which is raised again.
            return await super().run(work, deadline)


def schema_is_behind(connection: sqlite3.Connection) -> bool:
    """Return whether the schema of the file is older than this release, or missing."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [VERSION_TABLE]).fetchone():
        return True
    row: Row | None = connection.execute(SELECT_REVISION).fetchone()
    return is_behind(None if row is None else str(row[0]))

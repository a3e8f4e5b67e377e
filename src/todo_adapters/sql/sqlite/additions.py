"""Names what somebody else has added to a SQLite file and what refused a valid write, by SQLite's extended codes."""

from __future__ import annotations

import sqlite3
from typing import Final

from todo_adapters.sql.additions import RefusedByAddition
from todo_domain.owner import LARGEST_ID

_TRIGGERS: Final = "SELECT name FROM sqlite_master WHERE type = 'trigger' ORDER BY name"
_LAST_ID: Final = "SELECT last FROM task_ids"


def refusal_by_addition(error: Exception, connection: sqlite3.Connection) -> RefusedByAddition | None:
    """Return the refusal for a write that a trigger refused, or for which no id is left; None for any other error.

    SQLite names a constraint only in the text of its error, so a constraint that is not todo's stays a bug.
    """
    code = getattr(error, "sqlite_errorcode", None)
    if code == sqlite3.SQLITE_CONSTRAINT_TRIGGER:
        names = ", ".join(name for (name,) in connection.execute(_TRIGGERS))
        return RefusedByAddition(f"a trigger that is not todo's raised an exception; the file has: {names}")
    if code == sqlite3.SQLITE_CONSTRAINT_CHECK and connection.execute(_LAST_ID).fetchone()[0] > LARGEST_ID:
        return RefusedByAddition("the ids of tasks have reached their end: set task_ids.last lower")
    return None

"""Tasks as JSON, which SQLite writes and msgspec reads in half the time that rows take.

Python's `sqlite3` releases the interpreter lock for every row, and its thread then waits until the event loop releases
the lock in turn. A page in JSON is one row, and the event loop makes its tasks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from msgspec.json import Decoder

from todo_adapters.sql import statements
from todo_domain.extra import EMPTY
from todo_domain.task import Task

if TYPE_CHECKING:
    from collections.abc import Callable

tasks_from_json: Final[Callable[[str], list[Task]]] = Decoder(list[Task]).decode
"""Returns the tasks in an array of `tasks_as_json`."""


def tasks_as_json(found: sa.Select[Any]) -> sa.ScalarSelect[str]:
    """Return the JSON array of the tasks of a statement with LIMIT, in their order: arrays of their fields."""
    rows = found.subquery("found")  # SQLite would be free to ignore the order of a subquery without LIMIT
    fields: dict[str, sa.ColumnElement[Any]] = {column.name: rows.c[column.name] for column in statements.TASK}
    fields["tags"] = sa.func.json(fields["tags"])
    fields["extra"] = sa.func.coalesce(fields["extra"], sa.literal_column(f"'{EMPTY}'"))
    return sa.select(sa.func.json_group_array(sa.func.json_array(*fields.values()))).select_from(rows).scalar_subquery()

"""The members of a task in SQL: the columns and their checks, a task as parameters, a row as a task."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from operator import itemgetter
from typing import Any, Final, TypedDict

import sqlalchemy as sa

from todo_adapters.sql.dialects import Either
from todo_adapters.sql.values import DATE, FOLDED, INSTANT, TEXTS, Forms, Row
from todo_domain.extra import EMPTY, LARGEST_EXTRA
from todo_domain.naming import LONGEST_UID, SHORTEST_UID
from todo_domain.task import LONGEST_DESCRIPTION, LONGEST_TITLE, MOST_TAGS, Priority, Task
from todo_domain.text import fold

_EMPTY: Final = Either(postgresql=sa.text("'{}'"), sqlite=sa.text("'[]'"))
_PRIORITIES: Final = tuple(Priority)
_TITLE: Final = Task._fields.index("title")


def _count(column: str) -> Either:
    return Either(postgresql=sa.text(f"cardinality({column})"), sqlite=sa.text(f"json_array_length({column})"))


def _bytes(column: str) -> Either:
    return Either(postgresql=sa.text(f"octet_length({column})"), sqlite=sa.text(f"length(CAST({column} AS BLOB))"))


def columns_of_a_task() -> list[sa.Column[Any]]:
    """Return the columns of a task except its user and its id."""
    return [
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("completed_at", INSTANT),
        sa.Column("title_key", FOLDED, nullable=False),
        sa.Column("description_key", FOLDED),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("updated_at", INSTANT, nullable=False),
        sa.Column("priority", sa.SmallInteger, nullable=False, server_default=sa.text("0")),
        sa.Column("due_date", DATE),
        sa.Column("tags", TEXTS, nullable=False, server_default=_EMPTY),
        sa.Column("tags_key", TEXTS, nullable=False, server_default=_EMPTY),
        sa.Column("uid", FOLDED),
        sa.Column("position", FOLDED),
        sa.Column("extra", sa.Text),
    ]


def checks_of_a_task(table: str) -> list[sa.CheckConstraint]:
    """Return the checks of these columns, with the names that they have in `table`."""
    return [
        sa.CheckConstraint(f"length(title) BETWEEN 1 AND {LONGEST_TITLE}", name=f"{table}_title_length"),
        sa.CheckConstraint(f"length(description) <= {LONGEST_DESCRIPTION}", name=f"{table}_description_length"),
        # Folding makes a text at most three times as long.
        sa.CheckConstraint(f"length(title_key) BETWEEN 1 AND {3 * LONGEST_TITLE}", name=f"{table}_title_key_length"),
        sa.CheckConstraint(
            f"length(description_key) <= {3 * LONGEST_DESCRIPTION}", name=f"{table}_description_key_length"
        ),
        sa.CheckConstraint("revision >= 1", name=f"{table}_revision_range"),
        sa.CheckConstraint("priority BETWEEN 0 AND 3", name=f"{table}_priority_range"),
        sa.CheckConstraint(_count("tags") <= sa.literal_column(str(MOST_TAGS)), name=f"{table}_tags_count"),
        sa.CheckConstraint(_count("tags_key") <= sa.literal_column(str(MOST_TAGS)), name=f"{table}_tags_key_count"),
        sa.CheckConstraint(f"length(uid) BETWEEN {SHORTEST_UID} AND {LONGEST_UID}", name=f"{table}_uid_length"),
        sa.CheckConstraint("length(position) BETWEEN 1 AND 64", name=f"{table}_position_length"),
        sa.CheckConstraint(
            _bytes("extra").between(sa.literal_column("3"), sa.literal_column(str(LARGEST_EXTRA))),
            name=f"{table}_extra_length",
        ),
    ]


class Columns(TypedDict):
    """The parameters of the columns that a client sets: the members, and their folded forms for lists."""

    title: str
    description: str | None
    completed_at: Any
    priority: int
    due_date: Any
    tags: Any
    position: str | None
    extra: str | None
    title_key: str
    description_key: str | None
    tags_key: Any


def columns(task: Task, forms: Forms) -> Columns:
    """Return the parameters of all columns that a client sets."""
    # All fields are unpacked, so that the type checker reports a field that is forgotten here.
    (
        _id,
        _uid,
        _user_id,
        title,
        description,
        completed_at,
        priority,
        due_date,
        tags,
        position,
        extra,
        _revision,
        _created_at,
        _updated_at,
    ) = task
    return {
        "title": title,
        "description": description,
        "completed_at": completed_at and forms.instant(completed_at),
        "priority": int(priority),
        "due_date": due_date and forms.day(due_date),
        "tags": forms.several(tags),
        "position": position,
        "extra": None if extra == EMPTY else extra,
        "title_key": fold(title),
        "description_key": None if description is None else fold(description),
        "tags_key": forms.several([fold(tag) for tag in tags]),
    }


# A row of `statements.TASK` has the fields of a task in their order. They are read by index, for speed with ten
# thousand rows, and one by one, so that the type checker reports a field that is forgotten.


def task_from_postgresql(row: Row) -> Task:
    """Return the task in the first columns of a row of PostgreSQL's."""
    return Task(
        row[0],
        row[1],
        row[2],
        row[3],
        row[4],
        row[5],
        _PRIORITIES[row[6]],
        row[7],
        tuple(row[8]),
        row[9],
        row[10] or EMPTY,
        row[11],
        row[12],
        row[13],
    )


def with_task(row: Row) -> Row:
    """Return a row of PostgreSQL's with the task in its first column; the same row if it has no task."""
    return row if row[_TITLE] is None else (task_from_postgresql(row), *row[1:])


task_in: Final[Callable[[Row], Task]] = itemgetter(0)
"""Returns the task in a row of `with_task`."""


def task_from_sqlite(row: Row) -> Task:
    """Return the task in the first columns of a row of SQLite's."""
    return Task(
        row[0],
        row[1],
        row[2],
        row[3],
        row[4],
        row[5] and datetime.fromisoformat(row[5]),
        _PRIORITIES[row[6]],
        row[7] and date.fromisoformat(row[7]),
        () if row[8] == "[]" else tuple(json.loads(row[8])),
        row[9],
        row[10] or EMPTY,
        row[11],
        datetime.fromisoformat(row[12]),
        datetime.fromisoformat(row[13]),
    )

"""The statements of lists: one for each order and kind of cursor, with and without filters."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from todo_adapters.sql.dialects import Either
from todo_adapters.sql.statements import OWNER, TASK, at_most, parameter, this_user
from todo_adapters.sql.tables import tasks, users
from todo_adapters.sql.values import DATE, NUMBERS, TEXTS
from todo_domain.query import SORT_FIELDS, Query, Sort


class Shape(NamedTuple):
    """The part of a query that determines the text of its statement; the rest are parameters.

    `behind` is the start of the page: at the top, after a task with a value of the field, or after one without.
    """

    sort: Sort
    behind: str
    filtered: bool


def shape_of(query: Query) -> Shape:
    """Return the shape of the statement for this query."""
    if query.after is None:
        return Shape(query.sort, "nothing", query.filtered)
    return Shape(query.sort, "null" if query.after.value is None else "value", query.filtered)


def all_shapes() -> Iterator[Shape]:
    """Yield every possible shape."""
    for field, descending, filtered in product(SORT_FIELDS, (False, True), (False, True)):
        sort = Sort(field, descending)
        for behind in ("nothing", "value", *(("null",) if _order(sort).nullable else ())):
            yield Shape(sort, behind, filtered)


def name_of(shape: Shape) -> str:
    """Return a name for the shape, such as `page by -created_at behind value, filtered`."""
    sign = "-" if shape.sort.descending else ""
    return f"page by {sign}{shape.sort.field} behind {shape.behind}{', filtered' if shape.filtered else ''}"


@cache
def found(shape: Shape) -> sa.Select[Any]:
    """Return the statement whose rows are at most `most` tasks in order."""
    order = _order(shape.sort)
    chosen = sa.select(*TASK).where(tasks.c.user_id == OWNER)
    if shape.filtered:
        chosen = chosen.where(*_FILTERS)
    if shape.behind != "nothing":
        chosen = chosen.where(_behind(order, shape))
    return at_most(chosen.order_by(*_in_order(order, tasks.c.id, shape.sort)))


@cache
def page(shape: Shape) -> sa.Select[Any]:
    """Return the statement whose rows are the tasks of `found`, each with the user's counter.

    If there is no task, or if the counter is `unless`, there is one row of nulls with the counter; no row for a user
    who never wrote. Counter and tasks are read in one statement, so in one snapshot.
    """
    order = _order(shape.sort)
    chosen = found(shape).add_columns(order.label("place")).where(~unchanged()).subquery("page")
    return (
        sa.select(*(chosen.c[column.name] for column in TASK), users.c.revision.label("counter"))
        .select_from(users.outerjoin(chosen, sa.true()))
        .where(this_user)
        .order_by(*_in_order(chosen.c.place, chosen.c.id, shape.sort))
    )


def _order(sort: Sort) -> sa.Column[Any]:
    return tasks.c["title_key" if sort.field == "title" else sort.field]


def _in_order(column: sa.ColumnElement[Any], id_: sa.ColumnElement[int], sort: Sort) -> list[sa.ColumnElement[Any]]:
    tie = id_.desc() if sort.descending else id_.asc()
    if sort.field == "id":
        return [tie]
    first = column.desc() if sort.descending else column.asc()
    return [first.nulls_last() if _order(sort).nullable else first, tie]


def _behind(column: sa.Column[Any], shape: Shape) -> sa.ColumnElement[bool]:
    at, at_id = parameter("at", column.type), parameter("at_id", sa.BigInteger)
    further_id = tasks.c.id < at_id if shape.sort.descending else tasks.c.id > at_id
    if shape.behind == "null":
        return sa.and_(column.is_(None), further_id)
    if shape.sort.field == "id":
        return further_id
    here, there = sa.tuple_(column, tasks.c.id), sa.tuple_(at, at_id)
    further = here < there if shape.sort.descending else here > there
    return sa.or_(further, column.is_(None)) if column.nullable else further


def unchanged() -> sa.Exists:
    """Return whether the user's counter is `unless`."""
    counted = users.alias("counted")
    unless = parameter("unless", sa.BigInteger)
    # Not correlated, so that it is evaluated once, not for each task.
    return sa.exists(sa.select(sa.literal_column("1")).where(counted.c.id == OWNER, counted.c.revision == unless))


def _filters() -> list[sa.ColumnElement[bool]]:
    completed, has_due_date = parameter("completed", sa.Boolean), parameter("has_due_date", sa.Boolean)
    text, tags = parameter("text", sa.Text), parameter("tags", TEXTS)
    priorities = parameter("priorities", NUMBERS)
    due_after, due_before = parameter("due_after", DATE), parameter("due_before", DATE)
    column = tasks.c
    return [
        completed.is_(None) | (column.completed_at.is_not(None) == completed),
        text.is_(None) | _mentions(column.title_key, text) | _mentions(column.description_key, text),
        priorities.is_(None)
        | Either(
            postgresql=column.priority == sa.func.any(priorities),
            sqlite=column.priority.in_(_listed(priorities)),
        ),
        tags.is_(None)
        | Either(
            postgresql=column.tags_key.bool_op("@>")(tags),
            sqlite=~sa.exists(sa.except_(_listed(tags), _listed(column.tags_key).correlate(tasks))),
        ),
        due_after.is_(None) | (column.due_date >= due_after),
        due_before.is_(None) | (column.due_date < due_before),
        has_due_date.is_(None) | (column.due_date.is_not(None) == has_due_date),
    ]


def _mentions(key: sa.ColumnElement[Any], text: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Return whether the folded text `key` contains `text`, in time proportional to the length of `key`.

    For some texts, `strpos` and LIKE take that length times the length of `text`, and a regular expression is slow
    because it builds its automaton for each row. On bytes, `position` compares with `memcmp`: 30 bytes of `text` at a
    time.
    """
    return Either(
        postgresql=sa.func.pg_catalog.position(_utf_8(key), _utf_8(text)) > sa.literal_column("0"),
        sqlite=sa.func.contains(key, text),
    )


def _utf_8(text: sa.ColumnElement[Any]) -> sa.ColumnElement[bytes]:
    return sa.func.convert_to(text, sa.literal_column("'UTF8'"))


def _listed(array: sa.ColumnElement[Any]) -> sa.Select[Any]:
    return sa.select(sa.func.json_each(array).table_valued("value").c.value)


_FILTERS: Final = _filters()

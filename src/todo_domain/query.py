"""Lists: what a filter keeps, in which order, and where a page ends.

These functions are the reference: every store gives the same answer to the same query.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Final, Literal, NamedTuple, get_args

from todo_domain.task import Priority, Task
from todo_domain.text import fold

SortField = Literal["created_at", "updated_at", "due_date", "priority", "title", "id"]
SORT_FIELDS: Final[tuple[SortField, ...]] = get_args(SortField)

SortValue = datetime | date | int | str | None


class Sort(NamedTuple):
    """An order: by one field, ties by id in the same direction, tasks without a value last in both directions."""

    field: SortField = "created_at"
    descending: bool = True


class Position(NamedTuple):
    """A place in an order, just behind the task with this sort value and id."""

    value: SortValue
    id: int


class Query(NamedTuple):
    """Which tasks, in which order, how many of them, and from where on. The default is the whole list, newest first.

    `text` is looked for in title and description ignoring case; a task must have all of `tags`, ignoring case;
    `due_after` is included, `due_before` is not; `has_due_date` is None for both kinds.
    """

    completed: bool | None = None
    text: str | None = None
    priorities: tuple[Priority, ...] = ()
    tags: tuple[str, ...] = ()
    due_after: date | None = None
    due_before: date | None = None
    has_due_date: bool | None = None
    sort: Sort = Sort()
    limit: int | None = None
    after: Position | None = None

    @property
    def filtered(self) -> bool:
        """Whether this query leaves out any task."""
        return self[:7] != _EVERYTHING[:7]


_EVERYTHING = Query()


class Page(NamedTuple):
    """Tasks in the order asked for, and the user's counter in the very snapshot they were read from.

    `more` tells whether the walk goes on behind the last of them.
    """

    tasks: list[Task]
    revision: int
    more: bool


def sort_value(task: Task, field: SortField) -> SortValue:
    """Return what a task is sorted by."""
    return fold(task.title) if field == "title" else getattr(task, field)


def position_of(task: Task, sort: Sort) -> Position:
    """Return the place just behind `task`."""
    return Position(sort_value(task, sort.field), task.id)


def matches(task: Task, query: Query) -> bool:
    """Return whether every filter of the query keeps this task."""
    tags = {fold(tag) for tag in task.tags}
    return (
        (query.completed is None or task.completed == query.completed)
        and (query.text is None or _mentions(task, fold(query.text)))
        and (not query.priorities or task.priority in query.priorities)
        and all(fold(tag) in tags for tag in query.tags)
        and (query.due_after is None or (task.due_date is not None and task.due_date >= query.due_after))
        and (query.due_before is None or (task.due_date is not None and task.due_date < query.due_before))
        and (query.has_due_date is None or (task.due_date is not None) == query.has_due_date)
    )


def select(tasks: Iterable[Task], query: Query) -> tuple[list[Task], bool]:
    """Return one page of `tasks` in the order of the query, and whether more would follow."""
    found = in_order((task for task in tasks if matches(task, query)), query.sort)
    if query.after is not None:
        found = _behind(found, query.sort, query.after)
    if query.limit is None:
        return found, False
    return found[: query.limit], len(found) > query.limit


def in_order(tasks: Iterable[Task], sort: Sort) -> list[Task]:
    """Return the tasks sorted."""
    valued: list[Task] = []
    without: list[Task] = []
    for task in tasks:
        (without if sort_value(task, sort.field) is None else valued).append(task)
    valued.sort(key=lambda task: (sort_value(task, sort.field), task.id), reverse=sort.descending)
    without.sort(key=lambda task: task.id, reverse=sort.descending)
    return valued + without


def _behind(tasks: list[Task], sort: Sort, place: Position) -> list[Task]:
    return [task for task in tasks if _is_behind(position_of(task, sort), sort, place)]


def _is_behind(here: Position, sort: Sort, place: Position) -> bool:
    if (here.value is None) != (place.value is None):
        return here.value is None
    mine, theirs = (here.value, here.id), (place.value, place.id)
    return mine < theirs if sort.descending else mine > theirs


def _mentions(task: Task, folded: str) -> bool:
    return folded in fold(task.title) or (task.description is not None and folded in fold(task.description))

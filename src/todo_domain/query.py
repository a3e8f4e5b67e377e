"""Lists: filters, orders and pages.

These functions are the reference: every store returns the same result for the same query.
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
    """An order: by one field, then by id in the same direction. Tasks without a value come last in both directions."""

    field: SortField = "created_at"
    descending: bool = True


class Position(NamedTuple):
    """A position in an order: right after the task with this sort value and id."""

    value: SortValue
    id: int


class Query(NamedTuple):
    """The filters, the order, the size of the page and its start. The default is the whole list, newest first.

    `text` is searched in title and description, ignoring case. A task must have all of `tags`, ignoring case.
    The due date is at or after `due_after` and before `due_before`. `has_due_date` None does not filter.
    `limit` is the size of the page, None the whole list. `after` is the position after which the page starts.
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
        """Whether the query has a filter."""
        return self[:7] != _EVERYTHING[:7]


_EVERYTHING = Query()


class Page(NamedTuple):
    """Tasks in the order of the query, and the user's counter, read in one snapshot.

    `more` is true if the list continues after the last of them.
    """

    tasks: list[Task]
    revision: int
    more: bool


def sort_value(task: Task, field: SortField) -> SortValue:
    """Return the value by which the task is sorted."""
    return fold(task.title) if field == "title" else getattr(task, field)


def position_of(task: Task, sort: Sort) -> Position:
    """Return the position right after `task`."""
    return Position(sort_value(task, sort.field), task.id)


def matches(task: Task, query: Query) -> bool:
    """Return whether the task passes every filter of the query."""
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
    """Return one page of `tasks` in the order of the query, and whether the list continues after it."""
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

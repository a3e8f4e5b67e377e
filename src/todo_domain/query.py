"""Lists: filters, orders and pages.

These functions are the reference: every store returns the same result for the same query.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date, datetime
from operator import attrgetter
from typing import Final, Literal, NamedTuple, get_args

from todo_domain.task import Priority, Task
from todo_domain.text import finder, fold

SortField = Literal["created_at", "updated_at", "due_date", "priority", "title", "id", "position"]
SORT_FIELDS: Final[tuple[SortField, ...]] = get_args(SortField)

SortValue = datetime | date | int | str | None


class Sort(NamedTuple):
    """An order: by one field, then by id in the same direction. Tasks without a value come last in both directions."""

    field: SortField = "created_at"
    descending: bool = True


class ListPosition(NamedTuple):
    """A position in a sorted list: right after the task with this sort value and id."""

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
    after: ListPosition | None = None

    @property
    def filtered(self) -> bool:
        """Whether the query has a filter."""
        return self[:7] != _EVERYTHING[:7]

    @property
    def from_index(self) -> bool:
        """Whether a page can be read without examining other tasks."""
        return self.sort.field in {"created_at", "id"} and not self.filtered

    @property
    def short(self) -> bool:
        """Whether the query is always fast: a short page that is read without examining other tasks."""
        return self.limit is not None and self.limit <= SHORT_PAGE and self.from_index


_EVERYTHING = Query()


SHORT_PAGE: Final = 100
"""The most tasks of a page that counts as short."""


class Page(NamedTuple):
    """Tasks in the order of the query, and the user's counter, read in one snapshot.

    `more` is true if the list continues after the last of them.
    """

    tasks: list[Task]
    revision: int
    more: bool


class Folded(NamedTuple):
    """The folded texts of a task, for comparing and sorting."""

    title: str
    description: str | None
    tags: frozenset[str]


Folding = Callable[[Task], Folded]
"""Returns the folded texts of a task. A store that stores them passes its own function."""


def folded(task: Task) -> Folded:
    """Fold the texts of a task."""
    description = None if task.description is None else fold(task.description)
    return Folded(fold(task.title), description, frozenset(map(fold, task.tags)))


def sort_value(task: Task, field: SortField) -> SortValue:
    """Return the value by which the task is sorted."""
    return fold(task.title) if field == "title" else getattr(task, field)


def list_position(task: Task, sort: Sort) -> ListPosition:
    """Return the position right after `task`."""
    return ListPosition(sort_value(task, sort.field), task.id)


def matches(task: Task, query: Query) -> bool:
    """Return whether every filter of the query keeps this task."""
    return filter_of(query)(task)


def filter_of(query: Query, texts: Folding = folded) -> Callable[[Task], bool]:
    """Return the predicate of tasks that every filter of the query keeps.

    Its time is proportional to the length of the task's texts, for any query and any texts.
    """
    searched = None if query.text is None else finder(fold(query.text))
    tags = {fold(tag) for tag in query.tags}
    priorities = frozenset(query.priorities)

    def texts_match(task: Task) -> bool:
        title, description, own = texts(task)
        mentioned = searched is None or searched(title) or (description is not None and searched(description))
        return mentioned and tags <= own

    def keeps(task: Task) -> bool:
        due = task.due_date
        return (
            (query.completed is None or task.completed == query.completed)
            and (not priorities or task.priority in priorities)
            and (query.due_after is None or (due is not None and due >= query.due_after))
            and (query.due_before is None or (due is not None and due < query.due_before))
            and (query.has_due_date is None or (due is not None) == query.has_due_date)
            and ((searched is None and not tags) or texts_match(task))
        )

    return keeps


def select(tasks: Iterable[Task], query: Query) -> tuple[list[Task], bool]:
    """Return one page of `tasks` in the order of the query, and whether the list continues after it."""
    return page_of(filter(filter_of(query), tasks), query)


def page_of(tasks: Iterable[Task], query: Query, texts: Folding | None = None) -> tuple[list[Task], bool]:
    """Do the same as `select` for tasks that pass the query's filters already."""
    found = in_order(tasks, query.sort, texts)
    if query.after is not None:
        value = _value_of(query.sort, texts)
        found = [task for task in found if _is_behind(ListPosition(value(task), task.id), query.sort, query.after)]
    if query.limit is None:
        return found, False
    return found[: query.limit], len(found) > query.limit


def in_order(tasks: Iterable[Task], sort: Sort, texts: Folding | None = None) -> list[Task]:
    """Return the tasks sorted."""
    value = _value_of(sort, texts)
    valued: list[tuple[SortValue, int, Task]] = []
    without: list[Task] = []
    for task in tasks:
        if (own := value(task)) is None:
            without.append(task)
        else:
            valued.append((own, task.id, task))
    valued.sort(reverse=sort.descending)  # ids differ, so tasks are never compared
    without.sort(key=attrgetter("id"), reverse=sort.descending)
    return [task for _, _, task in valued] + without


def _value_of(sort: Sort, texts: Folding | None) -> Callable[[Task], SortValue]:
    if sort.field == "title" and texts is not None:
        return lambda task: texts(task).title
    return lambda task: sort_value(task, sort.field)


def _is_behind(here: ListPosition, sort: Sort, after: ListPosition) -> bool:
    if (here.value is None) != (after.value is None):
        return here.value is None
    mine, theirs = (here.value, here.id), (after.value, after.id)
    return mine < theirs if sort.descending else mine > theirs

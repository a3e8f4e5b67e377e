"""Tasks as iCalendar (RFC 5545): one VTODO each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from icalendar import Calendar, Todo, vCategory, vText

from todo_domain import Priority
from todo_domain.extra import EMPTY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from todo_domain import Task

_PRODUCT: Final = "-//todo//todo//EN"
_END: Final = b"END:VCALENDAR\r\n"

_AS_TEXT: Final = {"VALUE": "TEXT"}
"""Declares that the value of a property is escaped text, for programs that do not know the property."""

_PRIORITIES: Final = {Priority.HIGH: 1, Priority.MEDIUM: 5, Priority.LOW: 9}
"""RFC 5545, section 3.8.1.9. A task without a priority has no PRIORITY line."""


def components(tasks: Iterable[Task]) -> Iterator[bytes]:
    """Yield a calendar piece by piece: its beginning, the VTODO of each task, its end."""
    calendar = Calendar()
    calendar.add("prodid", _PRODUCT)
    calendar.add("version", "2.0")
    yield calendar.to_ical().removesuffix(_END)
    for task in tasks:
        yield _todo(task).to_ical()
    yield _END


def _todo(task: Task) -> Todo:
    todo = Todo()
    todo.add("uid", task.uid or f"{task.id}@todo")
    todo.add("dtstamp", task.updated_at)
    todo.add("created", task.created_at)
    todo.add("last-modified", task.updated_at)
    todo.add("summary", _Text(task.title))
    if task.description is not None:
        todo.add("description", _Text(task.description))
    if task.due_date is not None:
        todo.add("due", task.due_date)
    if task.priority in _PRIORITIES:
        todo.add("priority", _PRIORITIES[task.priority])
    if task.tags:
        todo.add("categories", _categories(task.tags))
    if task.completed_at is None:
        todo.add("status", "NEEDS-ACTION")
    else:
        todo.add("status", "COMPLETED")
        todo.add("completed", task.completed_at)
    if task.position is not None:
        todo.add("x-todo-position", _Text(task.position), _AS_TEXT)
    if task.extra != EMPTY:
        todo.add("x-todo-extra", _Text(task.extra), _AS_TEXT)
    return todo


class _Text(vText):
    """A text in the form of RFC 5545, section 3.3.11, which has one kind of line break.

    The library's own form turns a backslash before an N into a line break, as in a Windows path.
    """

    def to_ical(self) -> bytes:
        text = self.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
        return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\\n").encode()


def _categories(tags: Iterable[str]) -> vCategory:
    categories = vCategory([])
    categories.cats = [_Text(tag) for tag in tags]
    return categories

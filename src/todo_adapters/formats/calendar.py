"""Tasks as iCalendar (RFC 5545): one VTODO each in an export, one VEVENT each in a feed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from icalendar import Calendar, Event, Todo, vCategory, vText

from todo_domain import Priority
from todo_domain.extra import EMPTY
from todo_domain.importing import derived_uid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from icalendar import Component

    from todo_domain import Task

_PRODUCT: Final = "-//todo//todo//EN"
_NAME: Final = "Todo"
"""The name of a feed in calendars; without a name, some show its URL, which is a secret."""

_END: Final = b"END:VCALENDAR\r\n"

_AS_TEXT: Final = {"VALUE": "TEXT"}
"""Declares that the value of a property is escaped text, for programs that do not know the property."""

_PRIORITIES: Final = {Priority.HIGH: 1, Priority.MEDIUM: 5, Priority.LOW: 9}
"""RFC 5545, section 3.8.1.9. A task without a priority has no PRIORITY line."""


def components(tasks: Iterable[Task]) -> Iterator[bytes]:
    """Yield a calendar piece by piece: its beginning, the VTODO of each task, its end."""
    return _calendar(tasks, _todo)


def events(tasks: Iterable[Task]) -> Iterator[bytes]:
    """Yield a calendar piece by piece: its beginning, the VEVENT of each task that has a due date, its end.

    Each lasts that whole day, in no time zone, and does not make anybody busy.
    """
    return _calendar((task for task in tasks if task.due_date is not None), _event, {"x-wr-calname": _NAME})


def _calendar(
    tasks: Iterable[Task], component: Callable[[Task], Component], properties: dict[str, str] | None = None
) -> Iterator[bytes]:
    calendar = Calendar()
    for name, value in {"prodid": _PRODUCT, "version": "2.0", **(properties or {})}.items():
        calendar.add(name, value)
    yield calendar.to_ical().removesuffix(_END)
    for task in tasks:
        yield component(task).to_ical()
    yield _END


def _event(task: Task) -> Event:
    event = Event()
    _describe(event, task)
    event.add("dtstart", task.due_date)
    event.add("transp", "TRANSPARENT")
    return event


def _describe(component: Component, task: Task) -> None:
    # Calendars take two components of one UID for one (RFC 7986, section 5.3), also from two deployments.
    component.add("uid", task.uid or derived_uid(task.user_id, task.id, task.created_at))
    component.add("dtstamp", task.updated_at)
    component.add("created", task.created_at)
    component.add("last-modified", task.updated_at)
    component.add("summary", _Text(task.title))
    if task.description is not None:
        component.add("description", _Text(task.description))
    if task.priority in _PRIORITIES:
        component.add("priority", _PRIORITIES[task.priority])
    if task.tags:
        component.add("categories", _categories(task.tags))


def _todo(task: Task) -> Todo:
    todo = Todo()
    _describe(todo, task)
    if task.due_date is not None:
        todo.add("due", task.due_date)
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

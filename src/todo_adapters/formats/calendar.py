"""Tasks as iCalendar (RFC 5545): one VTODO each in an export, one VEVENT each in a feed.

These functions write the bytes of the library's `Component`, which takes 18 times as long for a short task
(`tests/unit/test_formats.py`). The library itself makes the head of the calendar, and folds long lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from icalendar import Calendar
from icalendar.parser import Contentline

from todo_domain import Priority
from todo_domain.extra import EMPTY
from todo_domain.importing import derived_uid
from todo_domain.instants import text_of_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import date, datetime

    from todo_domain import Task

_PRODUCT: Final = "-//todo//todo//EN"
_NAME: Final = "Todo"
"""The name of a feed in calendars; without a name, some show its URL, which is a secret."""

_END: Final = b"END:VCALENDAR\r\n"

_FOLDED: Final = 75
"""Bytes from which the library folds a line (RFC 5545, section 3.1)."""

_PRIORITIES: Final = {Priority.HIGH: "1", Priority.MEDIUM: "5", Priority.LOW: "9"}
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
    tasks: Iterable[Task], component: Callable[[Task], bytes], properties: dict[str, str] | None = None
) -> Iterator[bytes]:
    calendar = Calendar()
    for name, value in {"prodid": _PRODUCT, "version": "2.0", **(properties or {})}.items():
        calendar.add(name, value)
    yield calendar.to_ical().removesuffix(_END)
    for task in tasks:
        yield component(task)
    yield _END


def _event(task: Task) -> bytes:
    """Return the VEVENT, with the lines in the library's order."""
    return _lines(
        ("BEGIN:", "VEVENT"),
        ("SUMMARY:", _escaped(task.title)),
        ("DTSTART;VALUE=DATE:", _day(task.due_date)),
        ("DTSTAMP:", _instant(task.updated_at)),
        ("UID:", _uid(task)),
        ("CATEGORIES:", _categories(task.tags)),
        ("CREATED:", _instant(task.created_at)),
        ("DESCRIPTION:", _text(task.description)),
        ("LAST-MODIFIED:", _instant(task.updated_at)),
        ("PRIORITY:", _PRIORITIES.get(task.priority)),
        ("TRANSP:", "TRANSPARENT"),
        ("END:", "VEVENT"),
    )


def _todo(task: Task) -> bytes:
    """Return the VTODO, with the lines in the library's order."""
    return _lines(
        ("BEGIN:", "VTODO"),
        ("CATEGORIES:", _categories(task.tags)),
        ("COMPLETED:", _instant(task.completed_at)),
        ("CREATED:", _instant(task.created_at)),
        ("DESCRIPTION:", _text(task.description)),
        ("DTSTAMP:", _instant(task.updated_at)),
        ("DUE;VALUE=DATE:", _day(task.due_date)),
        ("LAST-MODIFIED:", _instant(task.updated_at)),
        ("PRIORITY:", _PRIORITIES.get(task.priority)),
        ("STATUS:", "NEEDS-ACTION" if task.completed_at is None else "COMPLETED"),
        ("SUMMARY:", _escaped(task.title)),
        ("UID:", _uid(task)),
        ("X-TODO-EXTRA;VALUE=TEXT:", None if task.extra == EMPTY else _escaped(task.extra)),
        ("X-TODO-POSITION;VALUE=TEXT:", _text(task.position)),
        ("END:", "VTODO"),
    )


def _lines(*properties: tuple[str, str | None]) -> bytes:
    """Return the lines of the properties that have a value, each folded and ended."""
    lines = [_folded(name + value) for name, value in properties if value is not None]
    lines.append(b"")
    return b"\r\n".join(lines)


def _folded(line: str) -> bytes:
    raw = line.encode()
    if len(raw) < _FOLDED:
        return raw
    folded: bytes = Contentline(line).to_ical()  # type: ignore[no-untyped-call]  # the library has no types here
    return folded


def _text(text: str | None) -> str | None:
    return None if text is None else _escaped(text)


def _escaped(text: str) -> str:
    """Return a text in the form of RFC 5545, section 3.3.11, which has one kind of line break.

    The library's own form turns a backslash before an N into a line break, as in a Windows path.
    """
    text = text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\\n")


def _categories(tags: Iterable[str]) -> str | None:
    return ",".join(map(_escaped, tags)) or None


def _uid(task: Task) -> str:
    # Calendars take two components of one UID for one (RFC 7986, section 5.3), also from two deployments.
    return task.uid or derived_uid(task.user_id, task.id, task.created_at)


def _instant(instant: datetime | None) -> str | None:
    """Return a time in UTC to the second (RFC 5545, section 3.3.5)."""
    if instant is None:
        return None
    return text_of_instant(instant)[:19].replace("-", "").replace(":", "") + "Z"


def _day(day: date | None) -> str | None:
    return None if day is None else day.isoformat().replace("-", "")

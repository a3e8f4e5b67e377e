"""Tasks as CSV and as iCalendar, read back by the parsers that other programs use."""

import csv
import io
import json
import time
from datetime import UTC, date, timedelta

import icalendar
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from icalendar.prop import vCategory, vText

from store_contract.words import NASTY_IN_FILES as NASTY
from support import strategies
from support.clock import FakeClock
from todo_adapters.formats import calendar, spreadsheet
from todo_domain.importing import derived_uid, entry_of, uid_of
from todo_domain.instants import text_of_instant
from todo_domain.task import check_new, new_task

NOW = FakeClock().now


def task_of(members, *, uid=None):
    return new_task(check_new(members), id=7, uid=uid, owner="ann", revision=3, now=NOW)


def breaks(text):
    """What iCalendar keeps of a text: it knows one kind of line break."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def rows_of(tasks):
    text = b"".join(spreadsheet.lines(tasks)).decode()
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert header == list(spreadsheet.COLUMNS)
    return [dict(zip(header, row, strict=True)) for row in rows]


def plain(cell):
    """The cell without its guard."""
    return cell.removeprefix("'")


def check_row(row, task):
    for name in ("title", "description", "position", "uid"):
        assert plain(row[name]) == (getattr(task, name) or "")
    assert (row["id"], row["revision"], row["status"]) == (str(task.id), str(task.revision), task.status)
    assert row["priority"] == task.priority.name.lower()
    assert row["due_date"] == (task.due_date.isoformat() if task.due_date else "")
    assert tuple(json.loads(row["tags"])) == task.tags
    assert row["extra"] == task.extra
    assert row["created_at"] == task.created_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values())


def todos_of(tasks):
    read = icalendar.Calendar.from_ical(b"".join(calendar.components(tasks)))
    assert (read["version"], str(read["prodid"])) == ("2.0", "-//todo//todo//EN")
    assert all(not component.errors for component in read.walk())
    assert len(read.subcomponents) == len(read.walk("VTODO"))
    return read.walk("VTODO")


def check_todo(todo, task):
    assert str(todo["summary"]) == breaks(task.title)
    assert todo.get("description") == (None if task.description is None else breaks(task.description))
    assert (todo["due"].dt if "due" in todo else None) == task.due_date
    assert todo["status"] == ("COMPLETED" if task.completed else "NEEDS-ACTION")
    assert ("completed" in todo) == task.completed
    assert todo["created"].dt == task.created_at.astimezone(UTC).replace(microsecond=0)
    tags = todo["categories"].cats if "categories" in todo else []
    assert tuple(map(str, tags)) == tuple(map(breaks, task.tags))
    assert todo.get("x-todo-position") == task.position
    assert json.loads(todo.get("x-todo-extra", "{}")) == json.loads(task.extra)
    assert todo["uid"] == (task.uid or derived_uid("ann", 7, NOW))


class Escaped(vText):
    """A text whose form is ours, because the library takes a backslash before an N for a line break."""

    def to_ical(self):
        return calendar._escaped(self).encode()


def by_the_library(task, component):
    """The bytes of a task as the library's own component writes them."""
    made = component()
    for name, value in {
        "uid": task.uid or derived_uid(task.user_id, task.id, task.created_at),
        "dtstamp": task.updated_at,
        "created": task.created_at,
        "last-modified": task.updated_at,
        "summary": Escaped(task.title),
        "description": None if task.description is None else Escaped(task.description),
        "priority": {3: 1, 2: 5, 1: 9}.get(task.priority),
        "categories": vCategory([]) if task.tags else None,
    }.items():
        if value is not None:
            made.add(name, value)
    if task.tags:
        made["categories"].cats = [Escaped(tag) for tag in task.tags]
    if component is icalendar.Event:
        made.add("dtstart", task.due_date)
        made.add("transp", "TRANSPARENT")
        return made.to_ical()
    if task.due_date is not None:
        made.add("due", task.due_date)
    made.add("status", "COMPLETED" if task.completed else "NEEDS-ACTION")
    if task.completed:
        made.add("completed", task.completed_at)
    for name in ("position", "extra"):
        if (text := getattr(task, name)) not in {None, "{}"}:
            made.add(f"x-todo-{name}", Escaped(text), {"VALUE": "TEXT"})
    return made.to_ical()


MEMBERS = strategies.MEMBERS
TIMES = st.datetimes(timezones=st.just(UTC))
UIDS = st.none() | st.text("aZ0._~@-", min_size=10, max_size=128)
TASKS = st.builds(
    lambda members, uid, created_at, updated_at: task_of(members, uid=uid)._replace(
        created_at=created_at, updated_at=updated_at
    ),
    MEMBERS | st.text("a\\é,;\n", max_size=300).map(lambda text: check_new({"title": "x", "description": text})),
    UIDS,
    TIMES,
    TIMES,
)


@given(st.lists(MEMBERS.map(task_of), max_size=4))
@example([task_of({"title": "x" + text, "description": text}) for text in NASTY])
def test_csv_is_read_back_as_it_was(tasks):
    rows = rows_of(tasks)
    assert len(rows) == len(tasks)
    for row, task in zip(rows, tasks, strict=True):
        check_row(row, task)


@given(st.lists(MEMBERS.map(task_of), max_size=4))
@example([task_of({"title": "x" + text, "description": text}) for text in NASTY])
@example([task_of({"title": "x", "tags": [r"a\N", "b,c", r"\n"]})])
@example([task_of({"title": "x", "extra": {"a,b": ["c;d", "e\nf", 'g"h', "i\\j"]}})])
def test_icalendar_is_read_back_as_it_was_but_for_kinds_of_line_breaks(tasks):
    todos = todos_of(tasks)
    assert len(todos) == len(tasks)
    for todo, task in zip(todos, tasks, strict=True):
        check_todo(todo, task)


@given(TASKS)
@example(task_of({"title": "x" * 66}))
@example(task_of({"title": "x" * 67}))
@example(task_of({"title": "x", "description": "".join(NASTY) * 3, "tags": NASTY[:1], "extra": {"a": NASTY}}))
def test_a_task_in_icalendar_has_the_bytes_of_the_librarys_component(task):
    assert [*calendar.components([task])][1] == by_the_library(task, icalendar.Todo)
    if task.due_date is not None:
        assert [*calendar.events([task])][1] == by_the_library(task, icalendar.Event)


def test_a_short_task_in_icalendar_takes_a_small_part_of_the_time_of_the_librarys_component():
    """So that 10,000 of them are a feed within the time of a request."""
    tasks = [task_of({"title": f"task {number}", "due_date": date(2026, 12, 1)}) for number in range(50)]

    def fastest(write):
        found = []
        for _ in range(3):
            begun = time.thread_time()
            write()
            found.append(time.thread_time() - begun)
        return min(found)

    ours = fastest(lambda: list(calendar.events(tasks)))
    assert 4 * ours < fastest(lambda: [by_the_library(task, icalendar.Event) for task in tasks])


@pytest.mark.parametrize("text", [text for text in NASTY if text[:1] in "=+-@'\t\r" and text])
def test_a_cell_that_a_spreadsheet_would_calculate_is_guarded(text):
    (row,) = rows_of([task_of({"title": "x", "description": text})])
    assert row["description"] == "'" + text


def test_a_uid_is_of_one_task_alone_and_stays_with_it_when_it_moves():
    """Another user, deployment or time is another UID; the feed has that of the export, and of the task's import."""

    def uid(task):
        (todo,) = todos_of([task])
        (event,) = icalendar.Calendar.from_ical(b"".join(calendar.events([task]))).walk("VEVENT")
        assert todo["uid"] == event["uid"]
        return str(todo["uid"])

    task = task_of({"title": "x", "due_date": date(2026, 12, 1)})
    others = [{"user_id": "bob"}, {"id": 8}, {"created_at": NOW + timedelta(microseconds=1)}]
    assert len({uid(task._replace(**other)) for other in ({}, *others)}) == 4
    imported = entry_of({"title": "x"}, uid=None, id=7, created_at=text_of_instant(NOW), completed_at=None)
    assert uid(task) == uid_of(imported, "ann")
    assert uid(task._replace(revision=9, title="edited", updated_at=NOW + timedelta(days=1))) == uid(task)
    assert uid(task._replace(uid="a-name-of-its-own")) == "a-name-of-its-own"


def test_a_line_of_icalendar_is_at_most_75_bytes_and_ends_with_both():
    whole = b"".join(calendar.components([task_of({"title": "😀" * 200, "tags": ["é" * 50]})]))
    lines = whole.split(b"\r\n")
    assert lines.pop() == b""
    assert max(map(len, lines)) <= 75
    assert all(line.decode() for line in lines)


def test_a_file_without_tasks_is_a_file():
    assert rows_of([]) == []
    assert todos_of([]) == []


def test_the_columns_keep_their_order_so_that_a_program_may_read_them_by_index():
    """A column that is added comes behind these."""
    present = "id,uid,title,description,status,completed_at,priority,due_date,tags,position,extra,revision"
    present += ",created_at,updated_at"
    header = next(spreadsheet.lines([])).decode().removesuffix("\r\n")
    assert f"{header},".startswith(f"{present},")

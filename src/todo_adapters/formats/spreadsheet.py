"""Tasks as CSV (RFC 4180), in UTF-8: a header line, then one line for each task."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from todo_domain import Task

COLUMNS: Final = (
    "id",
    "uid",
    "title",
    "description",
    "status",
    "completed_at",
    "priority",
    "due_date",
    "tags",
    "position",
    "extra",
    "revision",
    "created_at",
    "updated_at",
)

_FORMULA: Final = ("=", "+", "-", "@", "'", "\t", "\r")
"""The first characters of a cell that a spreadsheet would evaluate, and the apostrophe of a guarded one."""


def lines(tasks: Iterable[Task]) -> Iterator[bytes]:
    """Yield the header line, then the line of each task. A member that is null is an empty cell."""
    written = io.StringIO(newline="")
    writer = csv.writer(written)
    writer.writerow(COLUMNS)
    yield _taken(written)
    for task in tasks:
        writer.writerow([guarded(cell) for cell in _cells(task)])
        yield _taken(written)


def guarded(cell: str) -> str:
    """Return the cell, with a leading apostrophe if a spreadsheet could evaluate it or it begins with an apostrophe."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell


def _cells(task: Task) -> list[str]:
    cells: list[Any] = [
        task.id,
        task.uid,
        task.title,
        task.description,
        task.status,
        task.completed_at and _instant(task.completed_at),
        task.priority.name.lower(),
        task.due_date,
        json.dumps(task.tags, ensure_ascii=False),
        task.position,
        task.extra,
        task.revision,
        _instant(task.created_at),
        _instant(task.updated_at),
    ]
    return ["" if cell is None else str(cell) for cell in cells]


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds")[:26] + "Z"


def _taken(written: io.StringIO) -> bytes:
    line = written.getvalue().encode()
    written.seek(0)
    written.truncate()
    return line

"""Tasks as CSV (RFC 4180), in UTF-8: a header line, then one line for each task."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from todo_domain import Priority, Task
from todo_domain.instants import text_of_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

COLUMNS: Final = tuple(
    column
    for field in Task._fields
    if field != "user_id"
    for column in (("status", field) if field == "completed_at" else (field,))
)
"""The fields of a task except its user, in their order, and `status`. Programs may read the columns by index, so a new
field is the last of `Task`."""

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


_values = attrgetter(*COLUMNS)

_TEXT: Final[Mapping[type, Callable[[Any], str]]] = {
    type(None): lambda _: "",
    datetime: text_of_instant,
    Priority: lambda priority: priority.name.lower(),
    tuple: lambda texts: json.dumps(texts, ensure_ascii=False),
}
"""The cell of a value of each type; the cell of another is `str()` of it."""


def _cells(task: Task) -> list[str]:
    return [_TEXT.get(type(value), str)(value) for value in _values(task)]


def _taken(written: io.StringIO) -> bytes:
    line = written.getvalue().encode()
    written.seek(0)
    written.truncate()
    return line

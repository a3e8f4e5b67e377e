"""Converts the domain's values to parameters of statements, and rows to the domain's values, for each engine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta
from sys import getsizeof
from typing import Any, Final

from todo_adapters.sql.values import Forms, Row
from todo_domain.changes import Changes, Tombstone
from todo_domain.errors import KeyReused
from todo_domain.memory_budget import MemoryBudget
from todo_domain.naming import Key
from todo_domain.owner import UserId
from todo_domain.ports import Once
from todo_domain.query import Query
from todo_domain.retention import KEYS_KEPT, retention
from todo_domain.task import Members, Priority, Task, new_task
from todo_domain.text import fold

Values = dict[str, Any]


def conditions(query: Query, forms: Forms) -> Values:
    """Return the parameters for the filters and the position of a query."""
    values: Values = {}
    if query.filtered:
        values = {
            "completed": query.completed,
            "text": None if query.text is None else fold(query.text),
            "priorities": forms.several(sorted({int(each) for each in query.priorities})) if query.priorities else None,
            "tags": forms.several([fold(tag) for tag in query.tags]) if query.tags else None,
            "due_after": query.due_after and forms.day(query.due_after),
            "due_before": query.due_before and forms.day(query.due_before),
            "has_due_date": query.has_due_date,
        }
    if query.after is not None:
        values["at"], values["at_id"] = _bound_value(query.after.value, forms), query.after.id
    return values


def named(owner: UserId, key: Key) -> Values:
    """Return the parameters that identify a task by its id or its uid."""
    return {"owner": owner, "uid": key} if isinstance(key, str) else {"owner": owner, "id": key}


def keyed(once: Once | None, now: datetime, forms: Forms) -> Values:
    """Return the parameters of an Idempotency-Key, if there is one."""
    if once is None:
        return {}
    moment, since = forms.instant(now), forms.instant(now - KEYS_KEPT)
    return {"key": once.key, "fingerprint": once.fingerprint, "keys_since": since, "now": moment}


def expired(owner: UserId, now: datetime, trash_kept: timedelta, forms: Forms) -> Values:
    """Return the parameters of a purge."""
    due = retention(now, trash_kept)
    return {
        "owner": owner,
        "keys_since": forms.instant(due.keys_since),
        "tombstones_since": forms.instant(due.tombstones_since),
        "trash_since": forms.instant(due.trash_since),
        "kept": due.kept,
        "trashed": due.trashed,
        "most": due.at_most,
    }


_STEP: Final = 262_144
"""Bytes of rows that are read between two counts."""

_ROW: Final = 700
"""Bytes of a row and its task, without the values of the columns."""


def counted(rows: Iterable[Row], budget: MemoryBudget | None) -> Iterable[Row]:
    """Return the rows. A budget counts their memory while they are read, and may raise BudgetExceeded."""
    return rows if budget is None else _counted(rows, budget)


def _counted(rows: Iterable[Row], budget: MemoryBudget) -> Iterator[Row]:
    size = 0
    for row in rows:
        size += _ROW + sum(map(getsizeof, row))
        size += sum(getsizeof(text) for value in row if type(value) is list for text in value)
        if size >= _STEP:
            budget.take(size)
            size = 0
        yield row
    budget.take(size)


def _bound_value(value: Any, forms: Forms) -> Any:  # noqa: ANN401  a value of any sort field
    match value:
        case datetime():
            return forms.instant(value)
        case date():
            return forms.day(value)
        case Priority():
            return int(value)
        case _:
            return value


_ID, _UID, _TITLE, _REVISION = (Task._fields.index(name) for name in ("id", "uid", "title", "revision"))
_DELETED_AT: Final = len(Task._fields)


def state_of(rows: Iterable[Row], task: Callable[[Row], Task]) -> Changes:
    """Return all tasks and the counter, from the rows of `statements.state`."""
    tasks, counter = [], 0
    for row in rows:
        counter = row[-1]
        if row[0] is not None:
            tasks.append(task(row))
    return Changes(tasks, [], counter, has_more=False)


def changed(
    rows: Sequence[Row], task: Callable[[Row], Task], instant: Callable[[Any], datetime]
) -> tuple[list[Task], list[Tombstone]]:
    """Return the tasks and the tombstones in the rows of `statements.changes`."""
    return (
        [task(row) for row in rows if row[_TITLE] is not None],
        [
            Tombstone(row[_ID], row[_UID], row[_REVISION], instant(row[_DELETED_AT]))
            for row in rows
            if row[_DELETED_AT] is not None
        ],
    )


def replayed(seen: Row, owner: UserId, members: Members, once: Once, instant: Callable[[Any], datetime]) -> Task:
    """Return the task that the first create returned, given the row of its key. Raises KeyReused."""
    fingerprint, task_id, revision, created_at = seen
    if fingerprint != once.fingerprint:
        raise KeyReused
    return new_task(members, id=task_id, owner=owner, revision=revision, now=instant(created_at))

"""The statement of an edit in PostgreSQL, by the rules of `Task.edited`, and its parameters."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from todo_adapters.sql.postgres.statements.writes import NEW, Conditions, changing, remembering
from todo_adapters.sql.rows import Values
from todo_adapters.sql.statements import MEMBERS, NOW, TASK, parameter, this_name, this_task
from todo_adapters.sql.tables import tasks
from todo_adapters.sql.task_columns import columns
from todo_adapters.sql.values import NUMBERS
from todo_adapters.sql.values import POSTGRESQL_FORMS as FORMS
from todo_domain.editing import Edit
from todo_domain.owner import UserId
from todo_domain.task import Members, Task, new_task

EDITABLE: Final = tuple(name for name in MEMBERS if not name.endswith("_key"))
"""The columns that an edit may give; `with_` and the name is the parameter that says whether it does.

There is a statement for each column, because most edits give one and accept any revision, and one for all other edits:
of one for each set of columns there would be 256, and a client could have all of them prepared.
"""


def _differs(name: str) -> sa.ColumnElement[bool]:
    column, value = tasks.c[name], MEMBERS[name]
    # The time of a completion is no member: a task that is complete already keeps its own.
    return column.is_(None) != value.is_(None) if name == "completed_at" else column.is_distinct_from(value)


def _with(name: str) -> sa.ColumnElement[bool]:
    return parameter(f"with_{name}", sa.Boolean)


_DIFFERS: Final = {name: _with(name) & _differs(name) for name in EDITABLE}
_LARGEST: Final = 2**63 - 1
_ACCEPTED: Final = parameter("accepted", NUMBERS)
_MADE_FROM: Final = parameter("made_from", sa.BigInteger)
_CHANGES: Final = sa.or_(*_DIFFERS.values())
_MAY: Final = sa.and_(
    _ACCEPTED.is_(None) | (tasks.c.revision == sa.func.any(_ACCEPTED)),
    _MADE_FROM.is_(None) | (tasks.c.revision == _MADE_FROM),
)
DUE: Final = sa.and_(_CHANGES, _MAY)
"""Whether the edit changes the task, and may."""


def _given(name: str) -> sa.ColumnElement[bool]:
    """Return whether the column gets its parameter.

    If a given member does not differ, the two are the same; only a completed task must keep its time. PostgreSQL sets
    up every comparison in a statement whenever it runs it, so the others are not made here once more.
    """
    member = name.removesuffix("_key")
    return _DIFFERS[member] if member == "completed_at" else _with(member)


_UPDATED: Final = {"updated_at": sa.func.greatest(tasks.c.updated_at, NOW)}
_EDITED: Final = _UPDATED | {
    name: sa.case((_given(name), value), else_=tasks.c[name]) for name, value in MEMBERS.items()
}


def _edited(column: str) -> dict[str, sa.ColumnElement[Any]]:
    return _UPDATED | {name: value for name, value in MEMBERS.items() if name.removesuffix("_key") == column}


def editing(named: sa.ColumnElement[bool], new: Conditions = ()) -> sa.Update:
    """Edit the task that matches, if the edit changes it and may, and the conditions `new` are met; return it then.

    Parameters say which columns the edit gives.
    """
    return changing(sa.and_(named, _MAY), _EDITED, *TASK, due=(_CHANGES,), new=new)


def editing_one(named: sa.ColumnElement[bool], column: str) -> sa.Update:
    """Do what `editing` does for an edit that gives this column alone, and accepts any revision."""
    return changing(named, _edited(column), *TASK, due=(_differs(column),))


edit: Final = editing(this_task)
edit_by_uid: Final = editing(this_name)
edit_once: Final = remembering(editing(this_task, NEW).cte("made"), *Task._fields)
edit_by_uid_once: Final = remembering(editing(this_name, NEW).cte("made"), *Task._fields)


def columns_given(members: Members) -> list[str]:
    """Return those of EDITABLE that an edit of these members gives."""
    return [
        name
        for name in EDITABLE
        if name in members or (name == "completed_at" and ("completed" in members or "status" in members))
    ]


def edit_values(edit: Edit, owner: UserId, now: datetime) -> Values:
    """Return the parameters of an edit, but for those that say which task and which columns."""
    draft = new_task({"title": "", **edit.members}, id=0, owner=owner, revision=0, now=now)
    return {
        **columns(draft, FORMS),
        "now": now,
        "accepted": None if edit.if_match is None else [_fitting(revision) for revision in edit.if_match],
        "made_from": _fitting(edit.members["revision"]) if "revision" in edit.members else None,
    }


def which(given: Collection[str]) -> Values:
    """Return the parameters that say which columns an edit gives, for the statement of all edits."""
    return {f"with_{name}": name in given for name in EDITABLE}


def _fitting(revision: int) -> int:
    """Return the revision, or one that no task has if PostgreSQL cannot take it."""
    return revision if 0 <= revision <= _LARGEST else -1

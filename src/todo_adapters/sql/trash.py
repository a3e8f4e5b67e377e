"""The statements of the trash that both engines share, and the conversion of their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from todo_adapters.sql.rows import Values
from todo_adapters.sql.statements import ID, OWNER, TASK, TRASH_SINCE, UID, at_most, parameter, this_user
from todo_adapters.sql.tables import tasks, trash, users
from todo_adapters.sql.values import Forms, Row
from todo_domain.owner import LARGEST_ID
from todo_domain.portability import Everything, everything_of
from todo_domain.task import Task
from todo_domain.trash import Trashed, TrashPage, trash_since

CARRIED: Final = tuple(column.name for column in tasks.columns if column.name not in {"user_id", "id", "revision"})
"""The columns of a task that its deletion copies to the trash, beside its user and its id."""

_TRASHED: Final = [trash.c.task_id.label("id") if name == "id" else trash.c[name] for name in Task._fields]
_NOT_EXPIRED: Final = trash.c.deleted_at > TRASH_SINCE

this_trashed: Final = sa.and_(trash.c.user_id == OWNER, trash.c.task_id == ID, _NOT_EXPIRED)
this_trashed_name: Final = sa.and_(trash.c.user_id == OWNER, trash.c.uid == UID, _NOT_EXPIRED)

whole: Final = sa.select(*_TRASHED, trash.c.deleted_at).where(trash.c.user_id == OWNER)
"""The whole trash, including expired tasks: the columns of `statements.TASK`, and the time of the deletion."""

row: Final = whole.where(trash.c.task_id == ID)
row_by_uid: Final = whole.where(trash.c.uid == UID)
page: Final = at_most(
    whole.where(trash.c.revision < parameter("before", sa.BigInteger), _NOT_EXPIRED).order_by(trash.c.revision.desc())
)
found: Final = sa.select(trash.c.task_id).where(this_trashed)
found_by_uid: Final = sa.select(trash.c.task_id).where(this_trashed_name)
discard: Final = sa.delete(trash).where(this_trashed).returning(trash.c.task_id)
discard_by_uid: Final = sa.delete(trash).where(this_trashed_name).returning(trash.c.task_id)
empty: Final = sa.delete(trash).where(trash.c.user_id == OWNER)


def _everything() -> sa.Select[Any]:
    """All tasks of the user and the whole trash, each with the counter; one row of nulls with it if there are none.

    It is one statement, so one snapshot: between two, a task could be deleted, and then be in both or in neither.
    """
    deleted_at = trash.c.deleted_at.type
    live = sa.select(*TASK, sa.cast(sa.null(), deleted_at).label("deleted_at")).where(tasks.c.user_id == OWNER)
    branches = (live.subquery("live"), whole.where(_NOT_EXPIRED).subquery("trash_rows"))
    kept = sa.union_all(*(sa.select(*branch.c) for branch in branches)).subquery("kept")
    return (
        sa.select(*kept.c, users.c.revision.label("counter"))
        .select_from(users.outerjoin(kept, sa.true()))
        .where(this_user)
    )


everything: Final = _everything()


def everything_in(
    rows: Iterable[Row],
    now: datetime,
    kept: timedelta,
    task: Callable[[Row], Task],
    instant: Callable[[Any], datetime],
) -> Everything:
    """Return the data in the rows of `everything`."""
    live: list[Task] = []
    trashed: list[Trashed] = []
    counter = 0
    for row in rows:
        counter = row[-1]
        if row[-2] is not None:
            deleted_at = instant(row[-2])
            trashed.append(Trashed(task(row), deleted_at, deleted_at + kept))
        elif row[0] is not None:
            live.append(task(row))
    return everything_of(live, trashed, counter, now)


def not_expired(now: datetime, kept: timedelta, forms: Forms) -> Values:
    """Return the parameter that excludes expired tasks."""
    return {"trash_since": forms.instant(trash_since(now, kept))}


def page_values(before: int | None, most: int | None) -> Values:
    """Return the other parameters of `page`, except the owner."""
    return {"before": LARGEST_ID + 1 if before is None else before, "most": most}


def page_of(
    rows: list[Row],
    limit: int | None,
    kept: timedelta,
    task: Callable[[Row], Task],
    instant: Callable[[Any], datetime],
) -> TrashPage:
    """Return the page in the rows of `page`; one row more than `limit` means that there is another page."""
    trashed = []
    for row in rows[:limit]:
        deleted_at = instant(row[-1])
        trashed.append(Trashed(task(row), deleted_at, deleted_at + kept))
    return TrashPage(trashed, more=limit is not None and len(rows) > limit)

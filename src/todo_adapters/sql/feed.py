"""The statements about feeds that both engines share, and the conversion of their rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import sqlalchemy as sa

from todo_adapters.sql.lists import unchanged
from todo_adapters.sql.statements import NOW, OWNER, TASK, ZERO, at_most, parameter, this_user
from todo_adapters.sql.tables import feeds, tasks, users
from todo_adapters.sql.values import Row
from todo_domain.errors import NotFound
from todo_domain.query import Page
from todo_domain.task import Task

_DIGEST: Final = parameter("digest", sa.LargeBinary)
_THIS_FEED: Final = feeds.c.user_id == OWNER


def make(upsert: Callable[[sa.Table], Any]) -> sa.Insert:
    """Return the statement that keeps a digest; `upsert` is the engine's own kind of INSERT."""
    kept = {"digest": _DIGEST, "created_at": NOW}
    made: sa.Insert = (
        upsert(feeds).values(user_id=OWNER, **kept).on_conflict_do_update(index_elements=[feeds.c.user_id], set_=kept)
    )
    return made


end: Final = sa.delete(feeds).where(_THIS_FEED).returning(feeds.c.user_id)
erase: Final = sa.delete(feeds).where(_THIS_FEED)


def _read() -> sa.Select[Any]:
    """At most `most` open tasks with a due date, each with the counter; no row unless the digest is the kept one.

    There is one row of nulls with the counter if there are no such tasks, or if the counter is `unless`. The tasks are
    joined to the row of the feed, so without that row none is read. It is one statement, so one snapshot.
    """
    due = at_most(
        sa.select(*TASK)
        .where(tasks.c.user_id == OWNER, tasks.c.completed_at.is_(None), tasks.c.due_date.is_not(None), ~unchanged())
        .order_by(tasks.c.due_date, tasks.c.id)
    ).subquery("due")
    counter = sa.select(users.c.revision).where(this_user).scalar_subquery()
    return (
        sa.select(*due.c, sa.func.coalesce(counter, ZERO).label("counter"))
        .select_from(feeds.outerjoin(due, sa.true()))
        .where(_THIS_FEED, feeds.c.digest == _DIGEST)
        .order_by(due.c.due_date, due.c.id)
    )


read: Final = _read()


def page_of(rows: Iterable[Row], limit: int | None, task: Callable[[Row], Task]) -> Page:
    """Return the page in the rows of `read`; one row more than `limit` means that there are more. Raises NotFound."""
    tasks, counter = [], None
    for row in rows:
        counter = row[-1]
        if row[0] is not None:
            tasks.append(task(row))
    if counter is None:
        raise NotFound
    return Page(tasks[:limit], counter, limit is not None and len(tasks) > limit)

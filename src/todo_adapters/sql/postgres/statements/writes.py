"""The writing statements of PostgreSQL: each write is a few of these, sent together as one transaction.

A statement takes its snapshot when it starts. The context in front of it takes the user's lock (`transaction.py`), so
the statement sees everything up to the user's last committed revision, and no other write moves it meanwhile.
The counter is moved only if the task is there to take the new revision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import Insert as Upsert
from sqlalchemy.dialects.postgresql import insert as upsert

from todo_adapters.sql.statements import (
    BEGINS,
    KEY,
    MEMBERS,
    NOW,
    ONE,
    OWNER,
    QUOTA,
    TASK,
    UID,
    ZERO,
    erased,
    expired_keys,
    expired_tombstones,
    expired_trash,
    next_number,
    parameter,
    remembered,
    this_deleted_name,
    this_name,
    this_task,
    this_user,
)
from todo_adapters.sql.tables import feeds, idempotency_keys, tasks, tombstones, trash, users
from todo_adapters.sql.trash import CARRIED, this_trashed, this_trashed_name
from todo_adapters.sql.values import NUMBERS
from todo_domain.task import Task

Conditions = Sequence[sa.ColumnElement[bool]]

_BUMPED: Final = users.c.revision + ONE


def _user(revision: sa.ColumnElement[int], task_count: sa.ColumnElement[int]) -> dict[str, sa.ColumnElement[Any]]:
    return {"id": OWNER, "revision": revision, "task_count": task_count, "horizon": BEGINS, "created_at": NOW}


_ABSENT: Final = _user(BEGINS, ZERO)


def _new_task(revision: sa.ColumnElement[int]) -> dict[str, sa.ColumnElement[Any]]:
    return {"user_id": OWNER, "revision": revision, **MEMBERS, "created_at": NOW, "updated_at": NOW}


def _create(*conditions: sa.ColumnElement[bool], **named: sa.ColumnElement[str]) -> sa.Insert:
    """Insert a task, and return its id and revision; no row for a user who has `quota` tasks.

    Nothing is done, and no user made, unless the conditions are met.
    """
    new = _user(BEGINS + ONE, ONE)
    within_quota = (
        upsert(users)
        .from_select(list(new), sa.select(*new.values()).where(QUOTA > ZERO, *conditions))
        .on_conflict_do_update(
            index_elements=[users.c.id],
            set_={"revision": _BUMPED, "task_count": users.c.task_count + ONE},
            where=users.c.task_count < QUOTA,
        )
        .returning(users.c.revision)
        .cte("within_quota")
    )
    return inserting(within_quota, **named)


def inserting(advanced: sa.CTE, **named: sa.ColumnElement[str]) -> sa.Insert:
    """Insert the task if `advanced` has a row, which is its revision; return its id and revision."""
    task = _new_task(advanced.c.revision) | named
    made = sa.insert(tasks).from_select(list(task), sa.select(*task.values()).select_from(advanced))
    return made.returning(tasks.c.id, tasks.c.revision).add_cte(advanced)


def _create_once() -> sa.Select[Any]:
    """Do what `create` does, and remember the key; nothing is done if the key is remembered already."""
    within_quota = (
        sa.update(users)
        .where(this_user, users.c.task_count < QUOTA, ~sa.exists(sa.select(ONE).where(remembered)))
        .values(revision=_BUMPED, task_count=users.c.task_count + ONE)
        .returning(users.c.revision)
        .cte("within_quota")
    )
    return remembering(inserting(within_quota).cte("made"))


def remembering(made: sa.CTE, *columns: str) -> sa.Select[Any]:
    """Store the key of the write `made`, with the id and revision that it returns; return these columns of `made`."""
    kept = keeping(OWNER, made.c.id, made.c.revision, made).cte("kept")
    return sa.select(*(made.c[name] for name in columns or ("id", "revision"))).add_cte(kept)


def keeping(
    user: sa.ColumnElement[str],
    task_id: sa.ColumnElement[int],
    revision: sa.ColumnElement[int],
    source: sa.FromClause,
    *conditions: sa.ColumnElement[bool],
) -> Upsert:
    """Store the key of a write with the user, id and revision that the source has, if it meets the conditions."""
    key = {
        "user_id": user,
        "key": KEY,
        "fingerprint": parameter("fingerprint", sa.LargeBinary),
        "task_id": task_id,
        "revision": revision,
        "created_at": NOW,
        "number": next_number(idempotency_keys),
    }
    entry = upsert(idempotency_keys).from_select(
        list(key), sa.select(*key.values()).select_from(source).where(*conditions)
    )
    return entry.on_conflict_do_update(
        index_elements=[idempotency_keys.c.user_id, idempotency_keys.c.key],
        set_={name: entry.excluded[name] for name in ("fingerprint", "task_id", "revision", "created_at", "number")},
    )


def changing(
    matches: sa.ColumnElement[bool],
    values: dict[str, Any],
    *returning: sa.Column[Any],
    due: Conditions = (),
    new: Conditions = (),
) -> sa.Update:
    """Move the counter and change the task that matches, under two kinds of conditions.

    Those of `due` are about the task, those of `new` about the key.
    """
    advanced = (
        sa.update(users)
        .where(this_user, sa.exists(sa.select(ONE).where(matches, *due)), *new)
        .values(revision=_BUMPED)
        .returning(users.c.revision)
        .cte("advanced")
    )
    changed = sa.update(tasks).where(matches).values(revision=advanced.c.revision, **values)
    return changed.returning(*returning).add_cte(advanced)


def _remove(matches: sa.ColumnElement[bool], *new: sa.ColumnElement[bool]) -> sa.Insert:
    """Replace the task that matches by a tombstone, if `expected` is null or holds its revision.

    With `to_trash`, the trash gets the task.
    """
    expected = parameter("expected", NUMBERS)
    gone = (
        sa.delete(tasks)
        .where(matches, expected.is_(None) | (tasks.c.revision == sa.func.any(expected)), *new)
        .returning(tasks.c.id, *(tasks.c[name] for name in CARRIED))
        .cte("gone")
    )
    advanced = (
        sa.update(users)
        .where(this_user, sa.exists(sa.select(ONE).select_from(gone)))
        .values(revision=_BUMPED, task_count=users.c.task_count - ONE)
        .returning(users.c.revision)
        .cte("advanced")
    )
    tombstone_row: dict[str, sa.ColumnElement[Any]] = {
        "user_id": OWNER,
        "task_id": gone.c.id,
        "uid": gone.c.uid,
        "revision": advanced.c.revision,
        "deleted_at": NOW,
        "number": next_number(tombstones),
    }
    inserted = sa.insert(tombstones).from_select(
        list(tombstone_row), sa.select(*tombstone_row.values()).select_from(gone.join(advanced, sa.true()))
    )
    trash_row: dict[str, sa.ColumnElement[Any]] = {
        "user_id": OWNER,
        "task_id": gone.c.id,
        "revision": advanced.c.revision,
        **{name: gone.c[name] for name in CARRIED},
        "deleted_at": NOW,
    }
    trashed = sa.insert(trash).from_select(
        list(trash_row),
        sa.select(*trash_row.values())
        .select_from(gone.join(advanced, sa.true()))
        .where(parameter("to_trash", sa.Boolean)),
    )
    return inserted.returning(tombstones.c.revision, tombstones.c.task_id.label("id")).add_cte(
        advanced, trashed.returning(trash.c.task_id).cte("trashed")
    )


def _restore(in_trash: sa.ColumnElement[bool]) -> sa.Insert:
    """Put the trashed task that matches back under its id, and return it; no row beyond the quota."""
    within_quota = (
        sa.update(users)
        .where(this_user, users.c.task_count < QUOTA, sa.exists(sa.select(ONE).where(in_trash)))
        .values(revision=_BUMPED, task_count=users.c.task_count + ONE)
        .returning(users.c.revision)
        .cte("within_quota")
    )
    taken = (
        sa.delete(trash)
        .where(in_trash, sa.exists(sa.select(ONE).select_from(within_quota)))
        .returning(trash.c.task_id, *(trash.c[name] for name in CARRIED))
        .cte("taken")
    )
    tombstone = sa.delete(tombstones).where(
        tombstones.c.user_id == OWNER, tombstones.c.task_id == sa.select(taken.c.task_id).scalar_subquery()
    )
    task: dict[str, sa.ColumnElement[Any]] = {
        "user_id": OWNER,
        "id": taken.c.task_id,
        "revision": within_quota.c.revision,
        **{name: taken.c[name] for name in CARRIED},
        "updated_at": sa.func.greatest(taken.c.updated_at, NOW),
    }
    put_back = sa.insert(tasks).from_select(
        list(task), sa.select(*task.values()).select_from(taken.join(within_quota, sa.true()))
    )
    return put_back.returning(*TASK).add_cte(tombstone.cte("tombstone"))


def _purge() -> sa.Select[Any]:
    """Remove what has expired, raise the horizon over the tombstones, and count the trash, keys and tombstones.

    See `todo_domain.retention.Retention`. It removes at most `Retention.at_most` rows of each kind.
    """
    forgotten = sa.delete(idempotency_keys).where(expired_keys).returning(idempotency_keys.c.revision).cte("forgotten")
    thrown_away = sa.delete(trash).where(expired_trash).returning(trash.c.revision).cte("thrown_away")
    gone = sa.delete(tombstones).where(expired_tombstones).returning(tombstones.c.revision).cte("gone")
    highest = sa.select(sa.func.max(gone.c.revision)).scalar_subquery()
    raised = (
        sa.update(users)
        .where(this_user, sa.exists(sa.select(ONE).select_from(gone)))
        .values(horizon=sa.func.greatest(users.c.horizon, highest))
        .cte("raised")
    )
    counts = [sa.select(sa.func.count()).select_from(each).scalar_subquery() for each in (thrown_away, forgotten, gone)]
    return sa.select(*counts).add_cte(raised)


def _erase() -> sa.Update:
    """Delete every row of the user, and move the counter and the horizon past every known revision."""
    everything = [
        sa.delete(table).where(table.c.user_id == OWNER).cte(f"no_{table.name}")
        for table in (tasks, trash, tombstones, idempotency_keys, feeds)
    ]
    return sa.update(users).where(this_user).values(**erased()).add_cte(*everything)


provision: Final = (
    upsert(users)
    .from_select(list(_ABSENT), sa.select(*_ABSENT.values()).where(QUOTA > ZERO))
    .on_conflict_do_nothing(index_elements=[users.c.id])
)
"""Inserts the user's row, if there is none."""

NEW: Final = (~sa.exists(sa.select(ONE).where(remembered)),)
"""The condition of a write with a key: the key is not stored yet."""

create: Final = _create()
UNNAMED: Final = (~sa.exists(sa.select(ONE).where(this_name)), ~sa.exists(sa.select(ONE).where(this_deleted_name)))
create_by_uid: Final = _create(*UNNAMED, uid=UID)
"""Does what `create` does, unless there is a task or a tombstone of this uid."""

create_by_uid_once: Final = remembering(_create(*UNNAMED, *NEW, uid=UID).cte("made"))
create_once: Final = _create_once()

UNCHANGED: Final = sa.and_(this_task, tasks.c.revision == parameter("expected", sa.BigInteger))
REPLACED: Final = {**MEMBERS, "updated_at": parameter("updated_at", tasks.c.updated_at.type)}
replace: Final = changing(UNCHANGED, REPLACED, tasks.c.revision)
replace_once: Final = remembering(
    changing(UNCHANGED, REPLACED, tasks.c.id, tasks.c.revision, new=NEW).cte("made"), "revision"
)
TOGGLED: Final = {
    "completed_at": sa.case((tasks.c.completed_at.is_(None), NOW), else_=sa.null()),
    "updated_at": sa.func.greatest(tasks.c.updated_at, NOW),
}
toggle: Final = changing(this_task, TOGGLED, *TASK)
toggle_by_uid: Final = changing(this_name, TOGGLED, *TASK)
toggle_once: Final = remembering(changing(this_task, TOGGLED, *TASK, new=NEW).cte("made"), *Task._fields)
toggle_by_uid_once: Final = remembering(changing(this_name, TOGGLED, *TASK, new=NEW).cte("made"), *Task._fields)
remove: Final = _remove(this_task)
remove_by_uid: Final = _remove(this_name)
remove_once: Final = remembering(_remove(this_task, *NEW).cte("made"), "revision")
remove_by_uid_once: Final = remembering(_remove(this_name, *NEW).cte("made"), "revision")
restore: Final = _restore(this_trashed)
restore_by_uid: Final = _restore(this_trashed_name)
purge: Final = _purge()
erase: Final = _erase()

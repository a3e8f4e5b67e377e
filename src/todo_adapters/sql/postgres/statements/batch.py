"""The statements of a batch on PostgreSQL: one reads the snapshot, one applies all the changes or none.

The rows of the changes are sent as JSON, because PostgreSQL has no arrays of arrays of different lengths, and so that
the text of a statement does not depend on their number.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSON

from todo_adapters.sql.rows import Values, changed
from todo_adapters.sql.statements import (
    MEMBERS,
    NOW,
    ONE,
    OWNER,
    ZERO,
    gone_changes,
    live_changes,
    next_number,
    parameter,
    this_user,
)
from todo_adapters.sql.tables import tasks, tombstones, trash, users
from todo_adapters.sql.task_columns import columns, task_from_postgresql
from todo_adapters.sql.trash import CARRIED, whole
from todo_adapters.sql.values import FOLDED, NUMBERS, TEXTS, Forms, Row
from todo_domain.changeset import Changeset, Snapshot
from todo_domain.instants import text_of_instant
from todo_domain.naming import Key
from todo_domain.owner import UserId, first_counter
from todo_domain.task import Task

_IN_JSON: Final = Forms(instant=text_of_instant, day=lambda day: day.isoformat(), several=list)

_WHOLE: Final = (*MEMBERS, "created_at", "updated_at")
_TOMBSTONES: Final = parameter("tombstones", NUMBERS)
_RESTORED: Final = parameter("restored_ids", NUMBERS)
_IDS: Final = parameter("ids", NUMBERS)
_UIDS: Final = parameter("uids", TEXTS)
_ABSENT: Final = parameter("absent", TEXTS)
_EXACT: Final = parameter("exact", sa.BigInteger)
_WRITES: Final = parameter("writes", sa.BigInteger)


def _rows(name: str, *own: sa.ColumnClause[Any]) -> sa.TableValuedAlias:
    """Return the rows of the JSON parameter of this name; each has the step in which the batch last wrote it."""
    document = sa.cast(parameter(name, sa.Text), JSON)
    known = (sa.column("id", sa.BigInteger), sa.column("uid", FOLDED), sa.column("step", sa.BigInteger))
    rows = sa.func.json_to_recordset(document).table_valued(*known, *own)
    return rows.render_derived(name=f"{name}_row", with_types=True)


def _whole_columns() -> list[sa.ColumnClause[Any]]:
    return [sa.column(name, tasks.c[name].type) for name in _WHOLE]


def _task_row(rows: sa.TableValuedAlias, advanced: sa.FromClause) -> dict[str, sa.ColumnElement[Any]]:
    """Return the values of an inserted task except its id."""
    values = {name: rows.c[name] for name in _WHOLE}
    return {"user_id": OWNER, "uid": rows.c.uid, "revision": advanced.c.begun + rows.c.step, **values}


def _snapshot() -> sa.Select[Any]:
    """Find the tasks of these ids and uids, the trashed ones, and the tombstones of these uids.

    Each row also has the user's counter, horizon and number of tasks.
    """
    branches = (
        live_changes().where(tasks.c.id == sa.func.any(_IDS)).subquery("live"),
        live_changes().where(tasks.c.uid == sa.func.any(_UIDS)).subquery("named"),
        gone_changes().where(tombstones.c.uid == sa.func.any(_UIDS)).subquery("gone"),
        whole.where(trash.c.task_id == sa.func.any(_IDS)).subquery("trash_rows"),
        whole.where(trash.c.uid == sa.func.any(_UIDS)).subquery("trash_rows_named"),
    )
    change = sa.union_all(*(sa.select(*branch.c) for branch in branches)).subquery("change")
    return (
        sa.select(*change.c, users.c.revision.label("counter"), users.c.horizon, users.c.task_count)
        .select_from(users.outerjoin(change, sa.true()))
        .where(this_user)
    )


def conditions() -> tuple[sa.ColumnElement[bool], ...]:
    """Return the preconditions of a batch; they are for a statement that reads the user's row."""
    must = (
        sa.func.unnest(parameter("expected_ids", NUMBERS), parameter("expected_revisions", NUMBERS))
        .table_valued(sa.column("id", sa.BigInteger), sa.column("revision", sa.BigInteger))
        .render_derived(name="must")
    )
    unchanged = (
        sa.select(sa.func.count())
        .select_from(tasks.join(must, sa.and_(tasks.c.id == must.c.id, tasks.c.revision == must.c.revision)))
        .where(tasks.c.user_id == OWNER)
        .scalar_subquery()
    )
    leaving = (
        sa.func.unnest(_TOMBSTONES, parameter("tombstone_revisions", NUMBERS))
        .table_valued(sa.column("id", sa.BigInteger), sa.column("revision", sa.BigInteger))
        .render_derived(name="leaving")
    )
    at_revision = sa.and_(tombstones.c.task_id == leaving.c.id, tombstones.c.revision == leaving.c.revision)
    still_there = (
        sa.select(sa.func.count())
        .select_from(tombstones.join(leaving, at_revision))
        .where(tombstones.c.user_id == OWNER)
        .scalar_subquery()
    )
    lying = (
        sa.select(sa.func.count())
        .where(trash.c.user_id == OWNER, trash.c.task_id == sa.func.any(_RESTORED))
        .scalar_subquery()
    )
    named = sa.select(ONE).where(tasks.c.user_id == OWNER, tasks.c.uid == sa.func.any(_ABSENT))
    deleted_name = sa.select(ONE).where(tombstones.c.user_id == OWNER, tombstones.c.uid == sa.func.any(_ABSENT))
    return (
        this_user,
        users.c.task_count.between(parameter("count_least", sa.Integer), parameter("count_most", sa.Integer)),
        users.c.horizon <= parameter("seen_revision", sa.BigInteger),
        _EXACT.is_(None) | (users.c.revision == _EXACT),
        unchanged == sa.func.cardinality(parameter("expected_ids", NUMBERS)),
        still_there == sa.func.cardinality(_TOMBSTONES),
        lying == sa.func.cardinality(_RESTORED),
        ~sa.exists(named),
        ~sa.exists(deleted_name),
    )


MOVED: Final = {
    "revision": users.c.revision + _WRITES,
    "task_count": users.c.task_count + parameter("growth", sa.Integer),
}
"""The values of the user's row after a batch."""


def insert_new(advanced: sa.FromClause) -> sa.Insert:
    """Insert the tasks that get an id, if `advanced` has a row, in which `begun` is the counter before the batch."""
    new = _rows("made", sa.column("ordinal", sa.BigInteger), *_whole_columns())
    row = _task_row(new, advanced)
    found = sa.select(*row.values()).select_from(new.join(advanced, sa.true())).order_by(new.c.ordinal)
    return sa.insert(tasks).from_select(list(row), found)


def report(advanced: sa.FromClause) -> sa.Select[Any]:
    """Return what `apply` does, by the uids of the tasks that were inserted."""
    new = _rows("made", sa.column("ordinal", sa.BigInteger), *_whole_columns())
    named = tasks.c.uid.in_(sa.select(new.c.uid))
    made = sa.select(tasks.c.id, tasks.c.uid).where(tasks.c.user_id == OWNER, named).subquery("made")
    return sa.select(advanced.c.begun, made.c.uid, made.c.id).select_from(advanced.outerjoin(made, sa.true()))


def other_changes(advanced: sa.FromClause, made: sa.FromClause) -> dict[str, sa.UpdateBase]:
    """Return the statements of the other changes by their names; `made` has the ids and uids of the inserted tasks."""
    there = sa.exists(sa.select(ONE).select_from(advanced))
    tombstones_removed = sa.delete(tombstones).where(
        tombstones.c.user_id == OWNER, tombstones.c.task_id == sa.func.any(_TOMBSTONES), there
    )
    back = _rows("restored", *_whole_columns())
    back_row = {**_task_row(back, advanced), "id": back.c.id}
    restored = sa.insert(tasks).from_select(
        list(back_row), sa.select(*back_row.values()).select_from(back.join(advanced, sa.true()))
    )
    edit = _rows("edited", *_whole_columns())
    edited = (
        sa.update(tasks)
        .where(tasks.c.user_id == OWNER, tasks.c.id == edit.c.id)
        .values(revision=advanced.c.begun + edit.c.step, **{name: edit.c[name] for name in _WHOLE})
    )
    deletion = _rows("deleted", *_whole_columns())
    removed = sa.delete(tasks).where(
        tasks.c.user_id == OWNER, tasks.c.id == sa.func.any(parameter("deleted_ids", NUMBERS)), there
    )
    task_id = sa.func.coalesce(sa.func.nullif(deletion.c.id, ZERO), made.c.id)
    tombstone = {
        "user_id": OWNER,
        "task_id": task_id,
        "uid": deletion.c.uid,
        "revision": advanced.c.begun + deletion.c.step,
        "deleted_at": NOW,
        "number": next_number(tombstones) + sa.func.row_number().over(order_by=deletion.c.step) - ONE,
    }
    its_own = sa.and_(deletion.c.id == ZERO, made.c.uid == deletion.c.uid)
    deletions = deletion.join(advanced, sa.true()).outerjoin(made, its_own)
    marked = sa.insert(tombstones).from_select(list(tombstone), sa.select(*tombstone.values()).select_from(deletions))
    trash_row = {
        "user_id": OWNER,
        "task_id": task_id,
        "revision": advanced.c.begun + deletion.c.step,
        **{name: deletion.c[name] for name in CARRIED},
        "deleted_at": NOW,
    }
    trashed = sa.insert(trash).from_select(
        list(trash_row),
        sa.select(*trash_row.values()).select_from(deletions).where(parameter("to_trash", sa.Boolean)),
    )
    return {
        "edited": edited,
        "removed": removed,
        "tombstones_added": marked.returning(tombstones.c.task_id),
        "trashed": trashed.returning(trash.c.task_id),
        "tombstones_removed": tombstones_removed,
        "put_back": restored.returning(tasks.c.id),
    }


def _apply() -> sa.Select[Any]:
    """Apply all the changes if their preconditions still hold; return the counter before them and each assigned id.

    A task that the batch creates and deletes is inserted to get its id; `remove_passing` deletes it afterwards.
    """
    begun = (users.c.revision - _WRITES).label("begun")
    advanced = sa.update(users).where(*conditions()).values(**MOVED).returning(begun).cte("advanced")
    made = insert_new(advanced).returning(tasks.c.id, tasks.c.uid).cte("made")
    parts = (part.cte(name) for name, part in other_changes(advanced, made).items())
    return (
        sa.select(advanced.c.begun, made.c.uid, made.c.id)
        .select_from(advanced.outerjoin(made, sa.true()))
        .add_cte(*parts)
    )


def _remove_passing() -> sa.Delete:
    """Delete the tasks of these uids that have a tombstone already: those that `apply` inserted to get an id."""
    tombstone = sa.select(ONE).where(tombstones.c.user_id == OWNER, tombstones.c.task_id == tasks.c.id)
    passing = tasks.c.uid == sa.func.any(parameter("passing", TEXTS))
    return sa.delete(tasks).where(tasks.c.user_id == OWNER, passing, sa.exists(tombstone))


snapshot: Final = _snapshot()
apply: Final = _apply()
remove_passing: Final = _remove_passing()


def snapshot_values(owner: UserId, keys: Collection[Key]) -> Values:
    """Return the parameters of `snapshot`."""
    ids = [key for key in keys if isinstance(key, int)]
    return {"owner": owner, "ids": ids or "{}", "uids": [key for key in keys if isinstance(key, str)] or "{}"}


def snapshot_of(rows: Sequence[Row]) -> Snapshot:
    """Return the snapshot in the rows of `snapshot`; a user who never wrote has no rows."""
    found, deleted = changed(rows, task_from_postgresql, lambda deleted_at: deleted_at)
    revision, horizon, task_count = rows[0][-3:] if rows else (0, 0, 0)
    dead = {tombstone.id: tombstone for tombstone in deleted}
    live = {task.id: task for task in found if task.id not in dead}
    trashed = {task.id: task for task in found if task.id in dead}
    return Snapshot(revision, horizon, task_count, list(live.values()), list(dead.values()), trashed)


def apply_values(owner: UserId, changes: Changeset, now: datetime, *, to_trash: bool) -> Values:
    """Return the parameters of `apply` and of the statements around it."""
    begun = changes.revision
    ordinals = {uid: ordinal for ordinal, uid in enumerate(changes.made)}
    passing = [task for task in changes.deleted if task.id == 0]
    restored = changes.restored
    made = [_row(task, begun, ordinal=ordinals[task.uid or ""]) for task in (*changes.tasks, *passing) if task.id == 0]
    edited = [_row(task, begun) for task in changes.tasks if task.id and task.id not in changes.tombstones]
    back = [_row(task, begun) for task in changes.tasks if task.id in changes.tombstones]
    deleted = [_row(task, begun) for task in changes.deleted]
    return {
        "owner": owner,
        "now": now,
        "to_trash": to_trash,
        "begins": first_counter(now),
        "quota": len(changes.made),  # a batch that creates nothing makes no user
        "writes": changes.writes,
        "growth": changes.growth,
        "count_least": changes.least,
        "count_most": changes.most,
        "seen_revision": begun,
        "exact": begun if changes.exact else None,
        "expected_ids": list(changes.expected) or "{}",
        "expected_revisions": list(changes.expected.values()) or "{}",
        "tombstones": list(changes.tombstones) or "{}",
        "tombstone_revisions": list(changes.tombstones.values()) or "{}",
        "restored_ids": restored or "{}",
        "absent": list(changes.absent) or "{}",
        "made": _json(made),
        "restored": _json(back),
        "edited": _json(edited),
        "deleted": _json(deleted),
        "deleted_ids": [task.id for task in changes.deleted if task.id] or "{}",
        "passing": [task.uid for task in passing] or "{}",
    }


def _row(task: Task, begun: int, **more: object) -> Mapping[str, object]:
    times = {name: text_of_instant(getattr(task, name)) for name in ("created_at", "updated_at")}
    return {"id": task.id, "uid": task.uid, "step": task.revision - begun, **columns(task, _IN_JSON), **times, **more}


def _json(rows: Iterable[Mapping[str, object]]) -> str:
    return json.dumps(list(rows), ensure_ascii=False)

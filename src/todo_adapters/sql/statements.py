"""The reading statements of both engines, and the parameters of all statements.

Every statement names its user by the parameter `owner` for each table that it touches, and contains no literal value:
so it reads only one user's rows, on one shard. `lists.py` has the pages; the writing statements of each engine are in
`postgres/statements/writes.py` and `sqlite/writes.py`.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.sql.type_api import TypeEngine

from todo_adapters.sql.tables import idempotency_keys, tasks, tombstones, trash, users
from todo_adapters.sql.task_columns import Columns
from todo_adapters.sql.values import INSTANT
from todo_domain.task import Task


def parameter(name: str, type_: TypeEngine[Any] | type[TypeEngine[Any]]) -> sa.BindParameter[Any]:
    """Return a named parameter without a value."""
    return sa.bindparam(name, type_=type_, required=True)


# A Python number would become a parameter with a generated name.
ONE: Final = sa.literal_column("1", sa.BigInteger)
ZERO: Final = sa.literal_column("0", sa.BigInteger)

OWNER: Final = parameter("owner", sa.Text)
ID: Final = parameter("id", sa.BigInteger)
UID: Final = parameter("uid", tasks.c.uid.type)
NOW: Final = parameter("now", INSTANT)
BEGINS: Final = parameter("begins", sa.BigInteger)
"""The first counter of a new user: see `todo_domain.owner.first_counter`."""
QUOTA: Final = parameter("quota", sa.Integer)
SINCE: Final = parameter("since", sa.BigInteger)
MOST: Final = parameter("most", sa.Integer)
KEY: Final = parameter("key", sa.Text)
KEYS_SINCE: Final = parameter("keys_since", INSTANT)
TOMBSTONES_SINCE: Final = parameter("tombstones_since", INSTANT)
TRASH_SINCE: Final = parameter("trash_since", INSTANT)
TRASHED: Final = parameter("trashed", sa.Integer)
KEPT: Final = parameter("kept", sa.Integer)

TASK: Final = [tasks.c[name] for name in Task._fields]
"""The columns of a task, in the order of the entity's fields."""

MEMBERS: Final = {name: parameter(name, tasks.c[name].type) for name in Columns.__annotations__}
"""The columns that clients set, each with the parameter of its name."""

this_user: Final = users.c.id == OWNER
this_task: Final = sa.and_(tasks.c.user_id == OWNER, tasks.c.id == ID)
this_name: Final = sa.and_(tasks.c.user_id == OWNER, tasks.c.uid == UID)
this_deleted_name: Final = sa.and_(tombstones.c.user_id == OWNER, tombstones.c.uid == UID)
remembered: Final = sa.and_(
    idempotency_keys.c.user_id == OWNER, idempotency_keys.c.key == KEY, idempotency_keys.c.created_at > KEYS_SINCE
)

in_trash: Final = sa.exists(
    sa.select(ONE).where(trash.c.user_id == OWNER, trash.c.task_id == tombstones.c.task_id).correlate(tombstones)
)
"""Whether the trash holds the task of a tombstone, expired or not."""

get: Final = sa.select(*TASK).where(this_task)
get_by_uid: Final = sa.select(*TASK).where(this_name)
tombstone_by_uid: Final = sa.select(
    tombstones.c.task_id,
    tombstones.c.uid,
    tombstones.c.revision,
    tombstones.c.deleted_at,
    in_trash,
).where(this_deleted_name)
"""The tombstone of a uid, in the order of `todo_domain.changes.Tombstone`, and whether the trash holds its task."""

tombstone: Final = sa.select(tombstones.c.revision).where(tombstones.c.user_id == OWNER, tombstones.c.task_id == ID)

counter: Final = sa.select(users.c.revision).where(this_user)
user_row: Final = sa.select(users.c.revision, users.c.horizon, users.c.task_count).where(this_user)

seen: Final = sa.select(
    idempotency_keys.c.fingerprint,
    idempotency_keys.c.task_id,
    idempotency_keys.c.revision,
    idempotency_keys.c.created_at,
).where(remembered)


def erased() -> dict[str, sa.ColumnElement[Any]]:
    """Return the values of a user's row after all other data of the user is erased."""
    bumped = users.c.revision + ONE
    return {"revision": bumped, "horizon": bumped, "task_count": ZERO, "created_at": parameter("began", INSTANT)}


def at_most(select: sa.Select[Any]) -> sa.Select[Any]:
    """Return the statement limited to its first `most` rows."""
    return select.limit(MOST).offset(ZERO)  # without it, SQLite's compiler adds an offset as a literal value


def _latest_number(table: sa.Table) -> sa.ScalarSelect[int]:
    latest = sa.select(table.c.number).where(table.c.user_id == OWNER).order_by(table.c.revision.desc())
    return latest.limit(ONE).offset(ZERO).scalar_subquery()


def next_number(table: sa.Table) -> sa.ColumnElement[int]:
    """Return the number of the user's next row in a table whose oldest rows are purged."""
    return sa.func.coalesce(_latest_number(table), ZERO) + ONE


def _oldest(table: sa.Table, expired: sa.ColumnElement[bool], beyond: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """Match those of the user's `most` oldest rows, by revision, that are expired or have too many newer ones."""
    own = table.c.user_id == OWNER
    oldest = at_most(sa.select(table.c.revision).where(own).order_by(table.c.revision)).subquery("oldest")
    # A bound is evaluated once; for IN, PostgreSQL may scan all rows of the user.
    return sa.and_(
        own, expired | beyond, table.c.revision <= sa.select(sa.func.max(oldest.c.revision)).scalar_subquery()
    )


def _newer(table: sa.Table, count: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Match the user's rows that have at least `count` newer ones, by revision."""
    newest = sa.select(table.c.revision).where(table.c.user_id == OWNER).order_by(table.c.revision.desc())
    return table.c.revision <= newest.limit(ONE).offset(count).scalar_subquery()


def _numbered_newer(table: sa.Table) -> sa.ColumnElement[bool]:
    """Match the user's rows after which at least `kept` rows were inserted, counting deleted ones."""
    return table.c.number <= _latest_number(table) - KEPT


def _state() -> sa.Select[Any]:
    """All tasks of the user by revision, each with the counter; one row of nulls with it if there are none."""
    live = sa.select(*TASK).where(tasks.c.user_id == OWNER).subquery("live")
    return (
        sa.select(*live.c, users.c.revision.label("counter"))
        .select_from(users.outerjoin(live, sa.true()))
        .where(this_user)
        .order_by(live.c.revision)
    )


def live_changes() -> sa.Select[Any]:
    """Return the statement for the user's tasks, with a null for the deletion time of `gone_changes`."""
    never = sa.cast(sa.null(), tombstones.c.deleted_at.type).label("deleted_at")
    return sa.select(*TASK, never).where(tasks.c.user_id == OWNER)


def gone_changes() -> sa.Select[Any]:
    """Return the statement for the user's tombstones, in the columns of `live_changes`."""
    known = {
        "id": tombstones.c.task_id,
        "uid": tombstones.c.uid,
        "user_id": tombstones.c.user_id,
        "revision": tombstones.c.revision,
    }
    return sa.select(
        *(known.get(name, sa.cast(sa.null(), tasks.c[name].type)).label(name) for name in Task._fields),
        tombstones.c.deleted_at,
    ).where(tombstones.c.user_id == OWNER)


def _changes() -> sa.Select[Any]:
    """At most `most` tasks and at most `most` tombstones after `since`, each with the counter and the horizon.

    It is one statement, so one snapshot: between two, a purge could move the horizon past an unreported deletion.
    """
    live = live_changes().where(tasks.c.revision > SINCE).order_by(tasks.c.revision)
    gone = gone_changes().where(tombstones.c.revision > SINCE).order_by(tombstones.c.revision)
    branches = (at_most(live).subquery("live"), at_most(gone).subquery("gone"))
    change = sa.union_all(*(sa.select(*branch.c) for branch in branches)).subquery("change")
    return (
        sa.select(*change.c, users.c.revision.label("counter"), users.c.horizon)
        .select_from(users.outerjoin(change, sa.true()))
        .where(this_user)
        .order_by(change.c.revision)
    )


expired_keys: Final = _oldest(
    idempotency_keys, idempotency_keys.c.created_at <= KEYS_SINCE, _numbered_newer(idempotency_keys)
)
expired_tombstones: Final = _oldest(
    tombstones,
    tombstones.c.deleted_at <= TOMBSTONES_SINCE,
    # Tombstones of restored tasks leave gaps in the numbers, so the numbers only show when counting is needed.
    sa.case((_numbered_newer(tombstones), _newer(tombstones, KEPT)), else_=sa.false()),
)
expired_trash: Final = _oldest(trash, trash.c.deleted_at <= TRASH_SINCE, _newer(trash, TRASHED))
"""The rows that a purge removes: see `todo_domain.retention.Retention`."""

state: Final = _state()
changes: Final = _changes()

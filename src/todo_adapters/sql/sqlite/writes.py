"""The writing statements of SQLite: the steps of a write, inside one transaction (see `store.py`).

SQLite has no statement that writes two tables, so one statement of `postgres/statements/writes.py` is several here.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert

from todo_adapters.sql.statements import (
    BEGINS,
    ID,
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
    this_task,
    this_user,
)
from todo_adapters.sql.tables import idempotency_keys, task_ids, tasks, tombstones, trash, users
from todo_adapters.sql.trash import CARRIED, this_trashed
from todo_adapters.sql.values import INSTANT, NUMBERS

_REVISION: Final = parameter("new_revision", sa.BigInteger)
_BUMPED: Final = users.c.revision + ONE

provision: Final = (
    upsert(users)
    .values(id=OWNER, revision=BEGINS, task_count=ZERO, horizon=BEGINS, created_at=NOW)
    .on_conflict_do_nothing(index_elements=[users.c.id])
)

admit: Final = (
    sa.update(users)
    .where(this_user, users.c.task_count < QUOTA)
    .values(revision=_BUMPED, task_count=users.c.task_count + ONE)
    .returning(users.c.revision)
)
"""Takes the user's next revision for one more task; no row beyond the quota."""

next_revision: Final = sa.update(users).where(this_user).values(revision=_BUMPED).returning(users.c.revision)

dismiss: Final = (
    sa.update(users)
    .where(this_user)
    .values(revision=_BUMPED, task_count=users.c.task_count - ONE)
    .returning(users.c.revision)
)

advance: Final = (
    sa.update(users)
    .where(this_user)
    .values(
        revision=users.c.revision + parameter("writes", sa.BigInteger),
        task_count=users.c.task_count + parameter("growth", sa.Integer),
    )
    .returning(users.c.revision)
)
"""Takes the revisions of a whole batch."""

next_id: Final = sa.update(task_ids).values(last=task_ids.c.last + ONE).returning(task_ids.c.last)

_TIMES: Final = {name: parameter(name, INSTANT) for name in ("created_at", "updated_at")}
insert: Final = sa.insert(tasks).values(user_id=OWNER, id=ID, uid=UID, revision=_REVISION, **MEMBERS, **_TIMES)

remember: Final = (
    upsert(idempotency_keys)
    .values(
        user_id=OWNER,
        key=KEY,
        fingerprint=parameter("fingerprint", sa.LargeBinary),
        task_id=ID,
        revision=_REVISION,
        created_at=NOW,
        number=next_number(idempotency_keys),
    )
    .on_conflict_do_update(
        index_elements=[idempotency_keys.c.user_id, idempotency_keys.c.key],
        set_={
            name: sa.literal_column(f"excluded.{name}")
            for name in ("fingerprint", "task_id", "revision", "created_at", "number")
        },
    )
)

replace: Final = (
    sa.update(tasks)
    .where(this_task, tasks.c.revision == parameter("expected", sa.BigInteger))
    .values(revision=_REVISION, **MEMBERS, updated_at=parameter("updated_at", tasks.c.updated_at.type))
)

rewrite: Final = sa.update(tasks).where(this_task).values(revision=_REVISION, **MEMBERS, **_TIMES)
"""The `replace` of a batch, which has checked the revisions and may set `created_at`."""

toggle: Final = (
    sa.update(tasks)
    .where(this_task)
    .values(
        revision=_REVISION,
        completed_at=sa.case((tasks.c.completed_at.is_(None), NOW), else_=sa.null()),
        # max() of several arguments is SQLite's greatest()
        updated_at=sa.func.max(tasks.c.updated_at, NOW),
    )
    .returning(*TASK)
)

_expected: Final = parameter("expected", NUMBERS)
remove: Final = (
    sa.delete(tasks)
    .where(
        this_task,
        _expected.is_(None)
        | tasks.c.revision.in_(sa.select(sa.func.json_each(_expected).table_valued("value").c.value)),
    )
    .returning(*(tasks.c[name] for name in CARRIED))
)

insert_tombstone: Final = sa.insert(tombstones).values(
    user_id=OWNER, task_id=ID, uid=UID, revision=_REVISION, deleted_at=NOW, number=next_number(tombstones)
)

insert_trash: Final = sa.insert(trash).values(
    user_id=OWNER,
    task_id=ID,
    revision=_REVISION,
    **{name: parameter(name, tasks.c[name].type) for name in CARRIED},
    deleted_at=NOW,
)

_RESTORED: Final = {
    "user_id": OWNER,
    "id": trash.c.task_id,
    "revision": _REVISION,
    **{name: trash.c[name] for name in CARRIED},
    "updated_at": sa.func.max(trash.c.updated_at, NOW),
}
restore: Final = (
    sa.insert(tasks).from_select(list(_RESTORED), sa.select(*_RESTORED.values()).where(this_trashed)).returning(*TASK)
)

remove_tombstone: Final = sa.delete(tombstones).where(tombstones.c.user_id == OWNER, tombstones.c.task_id == ID)
"""The row in the trash is deleted with it."""

forget: Final = sa.delete(idempotency_keys).where(expired_keys)

purge_tombstones: Final = sa.delete(tombstones).where(expired_tombstones).returning(tombstones.c.revision)

erase_tasks: Final = sa.delete(tasks).where(tasks.c.user_id == OWNER)
erase_tombstones: Final = sa.delete(tombstones).where(tombstones.c.user_id == OWNER)
erase_keys: Final = sa.delete(idempotency_keys).where(idempotency_keys.c.user_id == OWNER)
begin_anew: Final = sa.update(users).where(this_user).values(**erased())

throw_away: Final = sa.delete(trash).where(expired_trash)

raise_horizon: Final = (
    sa.update(users).where(this_user).values(horizon=sa.func.max(users.c.horizon, parameter("horizon", sa.BigInteger)))
)

"""A batch in statements that each insert into one table at most: see `citus_writes`.

The first stores a mark among the keys if the preconditions hold, and the others do something only while it is there.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as upsert

from todo_adapters.sql.postgres.statements import batch
from todo_adapters.sql.statements import NOW, ONE, OWNER, ZERO, parameter, this_user
from todo_adapters.sql.tables import idempotency_keys, tasks, users
from todo_adapters.sql.values import TEXTS

_KEY: Final = sa.literal_column("'a batch'", sa.Text)
"""No client can send this key, because it has a space."""

_MARK: Final = sa.and_(idempotency_keys.c.user_id == OWNER, idempotency_keys.c.key == _KEY)


def _mark() -> sa.ClauseElement:
    row = {
        "user_id": users.c.id,
        "key": _KEY,
        "fingerprint": sa.literal_column("'-'", sa.LargeBinary),
        "task_id": ONE,
        "revision": users.c.revision + ONE,
        "created_at": NOW,
        "number": ZERO,
    }
    found = sa.select(*row.values()).where(*batch.conditions())
    marked = upsert(idempotency_keys).from_select(list(row), found)
    return marked.on_conflict_do_nothing(index_elements=["user_id", "key"]).returning(idempotency_keys.c.revision)


_ADVANCED: Final = sa.select((idempotency_keys.c.revision - ONE).label("begun")).where(_MARK).subquery("advanced")


def _changes() -> tuple[sa.ClauseElement, ...]:
    passing = tasks.c.uid == sa.func.any(parameter("passing", TEXTS))
    made = sa.select(tasks.c.id, tasks.c.uid).where(tasks.c.user_id == OWNER, passing).subquery("made")
    parts = batch.other_changes(_ADVANCED, made)
    in_order = (
        parts[name] for name in ("tombstones_removed", "put_back", "edited", "removed", "tombstones_added", "trashed")
    )
    return _mark(), batch.insert_new(_ADVANCED).returning(tasks.c.id), *in_order


before_report: Final = _changes()
report: Final = batch.report(_ADVANCED)
"""Returns what `batch.apply` does."""

after_report: Final = (
    sa.update(users).where(this_user, sa.exists(sa.select(ONE).where(_MARK))).values(**batch.MOVED),
    sa.delete(idempotency_keys).where(_MARK),
    batch.remove_passing,
)

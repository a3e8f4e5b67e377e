"""The tables in SQLAlchemy Core. Each key begins with the user, so the rows of one user lie together.

The types are chosen so that one statement compiles for both engines: SQLite stores instants as text of fixed width in
UTC (`2026-11-22T09:15:00.123456Z`), dates as ISO text and lists as JSON text; each sorts and compares like its value.

On PostgreSQL, the check of one column belongs to the column's domain; here it belongs to the table, as on SQLite.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from todo_adapters.sql.task_columns import checks_of_a_task, columns_of_a_task
from todo_adapters.sql.values import FOLDED, INSTANT
from todo_domain.owner import LARGEST_ID, LONGEST_USER_ID

ROLE: Final = "todo_app"
"""The role that every statement runs as on PostgreSQL, with any login."""

metadata: Final = sa.MetaData()

SINCE_REVISION: Final = "since revision"
"""The key in a table's `info` with the revision that adds the table; absent for the baseline's tables."""

_DOMAINS: Final = {
    "users.id": "todo_user_id",
    "users.revision": "todo_counter",
    "users.task_count": "todo_task_count",
    "tasks.title": "todo_title",
    "tasks.description": "todo_description",
    "tasks.title_key": "todo_title_key",
    "tasks.description_key": "todo_description_key",
    "tasks.revision": "todo_revision",
    "tasks.priority": "todo_priority",
    "tasks.tags": "todo_tags",
    "tasks.tags_key": "todo_tags",
    "tasks.uid": "todo_uid",
    "tasks.position": "todo_position",
    "tasks.extra": "todo_extra",
    "idempotency_keys.key": "todo_key",
    "idempotency_keys.fingerprint": "todo_fingerprint",
}

_OF_A_USER: Final = "users.id"


def _by_uid(table: str) -> sa.Index:
    """Return the unique index on the uids of a user; rows without a uid have no entry."""
    named = sa.text("uid IS NOT NULL")
    return sa.Index(f"{table}_uid", "user_id", "uid", unique=True, postgresql_where=named, sqlite_where=named)


def _owner(table: str) -> sa.Column[str]:
    owner = sa.ForeignKey(_OF_A_USER, name=f"{table}_user_id_fkey", ondelete="CASCADE")
    return sa.Column("user_id", sa.Text, owner, nullable=False)


def _number() -> sa.Column[int]:
    """Return the column that numbers a user's rows: the difference of two numbers is the number of rows between."""
    return sa.Column("number", sa.BigInteger, nullable=False)


users: Final = sa.Table(
    "users",
    metadata,
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("task_count", sa.Integer, nullable=False),
    sa.Column("horizon", sa.BigInteger, nullable=False),
    sa.Column("created_at", INSTANT, nullable=False),
    sa.PrimaryKeyConstraint("id", name="users_pkey"),
    sa.CheckConstraint(f"length(id) BETWEEN 1 AND {LONGEST_USER_ID}", name="users_id_length"),
    sa.CheckConstraint(f"revision BETWEEN 0 AND {LARGEST_ID}", name="users_revision_range"),
    sa.CheckConstraint("task_count >= 0", name="users_task_count_range"),
    sa.CheckConstraint("horizon BETWEEN 0 AND revision", name="users_horizon_range"),
    # Every write updates its user's row; the free space keeps the new version on the same page.
    postgresql_with={"fillfactor": 70},
    sqlite_with_rowid=False,
)

tasks: Final = sa.Table(
    "tasks",
    metadata,
    _owner("tasks"),
    # Not ALWAYS, because a restored task is inserted under its old id.
    sa.Column("id", sa.BigInteger, sa.Identity(always=False, maxvalue=LARGEST_ID), nullable=False),
    *columns_of_a_task(),
    sa.PrimaryKeyConstraint("user_id", "id", name="tasks_pkey"),
    # On PostgreSQL the sequence ends there.
    sa.CheckConstraint(f"id BETWEEN 1 AND {LARGEST_ID}", name="tasks_id_range").ddl_if(dialect="sqlite"),
    *checks_of_a_task("tasks"),
    sa.Index("tasks_newest", "user_id", sa.desc("created_at"), sa.desc("id")),
    sa.Index("tasks_revision", "user_id", "revision", unique=True),
    _by_uid("tasks"),
    sqlite_with_rowid=False,
)

tombstones: Final = sa.Table(
    "tombstones",
    metadata,
    _owner("tombstones"),
    sa.Column("task_id", sa.BigInteger, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("deleted_at", INSTANT, nullable=False),
    _number(),
    sa.Column("uid", FOLDED),
    sa.PrimaryKeyConstraint("user_id", "task_id", name="tombstones_pkey"),
    sa.Index("tombstones_revision", "user_id", "revision", unique=True),
    _by_uid("tombstones"),
    sqlite_with_rowid=False,
)

trash: Final = sa.Table(
    "trash",
    metadata,
    # Its user is the tombstone's.
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("task_id", sa.BigInteger, nullable=False),
    *columns_of_a_task(),
    sa.Column("deleted_at", INSTANT, nullable=False),
    sa.PrimaryKeyConstraint("user_id", "task_id", name="trash_pkey"),
    sa.ForeignKeyConstraint(
        ["user_id", "task_id"],
        ["tombstones.user_id", "tombstones.task_id"],
        name="trash_tombstone_fkey",
        ondelete="CASCADE",
    ),
    *checks_of_a_task("trash"),
    sa.Index("trash_revision", "user_id", "revision", unique=True),
    _by_uid("trash"),
    info={SINCE_REVISION: "0004"},
    sqlite_with_rowid=False,
)

idempotency_keys: Final = sa.Table(
    "idempotency_keys",
    metadata,
    _owner("idempotency_keys"),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False),
    sa.Column("task_id", sa.BigInteger, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("created_at", INSTANT, nullable=False),
    _number(),
    sa.PrimaryKeyConstraint("user_id", "key", name="idempotency_keys_pkey"),
    sa.CheckConstraint("length(key) BETWEEN 1 AND 255", name="idempotency_keys_key_length"),
    sa.CheckConstraint("length(fingerprint) BETWEEN 1 AND 64", name="idempotency_keys_fingerprint_length"),
    sa.Index("idempotency_keys_revision", "user_id", "revision", unique=True),
    sqlite_with_rowid=False,
)

feeds: Final = sa.Table(
    "feeds",
    metadata,
    # A user who never wrote may have a feed, and has no row in `users`. The columns have no domains: Citus keeps the
    # rows of a user together only if the columns of user ids are of one type.
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("created_at", INSTANT, nullable=False),
    sa.PrimaryKeyConstraint("user_id", name="feeds_pkey"),
    sa.CheckConstraint(f"length(user_id) BETWEEN 1 AND {LONGEST_USER_ID}", name="feeds_user_id_length"),
    sa.CheckConstraint("length(digest) BETWEEN 1 AND 64", name="feeds_digest_length"),
    info={SINCE_REVISION: "0005"},
    sqlite_with_rowid=False,
)

DOMAINS: Final = _DOMAINS | {
    f"trash.{column}": domain
    for table, _, column, domain in ((*name.partition("."), domain) for name, domain in _DOMAINS.items())
    if table == "tasks"
}
"""The domains of columns on PostgreSQL; the check of a domain is the check of the column above."""

sqlite_metadata: Final = sa.MetaData()
"""The additional table of SQLite, which does not number a column of a composite key."""

task_ids: Final = sa.Table(
    "task_ids",
    sqlite_metadata,
    sa.Column("one", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("last", sa.BigInteger, nullable=False),
    sa.CheckConstraint("one = 1", name="task_ids_one_row"),
)

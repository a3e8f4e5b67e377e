"""The trash: a row for each deleted task that can still be restored, beside its tombstone.

It only adds a table, so the release before goes on: what that release deletes cannot be restored, and where it purges a
tombstone, the row here goes with it.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, DOMAIN

revision = "0004"
down_revision = "0003"

_TEXTS: Final = sa.Text().with_variant(ARRAY(sa.Text()), "postgresql")
_FOLDED: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
_INSTANT: Final = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
_DAY: Final = sa.Date().with_variant(sa.Text(), "sqlite")
_EMPTY: Final = {"postgresql": "'{}'", "sqlite": "'[]'"}
_MINE: Final = "user_id = nullif(current_setting('todo.user_id', true), '')"


def upgrade() -> None:
    """Create the table; the lock that its foreign key takes on `tombstones` is held for this transaction alone."""
    op.create_table(
        "trash",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("task_id", sa.BigInteger, nullable=False),
        _checked("title", sa.Text(), "todo_title", nullable=False),
        _checked("description", sa.Text(), "todo_description"),
        sa.Column("completed_at", _INSTANT),
        _checked("title_key", _FOLDED, "todo_title_key", nullable=False),
        _checked("description_key", _FOLDED, "todo_description_key"),
        _checked("revision", sa.BigInteger(), "todo_revision", nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("updated_at", _INSTANT, nullable=False),
        _checked("priority", sa.SmallInteger(), "todo_priority", nullable=False, server_default=sa.text("0")),
        sa.Column("due_date", _DAY),
        _checked("tags", _TEXTS, "todo_tags", nullable=False, server_default=_nothing()),
        _checked("tags_key", _TEXTS, "todo_tags", nullable=False, server_default=_nothing()),
        _checked("uid", _FOLDED, "todo_uid"),
        _checked("position", _FOLDED, "todo_position"),
        _checked("extra", sa.Text(), "todo_extra"),
        sa.Column("deleted_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("user_id", "task_id", name="trash_pkey"),
        sa.ForeignKeyConstraint(
            ["user_id", "task_id"],
            ["tombstones.user_id", "tombstones.task_id"],
            name="trash_tombstone_fkey",
            ondelete="CASCADE",
        ),
        *_on_sqlite(
            trash_title_length="length(title) BETWEEN 1 AND 255",
            trash_description_length="length(description) <= 5000",
            trash_title_key_length="length(title_key) BETWEEN 1 AND 765",
            trash_description_key_length="length(description_key) <= 15000",
            trash_revision_range="revision >= 1",
            trash_priority_range="priority BETWEEN 0 AND 3",
            trash_tags_count="json_array_length(tags) <= 20",
            trash_tags_key_count="json_array_length(tags_key) <= 20",
            trash_uid_length="length(uid) BETWEEN 10 AND 128",
            trash_position_length="length(position) BETWEEN 1 AND 64",
            trash_extra_length="length(CAST(extra AS BLOB)) BETWEEN 3 AND 4096",
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("trash_revision", "trash", ["user_id", "revision"], unique=True)
    named = {"postgresql_where": sa.text("uid IS NOT NULL"), "sqlite_where": sa.text("uid IS NOT NULL")}
    op.create_index("trash_uid", "trash", ["user_id", "uid"], unique=True, **named)
    if _on_postgresql():
        op.execute("ALTER TABLE trash ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE trash FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner_only ON trash FOR ALL USING ({_MINE}) WITH CHECK ({_MINE})")
        op.execute("GRANT SELECT, INSERT, DELETE ON trash TO todo_app")


def downgrade() -> None:
    """Drop the table: what lies in the trash is then gone for good."""
    op.drop_table("trash")


def _on_postgresql() -> bool:
    return op.get_context().dialect.name == "postgresql"


def _checked(name: str, type_: sa.types.TypeEngine[Any], domain: str, **options: Any) -> sa.Column[Any]:  # noqa: ANN401  a column's options
    """Return a column that is of the domain on PostgreSQL, and of the type on SQLite."""
    named = DOMAIN(domain, sa.Text(), create_type=False)
    return sa.Column(name, named if _on_postgresql() else type_, **options)


def _on_sqlite(**checks: str) -> list[sa.CheckConstraint]:
    return [] if _on_postgresql() else [sa.CheckConstraint(check, name=name) for name, check in checks.items()]


def _nothing() -> sa.TextClause:
    return sa.text(_EMPTY[op.get_context().dialect.name])

"""Priority, due date and tags. Expand only: every statement of the previous release goes on working.

On PostgreSQL the defaults are constants, so no row is rewritten; the checks hold for new rows at once, and old rows
are looked at afterwards, under a lock that nobody who reads or writes has to wait for.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"

_COLUMNS = ("priority", "due_date", "tags", "tags_key")
_CHECKS = {
    "tasks_priority_range": "priority BETWEEN 0 AND 3",
    "tasks_tags_count": "cardinality(tags) <= 20",
    "tasks_tags_key_count": "cardinality(tags_key) <= 20",
}


def upgrade() -> None:
    """Add the columns. Each step may be repeated, since a lock that is not to be had breaks the migration off."""
    if op.get_context().dialect.name == "sqlite":
        _upgrade_sqlite()
        return
    op.execute(
        "ALTER TABLE tasks"
        " ADD COLUMN IF NOT EXISTS priority smallint DEFAULT 0 NOT NULL,"
        " ADD COLUMN IF NOT EXISTS due_date date,"
        " ADD COLUMN IF NOT EXISTS tags text[] DEFAULT '{}' NOT NULL,"
        " ADD COLUMN IF NOT EXISTS tags_key text[] DEFAULT '{}' NOT NULL"
    )
    for name, check in _CHECKS.items():
        # One that a broken off migration left behind is put back at once, in the same transaction.
        op.execute(f"-- squawk-ignore ban-drop-constraint\nALTER TABLE tasks DROP CONSTRAINT IF EXISTS {name}")
        op.execute(f"ALTER TABLE tasks ADD CONSTRAINT {name} CHECK ({check}) NOT VALID")
    with op.get_context().autocommit_block():
        # Long enough for a vacuum to be told to give way; this lock keeps neither readers nor writers waiting.
        op.execute("SET lock_timeout = '5s'")
        for name in _CHECKS:
            op.execute(f"ALTER TABLE tasks VALIDATE CONSTRAINT {name}")
        op.execute("SET lock_timeout = '200ms'")


def downgrade() -> None:
    """Drop the columns; every task stays, with all that the older schema knows of it."""
    for name in _COLUMNS:
        op.drop_column("tasks", name)


def _upgrade_sqlite() -> None:
    # A check that belongs to its column goes when the column goes.
    for column in (
        "priority SMALLINT DEFAULT 0 NOT NULL CONSTRAINT tasks_priority_range CHECK (priority BETWEEN 0 AND 3)",
        "due_date TEXT",
        "tags TEXT DEFAULT '[]' NOT NULL CONSTRAINT tasks_tags_count CHECK (json_array_length(tags) <= 20)",
        "tags_key TEXT DEFAULT '[]' NOT NULL CONSTRAINT tasks_tags_key_count CHECK (json_array_length(tags_key) <= 20)",
    ):
        op.execute(f"ALTER TABLE tasks ADD COLUMN {column}")

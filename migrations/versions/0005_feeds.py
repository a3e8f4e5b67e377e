"""Feeds: a row for each user who has a calendar feed, with the digest of its token.

It only adds a table, so the release before goes on. Where that release erases a user, the feed stays until the user
ends it or is erased once more.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_INSTANT: Final = sa.TIMESTAMP(timezone=True).with_variant(sa.Text(), "sqlite")
_MINE: Final = "user_id = nullif(current_setting('todo.user_id', true), '')"


def upgrade() -> None:
    """Create the table; no other table is touched."""
    op.create_table(
        "feeds",
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="feeds_pkey"),
        sa.CheckConstraint("length(user_id) BETWEEN 1 AND 255", name="feeds_user_id_length"),
        sa.CheckConstraint("length(digest) BETWEEN 1 AND 64", name="feeds_digest_length"),
        sqlite_with_rowid=False,
    )
    if op.get_context().dialect.name == "postgresql":
        op.execute("ALTER TABLE feeds ENABLE ROW LEVEL SECURITY")
        op.execute("ALTER TABLE feeds FORCE ROW LEVEL SECURITY")
        op.execute(f"CREATE POLICY owner_only ON feeds FOR ALL USING ({_MINE}) WITH CHECK ({_MINE})")
        op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON feeds TO todo_app")


def downgrade() -> None:
    """Drop the table: every feed ends."""
    op.drop_table("feeds")

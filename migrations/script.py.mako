"""${message}."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """Only expand: the previous release goes on serving during this and after it."""
    ${upgrades if upgrades else "raise NotImplementedError"}


def downgrade() -> None:
    """Keep what the older schema can hold."""
    ${downgrades if downgrades else "raise NotImplementedError"}

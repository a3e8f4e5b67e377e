"""`todo purge`: the removal of expired rows of every user, for a job that runs each day."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from todo_adapters.sql.purging import purge

if TYPE_CHECKING:
    from datetime import datetime

    from todo_app.settings import Settings


def purge_expired(settings: Settings, now: datetime) -> str:
    """Remove what has expired, and return a sentence that says how much that was. Raises SqlError."""
    users, trash, keys, tombstones = purge(settings.direct_address, now, timedelta(days=settings.trash_days))
    return f"purged: {trash:,} tasks of the trash, {keys:,} keys and {tombstones:,} tombstones of {users:,} users"

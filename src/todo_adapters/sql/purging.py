"""The removal of expired rows of all users, including users who never write again, in short transactions."""

from __future__ import annotations

from datetime import datetime, timedelta

from todo_adapters.sql.addresses import database_url
from todo_adapters.sql.schema import Purged, SqlError


def purge(url: str, now: datetime, trash_kept: timedelta) -> Purged:
    """Remove every user's expired trash, keys and tombstones, as their own writes would; the service may run meanwhile.

    Each transaction is one user's, and removes at most PURGE_AT_MOST rows of each kind, under the lock of that user.
    What was removed before a failure stays removed; the next purge does the rest. Raises SqlError.
    """
    database = database_url(url)
    if database.kind == "memory":
        raise SqlError("memory: has nothing to purge: name a file or a server in TODO_DATABASE_URL")
    if database.file is not None:
        from todo_adapters.sql.sqlite.commands import purging as sqlite_purging  # noqa: PLC0415  the other engine's driver

        return sqlite_purging.purge(database.file, now, trash_kept)
    from todo_adapters.sql.postgres.commands import purging as postgres_purging  # noqa: PLC0415  SQLite needs no such driver

    return postgres_purging.purge(database.url or "", now, trash_kept)

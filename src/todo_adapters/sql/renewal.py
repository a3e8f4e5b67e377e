"""Renews the data after a restored backup, so that all revisions that clients know become stale."""

from __future__ import annotations

from todo_adapters.sql.addresses import database_url
from todo_adapters.sql.schema import CannotRenewError, Renewed


def renew(url: str, counter: int) -> Renewed:
    """Move the counter and the horizon of every user to `counter`, never backwards, and the ids by IDS_SKIPPED.

    Every revision assigned after the backup is then stale, every list tag changes, and every device gets 410 `resync`
    once. Raises CannotRenewError and then changes nothing.
    """
    database = database_url(url)
    if database.kind == "memory":
        raise CannotRenewError("memory: has no data to restore: name a file or a server in TODO_DATABASE_URL")
    if database.file is not None:
        from todo_adapters.sql.sqlite.commands import renewal as sqlite_renewal  # noqa: PLC0415  the other engine's driver

        return sqlite_renewal.renew(database.file, counter)
    from todo_adapters.sql.postgres.commands import renewal as postgres_renewal  # noqa: PLC0415  SQLite needs no such driver

    return postgres_renewal.renew(database.url or "", counter)

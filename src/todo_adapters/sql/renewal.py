"""What follows a restored backup, before anybody is served: nothing that clients know fits the data any more."""

from __future__ import annotations

from todo_adapters.sql.addresses import database_url
from todo_adapters.sql.schema import CannotRenewError, Renewed


def renew(url: str, counter: int) -> Renewed:
    """Move the counter and the horizon of every user to `counter`, never backwards, and the ids by IDS_SKIPPED.

    So every revision that was handed out after the copy was made is stale, every list tag is another, and every
    device gets 410 `resync` once. Raises CannotRenewError, and changes nothing then.
    """
    database = database_url(url)
    if database.kind == "memory":
        raise CannotRenewError("memory: keeps nothing that could be restored")
    if database.file is not None:
        from todo_adapters.sql.sqlite import renewal as sqlite_renewal  # noqa: PLC0415  the other engine's driver

        return sqlite_renewal.renew(database.file, counter)
    from todo_adapters.sql.postgres import renewal as postgres_renewal  # noqa: PLC0415  SQLite needs no such driver

    return postgres_renewal.renew(database.url or "", counter)

"""The steps that reads and writes of a SQLite file share, each inside a transaction."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta

from todo_adapters.sql.rows import Values, expired
from todo_adapters.sql.sqlite import texts
from todo_adapters.sql.task_columns import columns, task_from_sqlite
from todo_adapters.sql.trash import CARRIED
from todo_adapters.sql.values import SQLITE_FORMS
from todo_domain.changes import Tombstone
from todo_domain.errors import Gone, KeyReused, NotFound, Repeated, Stale
from todo_domain.instants import text_of_instant
from todo_domain.owner import UserId
from todo_domain.retention import purge_is_due
from todo_domain.task import Task


def require_new(connection: sqlite3.Connection, values: Values) -> None:
    """Raise Repeated or KeyReused if the write has a key that was used already."""
    if "key" in values and (seen := connection.execute(texts.SEEN, values).fetchone()) is not None:
        raise Repeated if seen[0] == values["fingerprint"] else KeyReused


def finish(connection: sqlite3.Connection, values: Values, now: datetime, trash_kept: timedelta) -> None:
    """Store the key of a write, if it has one, and purge if that is due."""
    if "key" in values:
        connection.execute(texts.REMEMBER, values)
    purge(connection, values["owner"], values["new_revision"], now, trash_kept)


def find(connection: sqlite3.Connection, values: Values) -> None:
    """Add the id to parameters that have only a uid."""
    if "id" not in values:
        values["id"] = get(connection, values).id


def get(connection: sqlite3.Connection, values: Values) -> Task:
    """Return the task that the parameters name. Raises the errors of `Tasks.get`."""
    by_id = "id" in values
    if (row := connection.execute(texts.GET if by_id else texts.GET_BY_UID, values).fetchone()) is not None:
        return task_from_sqlite(row)
    if not by_id:
        require_not_gone(connection, values)
    raise NotFound


def require_not_gone(connection: sqlite3.Connection, values: Values) -> None:
    """Raise Gone if there is a tombstone of the uid."""
    if (row := connection.execute(texts.TOMBSTONE_BY_UID, values).fetchone()) is not None:
        task_id, uid, revision, deleted_at, in_trash = row
        tombstone = Tombstone(task_id, uid, revision, datetime.fromisoformat(deleted_at))
        raise Gone(tombstone, restorable=bool(in_trash))


def replace(connection: sqlite3.Connection, values: Values, edited: Task, now: datetime, trash_kept: timedelta) -> Task:
    """Store an edited task, which the file has at its revision; return it at the new one. `values` name its owner."""
    values |= {"id": edited.id, "expected": edited.revision, "updated_at": text_of_instant(edited.updated_at)}
    values |= columns(edited, SQLITE_FORMS)
    (values["new_revision"],) = connection.execute(texts.NEXT_REVISION, values).fetchone()
    connection.execute(texts.REPLACE, values)
    finish(connection, values, now, trash_kept)
    return edited._replace(revision=values["new_revision"])


def delete(connection: sqlite3.Connection, values: Values, *, to_trash: bool) -> None:
    """Delete the task that the parameters name, insert its tombstone, and insert it into the trash. Raises Stale."""
    if (removed := connection.execute(texts.REMOVE, values).fetchone()) is None:
        raise Stale(get(connection, values))
    values |= zip(CARRIED, removed, strict=True)
    (values["new_revision"],) = connection.execute(texts.DISMISS, values).fetchone()
    connection.execute(texts.INSERT_TOMBSTONE, values)
    if to_trash:
        connection.execute(texts.INSERT_TRASH, values)


def purge(
    connection: sqlite3.Connection, owner: UserId, revision: int, now: datetime, trash_kept: timedelta, writes: int = 1
) -> None:
    """Purge if it is due after the last `writes` writes, which advanced the counter to `revision`."""
    if purge_is_due(revision, writes):
        remove_expired(connection, owner, now, trash_kept)


def remove_expired(
    connection: sqlite3.Connection, owner: UserId, now: datetime, trash_kept: timedelta
) -> tuple[int, int, int]:
    """Remove what has expired, raise the horizon over the tombstones, and count the trash, keys and tombstones.

    See `todo_domain.retention.Retention`. The work is bounded, whatever there is.
    """
    values = expired(owner, now, trash_kept, SQLITE_FORMS)
    keys = connection.execute(texts.FORGET, values).rowcount
    trash = connection.execute(texts.THROW_AWAY, values).rowcount
    if gone := connection.execute(texts.PURGE_TOMBSTONES, values).fetchall():
        connection.execute(texts.RAISE_HORIZON, values | {"horizon": max(revision for (revision,) in gone)})
    return trash, keys, len(gone)

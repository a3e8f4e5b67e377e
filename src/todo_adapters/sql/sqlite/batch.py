"""The snapshot and the changes of a batch on a SQLite file, each inside a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from datetime import datetime, timedelta

from todo_adapters.sql.rows import Values, named
from todo_adapters.sql.sqlite import steps, texts
from todo_adapters.sql.task_columns import columns, task_from_sqlite
from todo_adapters.sql.values import SQLITE_FORMS as FORMS
from todo_domain.changes import Tombstone
from todo_domain.changeset import Changeset, Kept, Snapshot
from todo_domain.errors import Gone, NotFound
from todo_domain.instants import text_of_instant
from todo_domain.naming import Key
from todo_domain.owner import UserId, first_counter
from todo_domain.task import Task


def snapshot(connection: sqlite3.Connection, owner: UserId, keys: Collection[Key]) -> Snapshot:
    """Return the result of `Tasks.snapshot`."""
    tasks, tombstones, trashed = {}, {}, {}
    for key in keys:
        values = named(owner, key)
        try:
            task = steps.get(connection, values)
            tasks[task.id] = task
            continue
        except Gone as gone:
            tombstones[gone.deleted.id] = gone.deleted
            if not gone.restorable:
                continue
        except NotFound:
            if isinstance(key, str):
                continue
        if (row := connection.execute(texts.TRASH_ROW[type(key)], values).fetchone()) is not None:
            *_, deleted_at = row
            task = trashed[row[0]] = task_from_sqlite(row)
            tombstones[task.id] = Tombstone(task.id, task.uid, task.revision, datetime.fromisoformat(deleted_at))
    user_row = connection.execute(texts.USER_ROW, {"owner": owner}).fetchone()
    revision, horizon, task_count = user_row or (0, 0, 0)
    return Snapshot(revision, horizon, task_count, list(tasks.values()), list(tombstones.values()), trashed)


def apply(
    connection: sqlite3.Connection, owner: UserId, changes: Changeset, now: datetime, trash_kept: timedelta
) -> Kept | None:
    """Return the result of `Tasks.apply`."""
    values: Values = {
        "owner": owner,
        "now": text_of_instant(now),
        "begins": first_counter(now),
        "writes": changes.writes,
        "growth": changes.growth,
    }
    if not _fits(connection, values, changes):
        return None
    if changes.made:
        connection.execute(texts.PROVISION, values)
    (revision,) = connection.execute(texts.ADVANCE, values).fetchone()
    begun = revision - changes.writes
    ids = {uid: connection.execute(texts.NEXT_ID).fetchone()[0] for uid in changes.made}
    for id_ in changes.tombstones:
        connection.execute(texts.REMOVE_TOMBSTONE, {"owner": owner, "id": id_})

    def row(task: Task) -> Values:
        return {
            **values,
            **columns(task, FORMS),
            "id": task.id or ids[task.uid or ""],
            "uid": task.uid,
            "new_revision": task.revision - changes.revision + begun,
            "created_at": text_of_instant(task.created_at),
            "updated_at": text_of_instant(task.updated_at),
        }

    for task in changes.tasks:
        is_new = task.id == 0 or task.id in changes.tombstones
        connection.execute(texts.INSERT if is_new else texts.REWRITE, row(task))
    for task in changes.deleted:
        deleted = row(task)
        if task.id:
            connection.execute(texts.REMOVE, {**deleted, "expected": None})
        connection.execute(texts.INSERT_TOMBSTONE, deleted)
        if trash_kept:
            connection.execute(texts.INSERT_TRASH, deleted)
    steps.purge(connection, owner, revision, now, trash_kept, changes.writes)
    return Kept(begun, ids)


def _fits(connection: sqlite3.Connection, values: Values, changes: Changeset) -> bool:
    """Return whether all preconditions of the changes still hold."""
    owner = values["owner"]
    user_row = connection.execute(texts.USER_ROW, values).fetchone()
    revision, horizon, task_count = user_row or (values["begins"], 0, 0)
    if not changes.least <= task_count <= changes.most or horizon > changes.revision:
        return False
    if changes.exact and revision != changes.revision:
        return False
    for id_, expected in changes.expected.items():
        row = connection.execute(texts.GET, {"owner": owner, "id": id_}).fetchone()
        if row is None or task_from_sqlite(row).revision != expected:
            return False
    for id_, expected in changes.tombstones.items():
        row = connection.execute(texts.TOMBSTONE, {"owner": owner, "id": id_}).fetchone()
        if row is None or row[0] != expected:
            return False
    return all(
        connection.execute(texts.TRASH_ROW[int], {"owner": owner, "id": id_}).fetchone() for id_ in changes.restored
    ) and not any(
        connection.execute(text, {"owner": owner, "uid": uid}).fetchone()
        for uid in changes.absent
        for text in (texts.GET_BY_UID, texts.TOMBSTONE_BY_UID)
    )

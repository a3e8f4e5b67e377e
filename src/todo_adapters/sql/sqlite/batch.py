"""The two halves of a batch on a SQLite file, each inside a transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from datetime import datetime, timedelta

from todo_adapters.sql.rows import SQLITE as FORMS
from todo_adapters.sql.rows import Values, columns, named, task_from_sqlite, text_of_instant
from todo_adapters.sql.sqlite import steps, texts
from todo_domain.changeset import Changeset, Kept, Snapshot
from todo_domain.errors import Gone, NotFound
from todo_domain.naming import Key
from todo_domain.owner import UserId, first_counter


def snapshot(connection: sqlite3.Connection, owner: UserId, keys: Collection[Key]) -> Snapshot:
    """Return what `Tasks.snapshot` does."""
    tasks, tombstones, trashed = {}, [], set()
    for key in keys:
        try:
            task = steps.get(connection, named(owner, key))
            tasks[task.id] = task
        except Gone as gone:
            tombstones.append(gone.deleted)
            if gone.restorable:
                trashed.add(gone.deleted.id)
        except NotFound:
            pass
    revision, task_count = connection.execute(texts.STANDING, {"owner": owner}).fetchone() or (0, 0)
    return Snapshot(revision, task_count, list(tasks.values()), tombstones, trashed)


def apply(
    connection: sqlite3.Connection, owner: UserId, changes: Changeset, now: datetime, trash_kept: timedelta
) -> Kept | None:
    """Do what `Tasks.apply` does."""
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
    for task in changes.tasks:
        row = {**values, **columns(task, FORMS), "id": task.id or ids[task.uid or ""], "uid": task.uid}
        row |= {"new_revision": task.revision - changes.revision + begun, "expected": changes.expected.get(task.id)}
        row["updated_at"] = text_of_instant(task.updated_at)
        connection.execute(texts.REPLACE if task.id else texts.INSERT, row)
    for task in changes.deleted:
        row = {**values, "id": task.id or ids[task.uid or ""], "uid": task.uid, "expected": None}
        row["new_revision"] = task.revision - changes.revision + begun
        if task.id:
            connection.execute(texts.REMOVE, row)
        connection.execute(texts.INSERT_TOMBSTONE, row)
        if trash_kept:
            row |= columns(task, FORMS)
            row |= {name: text_of_instant(getattr(task, name)) for name in ("created_at", "updated_at")}
            connection.execute(texts.INSERT_TRASH, row)
    steps.purge(connection, owner, revision, now, trash_kept, changes.writes)
    return Kept(begun, ids)


def _fits(connection: sqlite3.Connection, values: Values, changes: Changeset) -> bool:
    """Return whether everything that the changes depend on is still so."""
    owner = values["owner"]
    standing = connection.execute(texts.STANDING, values).fetchone()
    revision, task_count = standing or (values["begins"], 0)
    if not changes.least <= task_count <= changes.most or (changes.exact and revision != changes.revision):
        return False
    for id_, expected in changes.expected.items():
        row = connection.execute(texts.GET, {"owner": owner, "id": id_}).fetchone()
        if row is None or task_from_sqlite(row).revision != expected:
            return False
    return not any(
        connection.execute(text, {"owner": owner, "uid": uid}).fetchone()
        for uid in changes.absent
        for text in (texts.GET_BY_UID, texts.TOMBSTONE_BY_UID)
    )

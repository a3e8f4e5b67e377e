"""Writes in the form that Citus sends to a node whole, instead of the transactions of the same name.

Citus has the node run a statement whole if it inserts into one table at most, and only as its main part. Any other it
runs part by part, and sends the result of each part to every node, so such a write fails while any node is down.
Therefore these writes insert in statements of their own, and what they have inserted tells the next statement that the
write takes place: the tombstone of a task that still exists, or a key with the revision that comes next.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import Insert
from sqlalchemy.dialects.postgresql import insert as upsert

from todo_adapters.sql import statements
from todo_adapters.sql.postgres.statements import citus_batch, edit, transactions, writes
from todo_adapters.sql.postgres.statements.transaction import Transaction
from todo_adapters.sql.postgres.statements.writes import NEW, keeping
from todo_adapters.sql.statements import (
    KEY,
    NOW,
    ONE,
    OWNER,
    QUOTA,
    TASK,
    next_number,
    parameter,
    this_name,
    this_task,
    this_user,
)
from todo_adapters.sql.tables import idempotency_keys, tasks, tombstones, trash, users
from todo_adapters.sql.trash import CARRIED
from todo_adapters.sql.values import NUMBERS

_NEXT: Final = users.c.revision + ONE
_THIS_KEY: Final = sa.and_(idempotency_keys.c.user_id == OWNER, idempotency_keys.c.key == KEY)
_PROMISED: Final = (sa.exists(sa.select(ONE).where(_THIS_KEY, idempotency_keys.c.revision == _NEXT).correlate(users)),)
"""The key is stored with the revision that comes next: `_promise_…` has found that the write takes place."""


_TASK_AND_USER: Final = tasks.join(users, sa.true())
_TASK_AND_TOMBSTONE: Final = tasks.join(tombstones, sa.true())


def _promise_edit(matches: sa.ColumnElement[bool]) -> sa.ClauseElement:
    """Store the key of an edit, if it is new and the task matches."""
    promised = keeping(users.c.id, tasks.c.id, _NEXT, _TASK_AND_USER, this_user, matches, *NEW)
    return promised.returning(idempotency_keys.c.revision)


def _promise_task(*conditions: sa.ColumnElement[bool]) -> sa.ClauseElement:
    """Store the key of a creation, if it is new and within the quota; `_fulfil` gives it the id of the task."""
    promised = keeping(users.c.id, ONE, _NEXT, users, this_user, users.c.task_count < QUOTA, *conditions, *NEW)
    return promised.returning(idempotency_keys.c.revision)


_fulfil: Final = (
    sa.update(idempotency_keys)
    .where(_THIS_KEY, tasks.c.user_id == OWNER, tasks.c.revision == idempotency_keys.c.revision)
    .values(task_id=tasks.c.id)
)


def _insert_tombstone(matches: sa.ColumnElement[bool], *new: sa.ColumnElement[bool]) -> sa.ClauseElement:
    """Insert the tombstone of the task that matches, under the conditions of `remove`."""
    expected = parameter("expected", NUMBERS)
    row = {
        "user_id": tasks.c.user_id,
        "task_id": tasks.c.id,
        "uid": tasks.c.uid,
        "revision": _NEXT,
        "deleted_at": NOW,
        "number": next_number(tombstones),
    }
    accepted = expected.is_(None) | (tasks.c.revision == sa.func.any(expected))
    found = sa.select(*row.values()).select_from(_TASK_AND_USER).where(this_user, matches, accepted, *new)
    return _insert(tombstones, row, found).returning(tombstones.c.revision, tombstones.c.task_id)


_HAS_TOMBSTONE: Final = sa.and_(tombstones.c.user_id == OWNER, tombstones.c.task_id == tasks.c.id)


def _insert(table: sa.Table, row: Mapping[str, sa.ColumnElement[Any]], found: sa.Select[Any]) -> Insert:
    """Insert what is found. There is never a conflict; without the clause, Citus 14.0 breaks the name in RETURNING."""
    return upsert(table).from_select(list(row), found).on_conflict_do_nothing(index_elements=["user_id", "task_id"])


def _removal(matches: sa.ColumnElement[bool]) -> tuple[sa.ClauseElement, ...]:
    """Put the task that matches and has a tombstone into the trash, delete it, and move the counter."""
    row = {
        "user_id": tasks.c.user_id,
        "task_id": tasks.c.id,
        "revision": tombstones.c.revision,
        **{name: tasks.c[name] for name in CARRIED},
        "deleted_at": NOW,
    }
    going = sa.select(*row.values()).select_from(_TASK_AND_TOMBSTONE).where(matches, _HAS_TOMBSTONE)
    trashed = _insert(trash, row, going.where(parameter("to_trash", sa.Boolean))).returning(trash.c.task_id)
    gone = (
        sa.delete(tasks)
        .where(matches, sa.exists(sa.select(ONE).where(_HAS_TOMBSTONE).correlate(tasks)))
        .returning(tasks.c.id)
        .cte("gone")
    )
    one_less = {"revision": _NEXT, "task_count": users.c.task_count - ONE}
    counted = sa.update(users).where(this_user, sa.exists(sa.select(ONE).select_from(gone))).values(**one_less)
    return trashed, counted


def _keep_removal(matches: sa.ColumnElement[bool]) -> sa.ClauseElement:
    """Store the key of the deletion of the task that matches and has a tombstone."""
    kept = keeping(
        tasks.c.user_id, tombstones.c.task_id, tombstones.c.revision, _TASK_AND_TOMBSTONE, matches, _HAS_TOMBSTONE
    )
    return kept.returning(idempotency_keys.c.revision)


def _create_once(**named: sa.ColumnElement[str]) -> sa.ClauseElement:
    advanced = (
        sa.update(users)
        .where(this_user, *_PROMISED)
        .values(revision=_NEXT, task_count=users.c.task_count + ONE)
        .returning(users.c.revision)
        .cte("advanced")
    )
    return writes.inserting(advanced, **named)


def _grouped(*parts: sa.ClauseElement, wanted: tuple[int, ...]) -> Transaction:
    return Transaction(*parts, grouped=True, wanted=wanted)


def _applied(*more: sa.ClauseElement) -> Transaction:
    before = (writes.provision, *citus_batch.before_report)
    after = (*citus_batch.after_report, *more)
    return Transaction(*before, citus_batch.report, *after, writes=True, wanted=(0, len(before)))


_GET_BY_UID: Final = (statements.get_by_uid, statements.tombstone_by_uid)
ON_CITUS: Final = {
    transactions.APPLY: _applied(),
    transactions.APPLY_AND_PURGE: _applied(writes.purge),
    transactions.DELETE: _grouped(_insert_tombstone(this_task), *_removal(this_task), statements.get, wanted=(0, 3)),
    transactions.DELETE_BY_UID: _grouped(
        _insert_tombstone(this_name), *_removal(this_name), *_GET_BY_UID, wanted=(0, 3, 4)
    ),
    transactions.CREATE_ONCE: _grouped(
        writes.provision, statements.seen, _promise_task(), _create_once(), _fulfil, wanted=(0, 1, 3)
    ),
    transactions.ONCE[transactions.CREATE_BY_UID]: _grouped(
        statements.seen,
        *_GET_BY_UID,
        writes.provision,
        _promise_task(*writes.UNNAMED),
        _create_once(uid=statements.UID),
        _fulfil,
        wanted=(0, 1, 2, 5),
    ),
    transactions.ONCE[transactions.DELETE]: _grouped(
        statements.seen,
        _insert_tombstone(this_task, *NEW),
        _keep_removal(this_task),
        *_removal(this_task),
        statements.get,
        wanted=(0, 1, 5),
    ),
    transactions.ONCE[transactions.DELETE_BY_UID]: _grouped(
        statements.seen,
        _insert_tombstone(this_name, *NEW),
        _keep_removal(this_name),
        *_removal(this_name),
        *_GET_BY_UID,
        wanted=(0, 1, 5, 6),
    ),
    transactions.ONCE[transactions.REPLACE]: _grouped(
        statements.seen,
        _promise_edit(writes.UNCHANGED),
        writes.changing(writes.UNCHANGED, writes.REPLACED, tasks.c.revision, new=_PROMISED),
        statements.get,
        wanted=(0, 2, 3),
    ),
    transactions.ONCE[transactions.EDIT]: _grouped(
        statements.seen,
        _promise_edit(sa.and_(this_task, edit.DUE)),
        edit.editing(this_task, _PROMISED),
        wanted=(0, 2),
    ),
    transactions.ONCE[transactions.EDIT_BY_UID]: _grouped(
        statements.seen,
        _promise_edit(sa.and_(this_name, edit.DUE)),
        edit.editing(this_name, _PROMISED),
        wanted=(0, 2),
    ),
    transactions.ONCE[transactions.TOGGLE]: _grouped(
        statements.seen,
        _promise_edit(this_task),
        writes.changing(this_task, writes.TOGGLED, *TASK, new=_PROMISED),
        wanted=(0, 2),
    ),
    transactions.ONCE[transactions.TOGGLE_BY_UID]: _grouped(
        statements.seen,
        _promise_edit(this_name),
        writes.changing(this_name, writes.TOGGLED, *TASK, new=_PROMISED),
        statements.tombstone_by_uid,
        wanted=(0, 2, 3),
    ),
}
"""For each transaction of which Citus would run parts one by one, the one to send there instead."""


def all_transactions() -> dict[str, Transaction]:
    """Return every transaction that only Citus is sent, by a name."""
    names = {transaction: name for name, transaction in transactions.all_transactions().items()}
    return {f"{names[each]} on Citus": instead for each, instead in ON_CITUS.items()}

"""The transactions that PostgreSQL receives for a user: each is a few statements and one round trip."""

from __future__ import annotations

from functools import cache
from typing import Final

from sqlalchemy.dialects.postgresql import insert as upsert

from todo_adapters.sql import feed, lists, statements, trash
from todo_adapters.sql.postgres.statements import batch, edit, writes
from todo_adapters.sql.postgres.statements.transaction import Transaction
from todo_domain.query import Query

GET: Final = Transaction(statements.get)
GET_BY_UID: Final = Transaction(statements.get_by_uid, statements.tombstone_by_uid)
COUNTER: Final = Transaction(statements.counter)
STATE: Final = Transaction(statements.state, alone=True)
CHANGES: Final = Transaction(statements.changes)
LONG_CHANGES: Final = Transaction(statements.changes, alone=True)
CREATE: Final = Transaction(writes.create, grouped=True)
CREATE_BY_UID: Final = Transaction(
    statements.get_by_uid, statements.tombstone_by_uid, writes.create_by_uid, grouped=True
)
CREATE_ONCE: Final = Transaction(writes.provision, statements.seen, writes.create_once, grouped=True)
REPLACE: Final = Transaction(writes.replace, statements.get, grouped=True)
EDIT: Final = Transaction(edit.edit, grouped=True)
EDIT_BY_UID: Final = Transaction(edit.edit_by_uid, grouped=True)
TOGGLE: Final = Transaction(writes.toggle, grouped=True)
TOGGLE_BY_UID: Final = Transaction(writes.toggle_by_uid, statements.tombstone_by_uid, grouped=True)
DELETE: Final = Transaction(writes.remove, statements.get, grouped=True)
DELETE_BY_UID: Final = Transaction(
    writes.remove_by_uid, statements.get_by_uid, statements.tombstone_by_uid, grouped=True
)
TRASH: Final = Transaction(trash.page)
LONG_TRASH: Final = Transaction(trash.page, alone=True)
EVERYTHING: Final = Transaction(trash.everything, alone=True)
RESTORE: Final = Transaction(statements.get, writes.restore, trash.found, writes=True)
RESTORE_BY_UID: Final = Transaction(statements.get_by_uid, writes.restore_by_uid, trash.found_by_uid, writes=True)
DISCARD: Final = Transaction(trash.discard, writes=True)
DISCARD_BY_UID: Final = Transaction(trash.discard_by_uid, writes=True)
EMPTY_TRASH: Final = Transaction(trash.empty, writes=True)
BY_UID: Final = {
    GET: GET_BY_UID,
    EDIT: EDIT_BY_UID,
    TOGGLE: TOGGLE_BY_UID,
    DELETE: DELETE_BY_UID,
    RESTORE: RESTORE_BY_UID,
    DISCARD: DISCARD_BY_UID,
}
"""For each transaction with a task's id, the same one with a uid."""

ONCE: Final = {
    GET: Transaction(statements.seen, statements.get),
    GET_BY_UID: Transaction(statements.seen, statements.get_by_uid, statements.tombstone_by_uid),
    CREATE_BY_UID: Transaction(
        statements.seen,
        statements.get_by_uid,
        statements.tombstone_by_uid,
        writes.create_by_uid_once,
        grouped=True,
    ),
    REPLACE: Transaction(statements.seen, writes.replace_once, statements.get, grouped=True),
    EDIT: Transaction(statements.seen, edit.edit_once, grouped=True),
    EDIT_BY_UID: Transaction(statements.seen, edit.edit_by_uid_once, grouped=True),
    TOGGLE: Transaction(statements.seen, writes.toggle_once, grouped=True),
    TOGGLE_BY_UID: Transaction(statements.seen, writes.toggle_by_uid_once, statements.tombstone_by_uid, grouped=True),
    DELETE: Transaction(statements.seen, writes.remove_once, statements.get, grouped=True),
    DELETE_BY_UID: Transaction(
        statements.seen, writes.remove_by_uid_once, statements.get_by_uid, statements.tombstone_by_uid, grouped=True
    ),
}
"""For each transaction, the same one with an Idempotency-Key; its first rows are the key, if it was used."""

MAKE_FEED: Final = Transaction(feed.make(upsert), writes=True)
END_FEED: Final = Transaction(feed.end, writes=True)
FEED: Final = Transaction(feed.read, alone=True)
SNAPSHOT: Final = Transaction(batch.snapshot)
APPLY: Final = Transaction(writes.provision, batch.apply, batch.remove_passing, writes=True)
APPLY_AND_PURGE: Final = Transaction(writes.provision, batch.apply, batch.remove_passing, writes.purge, writes=True)
PURGE: Final = Transaction(writes.purge, writes=True)
ERASE: Final = Transaction(writes.erase, writes=True, alone=True)


@cache
def edit_of(column: str, *, by_uid: bool) -> Transaction:
    """Return the transaction of an edit without a key that gives this column, no other, and accepts any revision."""
    return Transaction(edit.editing_one(statements.this_name if by_uid else statements.this_task, column), grouped=True)


@cache
def page(shape: lists.Shape, *, short: bool) -> Transaction:
    """Return the transaction for a page; one that is not short is sent alone."""
    return Transaction(lists.page(shape), alone=not short)


def all_transactions() -> dict[str, Transaction]:
    """Return every transaction that is sent for a user, by a name; the tests read and EXPLAIN them."""
    fixed = {
        "get": GET,
        "get by uid": GET_BY_UID,
        "counter": COUNTER,
        "state": STATE,
        "changes": CHANGES,
        "long changes": LONG_CHANGES,
        "create": CREATE,
        "create by uid": CREATE_BY_UID,
        "create once": CREATE_ONCE,
        "replace": REPLACE,
        "edit": EDIT,
        "edit by uid": EDIT_BY_UID,
        "toggle": TOGGLE,
        "toggle by uid": TOGGLE_BY_UID,
        "delete": DELETE,
        "delete by uid": DELETE_BY_UID,
        "snapshot": SNAPSHOT,
        "apply": APPLY,
        "apply and purge": APPLY_AND_PURGE,
        "trash": TRASH,
        "long trash": LONG_TRASH,
        "everything": EVERYTHING,
        "restore": RESTORE,
        "restore by uid": RESTORE_BY_UID,
        "discard": DISCARD,
        "discard by uid": DISCARD_BY_UID,
        "empty trash": EMPTY_TRASH,
        "make feed": MAKE_FEED,
        "end feed": END_FEED,
        "feed": FEED,
        "purge": PURGE,
        "erase": ERASE,
    }
    fixed |= {f"{name} once": ONCE[each] for name, each in fixed.items() if each in ONCE}
    fixed |= {f"edit of {column}": edit_of(column, by_uid=False) for column in edit.EDITABLE}
    fixed |= {f"edit of {column} by uid": edit_of(column, by_uid=True) for column in edit.EDITABLE}
    return fixed | {
        lists.name_of(shape): page(shape, short=Query(sort=shape.sort).from_index and not shape.filtered)
        for shape in lists.all_shapes()
    }

"""The text of every statement that the SQLite store runs for a user."""

from __future__ import annotations

from functools import cache
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert as upsert

from todo_adapters.sql import feed, lists, statements, trash
from todo_adapters.sql.dialects import SQLITE, text_of
from todo_adapters.sql.sqlite import writes
from todo_adapters.sql.sqlite.json_tasks import tasks_as_json
from todo_domain.naming import Key
from todo_domain.query import Query

GET: Final = text_of(statements.get, SQLITE)
GET_BY_UID: Final = text_of(statements.get_by_uid, SQLITE)
TOMBSTONE_BY_UID: Final = text_of(statements.tombstone_by_uid, SQLITE)
TOMBSTONE: Final = text_of(statements.tombstone, SQLITE)
COUNTER: Final = text_of(statements.counter, SQLITE)
USER_ROW: Final = text_of(statements.user_row, SQLITE)
SEEN: Final = text_of(statements.seen, SQLITE)
STATE: Final = text_of(statements.state, SQLITE)
CHANGES: Final = text_of(statements.changes, SQLITE)
PROVISION: Final = text_of(writes.provision, SQLITE)
ADMIT: Final = text_of(writes.admit, SQLITE)
NEXT_REVISION: Final = text_of(writes.next_revision, SQLITE)
DISMISS: Final = text_of(writes.dismiss, SQLITE)
ADVANCE: Final = text_of(writes.advance, SQLITE)
NEXT_ID: Final = text_of(writes.next_id, SQLITE)
INSERT: Final = text_of(writes.insert, SQLITE)
REMEMBER: Final = text_of(writes.remember, SQLITE)
REPLACE: Final = text_of(writes.replace, SQLITE)
REWRITE: Final = text_of(writes.rewrite, SQLITE)
TOGGLE: Final = text_of(writes.toggle, SQLITE)
REMOVE: Final = text_of(writes.remove, SQLITE)
INSERT_TOMBSTONE: Final = text_of(writes.insert_tombstone, SQLITE)
INSERT_TRASH: Final = text_of(writes.insert_trash, SQLITE)
TRASH: Final = text_of(trash.page, SQLITE)
EVERYTHING: Final = text_of(trash.everything, SQLITE)
TRASH_ROW: Final[dict[type[Key], str]] = {int: text_of(trash.row, SQLITE), str: text_of(trash.row_by_uid, SQLITE)}
"""For each kind of key, the statement that finds its task in the trash, expired or not."""

TRASHED: Final = text_of(trash.found, SQLITE)
TRASHED_BY_UID: Final = text_of(trash.found_by_uid, SQLITE)
RESTORE: Final = text_of(writes.restore, SQLITE)
REMOVE_TOMBSTONE: Final = text_of(writes.remove_tombstone, SQLITE)
DISCARD: Final = text_of(trash.discard, SQLITE)
DISCARD_BY_UID: Final = text_of(trash.discard_by_uid, SQLITE)
EMPTY_TRASH: Final = text_of(trash.empty, SQLITE)
THROW_AWAY: Final = text_of(writes.throw_away, SQLITE)
FORGET: Final = text_of(writes.forget, SQLITE)
PURGE_TOMBSTONES: Final = text_of(writes.purge_tombstones, SQLITE)
RAISE_HORIZON: Final = text_of(writes.raise_horizon, SQLITE)
MAKE_FEED: Final = text_of(feed.make(upsert), SQLITE)
END_FEED: Final = text_of(feed.end, SQLITE)
FEED: Final = text_of(feed.read, SQLITE)
ERASE: Final = {
    "erase tasks": text_of(writes.erase_tasks, SQLITE),
    "erase trash": EMPTY_TRASH,
    "erase tombstones": text_of(writes.erase_tombstones, SQLITE),
    "erase keys": text_of(writes.erase_keys, SQLITE),
    "erase feed": text_of(feed.erase, SQLITE),
    "begin anew": text_of(writes.begin_anew, SQLITE),
}
"""The steps of erasing a user, in their order."""


@cache
def page(shape: lists.Shape) -> str:
    """Return the statement for the tasks of a page."""
    return text_of(lists.found(shape), SQLITE)


@cache
def short_page(shape: lists.Shape) -> str:
    """Return the statement whose one row is the user's counter and the page; no tasks if the counter is `unless`."""
    page = tasks_as_json(lists.found(shape).where(~lists.unchanged()))
    return text_of(sa.select(statements.counter.scalar_subquery(), page), SQLITE)


def all_texts() -> dict[str, str]:
    """Return every statement that is run for a user, by a name; the tests read and EXPLAIN them."""
    fixed = {
        "get": GET,
        "get by uid": GET_BY_UID,
        "tombstone by uid": TOMBSTONE_BY_UID,
        "tombstone": TOMBSTONE,
        "counter": COUNTER,
        "user row": USER_ROW,
        "seen": SEEN,
        "state": STATE,
        "changes": CHANGES,
        "provision": PROVISION,
        "admit": ADMIT,
        "next revision": NEXT_REVISION,
        "dismiss": DISMISS,
        "advance": ADVANCE,
        "next id": NEXT_ID,
        "insert": INSERT,
        "remember": REMEMBER,
        "replace": REPLACE,
        "rewrite": REWRITE,
        "toggle": TOGGLE,
        "remove": REMOVE,
        "insert tombstone": INSERT_TOMBSTONE,
        "insert trash": INSERT_TRASH,
        "trash": TRASH,
        "everything": EVERYTHING,
        "trash row": TRASH_ROW[int],
        "trash row by uid": TRASH_ROW[str],
        "trashed": TRASHED,
        "trashed by uid": TRASHED_BY_UID,
        "restore": RESTORE,
        "remove tombstone": REMOVE_TOMBSTONE,
        "discard": DISCARD,
        "discard by uid": DISCARD_BY_UID,
        "empty trash": EMPTY_TRASH,
        "throw away": THROW_AWAY,
        "forget": FORGET,
        "purge tombstones": PURGE_TOMBSTONES,
        "make feed": MAKE_FEED,
        "end feed": END_FEED,
        "feed": FEED,
        "raise horizon": RAISE_HORIZON,
    }
    pages = {lists.name_of(shape): page(shape) for shape in lists.all_shapes()}
    short_pages = {
        f"short {lists.name_of(shape)}": short_page(shape)
        for shape in lists.all_shapes()
        if Query(sort=shape.sort).from_index and not shape.filtered
    }
    return fixed | ERASE | pages | short_pages

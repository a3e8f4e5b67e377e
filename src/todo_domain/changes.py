"""Incremental sync: the tasks and deletions after a revision."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from todo_domain.errors import Resync
from todo_domain.task import Task

TOMBSTONES_KEPT: Final = timedelta(days=90)
"""The shortest time for which a deletion is remembered."""

LARGEST_PAGE: Final = 1_000
"""The most items in one page, of a list or of changes."""


class Tombstone(NamedTuple):
    """The record of a deleted task; `revision` is the revision of its deletion."""

    id: int
    uid: str | None
    revision: int
    deleted_at: datetime


class Changes(NamedTuple):
    """One page of changes; each sequence by ascending revision.

    `revision` is the next `since`: the last item's revision while `has_more`, else the user's counter.
    """

    tasks: list[Task]
    deleted: list[Tombstone]
    revision: int
    has_more: bool


def require_known(since: int, *, revision: int, horizon: int) -> None:
    """Raise Resync unless all changes after `since` are still known.

    `horizon` is the highest revision of a purged tombstone. 0 requests the whole state, which is always known.
    """
    if since and not horizon <= since <= revision:
        raise Resync


def page_of_changes(tasks: list[Task], deleted: list[Tombstone], *, counter: int, limit: int) -> Changes:
    """Return the page of the lowest `limit` revisions of both sequences, which are in ascending order of revision.

    One item more than `limit` is enough to set `has_more`.
    """
    revisions = sorted([task.revision for task in tasks] + [tombstone.revision for tombstone in deleted])
    if len(revisions) <= limit:
        return Changes(tasks, deleted, counter, has_more=False)
    last = revisions[limit - 1]
    return Changes(
        [task for task in tasks if task.revision <= last],
        [tombstone for tombstone in deleted if tombstone.revision <= last],
        last,
        has_more=True,
    )

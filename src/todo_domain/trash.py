"""The trash: deleted tasks, each with the time until which it can be restored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from todo_domain.changes import TOMBSTONES_KEPT
from todo_domain.task import Task

TRASH_KEPT: Final = timedelta(days=30)
"""The default time for which a deleted task stays in the trash."""

LONGEST_TRASH_KEPT: Final = TOMBSTONES_KEPT
"""The longest time for the trash: a task leaves it at the latest with its tombstone."""

MOST_TRASHED: Final = 1_000
"""The most tasks of one user in the trash; beyond them, later writes remove the oldest."""

_NEVER: Final = datetime.max.replace(tzinfo=UTC)


class Trashed(NamedTuple):
    """A task in the trash. The `revision` of `task` is that of its deletion; its other members are unchanged."""

    task: Task
    deleted_at: datetime
    expires_at: datetime


class TrashPage(NamedTuple):
    """A page of the trash, the last deleted first. `more` is true if the trash continues after it."""

    trashed: list[Trashed]
    more: bool


def trash_since(now: datetime, kept: timedelta) -> datetime:
    """Return the time for which exactly the tasks deleted after it are in the trash now.

    `kept` is how long the trash keeps a task; 0 turns the trash off, and then no task was deleted after that time.
    """
    return now - kept if kept else _NEVER

"""The trash: deleted tasks, each with the time until which it can be restored."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

from todo_domain.changes import TOMBSTONES_KEPT
from todo_domain.task import Task

TRASH_KEPT: Final = timedelta(days=30)
"""How long a deleted task lies in the trash, unless a setting changes it."""

LONGEST_TRASH_KEPT: Final = TOMBSTONES_KEPT
"""The longest time for the trash: a task leaves it no later than its tombstone goes."""

MOST_TRASHED: Final = 1_000
"""How many tasks of one user lie in the trash; of more, the oldest go with later writes."""

_NEVER: Final = datetime.max.replace(tzinfo=UTC)


class Trashed(NamedTuple):
    """A task in the trash. The `revision` of `task` is the one its deletion took; all else is as it was."""

    task: Task
    deleted_at: datetime
    expires_at: datetime


class TrashPage(NamedTuple):
    """A page of the trash, the last deleted first. `more` is true if the trash goes on after the last of them."""

    trashed: list[Trashed]
    more: bool


def trash_since(now: datetime, kept: timedelta) -> datetime:
    """Return the time after which a task was deleted if it lies in the trash now.

    `kept` is how long the trash keeps a task; 0 turns the trash off, and then nothing was deleted after that time.
    """
    return now - kept if kept else _NEVER

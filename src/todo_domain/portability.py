"""All data of a user, which an export contains."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from todo_domain.memory_budget import MemoryBudget, count
from todo_domain.task import Task
from todo_domain.trash import Trashed


class Everything(NamedTuple):
    """The tasks, the trash and the counter of one user at one moment."""

    tasks: list[Task]
    trash: list[Trashed]
    revision: int
    exported_at: datetime


def everything_of(
    tasks: Iterable[Task], trash: Iterable[Trashed], revision: int, now: datetime, budget: MemoryBudget | None = None
) -> Everything:
    """Return the data with tasks and trash by ascending id. `budget` counts their memory. Raises BudgetExceeded."""
    everything = Everything(
        sorted(tasks, key=lambda task: task.id), sorted(trash, key=lambda each: each.task.id), revision, now
    )
    count([*everything.tasks, *(each.task for each in everything.trash)], budget)
    return everything

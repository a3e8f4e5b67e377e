"""A budget of memory for each response: stores count the bytes they read, so that long responses do not exhaust it."""

from __future__ import annotations

from collections.abc import Iterable
from sys import getsizeof
from typing import Final, Protocol

from todo_domain.extra import LARGEST_EXTRA
from todo_domain.owner import LONGEST_USER_ID
from todo_domain.task import LONGEST_DESCRIPTION, LONGEST_TAG, LONGEST_TITLE, MOST_TAGS, Task


class MemoryBudget(Protocol):
    """The memory that one response may use. Its methods may be called from any thread."""

    def take(self, size: int) -> None:
        """Count `size` bytes more.

        Raises BudgetExceeded if no memory is left. The caller then drops the data it has read and lets the error pass.
        """

    def empty(self) -> None:
        """Count from 0 again: the caller has dropped the counted data, and reads it once more."""


WITHOUT_TEXTS: Final = 600
"""Bytes of a task beside its texts: the tuple, the times, the numbers, the position."""

_TEXT: Final = getsizeof("\U0001f600") - 4
_LONGEST: Final = [LONGEST_USER_ID, LONGEST_TITLE, LONGEST_DESCRIPTION, LARGEST_EXTRA, *[LONGEST_TAG] * MOST_TAGS]

LARGEST_TASK: Final = WITHOUT_TEXTS + sum(_TEXT + 4 * longest for longest in _LONGEST)
"""Bytes of a task whose texts have the maximum length, in characters of four bytes each."""


def count(tasks: Iterable[Task], budget: MemoryBudget | None) -> None:
    """Count the memory of the tasks if there is a budget. Raises BudgetExceeded."""
    if budget is not None:
        budget.take(sum(map(memory_of, tasks)))


def memory_of(task: Task) -> int:
    """Return about how many bytes of memory the task takes."""
    texts = (task.title, task.description, task.user_id, task.extra, *task.tags)
    return WITHOUT_TEXTS + sum(map(getsizeof, texts))

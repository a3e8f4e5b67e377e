"""The memory of an answer: a store counts the bytes it reads, so that many long answers do not exhaust the memory."""

from __future__ import annotations

from collections.abc import Iterable
from sys import getsizeof
from typing import Final, Protocol

from todo_domain.extra import LARGEST_EXTRA
from todo_domain.owner import LONGEST_USER_ID
from todo_domain.task import LONGEST_DESCRIPTION, LONGEST_TAG, LONGEST_TITLE, MOST_TAGS, Task


class Room(Protocol):
    """The memory for one answer. Its methods may be called from any thread."""

    def take(self, size: int) -> None:
        """Count `size` bytes more.

        Raises NoRoom if the memory is exhausted. The caller then drops the data it has read and lets the error pass.
        """

    def empty(self) -> None:
        """Count from 0 again: the counted data is dropped, to be read once more."""


_WITHOUT_TEXTS: Final = 600
"""Bytes of a task beside its texts: the tuple, the times, the numbers, the position."""

_TEXT: Final = getsizeof("\U0001f600") - 4
_LONGEST: Final = [LONGEST_USER_ID, LONGEST_TITLE, LONGEST_DESCRIPTION, LARGEST_EXTRA, *[LONGEST_TAG] * MOST_TAGS]

LARGEST_TASK: Final = _WITHOUT_TEXTS + sum(_TEXT + 4 * longest for longest in _LONGEST)
"""Bytes of a task whose texts have the maximum length, in characters of four bytes each."""


def count(tasks: Iterable[Task], room: Room | None) -> None:
    """Count the memory of the tasks if there is a room. Raises NoRoom."""
    if room is not None:
        room.take(sum(map(memory_of, tasks)))


def memory_of(task: Task) -> int:
    """Return about how many bytes of memory the task takes."""
    texts = (task.title, task.description, task.user_id, task.extra, *task.tags)
    return _WITHOUT_TEXTS + sum(map(getsizeof, texts))

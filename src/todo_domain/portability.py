"""A user's data as a whole: what an export holds."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from todo_domain.task import Task


class Everything(NamedTuple):
    """All that there is of one user at one moment, the oldest task first; `revision` is the user's counter."""

    tasks: list[Task]
    revision: int
    exported_at: datetime

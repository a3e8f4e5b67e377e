"""Paces long work on the event loop: slices of work with pauses in between, in which other requests run."""

from __future__ import annotations

import asyncio
from time import thread_time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from todo_domain import Deadline

SLICE: Final = 0.000_5
"""Seconds of processor time between two pauses. Another request waits little longer than that."""

SHARE: Final = 0.1
"""The part of a worker's time that an export or an import may take."""


def pause_after(spent: float, share: float) -> float:
    """Return the seconds to pause, so that `spent` is this share of the whole time."""
    return spent / share - spent


class Pace:
    """The pauses in a piece of work that has `total` parts of equal length.

    All further pauses together take at most a quarter of the time that is left before the deadline.
    """

    __slots__ = ("_begun", "_deadline", "_done", "_total")

    def __init__(self, total: int, deadline: Deadline) -> None:
        self._total = total
        self._deadline = deadline
        self._done = 0
        self._begun = thread_time()

    async def pause(self, done: int) -> None:
        """Pause if SLICE has been spent; `done` is the number of parts that are done."""
        # The time of this thread alone: a store works in others.
        if (spent := thread_time() - self._begun) < SLICE:
            return
        most = self._deadline.left() / 4 * (done - self._done) / max(1, self._total - self._done)
        await asyncio.sleep(max(0.0, min(pause_after(spent, SHARE), most)))
        self._done = done
        self._begun = thread_time()

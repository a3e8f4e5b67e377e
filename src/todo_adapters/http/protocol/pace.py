"""Long work on the event loop, done in slices with rests between them, so that other requests have the rest."""

from __future__ import annotations

import asyncio
from time import thread_time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from todo_domain import Deadline

SLICE: Final = 0.000_5
"""Seconds of the processor without a rest. Another request waits little longer than that for it."""

SHARE: Final = 0.1
"""The part of a worker's time that an export or an import may take."""


def rest_after(spent: float, share: float) -> float:
    """Return the seconds of rest after which the seconds spent are this share of all."""
    return spent / share - spent


class Pace:
    """The rests of a piece of work that has `total` parts of equal length.

    The rests end in time: those that are still to come take at most a quarter of what is left before the deadline.
    """

    __slots__ = ("_begun", "_deadline", "_done", "_total")

    def __init__(self, total: int, deadline: Deadline) -> None:
        self._total = total
        self._deadline = deadline
        self._done = 0
        self._begun = thread_time()

    async def rest(self, done: int) -> None:
        """Rest if it is time to; `done` is how many parts have been done."""
        # Of this thread alone: what a store does meanwhile, it does elsewhere.
        if (spent := thread_time() - self._begun) < SLICE:
            return
        most = self._deadline.left() / 4 * (done - self._done) / max(1, self._total - self._done)
        await asyncio.sleep(max(0.0, min(rest_after(spent, SHARE), most)))
        self._done = done
        self._begun = thread_time()

"""Paces long work on the event loop: slices of work with pauses in between, in which other requests run."""

from __future__ import annotations

import asyncio
from math import inf
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Final

from todo_domain import Unavailable

if TYPE_CHECKING:
    from todo_domain import Deadline

SLICE: Final = 0.000_25
"""Seconds of processor time between two pauses. Another request waits little longer than that."""

SHARE: Final = 0.05
"""The part of a worker's time that an import may take. Most requests of others meet no slice of it."""

QUIET: Final = 0.5
"""Seconds without a request after which a worker counts as quiet."""

MOST_PAUSED: Final = 0.7
"""The part of the time before the deadline that the pauses may take."""

_KEPT: Final = 0.1
"""The part of the time before the deadline that no pause takes, because the last parts may be slower than expected."""


def pause_after(spent: float, share: float) -> float:
    """Return the seconds to pause, so that `spent` is this share of the whole time."""
    return spent / share - spent


class Traffic:
    """When a request of a worker last began or ended, as `Edge` sets it. Long work in a quiet worker has no pauses."""

    __slots__ = ("latest",)

    def __init__(self) -> None:
        self.latest = -inf
        """A time of `perf_counter`."""

    def quiet(self) -> bool:
        """Return whether no request has begun or ended for QUIET seconds."""
        return perf_counter() - self.latest > QUIET


class Pace:
    """The pauses in a piece of work that has `total` parts of equal length, while the worker has other requests.

    All pauses together take at most the part `most` of the time before the deadline, and leave time for one and a half
    times the work that is still to be done, and a tenth of the time.
    """

    __slots__ = ("_begun", "_deadline", "_done", "_most", "_paused", "_time", "_total", "_traffic", "in_share")

    def __init__(self, total: int, deadline: Deadline, traffic: Traffic, *, most: float = MOST_PAUSED) -> None:
        self._total = total
        self._deadline = deadline
        self._traffic = traffic
        self._time = deadline.left()
        self._most = most
        self.in_share = not traffic.quiet()
        """Whether the work takes its share of the time now: the worker has other requests, and there is time enough."""
        self._paused = 0.0
        self._done = 0
        self._begun = process_time()

    async def pause(self, done: int) -> None:
        """Pause if SLICE has been spent, or in a quiet worker let others run; `done` parts are done.

        Raises Unavailable after the deadline.
        """
        # The time of the whole process: the threads of a store take the interpreter from other requests as well.
        if (spent := process_time() - self._begun) < SLICE:
            return
        if (before := self._deadline.left()) < 0:
            raise Unavailable("the import takes too long: send the file again, in smaller parts")
        share, longest = pause_after(spent, SHARE), self._longest(done)
        quiet = self._traffic.quiet()
        if quiet:
            self.in_share = False
        elif done > self._done:  # otherwise there is no pause, because nothing shows how long the work takes
            self.in_share = share <= longest
        await asyncio.sleep(0.0 if quiet else max(0.0, min(share, longest)))
        self._paused += before - self._deadline.left()
        self._done = done
        self._begun = process_time()

    def _longest(self, done: int) -> float:
        """Return the longest pause after these parts."""
        if done == self._done:
            return 0.0
        left, remaining = self._deadline.left(), self._total - done
        worked = self._time - left - self._paused
        spare = left - _KEPT * self._time - 1.5 * worked / done * remaining
        parts = done - self._done
        return min(self._most * self._time * parts / self._total, spare * parts / max(1, remaining + parts))

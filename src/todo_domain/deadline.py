"""When the answer to a request is due: one time for the whole request, which everything on the way to it spends."""

from __future__ import annotations

from time import monotonic
from typing import Final, NamedTuple, Self

ANSWER_WITHIN: Final = 2.6
"""Seconds from the arrival of a request to its deadline. What remains of 3 s is for encoding and sending the answer."""


class Deadline(NamedTuple):
    """When an answer is due: `at` is a time of `time.monotonic`, which is also the clock of asyncio's event loops."""

    at: float

    @classmethod
    def within(cls, seconds: float = ANSWER_WITHIN) -> Self:
        """Return the deadline that is so many seconds away."""
        return cls(monotonic() + seconds)

    def left(self) -> float:
        """Return the seconds that are left; negative once the deadline has passed."""
        return self.at - monotonic()

    def later(self, seconds: float) -> Deadline:
        """Return this deadline moved by so many seconds, such as those in which the client sent its body."""
        return Deadline(self.at + seconds)

    def at_most(self, seconds: float) -> Deadline:
        """Return this deadline, or that which is so many seconds away, whichever is sooner."""
        return Deadline(min(self.at, monotonic() + seconds))

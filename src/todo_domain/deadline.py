"""The deadline of a request: one time that all waits of the request share."""

from __future__ import annotations

from time import monotonic
from typing import Final, NamedTuple, Self

RESPOND_WITHIN: Final = 2.6
"""Seconds from the arrival of a request to its deadline. The rest of 3 s is for encoding and sending the response."""


class Deadline(NamedTuple):
    """The time at which a response is due: `at` is a time of `time.monotonic`, the clock of asyncio's event loops."""

    at: float

    @classmethod
    def within(cls, seconds: float = RESPOND_WITHIN) -> Self:
        """Return the deadline `seconds` from now."""
        return cls(monotonic() + seconds)

    def left(self) -> float:
        """Return the seconds that are left; negative once the deadline has passed."""
        return self.at - monotonic()

    def later(self, seconds: float) -> Deadline:
        """Return this deadline moved by `seconds`, such as the time in which the client sent its body."""
        return Deadline(self.at + seconds)

    def at_most(self, seconds: float) -> Deadline:
        """Return the earlier one of this deadline and the time `seconds` from now."""
        return Deadline(min(self.at, monotonic() + seconds))

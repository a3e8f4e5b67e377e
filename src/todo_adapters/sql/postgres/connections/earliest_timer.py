"""One timer for many times, of which only the earliest matters."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable


class EarliestTimer:
    """Calls a function once, at the earliest of the times that it was given since the last call."""

    __slots__ = ("_call", "_due", "_handle")

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._due = math.inf
        self._handle: asyncio.TimerHandle | None = None

    def by(self, due: float) -> None:
        """Call the function at this time of the event loop, or earlier."""
        if due < self._due:
            self.cancel()
            self._due = due
            self._handle = asyncio.get_running_loop().call_at(due, self._end)

    def cancel(self) -> None:
        """Forget the times."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle, self._due = None, math.inf

    def _end(self) -> None:
        self._handle, self._due = None, math.inf
        self._call()

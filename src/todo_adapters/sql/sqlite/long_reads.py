"""Long reads of a SQLite file, which run in a thread beside the event loop."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from todo_adapters.sql.rows import counted

if TYPE_CHECKING:
    from todo_adapters.sql.values import Row
    from todo_domain.memory_budget import MemoryBudget

_PIECE: Final = 32
"""Rows that are read and decoded in less than half a millisecond."""

_PAUSE: Final = 0.000_1
"""Seconds: enough for another thread to notice that it may run."""


def read(rows: Iterable[Row], budget: MemoryBudget | None) -> Iterable[Row]:
    """Return the rows as `counted` does. A long read, which has a budget, pauses after each few rows.

    Python takes a thread off after 5 ms at the earliest, so without pauses the event loop would wait that long each
    time that it needs the interpreter, and with it the requests of everybody.
    """
    return rows if budget is None else counted(_with_pauses(rows), budget)


def _with_pauses(rows: Iterable[Row]) -> Iterator[Row]:
    for number, row in enumerate(rows, 1):
        if not number % _PIECE:
            time.sleep(_PAUSE)
        yield row

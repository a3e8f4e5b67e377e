"""A write that waits for a group of writes, or is on its way with one; and the deadlines of all such writes."""

from __future__ import annotations

import asyncio

from todo_adapters.sql.postgres.connections.earliest_timer import EarliestTimer
from todo_adapters.sql.postgres.connections.in_flight import InFlight, OverdueError
from todo_adapters.sql.postgres.errors import TOO_SLOW
from todo_adapters.sql.postgres.statements.transaction import Transaction
from todo_adapters.sql.rows import Values
from todo_adapters.sql.values import Row
from todo_domain.errors import Unavailable


class GroupedWrite:
    """A write that waits for its group, or is on its way with it. A caller may stop waiting for `outcome`.

    The outcome is the rows of each statement, or NotRunError if the write has not happened and has to run alone.
    """

    __slots__ = ("give_up", "group", "outcome", "owner", "transaction", "tries", "values")

    def __init__(self, transaction: Transaction, values: Values, give_up: float) -> None:
        self.transaction = transaction
        self.values = values
        self.owner: str = values["owner"]
        self.give_up = give_up
        self.outcome: asyncio.Future[list[list[Row]]] = asyncio.get_running_loop().create_future()
        self.group: InFlight | None = None
        self.tries = 0

    def fail(self, error: Exception) -> None:
        """Report an error to the caller, who may have gone."""
        if not self.outcome.done():
            self.outcome.set_exception(error)

    async def ended(self) -> None:
        """Return once the group that the write is on its way with has ended."""
        if self.group is not None:
            await self.group.ended()

    def overdue(self) -> None:
        """Report to the caller that there is no outcome in time."""
        self.fail(Unavailable(TOO_SLOW) if self.group is None else OverdueError("no result in time"))


class PresentWrites:
    """The writes that have entered and not left. Each learns when its time is over, by one timer for all of them."""

    def __init__(self) -> None:
        self._writes: set[GroupedWrite] = set()
        self._timer = EarliestTimer(self._give_up_overdue)

    def __len__(self) -> int:
        return len(self._writes)

    def add(self, write: GroupedWrite) -> None:
        """Note a write that enters."""
        self._writes.add(write)
        self._timer.by(write.give_up)

    def remove(self, write: GroupedWrite) -> None:
        """Forget a write that leaves."""
        self._writes.remove(write)

    def _give_up_overdue(self) -> None:
        now = asyncio.get_running_loop().time()
        for write in self._writes:
            if write.give_up <= now:
                write.overdue()
            else:
                self._timer.by(write.give_up)

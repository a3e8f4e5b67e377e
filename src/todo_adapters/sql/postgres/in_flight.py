"""What one caller has on its way to PostgreSQL, and how they learn what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from psycopg import Error, OperationalError, errors
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from todo_adapters.sql.rows import Row
from todo_domain.errors import NoRoom

_FAILED: Final = ExecStatus.FATAL_ERROR


class OverdueError(OperationalError):
    """A unit was not answered in time."""


class NotSentError(OperationalError):
    """A unit could not be sent."""


class NotRunError(OperationalError):
    """A unit was not run, for one before it in its group had failed."""


class InFlight:
    """A batch on its way. The caller that waits for `answer` may be cancelled; the unit still runs to its end.

    `size` is how many results it will have, `last` whether its group ends with it. `deadline` is when its caller stops
    waiting, `silence` when the connection is given up if this unit is the next to be answered and still is not; both
    are times of the event loop. With `take`, the rows of its last statement come in chunks: `take` is called with each,
    and if it raises NoRoom, so does `answer`, at once.
    """

    __slots__ = ("_done", "_ended", "_settled", "answer", "deadline", "last", "silence", "size", "take")

    def __init__(
        self,
        answer: asyncio.Future[list[PGresult]],
        size: int,
        deadline: float,
        silence: float,
        done: Callable[[], None] | None = None,
        take: Callable[[list[Row]], None] | None = None,
    ) -> None:
        self.answer = answer
        self.size = size
        self.deadline = deadline
        self.silence = silence
        self.last = False
        self.take = take
        self._done = done
        self._settled = False
        self._ended: asyncio.Future[None] | None = None

    async def ended(self) -> None:
        """Return once it is known to all what became of the unit."""
        if not self._settled:
            self._ended = self._ended or self.answer.get_loop().create_future()
            await asyncio.shield(self._ended)

    def give_up(self) -> None:
        """Tell the caller that there is no answer in time. The unit runs its course."""
        if not self.answer.done():
            self.answer.set_exception(OverdueError("no answer in time"))

    def take_chunk(self, load: Callable[[], list[Row]]) -> None:
        """Pass on a chunk of rows; nobody loads those that come behind an error, or when nobody waits any more."""
        if self.take is not None and not self.answer.done():
            try:
                self.take(load())
            except NoRoom as full:
                self.answer.set_exception(full.with_traceback(None))  # whose frames would keep the rows

    def settle(self, outcome: list[PGresult] | Error) -> None:
        """Tell whoever waits what became of it."""
        self._settled = True
        if not self.answer.done():
            if isinstance(outcome, list) and outcome[-1].status >= _FAILED:
                outcome = _failure(outcome)
            if isinstance(outcome, list):
                self.answer.set_result(outcome)
            else:
                self.answer.set_exception(outcome)
        if self._done is not None:
            self._done()
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)


def _failure(results: list[PGresult]) -> Error:
    for result in results:
        if result.status == _FAILED:
            return errors.error_from_result(result)
    return NotRunError("another statement of the same transaction failed")

"""A transaction on its way to PostgreSQL, and how its caller learns the outcome."""

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
    """A transaction was not answered in time."""


class NotSentError(OperationalError):
    """A transaction could not be sent."""


class NotRunError(OperationalError):
    """A transaction was not run, because another one before it in its group had failed."""


class InFlight:
    """A transaction on its way. A caller may stop waiting for `answer`; the transaction still runs to its end.

    `size` is how many results it will have, `last` whether its group ends with it. `deadline` is when its caller stops
    waiting, `silence` when the connection is closed if this answer is the next one and still missing; both are times of
    the event loop. With `take`, the rows of its last statement come in chunks: `take` is called with each, and if it
    raises NoRoom, so does `answer`, at once.
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
        """Return once the outcome has been reported."""
        if not self._settled:
            self._ended = self._ended or self.answer.get_loop().create_future()
            await asyncio.shield(self._ended)

    def give_up(self) -> None:
        """Report to the caller that there is no answer in time. The transaction still runs to its end."""
        if not self.answer.done():
            self.answer.set_exception(OverdueError("no answer in time"))

    def take_chunk(self, load: Callable[[], list[Row]]) -> None:
        """Pass on a chunk of rows. Chunks behind an error, or without a waiting caller, are not loaded."""
        if self.take is not None and not self.answer.done():
            try:
                self.take(load())
            except NoRoom as full:
                self.answer.set_exception(full.with_traceback(None))  # its frames would keep the rows

    def settle(self, outcome: list[PGresult] | Error) -> None:
        """Report the outcome to the caller, and to those that wait in `ended`."""
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

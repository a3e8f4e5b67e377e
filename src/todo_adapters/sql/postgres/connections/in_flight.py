"""A transaction in flight: sent to PostgreSQL, with its outcome still to come."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

from psycopg import Error, OperationalError, errors
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from todo_adapters.sql.postgres.errors import TOO_SLOW
from todo_adapters.sql.values import Row
from todo_domain.deadline import RESPOND_WITHIN
from todo_domain.errors import BudgetExceeded, Unavailable

_FAILED: Final = ExecStatus.FATAL_ERROR

_ROOM: Final = 0.3
"""Seconds by which the server's timeout of a statement ends before ours, so that the outcome is known."""

_SILENCE: Final = RESPOND_WITHIN
"""Seconds after which a connection is closed if the first transaction on the way has not ended, unless its own deadline
is later, as that of an erasure is: the server ends every statement sooner."""

_LEAST: Final = 0.05
"""The fewest seconds for a statement; with less time left, it is not sent."""


def milliseconds_left(give_up: float) -> int:
    """Return the timeout of a transaction that is sent now, whose caller waits until `give_up`.

    That is a time of the event loop. Raises Unavailable if too little is left to send anything.
    """
    left = give_up - _ROOM - time.monotonic()
    if left < _LEAST:
        raise Unavailable(TOO_SLOW)
    return int(left * 1000)


class OverdueError(OperationalError):
    """A transaction did not end in time."""


class NotSentError(OperationalError):
    """A transaction could not be sent."""


class NotRunError(OperationalError):
    """A transaction was not run, because an earlier one in its group failed."""


class InFlight:
    """A transaction in flight. A caller may stop waiting for `outcome`; the transaction still runs to its end.

    `size` is how many results it will have, `last` whether its group ends with it. `deadline` is when its caller stops
    waiting, `silence` when the connection is closed if this transaction is the first on the way; both are times of the
    event loop. With `take`, the rows of its last statement come in chunks: `take` is called with each, and returns for
    how many seconds to pause before the next; if it raises BudgetExceeded, so does `outcome`, at once. The results may
    be those of a failure: see `require_success`.
    """

    __slots__ = ("_done", "_ended", "_settled", "deadline", "last", "outcome", "silence", "size", "take")

    def __init__(
        self,
        size: int,
        deadline: float,
        done: Callable[[], None] | None = None,
        take: Callable[[list[Row]], float] | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[list[PGresult]] = loop.create_future()
        self.size = size
        self.deadline = deadline
        self.silence = loop.time() + _SILENCE
        if deadline < math.inf:
            self.silence = max(self.silence, deadline)
        self.last = False
        self.take = take
        self._done = done
        self._settled = False
        self._ended: asyncio.Future[None] | None = None

    async def ended(self) -> None:
        """Return once the outcome is settled."""
        if not self._settled:
            self._ended = self._ended or self.outcome.get_loop().create_future()
            await asyncio.shield(self._ended)

    def give_up(self) -> None:
        """Report to the caller that the outcome is not known in time. The transaction still runs to its end."""
        if not self.outcome.done():
            self.outcome.set_exception(OverdueError("no result in time"))

    def take_chunk(self, load: Callable[[], list[Row]]) -> float:
        """Pass on a chunk of rows; return for how many seconds to pause before the next.

        Chunks behind an error, or without a waiting caller, are not loaded.
        """
        if self.take is not None and not self.outcome.done():
            try:
                return self.take(load())
            except BudgetExceeded as full:
                self.outcome.set_exception(full.with_traceback(None))  # its frames would keep the rows
        return 0.0

    def settle(self, outcome: list[PGresult] | Error) -> None:
        """Report the outcome to the caller, and to those that wait in `ended`."""
        self._settled = True
        if not self.outcome.done():
            if isinstance(outcome, list):
                self.outcome.set_result(outcome)
            else:
                self.outcome.set_exception(outcome)
        if self._done is not None:
            self._done()
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)


def require_success(results: list[PGresult]) -> None:
    """Raise the error of the statement that failed, if one did; NotRunError if that is one of another transaction."""
    if results[-1].status >= _FAILED:  # the last is not run if any before it fails
        for result in results:
            if result.status == _FAILED:
                raise errors.error_from_result(result)
        raise NotRunError("another statement of the same transaction failed")

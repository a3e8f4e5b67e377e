"""A connection to PostgreSQL that many requests share: what they send follows each other without waiting.

A *unit* is a batch closed by one Sync. PostgreSQL runs a unit as one transaction (see "Pipelining" in its manual's
chapter on the protocol), hence the context at its start holds for the rest of it and for nobody else. Units that are
sent in one turn of the event loop leave in one write.
"""

from __future__ import annotations

import asyncio
import select
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final, Self

from psycopg import AsyncConnection, Error, OperationalError, errors
from psycopg.abc import Buffer
from psycopg.adapt import Loader, PyFormat, Transformer
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from todo_adapters.sql.batch import Batch
from todo_adapters.sql.rows import Row, Values

_SYNC: Final = ExecStatus.PIPELINE_SYNC
_FAILED: Final = ExecStatus.FATAL_ERROR
_ROWS: Final = ExecStatus.TUPLES_OK


class OverdueError(OperationalError):
    """A unit was not answered in time; the connection it went out on is gone."""


class NotSentError(OperationalError):
    """A unit could not be sent."""


class Instant(Loader):
    """Reads a `timestamptz` as UTC, whatever the server's own time zone."""

    def load(self, data: Buffer) -> datetime:
        """Return the time that PostgreSQL's text stands for."""
        moment = datetime.fromisoformat(str(data, "ascii"))
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)


class Unit:
    """A batch on its way. Whoever waits for `answer` may be cancelled; the unit runs its course all the same."""

    __slots__ = ("_done", "_ended", "_settled", "answer", "deadline")

    def __init__(
        self, answer: asyncio.Future[list[PGresult]], deadline: float, done: Callable[[], None] | None = None
    ) -> None:
        self.answer = answer
        self.deadline = deadline
        self._done = done
        self._settled = False
        self._ended: asyncio.Future[None] | None = None

    async def ended(self) -> None:
        """Return once it is known to all what became of the unit."""
        if not self._settled:
            self._ended = self._ended or self.answer.get_loop().create_future()
            await asyncio.shield(self._ended)

    def settle(self, outcome: list[PGresult] | Error) -> None:
        """Tell whoever waits what became of it."""
        self._settled = True
        if not self.answer.done():
            if isinstance(outcome, list) and outcome[-1].status >= _FAILED:
                outcome = errors.error_from_result(next(result for result in outcome if result.status == _FAILED))
            if isinstance(outcome, list):
                self.answer.set_result(outcome)
            else:
                self.answer.set_exception(outcome)
        if self._done is not None:
            self._done()
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(None)


class Wire:
    """One connection in libpq's pipeline mode. Once it is broken it stays so, and every unit on it fails.

    `prepared` decides whether statements are sent by name. A pooler that moves transactions between servers cannot
    have that; unnamed, each is parsed again.
    """

    def __init__(self, connection: AsyncConnection[Row]) -> None:
        connection.adapters.register_loader("timestamptz", Instant)
        self._connection = connection  # kept, for it closes when it is collected
        self._pg = connection.pgconn
        self._shapes = Transformer(connection)
        self._open = True
        self._loop = asyncio.get_running_loop()
        self._socket = self._pg.socket
        self._glance = select.poll()
        self._glance.register(self._socket, select.POLLIN)
        self._known: set[bytes] = set()
        self._units: deque[Unit] = deque()
        self._results: list[PGresult] = []
        self._flushing = False
        self._watch: asyncio.TimerHandle | None = None
        self._pg.enter_pipeline_mode()
        self._loop.add_reader(self._socket, self._read)

    @classmethod
    async def to(cls, info: str) -> Self:
        """Return a new wire; `info` is libpq's. Raises psycopg.Error."""
        connection = await AsyncConnection[Row].connect(
            info, autocommit=True, prepare_threshold=None, client_encoding="UTF8"
        )
        return cls(connection)

    @property
    def load(self) -> int:
        """How many units are on the way."""
        return len(self._units)

    @property
    def broken(self) -> bool:
        """Whether nothing can be sent any more. An idle wire is looked at: a server tells it only that it hangs up."""
        if self._open and not self._units and self._glance.poll(0):
            self.close()
        return not self._open

    def send(
        self, batch: Batch, values: Values, *, deadline: float, prepared: bool, done: Callable[[], None] | None = None
    ) -> Unit:
        """Send a batch as one unit, whose answer will hold a result for each of its statements.

        The answer fails with what PostgreSQL says, or with OverdueError if there is none by `deadline`, a time of the
        event loop's. `done` is called when the unit has run its course. Raises NotSentError, and then calls nobody, if
        it cannot be sent: nothing of it is kept.
        """
        try:
            dumped = self._shapes.dump_sequence(
                [values[name] for name in batch.parameters], [PyFormat.TEXT] * len(batch.parameters)
            )
            if prepared:
                self._prepare(batch, deadline)
            for statement in batch.statements:
                arguments = [dumped[place] for place in statement.places]
                if prepared:
                    self._pg.send_query_prepared(statement.name, arguments)
                else:
                    self._pg.send_query_params(statement.text, arguments)
            self._pg.pipeline_sync()
        except OperationalError as lost:
            self.close(lost)
            raise NotSentError(str(lost)) from lost
        except BaseException:  # half a unit is on the wire, and nothing may come behind it
            self.close()
            raise
        unit = Unit(self._loop.create_future(), deadline, done)
        self._units.append(unit)
        if self._watch is None:
            self._watch = self._loop.call_at(deadline, self._look)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        return unit

    def rows(self, results: list[PGresult]) -> list[list[Row]]:
        """Return the rows of each statement behind the context; none of one that returns none."""
        return [self._loaded(result) for result in results[1:]]

    async def rest(self) -> None:
        """Return once nothing is on the way."""
        if self._units:
            await self._units[-1].ended()

    def close(self, reason: Error | None = None) -> None:
        """End the connection at once; the unit at the head fails with `reason`, those behind it as if it broke."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._pg.finish()
        if self._watch is not None:
            self._watch.cancel()
        units, self._units = self._units, deque()
        for place, unit in enumerate(units):
            unit.settle(reason if reason is not None and place == 0 else OperationalError("the connection was closed"))

    def _prepare(self, batch: Batch, deadline: float) -> None:
        """Prepare what this connection does not know yet, each in a unit of its own: no failure undoes another's."""
        for statement in batch.statements:
            if statement.name not in self._known:
                self._known.add(statement.name)
                self._pg.send_prepare(statement.name, statement.text)
                self._pg.pipeline_sync()
                preparation = Unit(self._loop.create_future(), deadline)
                preparation.answer.add_done_callback(partial(self._prepared, statement.name))
                self._units.append(preparation)

    def _prepared(self, name: bytes, answer: asyncio.Future[list[PGresult]]) -> None:
        if answer.exception() is not None:
            self._known.discard(name)

    def _flush(self) -> None:
        self._flushing = False
        if not self._open:
            return
        try:
            if self._pg.flush():  # the socket is full: go on when it has drained
                self._loop.add_writer(self._socket, self._drain)
        except Error as lost:
            self.close(lost)

    def _drain(self) -> None:
        self._loop.remove_writer(self._socket)
        self._flush()

    def _look(self) -> None:
        """See whether the unit at the head is overdue: those behind it were sent later, and have longer."""
        self._watch = None
        if self._units and self._units[0].deadline <= self._loop.time():
            self.close(OverdueError("no answer in time"))
        elif self._units:
            self._watch = self._loop.call_at(self._units[0].deadline, self._look)

    def _read(self) -> None:
        pg = self._pg
        try:
            pg.consume_input()
            while self._units and not pg.is_busy():
                result = pg.get_result()
                if result is None:
                    continue  # the end of one statement
                if result.status != _SYNC:
                    self._results.append(result)
                    continue
                results, self._results = self._results, []
                self._units.popleft().settle(results)
        except Error as lost:
            self.close(lost)

    def _loaded(self, result: PGresult) -> list[Row]:
        if result.status != _ROWS:
            return []
        self._shapes.set_pgresult(result)
        return self._shapes.load_rows(0, result.ntuples, tuple)

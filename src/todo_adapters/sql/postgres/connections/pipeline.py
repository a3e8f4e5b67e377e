"""A connection to PostgreSQL that many requests share: each sends its `Transaction` without waiting for the others.

The transactions that are sent in one turn of the event loop are a *group*: they leave in one write, closed by one Sync,
and PostgreSQL runs the group as one transaction of its own (see "Pipelining" in its manual's chapter on the protocol).
Each begins with its own context, which replaces the context of the one before it; if any statement fails, none behind
it is run. Each statement sees what was committed when it began. Reads form such groups by themselves; for writes see
`write_groups.py`.
"""

from __future__ import annotations

import asyncio
import math
import select
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Self

from psycopg import AsyncConnection, Error, OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from todo_adapters.sql.postgres.connections.earliest_timer import EarliestTimer
from todo_adapters.sql.postgres.connections.in_flight import InFlight, NotSentError, OverdueError, require_success
from todo_adapters.sql.postgres.connections.loading import CHUNK, CHUNKS, Instant, ask_for_chunks, rows_of
from todo_adapters.sql.postgres.connections.prepared import PreparedStatements
from todo_adapters.sql.postgres.connections.session import Session, prepare
from todo_adapters.sql.postgres.statements.citus import user_on_nodes
from todo_adapters.sql.postgres.statements.transaction import Statement, Transaction
from todo_adapters.sql.rows import Values
from todo_adapters.sql.values import Row

_SYNC: Final = ExecStatus.PIPELINE_SYNC


class PipelineConnection:
    """One connection in libpq's pipeline mode. Once it is broken it stays so, and every transaction on it fails.

    On a `pooled` one, where each transaction may run on another server connection, no statement has a name, and a
    transaction is only sent when the one before it has ended: PgBouncer 1.18 takes the server connection away
    when the first ends, even if it has passed on part of the second. On one to `citus` every transaction is a group of
    its own, and one more statement behind the context tells the nodes who the user is.
    """

    def __init__(self, connection: AsyncConnection[Row], session: Session) -> None:
        self.pooled = session.pooled
        self.citus = session.citus
        self.distance = session.distance
        """Seconds of the fastest round trip that is known, which the users of the connection measure."""
        if self.pooled:
            connection.adapters.register_loader("timestamptz", Instant)
        self._connection = connection  # a reference, because a collected connection is closed
        self._pg = connection.pgconn
        self._shapes = Transformer(connection)
        self._open = True
        self._loop = asyncio.get_running_loop()
        self._socket = self._pg.socket
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        self._prepared = PreparedStatements()
        self._in_flight: deque[InFlight] = deque()
        self._results: list[PGresult] = []
        self._closing = False
        self._timer = EarliestTimer(self._give_up_overdue)
        self._pg.enter_pipeline_mode()
        self._loop.add_reader(self._socket, self._read)

    @classmethod
    async def to(cls, info: str) -> Self:
        """Return a new connection; `info` is libpq's. Raises psycopg.Error, and Unavailable as `prepare` does."""
        connection = await AsyncConnection[Row].connect(
            info, autocommit=True, prepare_threshold=None, client_encoding="UTF8"
        )
        try:
            session = await prepare(connection)
        except BaseException:
            await connection.close()
            raise
        return cls(connection, session)

    @property
    def load(self) -> int:
        """How many transactions are in flight."""
        return len(self._in_flight)

    @property
    def broken(self) -> bool:
        """Whether the connection is unusable. An idle one is polled first, to notice that the server closed it."""
        if self._open and not self._in_flight and self._poll.poll(0):
            self.close()
        return not self._open

    def send(
        self,
        transaction: Transaction,
        values: Values,
        *,
        deadline: float,
        done: Callable[[], None] | None = None,
        take: Callable[[list[Row]], float] | None = None,
    ) -> InFlight:
        """Send a transaction. Its outcome will hold a result for each of its statements.

        The outcome is OverdueError if the results are missing at `deadline`, a time of the event loop. `done` is called
        when the transaction has run to its end. `take`, for a transaction that travels alone, is called with the rows
        of its last statement, some at a time as they arrive: see `InFlight`. Raises NotSentError, and then calls
        neither, if the transaction cannot be sent: none of it will run.
        """
        sent = self._send([(transaction, values)], deadline, done, take)
        if transaction.writes or self.citus:  # a group of its own: no failure of another transaction undoes it
            self._close_group()
        elif not self._closing:
            self._closing = True
            self._loop.call_soon(self._close_group)
        return sent

    def send_group(self, group: Sequence[tuple[Transaction, Values]], *, done: Callable[[], None]) -> InFlight:
        """Send transactions that write as one group: all of them happen, or none.

        The outcome holds the results of all statements. It has no deadline. Otherwise see `send`.
        """
        sent = self._send(group, math.inf, done)
        self._close_group()
        return sent

    def rows(self, results: list[PGresult]) -> list[list[Row]]:
        """Return the rows of each statement behind the context; an empty list for one that returns no rows.

        Raises the error of PostgreSQL if one of the statements failed.
        """
        require_success(results)
        return [rows_of(result, self._shapes) for result in results[1 + self.citus :]]

    def forget(self) -> None:
        """Prepare every statement again: after a migration, an older plan may fail."""
        self._prepared.forget()

    async def rest(self) -> None:
        """Return once nothing is in flight."""
        if self._in_flight:
            await self._in_flight[-1].ended()

    def close(self, reason: Error | None = None) -> None:
        """Close the connection at once. The first transaction fails with `reason`, the others as if it broke."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._pg.finish()
        self._timer.cancel()
        lost, self._in_flight = self._in_flight, deque()
        for index, sent in enumerate(lost):
            sent.settle(reason if reason is not None and index == 0 else OperationalError("the connection was closed"))

    def _send(
        self,
        group: Sequence[tuple[Transaction, Values]],
        deadline: float,
        done: Callable[[], None] | None,
        take: Callable[[list[Row]], float] | None = None,
    ) -> InFlight:
        if self.pooled and self._in_flight:
            raise NotSentError("a pooled connection takes one transaction at a time")
        try:
            if group[0][0].writes:
                self._sync()
            for transaction, _ in group:
                if not self.pooled and not self._prepared.has(transaction):
                    self._prepare(transaction, deadline)
            for index, (transaction, values) in enumerate(group):
                self._enqueue(transaction, values, transaction.behind if index else transaction.statements)
        except OperationalError as lost:
            self.close(lost)
            raise NotSentError(str(lost)) from lost
        except BaseException:  # half a transaction was sent, and nothing may follow it
            self.close()
            raise
        sent = InFlight(sum(len(transaction.statements) + self.citus for transaction, _ in group), deadline, done, take)
        self._in_flight.append(sent)
        self._timer.by(min(deadline, sent.silence))
        return sent

    def _enqueue(self, transaction: Transaction, values: Values, statements: tuple[Statement, ...]) -> None:
        dumped = self._shapes.dump_sequence(
            [values[name] for name in transaction.parameters], [PyFormat.TEXT] * len(transaction.parameters)
        )
        for number, statement in enumerate(statements):
            if self.citus and number == 1:  # behind the context
                self._pg.send_query_params(user_on_nodes(self._pg, values["owner"]), [])
            arguments = [dumped[index] for index in statement.parameter_indexes]
            if self.pooled:
                self._pg.send_query_params(statement.text, arguments)
            else:
                self._pg.send_query_prepared(self._prepared.name(statement), arguments)

    def _prepare(self, transaction: Transaction, deadline: float) -> None:
        """Prepare the statements that are new here, each in a group of its own: no failure undoes another one."""
        for statement in self._prepared.missing(transaction):
            self._sync()
            self._pg.send_prepare(self._prepared.name(statement), statement.text)
            sent = InFlight(1, deadline)
            self._prepared.watch(statement, sent.outcome)
            self._in_flight.append(sent)
            self._sync()
        self._prepared.ready(transaction)

    def _sync(self) -> None:
        """End the group of the transactions sent so far, if there is one."""
        if self._in_flight and not self._in_flight[-1].last:
            self._in_flight[-1].last = True
            self._pg.pipeline_sync()

    def _close_group(self) -> None:
        self._closing = False
        if self._open:
            try:
                self._sync()
                self._flush()
            except Error as lost:
                self.close(lost)

    def _flush(self) -> None:
        if self._pg.flush():  # the socket is full: go on when it has drained
            self._loop.add_writer(self._socket, self._drain)

    def _drain(self) -> None:
        self._loop.remove_writer(self._socket)
        try:
            self._flush()
        except Error as lost:
            self.close(lost)

    def _give_up_overdue(self) -> None:
        """Give up each transaction that is overdue, and the connection if it has been silent for too long."""
        if not self._in_flight:
            return
        now = self._loop.time()
        if self._in_flight[0].silence <= now:
            self.close(OverdueError("no result in time"))
            return
        due = self._in_flight[0].silence
        for sent in self._in_flight:
            if sent.deadline <= now:
                sent.give_up()
            else:
                due = min(due, sent.deadline)
        self._timer.by(due)

    def _read(self) -> None:
        pg = self._pg
        try:
            pg.consume_input()
            ended = False
            while self._in_flight and not pg.is_busy():
                result = pg.get_result()
                if result is None:
                    if ended:  # twice: the server hung up before the group was closed
                        return
                    ended = True  # of one statement
                    if (sent := self._in_flight[0]).take is not None and len(self._results) == sent.size - 1:
                        ask_for_chunks(pg)
                    continue
                ended = False
                if result.status in CHUNKS:
                    pause = self._in_flight[0].take_chunk(partial(rows_of, result, self._shapes))
                    if result.ntuples == CHUNK:
                        self._loop.remove_reader(self._socket)
                        self._loop.call_later(pause, self._read_on)
                        return
                    continue
                if result.status != _SYNC:
                    self._results.append(result)
                    continue
                results, self._results = self._results, []
                self._settle(results)
        except Error as lost:
            self.close(lost)

    def _read_on(self) -> None:
        if self._open:
            self._loop.add_reader(self._socket, self._read)
            self._read()

    def _settle(self, results: list[PGresult]) -> None:
        """Give each transaction of the ended group its results; raise OperationalError if the numbers differ."""
        group = [self._in_flight[0]]
        while not group[-1].last:
            group.append(self._in_flight[len(group)])
        if sum(sent.size for sent in group) != len(results):
            raise OperationalError("the number of results is not that of the statements")
        begin = 0
        for sent in group:
            self._in_flight.popleft()
            sent.settle(results[begin : begin + sent.size])
            begin += sent.size

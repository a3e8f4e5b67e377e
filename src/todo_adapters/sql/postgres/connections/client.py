"""Runs transactions on PostgreSQL: short reads share one connection, everything else uses a pool."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Final

import psycopg

from todo_adapters.sql.additions import RefusedByAddition
from todo_adapters.sql.postgres.additions import what_refused
from todo_adapters.sql.postgres.connections.in_flight import NotRunError, NotSentError, OverdueError, milliseconds_left
from todo_adapters.sql.postgres.connections.loading import PAUSE
from todo_adapters.sql.postgres.connections.pipeline import PipelineConnection
from todo_adapters.sql.postgres.connections.pool import Pool, PoolSlot, with_defaults
from todo_adapters.sql.postgres.connections.write_groups import WriteGroups
from todo_adapters.sql.postgres.errors import (
    LOST_RACE,
    NOT_PREPARED,
    OUTDATED,
    TOO_SLOW,
    left_open,
    sentence_for,
    why_out_of_reach,
)
from todo_adapters.sql.postgres.statements.citus_writes import ON_CITUS
from todo_adapters.sql.postgres.statements.transaction import Transaction
from todo_adapters.sql.rows import Values, counted
from todo_adapters.sql.values import Row
from todo_domain.deadline import Deadline
from todo_domain.errors import Unavailable
from todo_domain.memory_budget import MemoryBudget

_ATTEMPTS: Final = 5

_MOST_READS: Final = 1_000
"""The most short reads on the connection that they share. At about 50 µs each, another one would wait too long."""

_MOST_WRITES: Final = 8
"""The most writes in flight on one connection. Each is sent without waiting for the result of the previous one; if the
connection breaks, the outcome of all of them is unknown."""


class PostgresClient:
    """The connections to the database, and what happens after each kind of failure.

    `pool_size`, at least 3, is how many connections there may be: one that short reads share, half of the others for
    writes, and the rest for reads that may take long: each of those has a connection to itself. Short writes run in
    groups, each on one of the connections for writes, unless a pooler is in between: see `WriteGroups`.
    """

    def __init__(self, info: str, *, pool_size: int) -> None:
        info = with_defaults(info)
        slow = max(1, (pool_size - 1) // 2)
        self._reads = Pool(info, size=1, depth=_MOST_READS)
        self._writes = Pool(info, size=max(1, pool_size - 1 - slow), depth=_MOST_WRITES)
        self._slow = Pool(info, size=slow)
        self._groups = WriteGroups(self._writes)

    async def run(
        self,
        transaction: Transaction,
        values: Values,
        *,
        deadline: Deadline | None = None,
        budget: MemoryBudget | None = None,
        convert: Callable[[Row], Row] | None = None,
    ) -> list[list[Row]]:
        """Return the rows of each statement of the transaction. The client adds the timeout to `values`.

        With `budget`, which is for a transaction that is sent alone, the rows of its last statement are counted, and
        converted by `convert`, as they arrive. Raises BudgetExceeded if they exceed the budget.

        A transaction that lost a race is repeated; so is a read that lost its connection or failed with others in its
        group. A repeated read runs alone. The deadline covers everything: waiting for a connection, opening it, running
        the transaction, repeating it.

        Raises Unavailable at the deadline, or before it if too little time is left to send the transaction. Its outcome
        is unknown exactly if a writing transaction was sent and no result came. Raises RefusedByAddition, and logs it,
        if something in the database that is not todo's refused the write, and psycopg.Error for a mistake in our own
        statements.
        """
        give_up = (deadline or Deadline.within()).at
        attempt = 1
        while True:
            try:
                if transaction.grouped and self._writes.groups:
                    return await self._grouped(transaction, values, give_up)
                return await self._attempt(
                    self._pool(transaction, again=attempt > 1), transaction, values, give_up, budget, convert
                )
            except OverdueError:
                raise Unavailable(TOO_SLOW, outcome_unknown=transaction.writes) from None
            except psycopg.Error as error:
                if error.sqlstate in NOT_PREPARED:  # nothing was done; without names it cannot happen again
                    for pool in self._pools:
                        pool.mistrust()
                    continue
                if (sentence := sentence_for(error)) is None:
                    if self._writes.citus or (what := what_refused(error)) is None:
                        raise
                    refused = RefusedByAddition(what)
                    refused.log()
                    raise refused from None
                unknown = transaction.writes and left_open(error) and not isinstance(error, NotSentError)
                again = error.sqlstate in {*LOST_RACE, OUTDATED} or (left_open(error) and not unknown)
                if not again or attempt == _ATTEMPTS:
                    raise Unavailable(sentence, outcome_unknown=unknown) from error
            await asyncio.sleep(random.uniform(0, 0.02 * attempt))  # noqa: S311  only spreads the retries  # nosec B311
            attempt += 1

    def connections(self) -> dict[str, int]:
        """Return how many connections are `busy` and `idle`, their `limit`, and how many callers are `waiting`."""
        found = [pool.connections() for pool in self._pools]
        total = {name: sum(each[name] for each in found) for name in found[0]}
        return total | {"waiting": total["waiting"] + self._groups.waiting}

    async def aclose(self) -> None:
        """Close the connections."""
        await asyncio.gather(*(pool.aclose() for pool in self._pools))

    @property
    def _pools(self) -> tuple[Pool, Pool, Pool]:
        return self._reads, self._writes, self._slow

    def _pool(self, transaction: Transaction, *, again: bool) -> Pool:
        if transaction.writes and not transaction.alone:
            return self._writes
        if transaction.alone or again:
            return self._slow
        return self._reads if self._reads.groups else min(self._reads, self._slow, key=lambda pool: pool.crowd)

    async def _grouped(self, transaction: Transaction, values: Values, give_up: float) -> list[list[Row]]:
        """Do what `_attempt` does, in a group with other writes; alone if that fails."""
        write = self._groups.enter(transaction, values, give_up)
        try:
            return await write.outcome
        except NotRunError:
            return await self._attempt(self._writes, transaction, values, give_up)
        except asyncio.CancelledError:  # the canceller may rely on the outcome being final
            await write.ended()
            raise
        finally:
            self._groups.leave(write)

    async def _attempt(
        self,
        pool: Pool,
        transaction: Transaction,
        values: Values,
        give_up: float,
        budget: MemoryBudget | None = None,
        convert: Callable[[Row], Row] | None = None,
    ) -> list[list[Row]]:
        """Do what `run` says, once, and raise psycopg.Error for every result that is an error."""
        slot, connection = pool.at_hand() or await _slot_in_time(pool, give_up)
        done = partial(pool.give, slot)
        long: list[Row] = []
        take = None
        if budget is not None:
            budget.empty()
            take = partial(self._take, long, budget, convert)
        try:
            if connection.citus:
                transaction = ON_CITUS.get(transaction, transaction)
            values["timeout"] = values["lock_timeout"] = str(milliseconds_left(give_up))
            sent = connection.send(transaction, values, deadline=give_up, done=done, take=take)
        except BaseException:
            done()
            raise
        try:
            rows = connection.rows(await sent.outcome)
            if transaction.wanted is not None:
                return [rows[index] for index in transaction.wanted]
            if take is not None:
                return [*rows[:-1], long]
            return rows if convert is None else [*rows[:-1], [*map(convert, rows[-1])]]
        except BaseException as failure:
            long.clear()  # the traceback of the failure has this frame and would keep them
            if isinstance(failure, psycopg.errors.FeatureNotSupported):
                connection.forget()
            elif isinstance(failure, asyncio.CancelledError):  # the canceller may rely on the outcome being final
                await sent.ended()
            elif connection.citus and isinstance(failure, psycopg.errors.InternalError_):
                raise psycopg.OperationalError("the coordinator lost its connection to a node") from failure
            raise

    def _take(
        self, rows: list[Row], budget: MemoryBudget, convert: Callable[[Row], Row] | None, more: list[Row]
    ) -> float:
        """Add a chunk of a long read to its rows; return for how many seconds it pauses so that others can run."""
        chunk = counted(more, budget)
        rows.extend(chunk if convert is None else map(convert, chunk))
        alone = self._groups.waiting + sum(pool.callers for pool in self._pools) == 1
        return 0.0 if alone else PAUSE


async def _slot_in_time(pool: Pool, give_up: float) -> tuple[PoolSlot, PipelineConnection]:
    try:
        async with asyncio.timeout_at(give_up):
            return await pool.take()
    except TimeoutError:
        raise Unavailable("too many are waiting for the database: try again") from None
    except psycopg.Error as error:
        raise Unavailable(why_out_of_reach(error)) from error

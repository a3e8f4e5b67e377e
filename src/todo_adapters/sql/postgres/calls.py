"""Calls of a PostgreSQL store: each runs one transaction and interprets its rows and errors."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal

import psycopg

from todo_adapters.sql.postgres.connections.client import PostgresClient
from todo_adapters.sql.postgres.errors import NOT_ALLOWED
from todo_adapters.sql.postgres.isolation import check_isolation, prove_isolation
from todo_adapters.sql.postgres.notifications import Notifications
from todo_adapters.sql.postgres.statements import transactions
from todo_adapters.sql.postgres.statements.transaction import Transaction
from todo_adapters.sql.postgres.url import libpq_url
from todo_adapters.sql.rows import Values, expired, keyed
from todo_adapters.sql.task_columns import task_from_postgresql, with_task
from todo_adapters.sql.values import POSTGRESQL_FORMS as FORMS
from todo_adapters.sql.values import Row
from todo_domain.changes import Tombstone
from todo_domain.deadline import Deadline
from todo_domain.errors import Gone, KeyReused, NotFound, Repeated, Unavailable
from todo_domain.memory_budget import MemoryBudget
from todo_domain.naming import Key
from todo_domain.owner import UserId
from todo_domain.ports import Once
from todo_domain.retention import purge_is_due
from todo_domain.task import Task

_PURGE_TIMEOUT: Final = 0.4
"""Seconds of the write's deadline that the purge after it may take; the write's caller waits for the purge."""


class PostgresCalls:
    """The shared part of the store's methods: the client, transactions with and without a key, the purge after a write.

    Methods: see `Tasks`.
    """

    def __init__(self, url: str, *, pool_size: int = 8) -> None:
        self._client = PostgresClient(libpq_url(url), pool_size=pool_size)

    async def open(self) -> None:
        """Do nothing: the first call that needs a connection makes it, and `check` reports whether that works."""

    async def aclose(self) -> None:
        """Close the connections. Later calls raise Unavailable."""
        await self._client.aclose()

    def connections(self) -> dict[str, int]:
        """Return the numbers of `busy` and `idle` connections, their `limit`, and the number of `waiting` callers."""
        return self._client.connections()

    async def counters(self, users: Collection[UserId]) -> dict[UserId, int]:
        """Return each user's counter, each read with that user's rights; 0 for a user who never wrote."""
        found = await asyncio.gather(
            *(self._run(transactions.COUNTER, {"owner": user}, deadline=None) for user in users)
        )
        return {user: rows[0][0] if rows else 0 for user, (rows,) in zip(users, found, strict=True)}

    def notifications(
        self,
        urls: Sequence[str],
        *,
        received: Callable[[str], None],
        reconnected: Callable[[], None],
        counted: Callable[[Literal["sent", "received"], int], None],
    ) -> Notifications:
        """Return the notifier between workers; `urls` are the connection strings to listen on, the best first."""
        infos = [libpq_url(url) for url in urls]
        return Notifications(self._client, infos, received=received, reconnected=reconnected, counted=counted)

    async def check(self, *, deadline: Deadline | None = None) -> None:
        """See `Tasks`; serving needs row-level security in force."""
        await check_isolation(self._client, deadline or Deadline.within())

    async def prove_isolation(self) -> None:
        """Try to write rows of another user, without ever committing; raise Unavailable unless PostgreSQL refuses."""
        await prove_isolation(self._client)

    async def _run(
        self,
        transaction: Transaction,
        values: Values,
        *,
        deadline: Deadline | None,
        budget: MemoryBudget | None = None,
        convert: Callable[[Row], Row] | None = None,
    ) -> list[list[Row]]:
        """Run a transaction; a missing privilege or role, or row_security turned off, raises Unavailable."""
        try:
            return await self._client.run(transaction, values, deadline=deadline, budget=budget, convert=convert)
        except psycopg.errors.InsufficientPrivilege as error:
            raise Unavailable(NOT_ALLOWED) from error
        except psycopg.errors.InvalidParameterValue:
            await self.check(deadline=deadline)  # raises Unavailable if the role is missing
            raise

    async def _read_tasks(
        self, transaction: Transaction, values: Values, *, deadline: Deadline | None, budget: MemoryBudget | None
    ) -> list[Row]:
        """Return the rows of a statement that reads tasks, each with its task, if it has one, in the first column.

        With a budget, the tasks are made as their rows arrive, not all of them in one turn of the event loop.
        """
        (rows,) = await self._run(transaction, values, deadline=deadline, budget=budget, convert=with_task)
        return rows

    async def _run_once(
        self, transaction: Transaction, values: Values, once: Once | None, now: datetime, deadline: Deadline | None
    ) -> list[list[Row]]:
        """Run a transaction, with the key if there is one. Raises Repeated or KeyReused if the key was used."""
        if once is None:
            return await self._run(transaction, values, deadline=deadline)
        values = {**values, **keyed(once, now, FORMS)}
        seen, *results = await self._run(transactions.ONCE[transaction], values, deadline=deadline)
        if seen:
            raise Repeated if seen[0][0] == once.fingerprint else KeyReused
        return results

    async def _purge(
        self,
        owner: UserId,
        revision: int,
        now: datetime,
        trash_kept: timedelta,
        deadline: Deadline | None,
        writes: int = 1,
    ) -> None:
        # A transaction of its own, right after the write: as a statement of every write it would double the write's
        # cost.
        if not purge_is_due(revision, writes):
            return
        with contextlib.suppress(Unavailable):  # the write is committed, and a later one will purge
            due = (deadline or Deadline.within()).at_most(_PURGE_TIMEOUT)
            await self._run(transactions.PURGE, expired(owner, now, trash_kept, FORMS), deadline=due)


def transaction_for(transaction: Transaction, key: Key) -> Transaction:
    """Return the transaction, or for a uid the same one with a uid."""
    return transactions.BY_UID[transaction] if isinstance(key, str) else transaction


def only(rows: list[Row], deleted: Sequence[Row] = ()) -> Task:
    """Return the task in the row; without a row, raise Gone or NotFound. `deleted` has the tombstones of its uid."""
    if not rows:
        require_not_gone(deleted)
        raise NotFound
    return task_from_postgresql(rows[0])


def require_not_gone(deleted: Sequence[Row]) -> None:
    """Raise Gone if there is a tombstone."""
    if deleted:
        *tombstone, in_trash = deleted[0]
        raise Gone(Tombstone(*tombstone), restorable=in_trash)

"""The trash in PostgreSQL: every call is one round trip."""

from __future__ import annotations

from datetime import datetime, timedelta

from todo_adapters.sql.postgres.calls import PostgresCalls, transaction_for
from todo_adapters.sql.postgres.statements import transactions
from todo_adapters.sql.rows import named
from todo_adapters.sql.task_columns import task_from_postgresql, task_in
from todo_adapters.sql.trash import everything_in, not_expired, page_of, page_values
from todo_adapters.sql.values import POSTGRESQL_FORMS as FORMS
from todo_domain.deadline import Deadline
from todo_domain.errors import NotFound, QuotaReached
from todo_domain.memory_budget import MemoryBudget
from todo_domain.naming import Key
from todo_domain.owner import UserId
from todo_domain.portability import Everything
from todo_domain.query import SHORT_PAGE
from todo_domain.task import Task
from todo_domain.trash import TRASH_KEPT, TrashPage


class PostgresTrash(PostgresCalls):
    """The methods of the port `Tasks` for the trash. Methods: see `Tasks`."""

    async def trash(
        self,
        owner: UserId,
        *,
        now: datetime,
        trash_kept: timedelta = TRASH_KEPT,
        limit: int | None = None,
        before: int | None = None,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> TrashPage:
        most = None if limit is None else limit + 1
        values = {"owner": owner, **not_expired(now, trash_kept, FORMS), **page_values(before, most)}
        short = limit is not None and limit <= SHORT_PAGE
        transaction = transactions.TRASH if short else transactions.LONG_TRASH
        rows = await self._read_tasks(transaction, values, deadline=deadline, budget=budget)
        return page_of(rows, limit, trash_kept, task_in, lambda deleted_at: deleted_at)

    async def export(
        self,
        owner: UserId,
        *,
        now: datetime,
        trash_kept: timedelta = TRASH_KEPT,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Everything:
        values = {"owner": owner, **not_expired(now, trash_kept, FORMS)}
        rows = await self._read_tasks(transactions.EVERYTHING, values, deadline=deadline, budget=budget)
        return everything_in(rows, now, trash_kept, task_in, lambda deleted_at: deleted_at)

    async def restore(
        self,
        owner: UserId,
        key: Key,
        *,
        now: datetime,
        quota: int,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> Task:
        values = {**named(owner, key), "now": now, "quota": quota, **not_expired(now, trash_kept, FORMS)}
        transaction = transaction_for(transactions.RESTORE, key)
        there, restored, trashed = await self._run(transaction, values, deadline=deadline)
        if there:
            return task_from_postgresql(there[0])
        if not restored:
            raise QuotaReached(quota) if trashed else NotFound
        task = task_from_postgresql(restored[0])
        await self._purge(owner, task.revision, now, trash_kept, deadline)
        return task

    async def discard(
        self,
        owner: UserId,
        key: Key,
        *,
        now: datetime,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> None:
        values = {**named(owner, key), **not_expired(now, trash_kept, FORMS)}
        (discarded,) = await self._run(transaction_for(transactions.DISCARD, key), values, deadline=deadline)
        if not discarded:
            raise NotFound

    async def empty_trash(self, owner: UserId, *, deadline: Deadline | None = None) -> None:
        await self._run(transactions.EMPTY_TRASH, {"owner": owner}, deadline=deadline)

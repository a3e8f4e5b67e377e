"""The store in PostgreSQL: a call is one round trip.

It is two for an edit that changes nothing, and for a write after which a purge is due. Row-level security applies with
any login.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from todo_adapters.sql import lists
from todo_adapters.sql.postgres.calls import only, require_not_gone, transaction_for
from todo_adapters.sql.postgres.edits import PostgresEdits
from todo_adapters.sql.postgres.feed import PostgresFeeds
from todo_adapters.sql.postgres.statements import transactions
from todo_adapters.sql.postgres.statements.batch import apply_values, snapshot_of, snapshot_values
from todo_adapters.sql.postgres.trash import PostgresTrash
from todo_adapters.sql.rows import changed, conditions, expired, keyed, named, replayed, state_of
from todo_adapters.sql.task_columns import columns, task_from_postgresql, task_in
from todo_adapters.sql.values import POSTGRESQL_FORMS as FORMS
from todo_domain.changes import Changes, page_of_changes, require_known
from todo_domain.changeset import Changeset, Kept, Snapshot
from todo_domain.deadline import Deadline
from todo_domain.errors import Exists, QuotaReached, Stale
from todo_domain.memory_budget import MemoryBudget
from todo_domain.naming import Key
from todo_domain.owner import COUNTERS_BEGIN, UserId, first_counter
from todo_domain.ports import Created, Once
from todo_domain.query import Page, Query
from todo_domain.retention import purge_is_due
from todo_domain.task import Members, Task, new_task
from todo_domain.trash import TRASH_KEPT


class PostgresTasks(PostgresTrash, PostgresEdits, PostgresFeeds):
    """The port `Tasks` over a database that `migrations.upgrade` has prepared.

    It works with the login of an owner, of a superuser, or of a role that may only become `todo_app`; directly or
    through a pooler in transaction mode. `pool_size`, at least 3, bounds the connections, which are made when they are
    needed: see `PostgresClient`. Raises ValueError for a URL of another database. Methods: see `Tasks`.
    """

    async def create(
        self,
        owner: UserId,
        members: Members,
        *,
        now: datetime,
        quota: int,
        once: Once | None,
        uid: str | None = None,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> Created:
        draft = new_task(members, id=0, uid=uid, owner=owner, revision=0, now=now)
        values = {"owner": owner, "now": now, "quota": quota, "begins": first_counter(now), **columns(draft, FORMS)}
        if uid is not None:
            values["uid"] = uid
            there, deleted, made = await self._run_once(transactions.CREATE_BY_UID, values, once, now, deadline)
            if there:
                raise Exists(task_from_postgresql(there[0]))
            require_not_gone(deleted)
        elif once is None:
            (made,) = await self._run(transactions.CREATE, values, deadline=deadline)
        else:
            values |= keyed(once, now, FORMS)
            _, seen, made = await self._run(transactions.CREATE_ONCE, values, deadline=deadline)
            if seen:
                return Created(replayed(seen[0], owner, members, once, lambda created_at: created_at), replayed=True)
        if not made:
            raise QuotaReached(quota)
        id_, revision = made[0]
        await self._purge(owner, revision, now, trash_kept, deadline)
        return Created(draft._replace(id=id_, revision=revision), replayed=False)

    async def get(self, owner: UserId, key: Key, *, deadline: Deadline | None = None) -> Task:
        return only(*await self._run(transaction_for(transactions.GET, key), named(owner, key), deadline=deadline))

    async def page(
        self,
        owner: UserId,
        query: Query,
        *,
        unless: int | None,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Page:
        most = None if query.limit is None else query.limit + 1
        values = {"owner": owner, "unless": unless, "most": most, **conditions(query, FORMS)}
        page = transactions.page(lists.shape_of(query), short=query.short)
        rows = await self._read_tasks(page, values, deadline=deadline, budget=budget)
        tasks = [task_in(row) for row in rows if row[0] is not None]
        more = query.limit is not None and len(tasks) > query.limit
        return Page(tasks[: query.limit], rows[0][-1] if rows else 0, more)

    async def get_once(
        self, owner: UserId, key: Key, once: Once, *, now: datetime, deadline: Deadline | None = None
    ) -> Task:
        transaction = transaction_for(transactions.GET, key)
        return only(*await self._run_once(transaction, named(owner, key), once, now, deadline))

    async def replace(
        self,
        owner: UserId,
        edited: Task,
        *,
        now: datetime,
        once: Once | None = None,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> Task:
        values = {"owner": owner, "id": edited.id, "expected": edited.revision, **columns(edited, FORMS)}
        values["updated_at"] = edited.updated_at
        changed, current = await self._run_once(transactions.REPLACE, values, once, now, deadline)
        if not changed:
            raise Stale(only(current))
        revision = changed[0][0]
        await self._purge(owner, revision, now, trash_kept, deadline)
        return edited._replace(revision=revision)

    async def toggle(
        self,
        owner: UserId,
        key: Key,
        *,
        now: datetime,
        once: Once | None = None,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> Task:
        values = {**named(owner, key), "now": now}
        toggled = only(*await self._run_once(transaction_for(transactions.TOGGLE, key), values, once, now, deadline))
        await self._purge(owner, toggled.revision, now, trash_kept, deadline)
        return toggled

    async def delete(
        self,
        owner: UserId,
        key: Key,
        *,
        now: datetime,
        expected: Collection[int] | None,
        once: Once | None = None,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> None:
        accepted = None if expected is None else list(expected)
        values = {**named(owner, key), "now": now, "expected": accepted, "to_trash": bool(trash_kept)}
        gone, *current = await self._run_once(transaction_for(transactions.DELETE, key), values, once, now, deadline)
        if not gone:
            raise Stale(only(*current))
        await self._purge(owner, gone[0][0], now, trash_kept, deadline)

    async def snapshot(self, owner: UserId, keys: Collection[Key], *, deadline: Deadline | None = None) -> Snapshot:
        (rows,) = await self._run(transactions.SNAPSHOT, snapshot_values(owner, keys), deadline=deadline)
        return snapshot_of(rows)

    async def apply(
        self,
        owner: UserId,
        changes: Changeset,
        *,
        now: datetime,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> Kept | None:
        values = apply_values(owner, changes, now, to_trash=bool(trash_kept))
        purges = purge_is_due(changes.revision + changes.writes, changes.writes)
        if purges:
            values |= expired(owner, now, trash_kept, FORMS)
        transaction = transactions.APPLY_AND_PURGE if purges else transactions.APPLY
        _, rows, *_ = await self._run(transaction, values, deadline=deadline)
        if not rows:
            return None
        begun = rows[0][0]
        if not purges:
            await self._purge(owner, begun + changes.writes, now, trash_kept, deadline, changes.writes)
        return Kept(begun, {uid: id_ for _, uid, id_ in rows if uid is not None})

    async def changes(
        self,
        owner: UserId,
        *,
        since: int,
        limit: int,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Changes:
        if not since:
            state = await self._read_tasks(transactions.STATE, {"owner": owner}, deadline=deadline, budget=budget)
            return state_of(state, task_in)
        values = {"owner": owner, "since": since, "most": limit + 1}
        transaction = transactions.CHANGES if budget is None else transactions.LONG_CHANGES
        rows = await self._read_tasks(transaction, values, deadline=deadline, budget=budget)
        counter, horizon = rows[0][-2:] if rows else (0, 0)
        require_known(since, revision=counter, horizon=horizon)
        tasks, deleted = changed(rows, task_in, lambda deleted_at: deleted_at)
        return page_of_changes(tasks, deleted, counter=counter, limit=limit)

    async def erase(self, owner: UserId, *, deadline: Deadline | None = None) -> None:
        await self._run(transactions.ERASE, {"owner": owner, "began": COUNTERS_BEGIN}, deadline=deadline)

"""The store in a SQLite file, which any number of processes may share."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from datetime import datetime, timedelta
from sys import getsizeof
from typing import Final

from todo_adapters.sql import lists
from todo_adapters.sql.rows import Values, changed, conditions, keyed, named, replayed, state_of
from todo_adapters.sql.sqlite import batch, long_reads, steps, texts
from todo_adapters.sql.sqlite.connections import NO_LIMIT
from todo_adapters.sql.sqlite.feed import SqliteFeeds
from todo_adapters.sql.sqlite.json_tasks import tasks_from_json
from todo_adapters.sql.sqlite.trash import SqliteTrash
from todo_adapters.sql.task_columns import columns, task_from_sqlite
from todo_adapters.sql.values import SQLITE_FORMS as FORMS
from todo_adapters.sql.values import Row
from todo_domain.changes import Changes, page_of_changes, require_known
from todo_domain.changeset import Changeset, Kept, Snapshot
from todo_domain.deadline import Deadline
from todo_domain.editing import Edit
from todo_domain.errors import Exists, NotFound, QuotaReached, Stale
from todo_domain.instants import text_of_instant
from todo_domain.memory_budget import WITHOUT_TEXTS, MemoryBudget
from todo_domain.naming import Key
from todo_domain.owner import COUNTERS_BEGIN, UserId, first_counter
from todo_domain.ports import Created, Once
from todo_domain.query import Page, Query
from todo_domain.task import Members, Task, new_task
from todo_domain.trash import TRASH_KEPT

_FEW: Final = 3
"""Keys of a snapshot that is a short read. Each takes about as long as the whole read of another user's task."""


class SqliteTasks(SqliteTrash, SqliteFeeds):
    """The port `Tasks` over one file, which `migrations.upgrade` has prepared.

    All writes of this process go through one thread and all short reads through another; reads that may take long have
    two more. Writes that wait at the same time share a transaction, and writes of several processes wait for each
    other. A write that has returned is on the disk.
    Methods: see `Tasks`.
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
        values: Values = {
            "owner": owner,
            "now": text_of_instant(now),
            "quota": quota,
            "begins": first_counter(now),
            "uid": uid,
            "created_at": text_of_instant(now),
            "updated_at": text_of_instant(now),
            **columns(draft, FORMS),
            **keyed(once, now, FORMS),
        }

        def work(connection: sqlite3.Connection) -> Created:
            if uid is None and once and (seen := connection.execute(texts.SEEN, values).fetchone()) is not None:
                return Created(replayed(seen, owner, members, once, datetime.fromisoformat), replayed=True)
            if uid is not None:
                steps.require_new(connection, values)
                if (row := connection.execute(texts.GET_BY_UID, values).fetchone()) is not None:
                    raise Exists(task_from_sqlite(row))
                steps.require_not_gone(connection, values)
            connection.execute(texts.PROVISION, values)
            if (admitted := connection.execute(texts.ADMIT, values).fetchone()) is None:
                raise QuotaReached(quota)
            values["new_revision"] = revision = admitted[0]
            (values["id"],) = connection.execute(texts.NEXT_ID).fetchone()
            connection.execute(texts.INSERT, values)
            steps.finish(connection, values, now, trash_kept)
            return Created(draft._replace(id=values["id"], revision=revision), replayed=False)

        return await self._writer.run(work, deadline)

    async def get(self, owner: UserId, key: Key, *, deadline: Deadline | None = None) -> Task:
        return await self._reader.run(lambda connection: steps.get(connection, named(owner, key)), deadline)

    async def page(
        self,
        owner: UserId,
        query: Query,
        *,
        unless: int | None,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Page:
        most = NO_LIMIT if query.limit is None else query.limit + 1
        values = {"owner": owner, "most": most, "unless": unless, **conditions(query, FORMS)}
        shape = lists.shape_of(query)

        def short(connection: sqlite3.Connection) -> Row:
            row: Row = connection.execute(texts.short_page(shape), values).fetchone()
            if budget is not None:
                budget.take(getsizeof(row[1]))  # the texts of all its tasks
            return row

        def long(connection: sqlite3.Connection) -> tuple[int | None, list[Task]]:
            (counter,) = connection.execute(texts.COUNTER, values).fetchone() or (0,)
            if counter == unless:
                return counter, []
            rows = connection.execute(texts.page(shape), values)
            return counter, [task_from_sqlite(row) for row in long_reads.read(rows, budget)]

        if query.short:
            counter, page = await self._reader.run(short, deadline)
            tasks = tasks_from_json(page)  # here and not in the thread: the tasks stay in one processor's cache
            if budget is not None:
                budget.take(WITHOUT_TEXTS * len(tasks))
        else:
            counter, tasks = await self._reader_for(short=False).run(long, deadline)
        more = query.limit is not None and len(tasks) > query.limit
        return Page(tasks[: query.limit], counter or 0, more)

    async def get_once(
        self, owner: UserId, key: Key, once: Once, *, now: datetime, deadline: Deadline | None = None
    ) -> Task:
        values: Values = {**named(owner, key), **keyed(once, now, FORMS)}

        def work(connection: sqlite3.Connection) -> Task:
            steps.require_new(connection, values)
            return steps.get(connection, values)

        return await self._reader.run(work, deadline)

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
        values: Values = {**named(owner, edited.id), **keyed(once, now, FORMS)}

        def work(connection: sqlite3.Connection) -> Task:
            steps.require_new(connection, values)
            if (current := steps.get(connection, values)).revision != edited.revision:
                raise Stale(current)
            return steps.replace(connection, values, edited, now, trash_kept)

        return await self._writer.run(work, deadline)

    async def edit(
        self,
        owner: UserId,
        key: Key,
        edit: Edit,
        *,
        now: datetime,
        once: Once | None = None,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> Task:
        """See `EditsInOneStep`."""
        values: Values = {**named(owner, key), **keyed(once, now, FORMS)}

        def work(connection: sqlite3.Connection) -> Task:
            steps.require_new(connection, values)
            current = steps.get(connection, values)
            edited = edit.applied_to(current, now)
            if edited is current:
                return current
            return steps.replace(connection, values, edited, now, trash_kept)

        return await self._writer.run(work, deadline)

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
        values: Values = {**named(owner, key), "now": text_of_instant(now), **keyed(once, now, FORMS)}

        def work(connection: sqlite3.Connection) -> Task:
            steps.require_new(connection, values)
            steps.find(connection, values)
            if (advanced := connection.execute(texts.NEXT_REVISION, values).fetchone()) is None:
                raise NotFound
            (values["new_revision"],) = advanced
            if (row := connection.execute(texts.TOGGLE, values).fetchone()) is None:
                raise NotFound
            steps.finish(connection, values, now, trash_kept)
            return task_from_sqlite(row)

        return await self._writer.run(work, deadline)

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
        accepted = None if expected is None else FORMS.several(list(expected))
        values: Values = {**named(owner, key), "now": text_of_instant(now), "expected": accepted}
        values |= keyed(once, now, FORMS)

        def work(connection: sqlite3.Connection) -> None:
            steps.require_new(connection, values)
            steps.find(connection, values)
            steps.delete(connection, values, to_trash=bool(trash_kept))
            steps.finish(connection, values, now, trash_kept)

        await self._writer.run(work, deadline)

    async def snapshot(self, owner: UserId, keys: Collection[Key], *, deadline: Deadline | None = None) -> Snapshot:
        reader = self._reader_for(short=len(keys) <= _FEW)
        return await reader.run(lambda connection: batch.snapshot(connection, owner, keys), deadline)

    async def apply(
        self,
        owner: UserId,
        changes: Changeset,
        *,
        now: datetime,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> Kept | None:
        return await self._writer.run(
            lambda connection: batch.apply(connection, owner, changes, now, trash_kept), deadline
        )

    async def changes(
        self,
        owner: UserId,
        *,
        since: int,
        limit: int,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Changes:
        values = {"owner": owner, "since": since, "most": limit + 1}

        def work(connection: sqlite3.Connection) -> Changes:
            read = long_reads.read(connection.execute(texts.CHANGES if since else texts.STATE, values), budget)
            if not since:
                return state_of(read, task_from_sqlite)
            rows = list(read)
            counter, horizon = rows[0][-2:] if rows else (0, 0)
            require_known(since, revision=counter, horizon=horizon)
            tasks, deleted = changed(rows, task_from_sqlite, datetime.fromisoformat)
            return page_of_changes(tasks, deleted, counter=counter, limit=limit)

        return await self._reader_for(short=budget is None and since > 0).run(work, deadline)

    async def erase(self, owner: UserId, *, deadline: Deadline | None = None) -> None:
        values = {"owner": owner, "began": FORMS.instant(COUNTERS_BEGIN)}

        def work(connection: sqlite3.Connection) -> None:
            for sql in texts.ERASE.values():
                connection.execute(sql, values)

        await self._writer.run(work, deadline)

"""The trash in a SQLite file."""

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta

from todo_adapters.sql.rows import Values, named
from todo_adapters.sql.sqlite import long_reads, steps, texts
from todo_adapters.sql.sqlite.connections import NO_LIMIT, SqliteConnections
from todo_adapters.sql.task_columns import task_from_sqlite
from todo_adapters.sql.trash import everything_in, not_expired, page_of, page_values
from todo_adapters.sql.values import SQLITE_FORMS as FORMS
from todo_domain.deadline import Deadline
from todo_domain.errors import NotFound, QuotaReached
from todo_domain.instants import text_of_instant
from todo_domain.memory_budget import MemoryBudget
from todo_domain.naming import Key
from todo_domain.owner import UserId
from todo_domain.portability import Everything
from todo_domain.query import SHORT_PAGE
from todo_domain.task import Task
from todo_domain.trash import TRASH_KEPT, TrashPage


class SqliteTrash(SqliteConnections):
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
        most = NO_LIMIT if limit is None else limit + 1
        values = {"owner": owner, **not_expired(now, trash_kept, FORMS), **page_values(before, most)}

        def work(connection: sqlite3.Connection) -> TrashPage:
            rows = list(long_reads.read(connection.execute(texts.TRASH, values), budget))
            return page_of(rows, limit, trash_kept, task_from_sqlite, datetime.fromisoformat)

        short = limit is not None and limit <= SHORT_PAGE
        return await self._reader_for(short=short).run(work, deadline)

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

        def work(connection: sqlite3.Connection) -> Everything:
            rows = long_reads.read(connection.execute(texts.EVERYTHING, values), budget)
            return everything_in(rows, now, trash_kept, task_from_sqlite, datetime.fromisoformat)

        return await self._reader_for(short=False).run(work, deadline)

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
        values: Values = {**named(owner, key), "now": text_of_instant(now), "quota": quota}
        values |= not_expired(now, trash_kept, FORMS)

        def work(connection: sqlite3.Connection) -> Task:
            if (row := connection.execute(texts.GET_BY_UID if by_uid else texts.GET, values).fetchone()) is not None:
                return task_from_sqlite(row)
            if (trashed := connection.execute(find, values).fetchone()) is None:
                raise NotFound
            (values["id"],) = trashed
            if (admitted := connection.execute(texts.ADMIT, values).fetchone()) is None:
                raise QuotaReached(quota)
            (values["new_revision"],) = admitted
            (restored,) = connection.execute(texts.RESTORE, values).fetchall()
            connection.execute(texts.REMOVE_TOMBSTONE, values)
            steps.finish(connection, values, now, trash_kept)
            return task_from_sqlite(restored)

        by_uid = isinstance(key, str)
        find = texts.TRASHED_BY_UID if by_uid else texts.TRASHED
        return await self._writer.run(work, deadline)

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
        discard = texts.DISCARD_BY_UID if isinstance(key, str) else texts.DISCARD

        def work(connection: sqlite3.Connection) -> None:
            if not connection.execute(discard, values).fetchall():
                raise NotFound

        await self._writer.run(work, deadline)

    async def empty_trash(self, owner: UserId, *, deadline: Deadline | None = None) -> None:
        await self._writer.run(lambda connection: connection.execute(texts.EMPTY_TRASH, {"owner": owner}), deadline)

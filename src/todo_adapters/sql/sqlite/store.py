"""Tasks in a SQLite file, which any number of processes may share."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from datetime import datetime
from operator import attrgetter
from pathlib import Path
from typing import Final

from todo_adapters.sql import lists
from todo_adapters.sql.rows import SQLITE as FORMS
from todo_adapters.sql.rows import (
    Values,
    changed,
    columns,
    conditions,
    counted,
    keyed,
    named,
    replayed,
    task_from_sqlite,
    text_of_instant,
)
from todo_adapters.sql.schema import TOUCH
from todo_adapters.sql.sqlite import batch, steps, texts
from todo_adapters.sql.sqlite.calls import BEHIND, SqliteCalls, schema_is_behind
from todo_adapters.sql.sqlite.file import File
from todo_domain.changes import Changes, page_of_changes, require_known
from todo_domain.changeset import Changeset, Kept, Snapshot
from todo_domain.deadline import Deadline
from todo_domain.errors import Exists, NotFound, QuotaReached, Stale, Unavailable
from todo_domain.naming import Key
from todo_domain.owner import COUNTERS_BEGIN, UserId, first_counter
from todo_domain.ports import Created, Once
from todo_domain.query import Page, Query
from todo_domain.room import Room
from todo_domain.task import Members, Task, new_task

_NO_LIMIT: Final = -1
_SLOW_READERS: Final = 2


class SqliteTasks:
    """The port `Tasks` over one file, which `migrate.upgrade` has prepared.

    All writes of this process go through one thread and all short reads through another; reads that may take long have
    two more. Writes that wait at the same time share a transaction, and writes of several processes wait for each
    other. A write that has returned is on the disk.
    Methods: see `Tasks`.
    """

    def __init__(self, path: Path | str) -> None:
        file = File(Path(path))
        self._writer = SqliteCalls(file, writes=True)
        self._reader = SqliteCalls(file, writes=False)
        self._slow_readers = [SqliteCalls(file, writes=False) for _ in range(_SLOW_READERS)]

    async def open(self) -> None:
        """Open the file, or raise Unavailable; without this call, the first use does so."""
        await self._writer.run(lambda _: None)
        await self._reader.run(lambda _: None)

    async def aclose(self) -> None:
        """Finish what has begun and close the file. Whatever comes later is Unavailable."""
        for worker in (self._writer, self._reader, *self._slow_readers):
            await worker.aclose()

    def _reader_for(self, *, short: bool) -> SqliteCalls:
        return self._reader if short else min(self._slow_readers, key=attrgetter("load"))

    async def create(
        self,
        owner: UserId,
        members: Members,
        *,
        now: datetime,
        quota: int,
        once: Once | None,
        uid: str | None = None,
        deadline: Deadline | None = None,
    ) -> Created:
        draft = new_task(members, id=0, uid=uid, owner=owner, revision=0, now=now)
        values: Values = {
            "owner": owner,
            "now": text_of_instant(now),
            "quota": quota,
            "begins": first_counter(now),
            "uid": uid,
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
            steps.finish(connection, values, now)
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
        room: Room | None = None,
        deadline: Deadline | None = None,
    ) -> Page:
        most = _NO_LIMIT if query.limit is None else query.limit + 1
        values = {"owner": owner, "most": most, **conditions(query, FORMS)}
        sql = texts.page(lists.shape_of(query))

        def work(connection: sqlite3.Connection) -> Page:
            (counter,) = connection.execute(texts.COUNTER, values).fetchone() or (0,)
            if counter == unless:
                return Page([], counter, more=False)
            tasks = [task_from_sqlite(row) for row in counted(connection.execute(sql, values), room)]
            more = query.limit is not None and len(tasks) > query.limit
            return Page(tasks[: query.limit], counter, more)

        return await self._reader_for(short=query.short).run(work, deadline)

    async def get_once(
        self, owner: UserId, key: Key, once: Once, *, now: datetime, deadline: Deadline | None = None
    ) -> Task:
        values: Values = {**named(owner, key), **keyed(once, now, FORMS)}

        def work(connection: sqlite3.Connection) -> Task:
            steps.require_new(connection, values)
            return steps.get(connection, values)

        return await self._reader.run(work, deadline)

    async def replace(
        self, owner: UserId, edited: Task, *, now: datetime, once: Once | None = None, deadline: Deadline | None = None
    ) -> Task:
        values: Values = {"owner": owner, "id": edited.id, "expected": edited.revision, **columns(edited, FORMS)}
        values |= {"updated_at": text_of_instant(edited.updated_at), **keyed(once, now, FORMS)}

        def work(connection: sqlite3.Connection) -> Task:
            steps.require_new(connection, values)
            if (current := steps.get(connection, values)).revision != edited.revision:
                raise Stale(current)
            (values["new_revision"],) = connection.execute(texts.TURN, values).fetchone()
            connection.execute(texts.REPLACE, values)
            steps.finish(connection, values, now)
            return edited._replace(revision=values["new_revision"])

        return await self._writer.run(work, deadline)

    async def toggle(
        self, owner: UserId, key: Key, *, now: datetime, once: Once | None = None, deadline: Deadline | None = None
    ) -> Task:
        values: Values = {**named(owner, key), "now": text_of_instant(now), **keyed(once, now, FORMS)}

        def work(connection: sqlite3.Connection) -> Task:
            steps.require_new(connection, values)
            steps.find(connection, values)
            if (turn := connection.execute(texts.TURN, values).fetchone()) is None:
                raise NotFound
            (values["new_revision"],) = turn
            if (row := connection.execute(texts.TOGGLE, values).fetchone()) is None:
                raise NotFound
            steps.finish(connection, values, now)
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
        deadline: Deadline | None = None,
    ) -> None:
        accepted = None if expected is None else FORMS.several(list(expected))
        values: Values = {**named(owner, key), "now": text_of_instant(now), "expected": accepted}
        values |= keyed(once, now, FORMS)

        def work(connection: sqlite3.Connection) -> None:
            steps.require_new(connection, values)
            steps.find(connection, values)
            if (removed := connection.execute(texts.REMOVE, values).fetchone()) is None:
                raise Stale(steps.get(connection, values))
            (values["uid"],) = removed
            (values["new_revision"],) = connection.execute(texts.DISMISS, values).fetchone()
            connection.execute(texts.INSERT_TOMBSTONE, values)
            steps.finish(connection, values, now)

        await self._writer.run(work, deadline)

    async def snapshot(self, owner: UserId, keys: Collection[Key], *, deadline: Deadline | None = None) -> Snapshot:
        return await self._reader.run(lambda connection: batch.snapshot(connection, owner, keys), deadline)

    async def apply(
        self, owner: UserId, changes: Changeset, *, now: datetime, deadline: Deadline | None = None
    ) -> Kept | None:
        return await self._writer.run(lambda connection: batch.apply(connection, owner, changes, now), deadline)

    async def changes(
        self,
        owner: UserId,
        *,
        since: int,
        limit: int,
        room: Room | None = None,
        deadline: Deadline | None = None,
    ) -> Changes:
        values = {"owner": owner, "since": since, "most": limit + 1}

        def work(connection: sqlite3.Connection) -> Changes:
            rows = list(counted(connection.execute(texts.CHANGES if since else texts.STATE, values), room))
            if not since:
                tasks = [task_from_sqlite(row) for row in rows if row[0] is not None]
                return Changes(tasks, [], rows[0][-1] if rows else 0, has_more=False)
            counter, horizon = rows[0][-2:] if rows else (0, 0)
            require_known(since, revision=counter, horizon=horizon)
            tasks, deleted = changed(rows, task_from_sqlite, datetime.fromisoformat)
            return page_of_changes(tasks, deleted, counter=counter, limit=limit)

        return await self._reader_for(short=room is None and since > 0).run(work, deadline)

    async def erase(self, owner: UserId, *, deadline: Deadline | None = None) -> None:
        values = {"owner": owner, "began": FORMS.instant(COUNTERS_BEGIN)}

        def work(connection: sqlite3.Connection) -> None:
            for sql in texts.ERASE.values():
                connection.execute(sql, values)

        await self._writer.run(work, deadline)

    async def counters(self, users: Collection[UserId]) -> dict[UserId, int]:
        """Return each user's counter, each read as that user alone; 0 for a user who never wrote."""

        def work(connection: sqlite3.Connection) -> dict[UserId, int]:
            found = ((user, connection.execute(texts.COUNTER, {"owner": user}).fetchone()) for user in users)
            return {user: row[0] if row else 0 for user, row in found}

        return await self._reader.run(work)

    async def version(self) -> int:
        """Return a number that changes with each commit of any process; it costs some microseconds."""
        return await self._reader.run(lambda connection: int(connection.execute("PRAGMA data_version").fetchone()[0]))

    async def check(self, *, deadline: Deadline | None = None) -> None:
        def behind(connection: sqlite3.Connection) -> bool:
            if schema_is_behind(connection):
                return True
            connection.execute(TOUCH)
            return False

        # By the writer, because a locked file refuses its transaction.
        if await self._writer.run(behind, deadline):
            raise Unavailable(BEHIND)

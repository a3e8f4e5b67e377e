"""Feeds in a SQLite file."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from todo_adapters.sql.feed import page_of
from todo_adapters.sql.sqlite import long_reads, texts
from todo_adapters.sql.sqlite.connections import NO_LIMIT, SqliteConnections
from todo_adapters.sql.task_columns import task_from_sqlite
from todo_domain.deadline import Deadline
from todo_domain.instants import text_of_instant
from todo_domain.memory_budget import MemoryBudget
from todo_domain.owner import UserId
from todo_domain.query import Page


class SqliteFeeds(SqliteConnections):
    """The methods of the port `Tasks` about the feed. Methods: see `Feeds`."""

    async def make_feed(self, owner: UserId, digest: bytes, *, now: datetime, deadline: Deadline | None = None) -> None:
        values = {"owner": owner, "digest": digest, "now": text_of_instant(now)}
        await self._writer.run(lambda connection: connection.execute(texts.MAKE_FEED, values), deadline)

    async def end_feed(self, owner: UserId, *, deadline: Deadline | None = None) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            return bool(connection.execute(texts.END_FEED, {"owner": owner}).fetchall())

        return await self._writer.run(work, deadline)

    async def feed(
        self,
        owner: UserId,
        digest: bytes,
        *,
        unless: int | None,
        limit: int | None = None,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Page:
        most = NO_LIMIT if limit is None else limit + 1
        values = {"owner": owner, "digest": digest, "unless": unless, "most": most}

        def work(connection: sqlite3.Connection) -> Page:
            rows = long_reads.read(connection.execute(texts.FEED, values), budget)
            return page_of(rows, limit, task_from_sqlite)

        return await self._reader_for(short=False).run(work, deadline)

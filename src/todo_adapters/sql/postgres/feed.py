"""Feeds in PostgreSQL: every call one round trip."""

from __future__ import annotations

from datetime import datetime

from todo_adapters.sql.feed import page_of
from todo_adapters.sql.postgres.calls import PostgresCalls
from todo_adapters.sql.postgres.statements import transactions
from todo_adapters.sql.task_columns import task_in
from todo_domain.deadline import Deadline
from todo_domain.memory_budget import MemoryBudget
from todo_domain.owner import UserId
from todo_domain.query import Page


class PostgresFeeds(PostgresCalls):
    """The methods of the port `Tasks` about the feed. Methods: see `Feeds`."""

    async def make_feed(self, owner: UserId, digest: bytes, *, now: datetime, deadline: Deadline | None = None) -> None:
        await self._run(transactions.MAKE_FEED, {"owner": owner, "digest": digest, "now": now}, deadline=deadline)

    async def end_feed(self, owner: UserId, *, deadline: Deadline | None = None) -> bool:
        (ended,) = await self._run(transactions.END_FEED, {"owner": owner}, deadline=deadline)
        return bool(ended)

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
        most = None if limit is None else limit + 1
        values = {"owner": owner, "digest": digest, "unless": unless, "most": most}
        return page_of(
            await self._read_tasks(transactions.FEED, values, deadline=deadline, budget=budget), limit, task_in
        )

"""Fairness between users: each user has at most one long read in the store at a time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from todo_adapters.observability.calls import Wrapped
from todo_domain import Changes, Deadline, Page, Query, Tasks, TrashPage, Unavailable, UserId
from todo_domain.query import SHORT_PAGE
from todo_domain.trash import TRASH_KEPT

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine
    from datetime import datetime, timedelta

    from todo_domain.memory_budget import MemoryBudget
    from todo_domain.portability import Everything


class FairTasks(Wrapped):
    """A store in which the long reads of one user run one after the other.

    A read is long if it may return many tasks, or must examine tasks that it leaves out. A whole list is first read as
    a short page, which is enough for most lists; only the others are read again, with the caller's `budget`.
    """

    def __init__(self, tasks: Tasks) -> None:
        super().__init__(tasks, lambda _, call: call)
        self._tasks = tasks
        self._reading: WeakValueDictionary[UserId, asyncio.Lock] = WeakValueDictionary()
        self.page = self._page
        self.trash = self._trash
        self.changes = self._changes
        self.export = self._export
        self.feed = self._feed

    def _page(
        self,
        owner: UserId,
        query: Query,
        *,
        unless: int | None,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Coroutine[Any, Any, Page]:
        deadline = deadline or Deadline.within()
        if query.short:
            return self._tasks.page(owner, query, unless=unless, deadline=deadline)
        return self._long_page(owner, query, unless, budget, deadline)

    async def _long_page(
        self, owner: UserId, query: Query, unless: int | None, budget: MemoryBudget | None, deadline: Deadline
    ) -> Page:
        read = partial(self._tasks.page, owner, unless=unless, deadline=deadline)
        async with self._one_at_a_time(owner, deadline):
            if query.limit is None and query.from_index:
                beginning = await read(query._replace(limit=SHORT_PAGE))
                if not beginning.more:
                    return beginning
                del beginning  # free its memory before the whole list is read
            return await read(query, budget=budget)

    async def _changes(
        self,
        owner: UserId,
        *,
        since: int,
        limit: int,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Changes:
        deadline = deadline or Deadline.within()
        read = partial(self._tasks.changes, owner, since=since, deadline=deadline)
        if since:
            beginning = await read(limit=min(limit, SHORT_PAGE))
            if limit <= SHORT_PAGE or not beginning.has_more:
                return beginning
            del beginning
        async with self._one_at_a_time(owner, deadline):
            if not since:
                page = await self._tasks.page(owner, Query(limit=SHORT_PAGE), unless=None, deadline=deadline)
                if not page.more:
                    return Changes(sorted(page.tasks, key=attrgetter("revision")), [], page.revision, has_more=False)
                del page
            return await read(limit=limit, budget=budget)

    async def _trash(
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
        deadline = deadline or Deadline.within()
        read = partial(self._tasks.trash, owner, now=now, trash_kept=trash_kept, before=before, deadline=deadline)
        if limit is not None and limit <= SHORT_PAGE:
            return await read(limit=limit)
        async with self._one_at_a_time(owner, deadline):
            if limit is None:
                beginning = await read(limit=SHORT_PAGE)
                if not beginning.more:
                    return beginning
                del beginning
            return await read(limit=limit, budget=budget)

    async def _feed(
        self,
        owner: UserId,
        digest: bytes,
        *,
        unless: int | None,
        limit: int | None = None,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Page:
        deadline = deadline or Deadline.within()
        read = partial(self._tasks.feed, owner, digest, unless=unless, deadline=deadline)
        if limit is not None:
            return await read(limit=limit, budget=budget)
        # A caller with a wrong digest, who may name any owner, does not wait for that owner's reads.
        beginning = await read(limit=SHORT_PAGE)
        if not beginning.more:
            return beginning
        del beginning
        async with self._one_at_a_time(owner, deadline):
            return await read(budget=budget)

    async def _export(
        self,
        owner: UserId,
        *,
        now: datetime,
        trash_kept: timedelta = TRASH_KEPT,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Everything:
        deadline = deadline or Deadline.within()
        async with self._one_at_a_time(owner, deadline):
            return await self._tasks.export(owner, now=now, trash_kept=trash_kept, budget=budget, deadline=deadline)

    @asynccontextmanager
    async def _one_at_a_time(self, owner: UserId, deadline: Deadline) -> AsyncIterator[None]:
        """Wait until no other long read of this user runs; raise Unavailable at the deadline."""
        reading = self._reading.get(owner)
        if reading is None:
            reading = self._reading[owner] = asyncio.Lock()
        try:
            async with asyncio.timeout_at(deadline.at):
                await reading.acquire()
        except TimeoutError:
            raise Unavailable("another long list of yours is being read: try again") from None
        try:
            yield
        finally:
            reading.release()

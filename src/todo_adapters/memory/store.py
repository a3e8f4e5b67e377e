"""The store in the memory of one process: for trying the service out, for tests, and for data that may be lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import count
from typing import Final

from todo_adapters.memory.account import Account, after
from todo_adapters.memory.feed import MemoryFeeds
from todo_domain.changes import Changes, page_of_changes, require_known
from todo_domain.changeset import Changeset, Kept, Snapshot
from todo_domain.deadline import Deadline
from todo_domain.errors import Exists, Gone, NotFound, QuotaReached, Repeated
from todo_domain.memory_budget import MemoryBudget
from todo_domain.memory_budget import count as count_memory
from todo_domain.naming import Key
from todo_domain.owner import UserId, first_counter
from todo_domain.portability import Everything, everything_of
from todo_domain.ports import Created, Once
from todo_domain.query import Page, Query, filter_of, page_of
from todo_domain.task import Members, Task, new_task
from todo_domain.trash import TRASH_KEPT, Trashed, TrashPage, trash_since

_SLICE: Final = 100
"""Tasks that are searched between two turns of the event loop; a few milliseconds with long descriptions."""


class MemoryTasks(MemoryFeeds):
    """The port `Tasks` over dictionaries of one event loop; the data ends with the process.

    Each call is atomic: a write never awaits, so no other call runs within it and it cannot be cancelled. A search,
    which yields to other calls, uses the tasks that existed when it began.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ids = count(1)

    async def open(self) -> None:
        """Do nothing: there are no connections."""

    async def aclose(self) -> None:
        """Do nothing: there is nothing to close."""

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
        """Store a new task, or return the result of an earlier create again."""
        account = self._account(owner, begins=first_counter(now))
        if once is not None and (first := account.remembered_write(once, now)) is not None:
            if uid is not None:
                raise Repeated
            task = new_task(members, id=first.task_id, owner=owner, revision=first.revision, now=first.created_at)
            return Created(task, replayed=True)
        if uid is not None and uid in account.ids:
            raise Exists(account.task(uid))
        if len(account.tasks) >= quota:
            raise QuotaReached(quota)
        task = new_task(members, id=next(self._ids), uid=uid, owner=owner, revision=account.revision + 1, now=now)
        self._accounts[owner] = account
        return Created(account.put(task, now=now, once=once, trash_kept=trash_kept), replayed=False)

    async def get(self, owner: UserId, key: Key, *, deadline: Deadline | None = None) -> Task:
        """Return the task."""
        return self._account(owner).task(key)

    async def page(
        self,
        owner: UserId,
        query: Query,
        *,
        unless: int | None,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Page:
        """Return the page of the query, without tasks if the counter is `unless`."""
        account = self._account(owner)
        if unless == account.revision:
            return Page([], account.revision, more=False)
        revision, found = account.revision, list(account.tasks.values())
        if query.filtered:
            found = await _kept(found, filter_of(query))
        tasks, more = page_of(found, query)
        count_memory(tasks, budget)
        return Page(tasks, revision, more)

    async def get_once(
        self, owner: UserId, key: Key, once: Once, *, now: datetime, deadline: Deadline | None = None
    ) -> Task:
        """Return the task for a write whose key was not used yet."""
        return self._account_for_write(owner, once, now).task(key)

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
        """Replace the task by `edited` if it is at `edited.revision`."""
        account = self._account_for_write(owner, once, now)
        account.task(edited.id, expected={edited.revision})
        return account.put(edited._replace(revision=account.revision + 1), now=now, once=once, trash_kept=trash_kept)

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
        """Complete an open task or reopen a complete one."""
        account = self._account_for_write(owner, once, now)
        toggled = account.task(key).toggled(now)
        return account.put(toggled._replace(revision=account.revision + 1), now=now, once=once, trash_kept=trash_kept)

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
        """Move the task to the trash and insert a tombstone."""
        account = self._account_for_write(owner, once, now)
        account.remove(account.task(key, expected), now=now, once=once, trash_kept=trash_kept)

    async def snapshot(self, owner: UserId, keys: Collection[Key], *, deadline: Deadline | None = None) -> Snapshot:
        """Return the snapshot for a batch of these keys."""
        account = self._account(owner)
        ids = dict.fromkeys(account.ids.get(key, 0) if isinstance(key, str) else key for key in keys)
        tasks = [account.tasks[id_] for id_ in ids if id_ in account.tasks]
        tombstones = [account.tombstones[id_] for id_ in ids if id_ in account.tombstones]
        trashed = {id_: account.trash[id_] for id_ in ids if id_ in account.trash}
        return Snapshot(account.revision, account.horizon, len(account.tasks), tasks, tombstones, trashed)

    async def apply(
        self,
        owner: UserId,
        changes: Changeset,
        *,
        now: datetime,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> Kept | None:
        """Apply all the changes, unless a precondition no longer holds."""
        account = self._account(owner, begins=first_counter(now))
        if not account.fits(changes):
            return None
        begun, ids = account.revision, {uid: next(self._ids) for uid in changes.made}
        self._accounts[owner] = account
        account.apply(changes, ids, now=now, trash_kept=trash_kept)
        return Kept(begun, ids)

    async def changes(
        self,
        owner: UserId,
        *,
        since: int,
        limit: int,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Changes:
        """Return the changes after `since`."""
        account = self._account(owner)
        require_known(since, revision=account.revision, horizon=account.horizon)
        if since == 0:
            changes = Changes(list(account.tasks.values()), [], account.revision, has_more=False)
        else:
            tasks, deleted = after(since, account.tasks), after(since, account.tombstones)
            changes = page_of_changes(tasks, deleted, counter=account.revision, limit=limit)
        count_memory(changes.tasks, budget)
        return changes

    async def erase(self, owner: UserId, *, deadline: Deadline | None = None) -> None:
        """Remove all data of the owner except the counter, which advances."""
        self._feeds.pop(owner, None)
        if (account := self._accounts.get(owner)) is not None:
            self._accounts[owner] = Account(account.revision + 1)

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
        """Return a page of the trash."""
        account, since = self._account(owner), trash_since(now, trash_kept)
        found = [
            Trashed(task, deleted_at, deleted_at + trash_kept)
            for task in reversed(account.trash.values())
            if (deleted_at := account.tombstones[task.id].deleted_at) > since
            and (before is None or task.revision < before)
        ]
        page = found[:limit]
        count_memory((each.task for each in page), budget)
        return TrashPage(page, more=len(found) > len(page))

    async def export(
        self,
        owner: UserId,
        *,
        now: datetime,
        trash_kept: timedelta = TRASH_KEPT,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Everything:
        """Return all data of the owner."""
        account = self._account(owner)
        trash = (await self.trash(owner, now=now, trash_kept=trash_kept)).trashed
        return everything_of(account.tasks.values(), trash, account.revision, now, budget)

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
        """Restore a task from the trash."""
        account = self._account(owner)
        with suppress(NotFound, Gone):
            return account.task(key)
        return account.restore(key, now=now, quota=quota, trash_kept=trash_kept)

    async def discard(
        self,
        owner: UserId,
        key: Key,
        *,
        now: datetime,
        trash_kept: timedelta = TRASH_KEPT,
        deadline: Deadline | None = None,
    ) -> None:
        """Remove a task from the trash for good."""
        account = self._account(owner)
        del account.trash[account.trashed(key, trash_since(now, trash_kept)).id]

    async def empty_trash(self, owner: UserId, *, deadline: Deadline | None = None) -> None:
        """Remove all tasks from the trash for good."""
        self._account(owner).trash.clear()

    async def check(self, *, deadline: Deadline | None = None) -> None:
        """Return, because memory is always available."""

    def _account_for_write(self, owner: UserId, once: Once | None, now: datetime) -> Account:
        """Return the owner's account for a write; raise Repeated or KeyReused if its key was used."""
        account = self._accounts.get(owner) or Account()
        if once is not None and account.remembered_write(once, now) is not None:
            raise Repeated
        return account


async def _kept(tasks: list[Task], keeps: Callable[[Task], bool]) -> list[Task]:
    """Return the tasks for which `keeps` is true; yield to the event loop after each slice."""
    kept: list[Task] = []
    for begin in range(0, len(tasks), _SLICE):
        if begin:
            await asyncio.sleep(0)
        kept += filter(keeps, tasks[begin : begin + _SLICE])
    return kept

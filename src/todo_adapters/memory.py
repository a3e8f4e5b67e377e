"""Tasks in the memory of one process: to try things out, for tests, and where nothing has to outlive a restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import datetime
from itertools import count, islice, takewhile
from typing import Final, NamedTuple, TypeVar

from todo_domain.changes import Changes, Tombstone, page_of_changes, require_known
from todo_domain.deadline import Deadline
from todo_domain.errors import Exists, Gone, KeyReused, NotFound, QuotaReached, Repeated, Stale
from todo_domain.naming import Key
from todo_domain.owner import UserId, first_counter
from todo_domain.ports import KEYS_KEPT, Created, Once, purge_is_due, retention
from todo_domain.query import Page, Query, filter_of, page_of
from todo_domain.room import Room
from todo_domain.room import count as count_memory
from todo_domain.task import Members, Task, new_task

_Change = TypeVar("_Change", Task, Tombstone)

_SLICE: Final = 100
"""Tasks that are looked at before the event loop serves others: some milliseconds of long descriptions."""


class _Answer(NamedTuple):
    """What a key stands for. It makes the answer to a create again, beside the members of the repetition."""

    fingerprint: bytes
    task_id: int
    revision: int
    created_at: datetime


class _Account:
    """What is kept for one user. `tasks` and `tombstones` are in ascending order of revision: each write appends.

    `ids` leads from a uid to the id of its task or tombstone.
    """

    __slots__ = ("answers", "horizon", "ids", "revision", "tasks", "tombstones")

    def __init__(self, begins: int = 0) -> None:
        self.revision = begins
        self.horizon = begins
        self.tasks: dict[int, Task] = {}
        self.tombstones: dict[int, Tombstone] = {}
        self.answers: dict[str, _Answer] = {}
        self.ids: dict[str, int] = {}

    def task(self, key: Key, expected: Collection[int] | None = None) -> Task:
        task_id = self.ids.get(key, 0) if isinstance(key, str) else key
        task = self.tasks.get(task_id)
        if task is None:
            if isinstance(key, str) and task_id:
                raise Gone(self.tombstones[task_id])
            raise NotFound
        if expected is not None and task.revision not in expected:
            raise Stale(task)
        return task

    def answer(self, once: Once, now: datetime) -> _Answer | None:
        answer = self.answers.get(once.key)
        if answer is None or answer.created_at <= now - KEYS_KEPT:
            return None
        if answer.fingerprint != once.fingerprint:
            raise KeyReused
        return answer

    def put(self, task: Task, *, now: datetime, once: Once | None) -> Task:
        self.tasks.pop(task.id, None)
        self.tasks[task.id] = task
        if task.uid is not None:
            self.ids[task.uid] = task.id
        self._advance(task.id, now, once)
        return task

    def remove(self, task: Task, *, now: datetime, once: Once | None) -> None:
        del self.tasks[task.id]
        self.tombstones[task.id] = Tombstone(task.id, task.uid, self.revision + 1, now)
        self._advance(task.id, now, once)

    def _advance(self, task_id: int, now: datetime, once: Once | None) -> None:
        """Take the next revision, which is this task's, and remember the key of the write, if it has one."""
        self.revision += 1
        if once is not None:
            self.answers.pop(once.key, None)  # an expired one, which would keep its place in the order
            self.answers[once.key] = _Answer(once.fingerprint, task_id, self.revision, now)
        if purge_is_due(self.revision):
            self._purge(now)

    def _purge(self, now: datetime) -> None:
        keys_since, tombstones_since, kept, at_most = retention(now)
        beyond = len(self.answers) - kept
        for number, (key, answer) in enumerate(list(islice(self.answers.items(), at_most))):
            if number < beyond or answer.created_at <= keys_since:
                del self.answers[key]
        beyond = len(self.tombstones) - kept
        for number, tombstone in enumerate(list(islice(self.tombstones.values(), at_most))):
            if number < beyond or tombstone.deleted_at <= tombstones_since:
                del self.tombstones[tombstone.id]
                if tombstone.uid is not None:
                    del self.ids[tombstone.uid]
                self.horizon = max(self.horizon, tombstone.revision)


class MemoryTasks:
    """The port `Tasks` over dictionaries of one event loop, gone with the process.

    Each call is atomic: a write never awaits, so nobody else runs in its middle and nothing cancels it there, and a
    search, which lets others run, looks at the tasks that there were when it began.
    """

    def __init__(self) -> None:
        self._accounts: dict[UserId, _Account] = {}
        self._ids = count(1)

    async def open(self) -> None:
        """Do nothing: there is nothing to reach for."""

    async def aclose(self) -> None:
        """Do nothing: there is nothing to let go of."""

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
        """Keep a new task, or give the answer of an earlier create again."""
        account = self._account(owner, begins=first_counter(now))
        if once is not None and (first := account.answer(once, now)) is not None:
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
        return Created(account.put(task, now=now, once=once), replayed=False)

    async def get(self, owner: UserId, key: Key, *, deadline: Deadline | None = None) -> Task:
        """Return the task."""
        return self._account(owner).task(key)

    async def page(
        self,
        owner: UserId,
        query: Query,
        *,
        unless: int | None,
        room: Room | None = None,
        deadline: Deadline | None = None,
    ) -> Page:
        """Return what the query asks for, without its tasks if the counter is `unless`."""
        account = self._account(owner)
        if unless == account.revision:
            return Page([], account.revision, more=False)
        revision, found = account.revision, list(account.tasks.values())
        if query.filtered:
            found = await _kept(found, filter_of(query))
        tasks, more = page_of(found, query)
        count_memory(tasks, room)
        return Page(tasks, revision, more)

    async def get_once(
        self, owner: UserId, key: Key, once: Once, *, now: datetime, deadline: Deadline | None = None
    ) -> Task:
        """Return the task to a write whose key was not used yet."""
        return self._account_for_write(owner, once, now).task(key)

    async def replace(
        self, owner: UserId, edited: Task, *, now: datetime, once: Once | None = None, deadline: Deadline | None = None
    ) -> Task:
        """Keep `edited` in the place of the same task at `edited.revision`."""
        account = self._account_for_write(owner, once, now)
        account.task(edited.id, expected={edited.revision})
        return account.put(edited._replace(revision=account.revision + 1), now=now, once=once)

    async def toggle(
        self, owner: UserId, key: Key, *, now: datetime, once: Once | None = None, deadline: Deadline | None = None
    ) -> Task:
        """Complete an open task or reopen a complete one."""
        account = self._account_for_write(owner, once, now)
        toggled = account.task(key).toggled(now)
        return account.put(toggled._replace(revision=account.revision + 1), now=now, once=once)

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
        """Remove the task and leave a tombstone."""
        account = self._account_for_write(owner, once, now)
        account.remove(account.task(key, expected), now=now, once=once)

    async def changes(
        self,
        owner: UserId,
        *,
        since: int,
        limit: int,
        room: Room | None = None,
        deadline: Deadline | None = None,
    ) -> Changes:
        """Return what changed after `since`."""
        account = self._account(owner)
        require_known(since, revision=account.revision, horizon=account.horizon)
        if since == 0:
            changes = Changes(list(account.tasks.values()), [], account.revision, has_more=False)
        else:
            tasks, deleted = _after(since, account.tasks), _after(since, account.tombstones)
            changes = page_of_changes(tasks, deleted, counter=account.revision, limit=limit)
        count_memory(changes.tasks, room)
        return changes

    async def check(self, *, deadline: Deadline | None = None) -> None:
        """Return: memory can always serve."""

    def _account_for_write(self, owner: UserId, once: Once | None, now: datetime) -> _Account:
        """Return the owner's account to a write, or raise Repeated or KeyReused if its key was used."""
        account = self._accounts.get(owner) or _Account()
        if once is not None and account.answer(once, now) is not None:
            raise Repeated
        return account

    def _account(self, owner: UserId, *, begins: int = 0) -> _Account:
        """Return the owner's account, or that of a user who never wrote, which is not kept."""
        return self._accounts.get(owner) or _Account(begins)


async def _kept(tasks: list[Task], keeps: Callable[[Task], bool]) -> list[Task]:
    """Return the tasks that are kept. After each slice the event loop serves others."""
    kept: list[Task] = []
    for begin in range(0, len(tasks), _SLICE):
        if begin:
            await asyncio.sleep(0)
        kept += filter(keeps, tasks[begin : begin + _SLICE])
    return kept


def _after(since: int, kept: dict[int, _Change]) -> list[_Change]:
    return list(takewhile(lambda change: change.revision > since, reversed(kept.values())))[::-1]

"""What a user can do with their tasks: one method each, the owner first."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Unpack

from todo_domain.changes import LARGEST_PAGE, Changes
from todo_domain.deadline import Deadline
from todo_domain.errors import Stale, Unavailable
from todo_domain.owner import DEFAULT_QUOTA, UserId, require_owned
from todo_domain.ports import Clock, Created, Once, Tasks
from todo_domain.query import Page, Query
from todo_domain.room import Room
from todo_domain.task import Members, Task, check, check_new


def utc_now() -> datetime:
    """Return the time of this machine's clock."""
    return datetime.now(UTC)


class TaskService:
    """One user's tasks, over any store that keeps the contract of `Tasks`.

    A method raises the errors that its store's method does, and Invalid for a value that breaks a rule. `if_match`
    holds the revisions of the task that the caller will accept to change; None accepts any. By the `deadline`, without
    one in ANSWER_WITHIN, a method returns or raises Unavailable. A task that a store hands out is compared with the
    owner once more before anybody sees it.
    """

    def __init__(self, tasks: Tasks, *, clock: Clock = utc_now, quota: int = DEFAULT_QUOTA) -> None:
        self._tasks = tasks
        self._clock = clock
        self._quota = quota

    async def create(
        self, owner: UserId, *, once: Once | None = None, deadline: Deadline | None = None, **members: Unpack[Members]
    ) -> Created:
        """Add a task; with `once`, give the first answer again to everyone who asks with the same key and body."""
        checked = check_new(members)
        created = await self._tasks.create(
            owner, checked, now=self._clock(), quota=self._quota, once=once, deadline=deadline
        )
        require_owned(owner, created.task)
        return created

    async def get(self, owner: UserId, task_id: int, *, deadline: Deadline | None = None) -> Task:
        """Return one task."""
        return require_owned(owner, await self._tasks.get(owner, task_id, deadline=deadline))

    async def list(
        self,
        owner: UserId,
        query: Query = Query(),  # noqa: B008  immutable
        *,
        unless: int | None = None,
        room: Room | None = None,
        deadline: Deadline | None = None,
    ) -> Page:
        """Return the tasks that the query asks for; maybe none of them if the counter is still `unless`.

        `room` counts the memory that the tasks take.
        """
        page = await self._tasks.page(owner, query, unless=unless, room=room, deadline=deadline)
        return page._replace(tasks=[task for task in page.tasks if task.user_id == owner])

    async def counter(self, owner: UserId, *, deadline: Deadline | None = None) -> int:
        """Return the user's counter; 0 for a user who never wrote."""
        return (await self._tasks.page(owner, Query(limit=1), unless=None, deadline=deadline)).revision

    async def edit(
        self,
        owner: UserId,
        task_id: int,
        *,
        if_match: Collection[int] | None = None,
        deadline: Deadline | None = None,
        **members: Unpack[Members],
    ) -> Task:
        """Change the members that are given, and no others; concurrent edits of other members survive."""
        checked = check(members)
        return await self._rewrite(owner, task_id, if_match, deadline, lambda task, now: task.edited(checked, now))

    async def toggle(
        self,
        owner: UserId,
        task_id: int,
        *,
        if_match: Collection[int] | None = None,
        deadline: Deadline | None = None,
    ) -> Task:
        """Complete an open task, reopen a complete one."""
        if if_match is None:
            return require_owned(owner, await self._tasks.toggle(owner, task_id, now=self._clock(), deadline=deadline))
        return await self._rewrite(owner, task_id, if_match, deadline, lambda task, now: task.toggled(now))

    async def delete(
        self,
        owner: UserId,
        task_id: int,
        *,
        if_match: Collection[int] | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        """Remove a task for good."""
        try:
            await self._tasks.delete(owner, task_id, now=self._clock(), expected=if_match, deadline=deadline)
        except Stale as stale:
            require_owned(owner, stale.current)
            raise

    async def changes(
        self,
        owner: UserId,
        *,
        since: int = 0,
        limit: int = LARGEST_PAGE,
        room: Room | None = None,
        deadline: Deadline | None = None,
    ) -> Changes:
        """Return what a device that knows everything up to `since` is missing; with 0, everything there is.

        `room` counts the memory that the tasks take.
        """
        changes = await self._tasks.changes(owner, since=since, limit=limit, room=room, deadline=deadline)
        return changes._replace(tasks=[task for task in changes.tasks if task.user_id == owner])

    async def _rewrite(
        self,
        owner: UserId,
        task_id: int,
        if_match: Collection[int] | None,
        deadline: Deadline | None,
        change: Callable[[Task, datetime], Task],
    ) -> Task:
        deadline = deadline or Deadline.within()
        task = await self._tasks.get(owner, task_id, deadline=deadline)
        while True:
            now = self._clock()
            edited = change(require_owned(owner, task), now)
            if if_match is not None and task.revision not in if_match:
                raise Stale(task)
            if edited is task:
                return task
            try:
                return require_owned(owner, await self._tasks.replace(owner, edited, now=now, deadline=deadline))
            except Stale as lost:
                task = lost.current
            if deadline.left() < 0:
                raise Unavailable("too many others are changing this task: try again")

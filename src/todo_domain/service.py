"""The actions of a user on tasks: one method for each, the owner first."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from functools import cached_property
from typing import Unpack

from todo_domain.batch_service import BatchService
from todo_domain.changes import LARGEST_PAGE, Changes
from todo_domain.deadline import Deadline
from todo_domain.editing import Edit, EditsInOneStep
from todo_domain.errors import Exists, Gone, NotFound, Repeated, Stale, Unavailable
from todo_domain.feed_service import FeedService
from todo_domain.memory_budget import MemoryBudget
from todo_domain.naming import Key
from todo_domain.owner import UserId, require_owned
from todo_domain.portability import Everything
from todo_domain.ports import Created, Once, Written
from todo_domain.put import Put, checked_put, judge_put
from todo_domain.query import Page, Query
from todo_domain.task import Members, Task, at_revision, check, check_new


class TaskService(BatchService, FeedService):
    """One user's tasks, over any store that keeps the contract of `Tasks`.

    A method raises the errors of its store's method, and Invalid for a value that breaks a rule. `if_match` has the
    revisions of the task that may be changed; None accepts any. A method returns or raises Unavailable by the
    `deadline`; without one, within RESPOND_WITHIN. The owner of each task that a store returns is checked before the
    task is returned. A write already done under the key of `once` is not done again: `create` replays it, the others
    raise Repeated.
    """

    async def create(
        self, owner: UserId, *, once: Once | None = None, deadline: Deadline | None = None, **members: Unpack[Members]
    ) -> Created:
        """Add a task; with `once`, a repetition with the same key and body returns the first response again."""
        checked = check_new(members)
        created = await self._tasks.create(
            owner,
            checked,
            now=self._clock(),
            quota=self._quota,
            once=once,
            trash_kept=self._trash_kept,
            deadline=deadline,
        )
        require_owned(owner, created.task)
        return created

    async def get(self, owner: UserId, key: Key, *, deadline: Deadline | None = None) -> Task:
        """Return one task."""
        try:
            return require_owned(owner, await self._tasks.get(owner, key, deadline=deadline))
        except Gone:
            raise NotFound from None

    async def list(
        self,
        owner: UserId,
        query: Query = Query(),  # noqa: B008  immutable
        *,
        unless: int | None = None,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Page:
        """Return the page of the query; its tasks may be left out if the counter is still `unless`.

        `budget` counts the memory of the tasks.
        """
        page = await self._tasks.page(owner, query, unless=unless, budget=budget, deadline=deadline)
        return page._replace(tasks=[task for task in page.tasks if task.user_id == owner])

    async def counter(self, owner: UserId, *, deadline: Deadline | None = None) -> int:
        """Return the user's counter; 0 for a user who never wrote."""
        return (await self._tasks.page(owner, Query(limit=1), unless=None, deadline=deadline)).revision

    async def edit(
        self,
        owner: UserId,
        key: Key,
        *,
        if_match: Collection[int] | None = None,
        once: Once | None = None,
        deadline: Deadline | None = None,
        **members: Unpack[Members],
    ) -> Task:
        """Change the given members only; concurrent edits of other members survive."""
        edit = Edit(check(members), if_match)
        if self._edits is None or not edit.in_one_step:
            return await self._rewrite(owner, key, deadline, edit.applied_to, once)
        try:
            edited = await self._edits.edit(
                owner, key, edit, now=self._clock(), once=once, trash_kept=self._trash_kept, deadline=deadline
            )
        except (Gone, Repeated) as met:
            raise await self._error_for(met, owner, key, deadline) from None
        except Stale as stale:
            require_owned(owner, stale.current)
            raise
        return require_owned(owner, edited)

    async def put(
        self, owner: UserId, key: Key, put: Put, *, once: Once | None = None, deadline: Deadline | None = None
    ) -> Written:
        """Change the given members; under an unknown uid, create the task if `put.may_create`."""
        put = checked_put(put)
        deadline = deadline or Deadline.within()

        def change(task: Task | None, now: datetime) -> Task:
            return judge_put(put, task, owner=owner, key=key, now=now)

        task = None
        if isinstance(key, str) and put.may_create:
            now = self._clock()
            change(None, now)  # raises Invalid for another task's uid or user, before anything is stored
            try:
                made = await self._tasks.create(
                    owner,
                    put.members,
                    now=now,
                    quota=self._quota,
                    once=once,
                    uid=key,
                    trash_kept=self._trash_kept,
                    deadline=deadline,
                )
                return Written(require_owned(owner, made.task), created=True)
            except Exists as there:
                task = there.current
            except (Gone, Repeated) as met:
                raise await self._error_for(met, owner, key, deadline) from None
        return Written(await self._rewrite(owner, key, deadline, change, once, task), created=False)

    async def toggle(
        self,
        owner: UserId,
        key: Key,
        *,
        if_match: Collection[int] | None = None,
        once: Once | None = None,
        deadline: Deadline | None = None,
    ) -> Task:
        """Complete an open task, reopen a complete one."""
        if if_match is None:
            try:
                toggled = await self._tasks.toggle(
                    owner, key, now=self._clock(), once=once, trash_kept=self._trash_kept, deadline=deadline
                )
            except (Gone, Repeated) as met:
                raise await self._error_for(met, owner, key, deadline) from None
            return require_owned(owner, toggled)
        return await self._rewrite(
            owner, key, deadline, at_revision(if_match, lambda task, now: task.toggled(now)), once
        )

    async def delete(
        self,
        owner: UserId,
        key: Key,
        *,
        if_match: Collection[int] | None = None,
        once: Once | None = None,
        deadline: Deadline | None = None,
    ) -> None:
        """Move a task to the trash. Deleting an already deleted uid succeeds, too."""
        try:
            await self._tasks.delete(
                owner,
                key,
                now=self._clock(),
                expected=if_match,
                once=once,
                trash_kept=self._trash_kept,
                deadline=deadline,
            )
        except Gone:
            return
        except Stale as stale:
            require_owned(owner, stale.current)
            raise

    async def changes(
        self,
        owner: UserId,
        *,
        since: int = 0,
        limit: int = LARGEST_PAGE,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Changes:
        """Return the changes after `since` for a device's copy; with 0, the whole state.

        `budget` counts the memory of the tasks.
        """
        changes = await self._tasks.changes(owner, since=since, limit=limit, budget=budget, deadline=deadline)
        return changes._replace(tasks=[task for task in changes.tasks if task.user_id == owner])

    async def export(
        self, owner: UserId, *, budget: MemoryBudget | None = None, deadline: Deadline | None = None
    ) -> Everything:
        """Return all tasks and the trash of the user in one snapshot. `budget` counts their memory."""
        everything = await self._tasks.export(
            owner, now=self._clock(), trash_kept=self._trash_kept, budget=budget, deadline=deadline
        )
        return everything._replace(
            tasks=[task for task in everything.tasks if task.user_id == owner],
            trash=[each for each in everything.trash if each.task.user_id == owner],
        )

    async def erase(self, owner: UserId, *, deadline: Deadline | None = None) -> None:
        """Remove all data of the user except the user id and the counter; every earlier revision becomes stale."""
        await self._tasks.erase(owner, deadline=deadline)

    @cached_property
    def _edits(self) -> EditsInOneStep | None:
        return self._tasks if isinstance(self._tasks, EditsInOneStep) else None

    async def _rewrite(
        self,
        owner: UserId,
        key: Key,
        deadline: Deadline | None,
        change: Callable[[Task, datetime], Task],
        once: Once | None,
        task: Task | None = None,
    ) -> Task:
        """Store the result of `change`; if another write comes first, try again with the new task. Return the task."""
        deadline = deadline or Deadline.within()
        try:
            while True:
                now = self._clock()
                if task is None and once is not None:
                    task = await self._tasks.get_once(owner, key, once, now=now, deadline=deadline)
                elif task is None:
                    task = await self._tasks.get(owner, key, deadline=deadline)
                edited = change(require_owned(owner, task), now)
                if edited is task:
                    return task
                try:
                    kept = await self._tasks.replace(
                        owner, edited, now=now, once=once, trash_kept=self._trash_kept, deadline=deadline
                    )
                    return require_owned(owner, kept)
                except Stale as lost:
                    task = lost.current
                except NotFound:
                    if isinstance(key, int):
                        raise
                    task = None  # deleted meanwhile; the next read raises the error for this key
                if deadline.left() < 0:
                    raise Unavailable("too many concurrent changes of this task: try again")
        except (Gone, Repeated) as met:
            raise await self._error_for(met, owner, key, deadline) from None

    async def _error_for(
        self, met: Gone | Repeated, owner: UserId, key: Key, deadline: Deadline | None
    ) -> Gone | Repeated:
        """Return the error for the caller; for a repetition, with the present task."""
        if isinstance(met, Gone):
            return self._gone(met)
        try:
            return Repeated(require_owned(owner, await self._tasks.get(owner, key, deadline=deadline)))
        except Gone as gone:
            return self._gone(gone)

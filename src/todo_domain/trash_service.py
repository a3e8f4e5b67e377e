"""The actions of a user on deleted tasks: one method for each, the owner first."""

from __future__ import annotations

from datetime import timedelta

from todo_domain.deadline import Deadline
from todo_domain.errors import Gone
from todo_domain.memory_budget import MemoryBudget
from todo_domain.naming import Key
from todo_domain.owner import DEFAULT_QUOTA, UserId, require_owned
from todo_domain.ports import Clock, Tasks, utc_now
from todo_domain.task import Task
from todo_domain.trash import TRASH_KEPT, TrashPage, trash_since


class TrashService:
    """The part of `TaskService` for the trash. `trash_kept` is how long a deleted task stays there; 0 turns it off."""

    def __init__(
        self,
        tasks: Tasks,
        *,
        clock: Clock = utc_now,
        quota: int = DEFAULT_QUOTA,
        trash_kept: timedelta = TRASH_KEPT,
    ) -> None:
        self._tasks = tasks
        self._clock = clock
        self._quota = quota
        self._trash_kept = trash_kept

    async def trash(
        self,
        owner: UserId,
        *,
        limit: int | None = None,
        before: int | None = None,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> TrashPage:
        """Return the trash, the last deleted first; with `before`, only deletions with a lower revision."""
        page = await self._tasks.trash(
            owner,
            now=self._clock(),
            trash_kept=self._trash_kept,
            limit=limit,
            before=before,
            budget=budget,
            deadline=deadline,
        )
        return page._replace(trashed=[each for each in page.trashed if each.task.user_id == owner])

    async def restore(self, owner: UserId, key: Key, *, deadline: Deadline | None = None) -> Task:
        """Restore a task from the trash; a task that is not deleted stays unchanged."""
        restored = await self._tasks.restore(
            owner, key, now=self._clock(), quota=self._quota, trash_kept=self._trash_kept, deadline=deadline
        )
        return require_owned(owner, restored)

    async def discard(self, owner: UserId, key: Key, *, deadline: Deadline | None = None) -> None:
        """Remove a task from the trash for good."""
        await self._tasks.discard(owner, key, now=self._clock(), trash_kept=self._trash_kept, deadline=deadline)

    async def empty_trash(self, owner: UserId, *, deadline: Deadline | None = None) -> None:
        """Remove all tasks from the trash for good."""
        await self._tasks.empty_trash(owner, deadline=deadline)

    def _gone(self, gone: Gone) -> Gone:
        """Return the error of a store with the present value of `restorable`."""
        in_trash = gone.deleted.deleted_at > trash_since(self._clock(), self._trash_kept)
        return Gone(gone.deleted, restorable=gone.restorable and in_trash)

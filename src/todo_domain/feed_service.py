"""The actions of a user on the calendar feed: one method for each, the owner first."""

from __future__ import annotations

from todo_domain.deadline import Deadline
from todo_domain.feed import FeedToken, new_feed_token
from todo_domain.memory_budget import MemoryBudget
from todo_domain.owner import UserId
from todo_domain.ports import Clock, Tasks
from todo_domain.query import Page


class FeedService:
    """The part of `TaskService` for the feed."""

    _tasks: Tasks
    _clock: Clock

    async def make_feed(self, owner: UserId, *, deadline: Deadline | None = None) -> FeedToken:
        """Begin a feed, and return the token that opens it; the previous feed ends. The token itself is not stored."""
        token = new_feed_token(owner)
        await self._tasks.make_feed(owner, token.digest, now=self._clock(), deadline=deadline)
        return token

    async def end_feed(self, owner: UserId, *, deadline: Deadline | None = None) -> bool:
        """End the feed, and return whether there was one."""
        return await self._tasks.end_feed(owner, deadline=deadline)

    async def feed(
        self,
        owner: UserId,
        token: FeedToken,
        *,
        unless: int | None = None,
        budget: MemoryBudget | None = None,
        deadline: Deadline | None = None,
    ) -> Page:
        """Return the open tasks with a due date, the earliest first; maybe none if the counter is still `unless`.

        Raises NotFound unless the token opens the feed of this owner. `budget` counts the memory that the tasks take.
        """
        page = await self._tasks.feed(owner, token.digest, unless=unless, budget=budget, deadline=deadline)
        return page._replace(tasks=[task for task in page.tasks if task.user_id == owner])

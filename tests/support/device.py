"""A client that keeps a copy of one user's tasks by the rules of the contract."""

from todo_domain import Resync, Task, TaskService, UserId


class Device:
    """A copy of `owner`'s tasks, by id, as it was at the revision `since`."""

    def __init__(self, tasks: TaskService, owner: UserId, limit: int = 1_000) -> None:
        self._tasks = tasks
        self._owner = owner
        self._limit = limit
        self.copy: dict[int, Task] = {}
        self.since = 0
        self.resyncs = 0

    async def sync(self) -> None:
        """Apply page after page of changes until there is no more; start again if they are no longer known."""
        more = True
        while more:
            try:
                more = await self._apply_a_page()
            except Resync:
                if self.since == 0:
                    raise
                self.resyncs += 1
                self.since = 0

    async def _apply_a_page(self) -> bool:
        page = await self._tasks.changes(self._owner, since=self.since, limit=self._limit)
        if self.since == 0:
            self.copy.clear()
        self.copy.update((task.id, task) for task in page.tasks)
        for tombstone in page.deleted:
            self.copy.pop(tombstone.id, None)
        if page.has_more and page.revision <= self.since:
            raise AssertionError(f"the changes after {self.since} go on for ever: {page}")
        self.since = page.revision
        return page.has_more

"""Places of the stores' data: one kind of place for each adapter, with one interface."""

from collections.abc import AsyncIterator, Sized
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Literal, Protocol

from todo_adapters.memory import MemoryTasks
from todo_domain import Tasks, UserId

Table = Literal["tasks", "tombstones", "trash", "idempotency_keys", "feeds"]


class Place(Protocol):
    """Data that outlives the stores over it, which a test may open as often as it likes, several at once."""

    def open(self) -> AbstractAsyncContextManager[Tasks]:
        """Return a store over the data, open while the block lasts."""

    def count(self, table: Table, owner: UserId) -> int:
        """Return the real number of rows of this user, counted by the database."""


class MemoryPlace:
    """A single memory store: the one place that has no data of its own."""

    def __init__(self) -> None:
        self._store = MemoryTasks()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Tasks]:
        await self._store.open()
        yield self._store
        await self._store.aclose()

    def count(self, table: Table, owner: UserId) -> int:
        account = self._store._account(owner)
        rows: dict[Table, Sized] = {
            "tasks": account.tasks,
            "tombstones": account.tombstones,
            "trash": account.trash,
            "idempotency_keys": account.remembered,
            "feeds": [owner] if owner in self._store._feeds else [],
        }
        return len(rows[table])

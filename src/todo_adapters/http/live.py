"""The part that streams and waits share: the listeners, the reads of the store, and their metrics."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol

from todo_domain import Changes

if TYPE_CHECKING:
    from litestar.types import Receive

    from todo_adapters.live import Kind, Listener, Listeners
    from todo_adapters.observability.metrics import Metrics
    from todo_domain import TaskService, UserId
    from todo_domain.memory_budget import MemoryBudget

LEAVE_STREAMS: Final = "todo.leave_streams"
"""The key in the ASGI state of the function that ends the streams and waits within a number of seconds."""

_READS: Final = 16
"""The most concurrent reads of the store for all streams and waits of a worker, so that many wakes at once leave room
for requests."""


class Listening(Protocol):
    """A request that may become a stream or a wait; then it is not counted as in flight, nor timed."""

    listening: bool


class Live:
    """The streams and waits of one worker.

    `service` reads for them. Its calls do not count towards the limit on the store calls of requests; they have a limit
    of their own.
    """

    def __init__(self, listeners: Listeners, service: TaskService, metrics: Metrics) -> None:
        self.listeners = listeners
        self.service = service
        self._metrics = metrics
        self._reads = asyncio.Semaphore(_READS)

    async def changes(self, user: UserId, since: int, limit: int, budget: MemoryBudget | None = None) -> Changes:
        """Return the changes after `since`; waits while too many such reads run."""
        async with self._reads:
            return await self.service.changes(user, since=since, limit=limit, budget=budget)

    @asynccontextmanager
    async def listening(
        self, user: UserId, kind: Kind, request: Listening, receive: Receive
    ) -> AsyncIterator[Listener]:
        """Be a listener while the block runs; the listener is dismissed when the client disconnects.

        Raises TooManyListenersError if there are too many.
        """
        with self.listeners.enter(user, kind) as listener:
            request.listening = True
            self._metrics.in_flight -= 1
            watching = asyncio.create_task(_dismiss_when_gone(listener, receive))
            try:
                yield listener
            finally:
                self._metrics.in_flight += 1
                watching.cancel()
                await asyncio.gather(watching, return_exceptions=True)

    def woke(self, seconds: float) -> None:
        """Record how many seconds after its wake a change was sent."""
        self._metrics.woke(seconds)


async def _dismiss_when_gone(listener: Listener, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.dismiss(0)

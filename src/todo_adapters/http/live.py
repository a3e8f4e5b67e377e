"""What streams and waits share: the listeners, a service of their own, and their numbers."""

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
    from todo_domain.room import Room

LEAVE_STREAMS: Final = "todo.leave_streams"
"""Where the ASGI state has the function that ends the streams and waits within so many seconds."""

_READS: Final = 16
"""Reads of the store at once for all streams and waits of a worker: a crowd that wakes leaves room for the requests."""


class Listening(Protocol):
    """A request that may become a stream or a wait: no request in flight, and how long it takes says nothing."""

    listening: bool


class Live:
    """The streams and waits of one worker.

    `service` reads for them; its calls are outside the bound on the store calls of requests, and have one of their own.
    """

    def __init__(self, listeners: Listeners, service: TaskService, metrics: Metrics) -> None:
        self.listeners = listeners
        self.service = service
        self._metrics = metrics
        self._reads = asyncio.Semaphore(_READS)

    async def changes(self, user: UserId, since: int, limit: int, room: Room | None = None) -> Changes:
        """Return what changed after `since`, in turn with the other streams and waits."""
        async with self._reads:
            return await self.service.changes(user, since=since, limit=limit, room=room)

    @asynccontextmanager
    async def listening(
        self, user: UserId, kind: Kind, request: Listening, receive: Receive
    ) -> AsyncIterator[Listener]:
        """Be a listener for the length of the block; a client that goes away ends it.

        Raises TooManyListenersError where there is no room.
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
        """Note how long after its wake a change was written to a stream or a wait ended."""
        self._metrics.woke(seconds)


async def _dismiss_when_gone(listener: Listener, receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    listener.dismiss(0)

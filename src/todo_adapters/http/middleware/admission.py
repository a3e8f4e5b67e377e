"""A limit on the requests that are worked on at once. The others wait for a short time, then get 503."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from todo_adapters.http.protocol.context import context_of
from todo_adapters.observability.calls import Wrapped
from todo_domain import Unavailable

if TYPE_CHECKING:
    from litestar.types import ASGIApp, Receive, Scope, Send

    from todo_domain import Deadline, Tasks

P = ParamSpec("P")
T = TypeVar("T")

MOST_CALLS: Final = 256
"""Calls of the store at once, in one process. A store that completes 100 a second completes these in 2.6 s."""

MOST_REFUSALS: Final = 1_000
"""About the most refusals a second. Clients that try again at once could otherwise use up the whole process."""

SHORTEST_QUEUE_TIME: Final = 1.0
LONGEST_QUEUE_TIME: Final = 2.0
"""The bounds of the seconds that a request may wait in the queue: the longer the queue, the more."""

_SWEEP: Final = 0.05
"""Seconds between two checks for waits that are over: one timer for all is cheaper than one for each request."""


class Admission:
    """A bound on work in progress: while `most` calls of the store run, requests below `/api` and `/feeds` wait.

    When a call ends, one request is admitted; a request that times out in the queue gets 503. The bound counts calls of
    the store, not requests, because a request whose body does not arrive costs nothing. A request waits before any
    other work is done for it, because a refusal should cost little. Health and metrics never wait.
    """

    def __init__(self, *, most: int = MOST_CALLS) -> None:
        self._most = most
        self._calls = 0
        self._waiting: deque[tuple[float, asyncio.Future[bool]]] = deque()
        self._sweeping = False

    def before(self, app: ASGIApp) -> ASGIApp:
        """Return the application behind the bound. Raises Unavailable for a request that times out in the queue."""

        def enter(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
            if self._calls < self._most:
                return app(scope, receive, send)
            return self._wait_and_enter(app, scope, receive, send)

        return enter

    def counted(self, tasks: Tasks) -> Tasks:
        """Return the store with its calls counted."""
        return Wrapped(tasks, lambda _, call: self.counting(call))

    def counting(self, call: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
        """Return the call, counted while it runs. When it ends, one waiting request is admitted."""

        async def counted(*args: P.args, **kwargs: P.kwargs) -> T:
            self._calls += 1
            try:
                return await call(*args, **kwargs)
            finally:
                self._calls -= 1
                if self._waiting:
                    self._admit_next()

        return counted

    async def _wait_and_enter(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        # A preflight never waits, because a page cannot read why one failed.
        waits = scope["raw_path"].startswith((b"/api/", b"/feeds/")) and scope["method"] != "OPTIONS"  # type: ignore[typeddict-item]  # HTTP only
        if waits and not await self._admitted(context_of(scope).deadline):
            raise Unavailable("too many requests at once: try again")
        try:
            await app(scope, receive, send)
        finally:
            if self._calls < self._most:  # a request that did not call the store has not admitted another one
                self._admit_next()

    def _admitted(self, deadline: Deadline) -> asyncio.Future[bool]:
        """Return a future that resolves to whether the request is admitted, by its deadline at the latest."""
        loop = asyncio.get_running_loop()
        admitted: asyncio.Future[bool] = loop.create_future()
        timeout = min(max(SHORTEST_QUEUE_TIME, len(self._waiting) / MOST_REFUSALS), LONGEST_QUEUE_TIME)
        self._waiting.append((min(loop.time() + timeout, deadline.at), admitted))
        if not self._sweeping:
            self._sweeping = True
            loop.call_later(_SWEEP, self._sweep, loop)
        return admitted

    def _admit_next(self) -> None:
        while self._waiting:
            _, admitted = self._waiting.popleft()
            if not admitted.done():
                admitted.set_result(True)
                return

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting and self._waiting[0][0] <= loop.time():
            _, admitted = self._waiting.popleft()
            if not admitted.done():
                admitted.set_result(self._calls < self._most)
        self._sweeping = bool(self._waiting)
        if self._sweeping:
            loop.call_later(_SWEEP, self._sweep, loop)

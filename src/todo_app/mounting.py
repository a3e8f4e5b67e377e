"""Serving below a path prefix of another ASGI application: `Mount("/todo", todo)` of Starlette, FastAPI and others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litestar.types import ASGIApp


@asynccontextmanager
async def started(app: ASGIApp) -> AsyncIterator[None]:
    """Start the application on entry and stop it on exit, by ASGI's lifespan protocol.

    A `Mount` passes requests on but not the lifespan, so the outer application's lifespan must enter this context.
    Raises the error that kept the application from starting.
    """
    events: asyncio.Queue[Any] = asyncio.Queue()
    ready = asyncio.Event()

    async def send(message: Any) -> None:  # noqa: ANN401  an ASGI message
        if message["type"] == "lifespan.startup.complete":
            ready.set()

    scope: Any = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    events.put_nowait({"type": "lifespan.startup"})
    running = asyncio.ensure_future(app(scope, events.get, send))
    waiting = asyncio.ensure_future(ready.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not ready.is_set():
        await running
        raise RuntimeError("the application ended before it started")
    try:
        yield
    finally:
        events.put_nowait({"type": "lifespan.shutdown"})
        await running
